#include "watcher.hpp"

#include <algorithm>
#include <thread>

#include "answer.hpp"
#include "text.hpp"

namespace kvstore::client {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kConnectLimit{2000};
constexpr milliseconds kBackoffFirst{50};
constexpr milliseconds kBackoffLast{1000};

}  // namespace

Watcher::Watcher(std::vector<Endpoint> servers, milliseconds timeout, const CallLimits& limits,
                 const WatchOptions& options, const ChangeSink& sink)
    : limits_(limits),
      options_(options),
      timeout_(timeout),
      lines_(options.from_revision, &sink, options.on_progress),
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
  if (lines_.next() != 0) out += "&from_revision=" + std::to_string(lines_.next());
  if (options_.with_prev) out += "&prev=true";
  return out;
}

Exchange Watcher::connect(HttpConnection& connection) {
  lines_.reconnect();
  heard_ = false;
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
  if (lines_.take(text)) return true;
  if (!lines_.error()) {
    result_ = WatchEnd{lines_.next() - 1, opened_};
    return false;
  }
  Error error = *lines_.error();
  if (error.kind == ErrorKind::kMalformedAnswer) error.message = server_ + ": " + error.message;
  return stop(std::move(error));
}

// Whether another connection is worth a try.
bool Watcher::judge(const Exchange& exchange, const Endpoint& server) {
  if (result_) return false;
  if (!lines_.last_word().empty()) notes_ += "; " + server.url() + ": " + lines_.last_word();
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
