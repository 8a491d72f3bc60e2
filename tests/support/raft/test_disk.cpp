#include "support/raft/test_disk.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace kvstore::raft::testing {

const Entry& DurableLog::at(Index index) const {
  KVS_ASSERT(index > base.index && index <= last().index);
  return entries[index - base.index - 1];
}

bool DurableLog::contains(LogId id) const {
  if (id == base) return true;
  return id.index > base.index && id.index <= last().index && at(id.index).id == id;
}

void DurableLog::apply(const LogWrite& write, size_t parts) {
  if (parts < 1) return;
  if (write.hard_state) {
    KVS_ASSERT(write.hard_state->term >= hard_state.term);
    hard_state = *write.hard_state;
  }
  if (parts < 2) return;
  if (write.truncate_from) {
    KVS_ASSERT(*write.truncate_from > base.index && *write.truncate_from <= last().index + 1);
    entries.resize(*write.truncate_from - base.index - 1);
  }
  for (size_t i = 0; i < write.entries.size() && i + 2 < parts; ++i) {
    const Entry& entry = write.entries[i];
    KVS_ASSERT(entry.id.index == last().index + 1 && entry.id.term >= last().term);
    KVS_ASSERT(entry_intact(entry));
    entries.push_back(entry);
  }
}

void DurableLog::compact(Index upto) {
  if (upto <= base.index) return;
  const LogId new_base = at(upto).id;
  entries.erase(entries.begin(), entries.begin() + static_cast<ptrdiff_t>(upto - base.index));
  base = new_base;
}

void DurableLog::reset(LogId new_base) {
  entries.clear();
  base = new_base;
}

uint64_t TestDisk::persist(size_t count) {
  uint64_t sequence = 0;
  for (; count > 0 && !queue_.empty(); --count) {
    LogWrite& write = queue_.front();
    const Index end = durable_.last().index + 1;
    const bool gap = write.truncate_from.value_or(end) > end ||
                     (!write.entries.empty() && write.entries.front().id.index > end);
    if (lossy_ && gap) {
      write.truncate_from.reset();
      write.entries.clear();
    }
    durable_.apply(write);
    sequence = queue_.front().sequence;
    queue_.pop_front();
  }
  return sequence;
}

void TestDisk::crash(size_t whole, size_t parts) {
  persist(whole);
  if (!queue_.empty()) durable_.apply(queue_.front(), parts);
  queue_.clear();
  visible_ = durable_;
}

uint64_t TestDisk::reset(LogId base) {
  const uint64_t sequence = persist();
  durable_.reset(base);
  visible_ = durable_;
  return sequence;
}

void TestDisk::compact(Index upto) {
  KVS_ASSERT(upto <= durable_.last().index);
  visible_.compact(upto);
  durable_.compact(upto);
}

void TestDisk::lose_last() {
  if (!durable_.entries.empty()) durable_.entries.pop_back();
  visible_ = durable_;
}

uint64_t TestDisk::lose_queued() {
  const uint64_t sequence = queue_.empty() ? 0 : queue_.back().sequence;
  queue_.clear();
  lossy_ = true;
  return sequence;
}

void TestDisk::bring_back(Entry entry) {
  if (entry.id.index != durable_.last().index + 1) return;
  durable_.entries.push_back(std::move(entry));
  visible_ = durable_;
}

EntriesLoaded TestDisk::load(const LoadRequest& request) const {
  EntriesLoaded loaded{request.peer, request.first, Code::kOk, {}};
  if (request.first <= visible_.base.index) {
    loaded.code = Code::kCompacted;
    return loaded;
  }
  const Index last = std::min(request.last, visible_.last().index);
  uint64_t bytes = 0;
  for (Index index = request.first; index <= last; index = index + 1) {
    bytes += entry_bytes(visible_.at(index));
    if (bytes > request.bytes_max && !loaded.entries.empty()) break;
    loaded.entries.push_back(visible_.at(index));
  }
  if (loaded.entries.empty()) loaded.code = Code::kEnd;
  return loaded;
}

Restored TestDisk::restore(LogId applied, Configuration configuration, uint64_t cache_bytes) {
  KVS_ASSERT(queue_.empty());
  if (!durable_.contains(applied)) reset(applied);
  Restored restored{durable_.hard_state, RaftLog(durable_.base, cache_bytes),
                    std::move(configuration), applied};
  for (const Entry& entry : durable_.entries) restored.log.restore(entry);
  return restored;
}

}  // namespace kvstore::raft::testing
