// Reads on their way: waiting to be asked for, asked, confirmed and waiting for the state to catch
// up, or for the revision that they want at least.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "node/requests.hpp"
#include "raft/output.hpp"

namespace kvstore::node {

class ReadTable {
 public:
  explicit ReadTable(uint64_t revision_waiters_max = UINT64_MAX)
      : revision_waiters_max_(revision_waiters_max) {}
  ~ReadTable();

  // kStale: waits for its min_revision alone.
  void add(ReadPtr read, uint64_t revision);
  // One that needs no question: it waits for this index.
  void add_confirmed(ReadPtr read, raft::Index index, raft::Term term);

  bool has_unasked() const { return !unasked_.empty(); }
  // All reads that were not asked for yet become one question with this token.
  void ask(uint64_t token, uint64_t now_ms);

  // The answer: reads wait for their index, or are asked again when leadership moved.
  void on_result(const raft::ReadResult& result, raft::Term term);
  // The state reached this index and revision: whatever waited for it is done.
  void on_applied(raft::Index applied, raft::Term term, uint64_t revision);

  // Questions older than `retry_ms` are asked again (their answer may be lost); reads past their
  // deadline end.
  void tick(uint64_t now_ms, uint64_t retry_ms, bool leader_known);
  void fail_all(Code code, const char* message);

 private:
  // Ends the read, or lets it wait for its revision.
  void settle(ReadPtr read, raft::LogId at);

  struct Asked {
    uint64_t at_ms = 0;
    std::vector<ReadPtr> reads;
  };

  const uint64_t revision_waiters_max_;
  std::vector<ReadPtr> unasked_;
  std::map<uint64_t, Asked> asked_;                // by token
  std::multimap<raft::Index, ReadPtr> confirmed_;  // by read index
  std::multimap<uint64_t, ReadPtr> by_revision_;   // by min_revision
  raft::Index applied_;
  uint64_t revision_ = 0;
};

}  // namespace kvstore::node
