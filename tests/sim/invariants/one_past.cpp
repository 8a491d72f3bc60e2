// Every revision shows the same items, and made the same changes, on every node and whenever it is
// read: when it was the newest one, later, after snapshots and compactions.
#include <map>

#include <fmt/format.h>

#include "kv/change_reader.hpp"
#include "kv/reader.hpp"
#include "sim/invariants.hpp"

namespace kvstore::sim {
namespace {

// Order matters and nothing of it may be lost.
class PastDigest {
 public:
  void add(Bytes bytes) {
    add(bytes.size());
    for (char c : bytes) step(static_cast<unsigned char>(c));
  }
  void add(uint64_t number) {
    for (int i = 0; i < 8; ++i) step(static_cast<unsigned char>(number >> (8 * i)));
  }
  void add(const kv::ItemView& item) {
    add(item.key);
    add(item.value);
    for (uint64_t n : {item.create_revision, item.mod_revision, item.version, item.value_bytes})
      add(n);
  }
  uint64_t sum() const { return sum_; }

 private:
  void step(unsigned char c) { sum_ = (sum_ ^ c) * 0x100000001b3u; }
  uint64_t sum_ = 0xcbf29ce484222325u;
};

class OnePast final : public Invariant {
 public:
  const char* name() const override { return "one past"; }

  void on_state(Checker& checker, SimNode& node) override {
    auto opened = node.store().open_view();
    KVS_ASSERT(opened.is_ok());
    kv::View& view = **opened;
    const kv::Revisions revisions = *kv::read_revisions(view);
    if (revisions.current == 0) return;
    if (revisions.compacted > compacted_) {
      compacted_ = revisions.compacted;
      checker.coverage().count(Fault::kHistoryCompacted);
    }
    check_items(checker, node, view, revisions, revisions.current);
    // Another old one each time.
    const uint64_t oldest = std::max<uint64_t>(revisions.compacted, 1);
    const uint64_t old = oldest + turn_++ * 7919 % (revisions.current - oldest + 1);
    if (old == revisions.current) return;
    checker.coverage().count(Fault::kOldRevisionRead);
    check_items(checker, node, view, revisions, old);
    check_changes(checker, node, view, old + 1);
  }

 private:
  static constexpr uint64_t kChangesAtATime = 8;

  void check_items(Checker& checker, SimNode& node, kv::View& view, const kv::Revisions& revisions,
                   uint64_t revision) {
    PastDigest digest;
    kv::Range all;
    all.kind = kv::Range::Kind::kAll;
    auto at = kv::resolve_revision(revisions, revision);
    auto scanned = kv::scan_items(view, at.is_ok() ? *at : 0, all, 0, 0, UINT64_MAX,
                                  [&](const kv::ItemView& item) {
                                    digest.add(item);
                                    return true;
                                  });
    if (!at || !scanned) {
      checker.violated(name(),
                       fmt::format("{} does not show revision {}: {}", node.name(), revision,
                                   (at ? scanned.status() : at.status()).to_string()));
      return;
    }
    auto [it, fresh] = items_.emplace(revision, digest.sum());
    if (it->second == digest.sum()) return;
    checker.violated(name(), fmt::format("{} shows at revision {} other items than it had",
                                         node.name(), revision));
  }

  void check_changes(Checker& checker, SimNode& node, kv::View& view, uint64_t from) {
    std::map<uint64_t, PastDigest> found;
    kv::ChangeOptions options;
    options.range.kind = kv::Range::Kind::kAll;
    options.with_prev = true;
    uint64_t last = 0;
    auto read = kv::read_changes(view, {from, 0}, options, [&](const kv::ChangeView& change) {
      PastDigest& digest = found[change.revision];
      digest.add(static_cast<uint64_t>(change.kind));
      digest.add(change.now);
      if (change.prev != nullptr) digest.add(*change.prev);
      last = change.revision;
      return found.size() <= kChangesAtATime;
    });
    if (!read) {
      checker.violated(name(), fmt::format("{} does not tell the changes from revision {} on: {}",
                                           node.name(), from, read.status().to_string()));
      return;
    }
    if (read->more) found.erase(last);  // perhaps not all of it
    for (const auto& [revision, digest] : found) {
      auto [it, fresh] = changes_.emplace(revision, digest.sum());
      if (it->second == digest.sum()) continue;
      checker.violated(name(),
                       fmt::format("{} tells other changes of revision {}", node.name(), revision));
    }
  }

  std::map<uint64_t, uint64_t> items_;  // digests by revision
  std::map<uint64_t, uint64_t> changes_;
  uint64_t compacted_ = 0;
  uint64_t turn_ = 0;
};

}  // namespace

std::unique_ptr<Invariant> one_past() {
  return std::make_unique<OnePast>();
}

}  // namespace kvstore::sim
