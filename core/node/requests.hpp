// Requests on their way through a node.  Each ends exactly once through `done`, on whatever thread
// ends it, never inside the call that submitted it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/assert.hpp"
#include "base/status.hpp"
#include "kv/types.hpp"
#include "raft/types.hpp"

namespace kvstore::node {

// Whether a request that failed may have taken effect.
enum class Committed : uint8_t { kNo = 0, kYes = 1, kUnknown = 2 };

struct ProposalOutcome {
  Code code = Code::kOk;  // OK: applied, `result` says with what effect
  std::string message;
  Committed committed = Committed::kNo;
  raft::LogId at;
  kv::CommandResult result;
};

struct ReadOutcome {
  Code code = Code::kOk;  // OK: the applied state serves the read from now on
  std::string message;
  const char* reason = nullptr;  // why not, in one word: too_stale, revision_not_reached
  raft::LogId at;
};

struct ControlOutcome {
  Code code = Code::kOk;
  std::string message;
  std::string json;
};

// The end of one request: a callback that must be called exactly once.
template <typename Outcome>
class Completion {
 public:
  using Fn = std::function<void(Outcome&&)>;

  Completion() = default;
  explicit Completion(Fn fn) : fn_(std::move(fn)) {}
  Completion(Completion&& other) noexcept : fn_(std::exchange(other.fn_, nullptr)) {}
  Completion& operator=(Completion&& other) noexcept {
    KVS_ASSERT(!fn_);
    fn_ = std::exchange(other.fn_, nullptr);
    return *this;
  }
  ~Completion() { KVS_ASSERT(!fn_); }  // a request was forgotten

  explicit operator bool() const { return static_cast<bool>(fn_); }
  // The request was never taken in: its end is reported another way.
  void drop() { fn_ = nullptr; }
  void operator()(Outcome&& outcome) {
    KVS_ASSERT(fn_);
    Fn fn = std::exchange(fn_, nullptr);
    fn(std::move(outcome));
  }

 private:
  Fn fn_;
};

// A command to be committed and applied.
struct Proposal {
  std::string command;  // kv::encode_command, time not yet stamped
  uint64_t deadline_ms = 0;
  bool may_forward = true;  // false: a forwarded request, or the client asked for the leader alone
  Completion<ProposalOutcome> done;

  void fail(Code code, std::string message, Committed committed) {
    ProposalOutcome outcome;
    outcome.code = code;
    outcome.message = std::move(message);
    outcome.committed = committed;
    done(std::move(outcome));
  }
};
using ProposalPtr = std::unique_ptr<Proposal>;

enum class Consistency : uint8_t {
  kLinearizable,  // holds what was acknowledged before the read came
  kLease,         // the same, on the word of the leader's lease; without one as kLinearizable
  kStale,         // what this node has, within max_staleness_ms
};

// A wait for the moment from which the local applied state may serve a read.
struct Read {
  Consistency consistency = Consistency::kLinearizable;
  uint64_t max_staleness_ms = 0;  // kStale: what was acknowledged so long ago is held; 0: any age
  uint64_t min_revision = 0;      // the state must be there; 0: none
  uint64_t deadline_ms = 0;
  bool may_forward = true;
  Completion<ReadOutcome> done;

  // `reason`, of static storage: more exact than the code.
  void fail(Code code, std::string message, const char* reason = nullptr) {
    ReadOutcome outcome;
    outcome.code = code;
    outcome.message = std::move(message);
    outcome.reason = reason;
    done(std::move(outcome));
  }
};
using ReadPtr = std::unique_ptr<Read>;

// An administrative call (core/abi/VERBS.md).
struct Control {
  std::string verb;
  std::string json;
  uint64_t deadline_ms = 0;
  bool may_forward = true;
  Completion<ControlOutcome> done;

  void finish(Code code, std::string message, std::string json_out = {}) {
    done(ControlOutcome{code, std::move(message), std::move(json_out)});
  }
};
using ControlPtr = std::unique_ptr<Control>;

}  // namespace kvstore::node
