#include "watcher.hpp"

#include <algorithm>
#include <thread>

#include "answer.hpp"
#include "codec.hpp"
#include "text.hpp"

namespace kvstore::client {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kConnectLimit{2000};
constexpr milliseconds kBackoffFirst{50};
constexpr milliseconds kBackoffLast{1000};
// A change of two values of 1 MiB is about 3 MiB of text.
constexpr size_t kLineBytesMax = 16 << 20;

}  // namespace

Watcher::Watcher(std::vector<Endpoint> servers, milliseconds timeout, const CallLimits& limits,
                 const WatchOptions& options, const ChangeSink& sink)
    : limits_(limits),
      options_(options),
      sink_(sink),
      timeout_(timeout),
      next_(options.from_revision),
      give_up_(Clock::now() + timeout) {
  for (Endpoint& server : servers) connections_.emplace_back(std::move(server));
}

Result<WatchEnd> Watcher::run() {
  milliseconds backoff = kBackoffFirst;
  for (size_t turn = 0; !result_; ++turn) {
    HttpConnection& connection = connections_[turn % connections_.size()];
    if (turn % connections_.size() == 0 && turn != 0 && !heard_) {
      // Everybody was asked in vain.
      const auto left = std::chrono::duration_cast<milliseconds>(give_up_ - Clock::now());
      if (left <= backoff) {
        return Error{ErrorKind::kUnreachable, "unreachable", "no server serves the watch" + notes_};
      }
      if (limits_.cancel) {
        limits_.cancel->state().sleep(backoff);
      } else {
        std::this_thread::sleep_for(backoff);
      }
      backoff = std::min(backoff * 2, kBackoffLast);
    }
    if (limits_.cancel && limits_.cancel->is_cancelled()) {
      return Error{ErrorKind::kCancelled, "cancelled", "cancelled by the caller"};
    }
    const Exchange exchange = connect(connection);
    if (heard_) backoff = kBackoffFirst;
    if (!judge(exchange, connection.endpoint())) break;
  }
  return *result_;
}

std::string Watcher::target() const {
  std::string out = "/api/v1/watch?";
  out += options_.key.empty() ? "prefix=" + percent_encode(options_.prefix)
                              : "key=" + percent_encode(options_.key);
  if (next_ != 0) out += "&from_revision=" + std::to_string(next_);
  if (options_.with_prev) out += "&prev=true";
  return out;
}

Exchange Watcher::connect(HttpConnection& connection) {
  rest_.clear();
  heard_ = false;
  skip_ = partial_;
  server_ = connection.endpoint().url();
  ++opened_;
  HttpRequest request;
  request.method = "GET";
  request.target = target();
  request.headers.emplace_back("Accept", "application/x-ndjson");
  request.silence = options_.silence;
  request.sink = [this](uint64_t, std::string_view text) { return take_text(text); };
  request.cancel = limits_.cancel ? &limits_.cancel->state() : nullptr;
  const Deadline now = Clock::now();
  return connection.exchange(request, now + std::min<Clock::duration>(kConnectLimit, timeout_),
                             now + std::max<Clock::duration>(timeout_, milliseconds(100)));
}

void Watcher::alive() {
  heard_ = true;
  notes_.clear();
  give_up_ = Clock::now() + options_.patience;
}

bool Watcher::stop(Error error) {
  result_ = std::move(error);
  return false;
}

bool Watcher::take_text(std::string_view text) {
  alive();
  while (!text.empty()) {
    const size_t end = text.find('\n');
    rest_.append(text.substr(0, end));
    if (rest_.size() > kLineBytesMax) {
      return stop({ErrorKind::kMalformedAnswer, "malformed_answer",
                   server_ + ": a line of the watch is too long"});
    }
    if (end == std::string_view::npos) return true;
    text.remove_prefix(end + 1);
    const std::string line = std::exchange(rest_, {});
    if (!line.empty() && !take_line(line)) return false;
  }
  return true;
}

bool Watcher::take_line(const std::string& line) {
  const auto document = parse_object(line);
  const std::string type = document ? get_string(*document, "type") : std::string();
  if (type == "put" || type == "delete") return take_change(*document);
  if (type == "progress") return take_progress(get_number(*document, "revision"));
  if (type == "error") return take_end(*document);
  return stop({ErrorKind::kMalformedAnswer, "malformed_answer",
               server_ + ": a line of the watch is no change"});
}

bool Watcher::take_change(const Json& line) {
  auto change = read_change(line);
  if (!change) {
    return stop({ErrorKind::kMalformedAnswer, "malformed_answer",
                 server_ + ": a change of the watch is malformed"});
  }
  // What was delivered before, over another connection.
  if (change->revision < next_) return true;
  if (change->revision == next_ && skip_ > 0) {
    --skip_;
    return true;
  }
  if (change->revision != next_) partial_ = skip_ = 0;
  next_ = change->revision + (change->more ? 0 : 1);
  partial_ = change->more ? partial_ + 1 : 0;
  if (sink_(*change)) return true;
  result_ = WatchEnd{next_ - 1, opened_};
  return false;
}

bool Watcher::take_progress(uint64_t revision) {
  if (revision + 1 > next_) {
    next_ = revision + 1;
    partial_ = skip_ = 0;
  }
  if (options_.on_progress) options_.on_progress(next_ - 1);
  return true;
}

// The server ends the watch; but for a compaction it goes on with another connection.
bool Watcher::take_end(const Json& line) {
  const Json* error = find_object(line, "error");
  const std::string code = error != nullptr ? get_string(*error, "code") : "";
  const std::string message = error != nullptr ? get_string(*error, "message") : "";
  notes_ += "; " + server_ + ": " + message;
  if (code != "compacted") return true;
  return stop({ErrorKind::kRefused, code, message, 410});
}

// Whether another connection is worth a try.
bool Watcher::judge(const Exchange& exchange, const Endpoint& server) {
  if (result_) return false;
  if (exchange.end != ExchangeEnd::kAnswered) {
    notes_ += "; " + server.url() + ": " + exchange.message;
    return true;
  }
  if (exchange.response.status == 200) return true;
  Refusal refusal = read_refusal(exchange.response, false);
  notes_ += "; " + server.url() + ": " + refusal.error.message;
  if (refusal.retryable) return true;
  return stop(std::move(refusal.error));
}

}  // namespace kvstore::client
