// The newest hashes of this node's state, and the callers that wait for one.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "kv/state_hash.hpp"
#include "node/requests.hpp"

namespace kvstore::node {

// Asks any member for its hash at an index.
inline constexpr const char* kHashAtVerb = "admin.hash_at";

class StateHashes {
 public:
  static constexpr size_t kKept = 8;
  static constexpr size_t kWaitersMax = 64;

  ~StateHashes();

  void add(const kv::StateHash& hash);
  // Ends the control with the hash of the state as of `index`: now, when it comes, or with TIMEOUT;
  // NOT_FOUND when it is known that it will not come; BUSY when too many wait.
  void wait(uint64_t index, ControlPtr control);
  void expire(uint64_t now_ms);
  void fail_all(Code code, const std::string& message);

 private:
  struct Waiter {
    uint64_t index;
    ControlPtr control;
  };
  // False when the hash may still come.
  bool answer(uint64_t index, ControlPtr* control) const;

  std::deque<kv::StateHash> kept_;  // ascending index
  std::vector<Waiter> waiters_;
};

}  // namespace kvstore::node
