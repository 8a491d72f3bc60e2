// Construction from what the disk holds.
#include <algorithm>

#include "raft/detail/impl.hpp"

namespace kvstore::raft {

Status check_restored(const Options& options, const Restored& restored) {
  auto corrupt = [](std::string what) { return Status(Code::kCorrupt, std::move(what)); };
  if (!options.id) return Status(Code::kInvalid, "node id 0 is no node");
  const RaftLog& log = restored.log;
  if (restored.applied.index < log.base().index || restored.applied.index > log.last().index ||
      !log.contains(restored.applied))
    return corrupt(fmt::format("the applied mark (term {}, index {}) is not in the log {}..{}",
                               restored.applied.term.value, restored.applied.index.value,
                               log.base().index.value, log.last().index.value));
  if (!restored.configuration.is_valid()) return corrupt("the stored configuration is malformed");
  for (const Entry& entry : log.restored_configurations()) {
    auto decoded = Configuration::decode(entry.data.view());
    if (!decoded)
      return corrupt(
          fmt::format("log entry {}: {}", entry.id.index.value, decoded.status().message()));
  }
  return Status::ok();
}

RaftNode::Impl::Impl(const Options& options, Restored restored)
    : options_(options),
      random_(options.seed),
      term_(restored.hard_state.term),
      voted_for_(restored.hard_state.voted_for),
      log_(std::move(restored.log)),
      applied_(restored.applied.index),
      given_out_(restored.applied.index),
      writes_(log_.last().index) {
  KVS_ASSERT(options_.heartbeat_ticks > 0 && options_.election_ticks > options_.heartbeat_ticks);
  KVS_ASSERT(options_.append_bytes_max > 0 && options_.inflight_messages_max > 0);
  KVS_ASSERT(log_.contains(restored.applied));
  // The hint may be ahead of a log whose tail was lost before it was durable.
  commit_ = std::max(applied_, std::min(restored.hard_state.commit, log_.last().index));
  commit_written_ = restored.hard_state.commit;
  matched_ = commit_;
  if (term_ < log_.last().term) set_term(log_.last().term);  // the log was reset, the term not yet
  restore_configurations(std::move(restored.configuration));
  reset_election_timer();
  promised_until_tick_ = options_.election_ticks;
}

void RaftNode::Impl::restore_configurations(Configuration as_of_applied) {
  Index since = log_.base().index;
  for (const Entry& entry : log_.restored_configurations()) {
    if (entry.id.index <= applied_) since = entry.id.index;
  }
  configurations_.emplace_back(since, std::move(as_of_applied));
  for (const Entry& entry : log_.restored_configurations()) {
    if (entry.id.index <= applied_) continue;
    auto decoded = Configuration::decode(entry.data.view());
    KVS_ASSERT(decoded.is_ok());  // see check_restored
    configurations_.emplace_back(entry.id.index, std::move(decoded.value()));
  }
  log_.forget_restored_configurations();
}

}  // namespace kvstore::raft
