// The answers to requests that came with an id, kept so that a repetition is answered and not
// executed.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "kv/store.hpp"
#include "kv/system_records.hpp"
#include "kv/types.hpp"

namespace kvstore::kv {

// Answers that one command may remove.  More than the one that it may add, so that a limit of age
// is reached again after a pause.
inline constexpr uint64_t kRequestsRemovedMax = 4;

// Lifecycle: one for a state machine; for each batch begin_batch(), name() for every id, fetch();
// then for each command answer(), or after its execution remove_old() and keep().
//
// The answers are in the store, "request/" under principal and id and "requestage/" numbered in the
// order in which they came; in memory are those that the batch names, and the next few to remove.
// The newest answer always stays, so that the store alone tells which number comes next.
class Requests {
 public:
  Requests(Store* store, const RequestLimits& limits);

  // Replaces what is known by what the view holds.
  Status load(View& view);

  void begin_batch();
  void name(const RequestId& request);
  // Reads what is kept under the named ids, in one call.
  Status fetch();

  // Whether the result is decided without an execution: that of the earlier one, or CONFLICT when
  // it was for another request.  Its id was named.
  Result<bool> answer(const Txn& txn, CommandResult* result) const;

  // Removes answers that are too old or, with `room` further ones, too many; at most
  // kRequestsRemovedMax.
  Status remove_old(uint64_t now_ms, uint64_t room, std::vector<WriteOp>* ops);

  // Keeps the answer to a transaction that was executed.  Values, and then items, of a result that
  // takes more than kRequestResultBytesMax are left out, and a replay of it is marked as shortened.
  void keep(const Txn& txn, const CommandResult& result, uint64_t now_ms,
            std::vector<WriteOp>* ops);

  uint64_t count() const { return next_ - first_; }

 private:
  struct Found {
    bool present = false;
    std::string stored;
  };

  Status look_ahead();
  Status read_ages(uint64_t from, uint64_t to);

  Store& store_;
  const RequestLimits limits_;
  uint64_t first_ = 1;  // number of the oldest answer
  uint64_t next_ = 1;   // of the next one
  std::unordered_map<std::string, Found> named_;
  std::deque<RequestAge> oldest_;  // from first_ on, some; empty: not read yet
  // What this batch kept; its flushes may not have written all of it.
  uint64_t batch_first_ = 1;
  std::vector<RequestAge> batch_ages_;
};

}  // namespace kvstore::kv
