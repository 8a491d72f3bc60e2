#include "node/runtime/recovery.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.hpp"
#include "node/runtime/log_thread.hpp"
#include "plugin/slice.hpp"

namespace kvstore::node::runtime {
namespace {

constexpr uint64_t kReadBytes = 8 << 20;

// A log without the state's last entry lost its tail (the state outlived it in a power cut) or is
// that of a snapshot install cut short.  All of the state is committed, so the log may start there.
Status reset_to_applied(plugin::LogStore* log, kvs_log_state* state, raft::LogId applied) {
  KVS_LOG(kWarn, "recovery",
          "the log ends at index={} before the state at index={}: starting there",
          state->last.index, applied.index.value);
  kvs_log_id base{applied.term.value, applied.index.value};
  if (Status s = log->reset(base); !s) return s;
  state->base = state->last = base;
  if (state->hard.term >= applied.term.value) return Status::ok();
  state->hard = {applied.term.value, 0, applied.index.value};
  return log->write(KVS_LOG_SET_HARD_STATE | KVS_LOG_SYNC, state->hard, 0, {});
}

Result<bool> holds(const plugin::LogStore& log, const kvs_log_state& state, raft::LogId id) {
  if (id.index == raft::Index{0} && state.base.index == 0) return true;
  if (id.index.value < state.base.index || id.index.value > state.last.index) return false;
  Result<uint64_t> term = log.term(id.index.value);
  if (!term) return term.status();  // not to be taken for a log that has less
  return *term == id.term.value;
}

Status read_log(const plugin::LogStore& log, const kvs_log_state& state, raft::RaftLog* out) {
  for (uint64_t next = state.base.index + 1; next <= state.last.index;) {
    Status s = log.read(next, UINT64_MAX, kReadBytes, [&](const kvs_entry& e) {
      Result<raft::Entry> entry = entry_from_abi(e);
      if (!entry) return entry.status();
      if (entry->id.index.value != next) {
        return Status(Code::kCorrupt, fmt::format("the log has entry {} where {} belongs",
                                                  entry->id.index.value, next));
      }
      if (entry->id.term < out->last().term) {
        return Status(Code::kCorrupt,
                      fmt::format("entry {} of the log has term {}, but the one before it has {}",
                                  next, entry->id.term.value, out->last().term.value));
      }
      out->restore(*entry);
      ++next;
      return Status::ok();
    });
    if (!s) return s;
  }
  return Status::ok();
}

}  // namespace

Status write_bootstrap(plugin::LogStore* log, const raft::Configuration& configuration) {
  Result<kvs_log_state> state = log->state();
  if (!state) return state.status();
  if (state->last.index > 1 || state->base.index > 0) {
    return {
        Code::kInvalid,
        "the log holds entries, but node.json is missing: restore it, or empty the data directory"};
  }
  raft::Entry entry;
  entry.id = {{1}, {1}};
  entry.kind = raft::EntryKind::kConfiguration;
  entry.data = SharedBytes(configuration.encode());
  entry.crc = raft::entry_crc(entry.id, entry.kind, entry.data.view());
  kvs_entry e{
      {1, 1}, static_cast<uint32_t>(entry.kind), entry.crc, plugin::to_slice(entry.data.view())};
  kvs_hard_state hard{1, configuration.members.front().id.value, 1};
  uint32_t flags = KVS_LOG_SYNC | KVS_LOG_SET_HARD_STATE;
  if (state->last.index == 1) flags |= KVS_LOG_TRUNCATE;
  return log->write(flags, hard, 1, {&e, 1});
}

Result<raft::Restored> recover(plugin::LogStore* log, StateAdapter* state, uint64_t cache_bytes) {
  Result<kvs_log_state> found = log->state();
  if (!found) return found.status();
  kvs_log_state log_state = *found;
  Result<std::unique_ptr<kv::View>> view = state->open_view();
  if (!view) return view.status();
  Result<kv::AppliedMark> mark = (*view)->applied();
  if (!mark) return mark.status();

  raft::Restored out;
  out.applied = {{mark->term}, {mark->index}};
  if (!mark->meta.empty()) {
    Result<raft::Configuration> configuration = raft::Configuration::decode(mark->meta);
    if (!configuration) return configuration.status();
    out.configuration = std::move(*configuration);
  }
  if (mark->index < log_state.base.index) {
    return Status(
        Code::kCorrupt,
        fmt::format("the state ends at index {} but the log begins after {}: the state lost data; "
                    "remove this node, empty its data directory and add it again",
                    mark->index, log_state.base.index));
  }
  // Whoever applied anything had heard of a term first, and the log keeps it through every reset.
  if (mark->index > 0 && log_state.hard.term == 0) {
    return Status(
        Code::kCorrupt,
        fmt::format(
            "the log is empty but the state is at index {}: the log was lost, and with it "
            "this node's votes; remove this node, empty its data directory and add it again",
            mark->index));
  }
  Result<bool> fits = holds(*log, log_state, out.applied);
  if (!fits) return fits.status();
  if (!*fits) {
    if (Status s = reset_to_applied(log, &log_state, out.applied); !s) return s;
  }
  out.hard_state = {{log_state.hard.term}, {log_state.hard.voted_for}, {log_state.hard.commit}};
  // The hint can be newer than what survived of the log without a sync; consensus finds the rest
  // again.
  out.hard_state.commit = std::min(out.hard_state.commit, raft::Index{log_state.last.index});
  out.log = raft::RaftLog({{log_state.base.term}, {log_state.base.index}}, cache_bytes);
  if (Status s = read_log(*log, log_state, &out.log); !s) return s;
  return out;
}

}  // namespace kvstore::node::runtime
