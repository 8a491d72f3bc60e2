#include "node/runtime/log_thread.hpp"

#include <utility>

#include <fmt/format.h>

#include "plugin/slice.hpp"

namespace kvstore::node::runtime {
namespace {

kvs_log_id to_abi(raft::LogId id) {
  return {id.term.value, id.index.value};
}

kvs_entry to_abi(const raft::Entry& e) {
  return {to_abi(e.id), static_cast<uint32_t>(e.kind), e.crc, plugin::to_slice(e.data.view())};
}

}  // namespace

Result<raft::Entry> entry_from_abi(const kvs_entry& e) {
  if (e.kind > static_cast<uint32_t>(raft::EntryKind::kConfiguration)) {
    return Status(Code::kCorrupt,
                  fmt::format("log entry {} has the unknown kind {}", e.id.index, e.kind));
  }
  raft::Entry entry;
  entry.id = {{e.id.term}, {e.id.index}};
  entry.kind = static_cast<raft::EntryKind>(e.kind);
  entry.crc = e.crc32c;
  entry.data = SharedBytes::copy_of(plugin::to_bytes(e.data));
  if (!raft::entry_intact(entry)) {
    return Status(Code::kCorrupt,
                  fmt::format("log entry {} fails its checksum: the log is damaged", e.id.index));
  }
  return entry;
}

void LogThread::start() {
  writer_.start("kvs-log", [this](std::vector<Task>* tasks) { run(tasks); });
  reader_.start("kvs-log-read", [this](std::vector<raft::LoadRequest>* requests) {
    for (const raft::LoadRequest& r : *requests) read_entries(r);
  });
}

void LogThread::stop() {
  writer_.stop();
  reader_.stop();
}

void LogThread::write(raft::LogWrite write) {
  writer_.push(std::move(write));
}
void LogThread::load(const raft::LoadRequest& request) {
  reader_.push(request);
}
void LogThread::compact(raft::LogId upto) {
  writer_.push(Compact{upto});
}
void LogThread::reset(raft::LogId base, std::function<void()> done) {
  writer_.push(Reset{base, std::move(done)});
}

void LogThread::run(std::vector<Task>* tasks) {
  if (failed_) return;  // nothing is retried on a handle that failed
  std::vector<raft::LogWrite*> group;
  Status status;
  for (Task& task : *tasks) {
    if (auto* write = std::get_if<raft::LogWrite>(&task)) {
      group.push_back(write);
      continue;
    }
    status = flush_group(&group);
    if (!status) break;
    if (auto* compact = std::get_if<Compact>(&task)) {
      status = store_->compact(to_abi(compact->upto));
    } else {
      auto& reset = std::get<Reset>(task);
      status = store_->reset(to_abi(reset.base));
      if (status) reset.done();
    }
    if (!status) break;
  }
  if (status) status = flush_group(&group);
  if (!status) {
    failed_ = true;
    callbacks_.fatal(status);
  }
}

// Writes the group and reports it, as one or, where a truncation stands in the middle, several
// calls.
Status LogThread::flush_group(std::vector<raft::LogWrite*>* group) {
  if (group->empty()) return Status::ok();
  std::vector<raft::LogWrite*> part;
  for (raft::LogWrite* write : *group) {
    if (write->truncate_from && !part.empty()) {
      if (Status s = write_group(part); !s) return s;
      part.clear();
    }
    part.push_back(write);
  }
  if (Status s = write_group(part); !s) return s;
  callbacks_.persisted(group->back()->sequence);
  group->clear();
  return Status::ok();
}

Status LogThread::write_group(const std::vector<raft::LogWrite*>& group) {
  entries_.clear();
  uint32_t flags = 0;
  kvs_hard_state hard{};
  uint64_t truncate_from = 0;
  for (const raft::LogWrite* write : group) {
    if (write->hard_state) {
      flags |= KVS_LOG_SET_HARD_STATE;
      hard = {write->hard_state->term.value, write->hard_state->voted_for.value,
              write->hard_state->commit.value};
    }
    if (write->truncate_from) {
      flags |= KVS_LOG_TRUNCATE;
      truncate_from = write->truncate_from->value;
    }
    if (write->must_sync) flags |= KVS_LOG_SYNC;
    for (const raft::Entry& e : write->entries) entries_.push_back(to_abi(e));
  }
  return store_->write(flags, hard, truncate_from, entries_);
}

void LogThread::read_entries(const raft::LoadRequest& request) {
  raft::EntriesLoaded loaded;
  loaded.peer = request.peer;
  loaded.first = request.first;
  Status status = store_->read(request.first.value, request.last - request.first + 1,
                               request.bytes_max, [&](const kvs_entry& e) {
                                 Result<raft::Entry> entry = entry_from_abi(e);
                                 if (!entry) return entry.status();
                                 loaded.entries.push_back(std::move(*entry));
                                 return Status::ok();
                               });
  loaded.code = status.code();
  bool expected =
      status.is_ok() || status.code() == Code::kCompacted || status.code() == Code::kEnd;
  if (!expected) {
    callbacks_.fatal(status);
    return;
  }
  callbacks_.loaded(std::move(loaded));
}

}  // namespace kvstore::node::runtime
