#include "caller.hpp"

#include <algorithm>
#include <thread>

namespace kvstore::client {
namespace {

using std::chrono::milliseconds;

constexpr size_t kNamedLeadersMax = 16;
constexpr int kLeaderHopsMax = 5;  // in a row, without an answer from anybody else
constexpr milliseconds kConnectLimit{2000};
constexpr milliseconds kBackoffFirst{50};
constexpr milliseconds kBackoffLast{500};
constexpr uint64_t kBytesPerSecond = uint64_t{4} << 20;
constexpr uint64_t kLargeBytes = uint64_t{1} << 20;

std::string join(const std::vector<std::pair<std::string, std::string>>& notes) {
  std::string out;
  for (const auto& [server, note] : notes) {
    out += (out.empty() ? "" : "; ") + server + ": " + note;
  }
  return out;
}

// Lets the server give up a little earlier than this side does: its answer tells more than silence.
std::string with_server_timeout(const std::string& target, Clock::duration limit) {
  const auto wait = std::chrono::duration_cast<milliseconds>(limit * 9 / 10).count();
  const char separator = target.find('?') == std::string::npos ? '?' : '&';
  return target + separator + "timeout=" + std::to_string(std::max<int64_t>(wait, 1)) + "ms";
}

// The state machine's own answers, as opposed to those of a server that did not get that far.
bool is_judgement(const Error& error) {
  return error.kind == ErrorKind::kConditionFailed || error.code == "idempotency_mismatch";
}

}  // namespace

// What one call has seen so far.
struct Caller::Progress {
  Deadline deadline;
  milliseconds backoff = kBackoffFirst;
  milliseconds retry_after{0};
  size_t servers_left = 0;     // in this round
  bool any_connected = false;  // in this round
  int hops = 0;
  std::optional<Error> last_refusal;  // of the last server that answered
  std::vector<std::pair<std::string, std::string>>
      notes;                         // per server of this round: what went wrong
  std::optional<Error> unknown;      // a write was sent, and what became of it is not known
  std::optional<Answer> incomplete;  // the last one of that kind
  std::optional<Result<Answer>> result;
};

Caller::Caller(std::vector<Endpoint> servers, const ClientOptions& options)
    : given_count_(servers.size()),
      timeout_(options.timeout),
      repeat_unknown_writes_(options.repeat_unknown_writes) {
  for (auto& server : servers) connections_.emplace_back(std::move(server));
}

Result<Answer> Caller::run(const Call& call) {
  Progress progress;
  const uint64_t bytes = call.request.body ? call.request.body->bytes : 0;
  const Deadline now = Clock::now();
  progress.deadline = now + timeout_ + milliseconds(bytes * 1000 / kBytesPerSecond);
  if (limits_.deadline) progress.deadline = std::min(progress.deadline, *limits_.deadline);
  if (progress.deadline <= now) {
    return Error{ErrorKind::kUnreachable, "timeout", "the deadline is over: nothing was sent"};
  }
  Result<Answer> result = run_rounds(call, progress);
  const bool repeated = progress.unknown || progress.incomplete;
  if (!result && progress.incomplete && !is_judgement(result.error())) {
    result = std::move(*progress.incomplete);
  }
  if (result) result->is_repetition = repeated;
  if (result || !progress.unknown || result.error().kind == ErrorKind::kUnknownOutcome) {
    return result;
  }
  // Under an id the cluster's judgement of one attempt is that of all of them.
  if (call.has_request_id && is_judgement(result.error())) return result;
  // The repetition failed, but the first attempt may have had its effect all the same.
  Error error = *progress.unknown;
  error.message += "; repeated: " + result.error().message;
  return error;
}

Result<Answer> Caller::run_rounds(const Call& call, Progress& progress) {
  for (bool first = true;; first = false) {
    // The wait before this round may have lasted longer than it should.
    if (!first && Clock::now() >= progress.deadline) return give_up(call, progress);
    progress.servers_left = connections_.size();
    progress.any_connected = false;
    progress.notes.clear();
    while (progress.servers_left > 0) {
      const Step step = attempt(call, progress);
      if (step == Step::kFinished) return std::move(*progress.result);
      if (step == Step::kFollowLeader) continue;
      current_ = (current_ + 1) % connections_.size();
      --progress.servers_left;
    }
    if (!progress.any_connected) {
      return Error{ErrorKind::kUnreachable, "unreachable",
                   "no server reachable: " + join(progress.notes)};
    }
    if (!wait_for_next_round(progress)) return give_up(call, progress);
  }
}

Caller::Step Caller::attempt(const Call& call, Progress& progress) {
  const auto now = Clock::now();
  if (is_cancelled()) {
    progress.result = Error{ErrorKind::kCancelled, "cancelled", "cancelled by the caller"};
    return Step::kFinished;
  }
  HttpConnection& connection = connections_[current_];
  if (now >= progress.deadline) {
    progress.notes.emplace_back(connection.endpoint().url(), "not asked, no time left");
    return Step::kNextServer;
  }
  // One silent server must not use up the time of the others.  A write without an id waits for its
  // answer instead, because a lost answer leaves its outcome open; so does a large one, which would
  // have to be sent again.
  const auto share = (progress.deadline - now) / static_cast<int64_t>(progress.servers_left);
  const Deadline connect_deadline = now + std::min<Clock::duration>(share, kConnectLimit);
  const bool large = call.request.body != nullptr && call.request.body->bytes > kLargeBytes;
  const bool patient =
      (call.is_write && (large || !repeats_unknown(call))) || progress.servers_left == 1;
  const Deadline deadline = patient ? progress.deadline : now + share;
  HttpRequest request = call.request;
  request.target = with_server_timeout(request.target, deadline - now);
  request.cancel = limits_.cancel ? &limits_.cancel->state() : nullptr;
  Exchange exchange = connection.exchange(request, connect_deadline, deadline);
  return judge_exchange(call, exchange, progress);
}

Caller::Step Caller::judge_exchange(const Call& call, Exchange& exchange, Progress& progress) {
  const Endpoint& endpoint = connections_[current_].endpoint();
  if (exchange.end != ExchangeEnd::kNotConnected) progress.any_connected = true;
  const auto finish = [&](Result<Answer> result) {
    progress.result = std::move(result);
    return Step::kFinished;
  };
  switch (exchange.end) {
    case ExchangeEnd::kAnswered: {
      const int status = exchange.response.status;
      if (status / 100 != 2 && status != call.accepted_status) {
        return judge_refusal(call, exchange.response, progress);
      }
      AnswerInfo info = read_info(exchange.response, endpoint);
      Answer answer{std::move(exchange.response), std::move(info)};
      if (!call.is_incomplete || !call.is_incomplete(answer.response)) {
        return finish(std::move(answer));
      }
      progress.notes.emplace_back(endpoint.url(), "did not do all of it");
      progress.incomplete = std::move(answer);
      return Step::kNextServer;
    }
    case ExchangeEnd::kSinkStopped:
      return finish(Error{ErrorKind::kCancelled, "cancelled", "stopped by the caller"});
    case ExchangeEnd::kSourceFailed:
      return finish(Error{ErrorKind::kCancelled, "cancelled", exchange.message});
    case ExchangeEnd::kTooLarge:
      return finish(Error{ErrorKind::kMalformedAnswer, "malformed_answer",
                          endpoint.url() + ": " + exchange.message});
    case ExchangeEnd::kTimedOut:
    case ExchangeEnd::kConnectionLost:
      return judge_loss(call, exchange, progress);
    case ExchangeEnd::kNotConnected:
      break;
  }
  progress.notes.emplace_back(endpoint.url(), exchange.message);
  return Step::kNextServer;
}

// The request was sent, and its answer never came.
Caller::Step Caller::judge_loss(const Call& call, const Exchange& exchange, Progress& progress) {
  const std::string url = connections_[current_].endpoint().url();
  progress.notes.emplace_back(url, exchange.message);
  // Whether it was cancelled, the next attempt finds out before it sends anything.
  if (!call.is_write) return Step::kNextServer;
  const std::string why = is_cancelled() ? "cancelled" : exchange.message;
  progress.unknown = Error{ErrorKind::kUnknownOutcome,
                           is_cancelled()                           ? "cancelled"
                           : exchange.end == ExchangeEnd::kTimedOut ? "timeout"
                                                                    : "connection_lost",
                           "outcome unknown: " + url + ": " + why + " after the request was sent"};
  if (repeats_unknown(call)) return Step::kNextServer;
  progress.result = *progress.unknown;
  return Step::kFinished;
}

Caller::Step Caller::judge_refusal(const Call& call, const HttpResponse& response,
                                   Progress& progress) {
  const std::string url = connections_[current_].endpoint().url();
  Refusal refusal = read_refusal(response, call.is_write);
  const bool unknown = refusal.error.kind == ErrorKind::kUnknownOutcome;
  if (unknown) progress.unknown = refusal.error;
  const bool repeat = refusal.retryable || (unknown && repeats_unknown(call));
  if (!repeat && !refusal.follow) {
    progress.result = std::move(refusal.error);
    return Step::kFinished;
  }
  progress.notes.emplace_back(url, refusal.error.message);
  progress.last_refusal = std::move(refusal.error);
  progress.retry_after = refusal.retry_after;
  if (refusal.follow && refusal.leader && progress.hops < kLeaderHopsMax) {
    const size_t leader = find_or_add(*refusal.leader);
    if (leader != current_) {
      ++progress.hops;
      current_ = leader;
      return Step::kFollowLeader;
    }
  }
  return Step::kNextServer;
}

bool Caller::wait_for_next_round(Progress& progress) const {
  const auto left = std::chrono::duration_cast<milliseconds>(progress.deadline - Clock::now());
  // Retry-After is the server's guess for everybody; asking again sooner, a few times, finds a new
  // leader.
  const auto wait = std::min(progress.backoff, std::max(progress.retry_after, kBackoffFirst));
  if (left <= wait) return false;
  if (limits_.cancel) {
    limits_.cancel->state().sleep(wait);
  } else {
    std::this_thread::sleep_for(wait);
  }
  progress.backoff = std::min(progress.backoff * 2, kBackoffLast);
  progress.hops = 0;
  return true;
}

Error Caller::give_up(const Call& call, const Progress& progress) const {
  if (progress.last_refusal) {
    Error error = *progress.last_refusal;
    error.kind = ErrorKind::kNoLeader;
    error.message =
        "not possible within " + std::to_string(timeout_.count()) + " ms: " + join(progress.notes);
    return error;
  }
  return {ErrorKind::kUnreachable, call.is_write ? "unreachable" : "timeout",
          "no answer within " + std::to_string(timeout_.count()) + " ms: " + join(progress.notes)};
}

size_t Caller::find_or_add(const Endpoint& endpoint) {
  for (size_t i = 0; i < connections_.size(); ++i) {
    if (connections_[i].endpoint() == endpoint) return i;
  }
  if (connections_.size() - given_count_ >= kNamedLeadersMax) {
    connections_.back() = HttpConnection(endpoint);
  } else {
    connections_.emplace_back(endpoint);
  }
  return connections_.size() - 1;
}

}  // namespace kvstore::client
