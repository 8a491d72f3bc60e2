#include "sim/stale_reads.hpp"

#include <string_view>
#include <utility>

namespace kvstore::sim {
namespace {

constexpr uint64_t kPauseUs = 60 * kMs;
// Both ends of an age are told in whole milliseconds.
constexpr uint64_t kRoundingUs = 3 * kMs;

}  // namespace

void StaleReads::start() {
  cluster_->world.after(cluster_->world.below(kPauseUs), [this] {
    if (finishing_) return;
    ask();
    start();
  });
}

void StaleReads::ask() {
  World& world = cluster_->world;
  Call call;
  call.node = world.below(cluster_->size());
  SimNode& node = (*cluster_)[call.node];
  if (!node.running()) return;
  auto read = std::make_unique<node::Read>();
  read->consistency = node::Consistency::kStale;
  read->deadline_ms = node.clock_ms() + world.between(200, 3'000);
  if (world.chance(80)) {
    read->max_staleness_ms = world.between(1, 1'500);
    // The node's milliseconds may be longer than the world's.
    const uint64_t age_us = read->max_staleness_ms * kMs * 100 / node.config.clock_percent;
    call.since_us = world.now_us() - age_us - kRoundingUs;
  }
  if (world.chance(40)) read->min_revision = checker_->ledger().acked_revision + world.below(3);
  call.min_revision = read->min_revision;
  call.waits = !node.paused() && read->min_revision > node.store_revision();
  ++open_;
  read->done = node::Completion<node::ReadOutcome>(
      [this, call](node::ReadOutcome&& outcome) { take(call, outcome); });
  node.read(std::move(read));
}

void StaleReads::take(const Call& call, const node::ReadOutcome& outcome) {
  --open_;
  const std::string_view reason = outcome.reason == nullptr ? "" : outcome.reason;
  if (outcome.code != Code::kOk) {
    if (reason == "too_stale") coverage_->count(Fault::kTooStale);
    return;
  }
  coverage_->count(call.waits ? Fault::kRevisionAwaited : Fault::kStaleRead);
  checker_->stale_read_answered(
      {(*cluster_)[call.node].store_revision(), call.min_revision, call.since_us});
}

}  // namespace kvstore::sim
