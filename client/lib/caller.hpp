// Sends one request to whichever server can answer it: failover, following the leader, safe
// repetition.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include <kvstore/client/limits.hpp>
#include <kvstore/client/result.hpp>
#include <kvstore/client/types.hpp>

#include "answer.hpp"
#include "http.hpp"

namespace kvstore::client {

struct Call {
  HttpRequest request;
  bool is_write = false;
  bool has_request_id = false;  // of a write: however often it is sent, it takes effect once
  // Of a write with an id: whether a success leaves something to be done by a repetition.  When the
  // repetitions come to nothing, that success is the result.
  std::function<bool(const HttpResponse&)> is_incomplete;
  int accepted_status = 0;  // an answer beyond 2xx that is none the less a success (503 of health)
};

struct Answer {
  HttpResponse response;
  AnswerInfo info;
  // An earlier attempt may have done what this answer calls undone.
  bool is_repetition = false;
};

class Caller {
 public:
  Caller(std::vector<Endpoint> servers, const ClientOptions& options);

  void set_limits(CallLimits limits) { limits_ = std::move(limits); }

  // Blocks until an answer, a definite error or the end of the timeout.
  Result<Answer> run(const Call& call);

 private:
  struct Progress;
  enum class Step { kNextServer, kFollowLeader, kFinished };

  Result<Answer> run_rounds(const Call& call, Progress& progress);
  Step attempt(const Call& call, Progress& progress);
  Step judge_exchange(const Call& call, Exchange& exchange, Progress& progress);
  Step judge_loss(const Call& call, const Exchange& exchange, Progress& progress);
  Step judge_refusal(const Call& call, const HttpResponse& response, Progress& progress);
  bool wait_for_next_round(Progress& progress) const;
  bool repeats_unknown(const Call& call) const {
    return call.has_request_id || repeat_unknown_writes_;
  }
  bool is_cancelled() const { return limits_.cancel && limits_.cancel->is_cancelled(); }
  Error give_up(const Call& call, const Progress& progress) const;
  size_t find_or_add(const Endpoint& endpoint);

  std::vector<HttpConnection> connections_;  // the given servers, then leaders that were named
  size_t given_count_;
  std::chrono::milliseconds timeout_;
  bool repeat_unknown_writes_;
  CallLimits limits_;
  size_t current_ = 0;  // index of the server to ask next
};

}  // namespace kvstore::client
