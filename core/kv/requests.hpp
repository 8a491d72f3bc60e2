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
// The answers are in the store, numbered in the order in which they came: they come and go at the
// two ends of one range of keys.  In memory are the hash of each one's id and its time, about 64
// bytes each, and those answers that the batch names.  The newest answer always stays, so that the
// store alone tells which number comes next.
class Requests {
 public:
  Requests(Store* store, const RequestLimits& limits);

  // Replaces what is known by what the view holds.
  Status load(View& view);

  void begin_batch();
  void name(const RequestId& request);
  // Reads what may be kept under the named ids, in one call; none when there is nothing.
  Status fetch();

  // Whether the result is decided without an execution: that of the earlier one, or CONFLICT when
  // it was for another request.  Its id was named.
  Result<bool> answer(const Txn& txn, CommandResult* result) const;

  // Removes answers that are too old or, with `room` further ones, too many; at most
  // kRequestsRemovedMax.
  void remove_old(uint64_t now_ms, uint64_t room, std::vector<WriteOp>* ops);

  // Keeps the answer to a transaction that was executed.  Values, and then items, of a result that
  // takes more than kRequestResultBytesMax are left out, and a replay of it is marked as shortened.
  void keep(const Txn& txn, const CommandResult& result, uint64_t now_ms,
            std::vector<WriteOp>* ops);

  uint64_t count() const { return kept_.size(); }

 private:
  struct Kept {
    uint64_t hash;
    uint64_t time_ms;
  };
  struct Named {
    uint64_t number = 0;  // 0: no answer is kept
    std::string stored;
  };

  Status add(uint64_t number, const RequestRecord& record);
  void take(uint64_t number, Bytes stored, Status* failed);

  Store& store_;
  const RequestLimits limits_;
  uint64_t first_ = 1;     // number of the oldest answer
  std::deque<Kept> kept_;  // from first_ on
  // Numbers by the hash of the id.  Different ids may share one.
  std::unordered_multimap<uint64_t, uint64_t> numbers_;
  std::unordered_map<std::string, Named> named_;  // by name_of() principal and id
  std::unordered_map<uint64_t, Named*> found_;    // those of them with an answer, by its number
};

}  // namespace kvstore::kv
