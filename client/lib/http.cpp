#include "http.hpp"

#include <algorithm>
#include <istream>
#include <ostream>

#include <Poco/Exception.h>
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/StreamSocket.h>

#include "text.hpp"

namespace kvstore::client {
namespace {

constexpr size_t kChunkBytes = size_t{256} << 10;

Poco::Timespan time_left(Deadline deadline) {
  const auto left =
      std::chrono::duration_cast<std::chrono::microseconds>(deadline - Clock::now()).count();
  return Poco::Timespan(std::max<int64_t>(left, 1000));
}

std::string describe(const Poco::Exception& e) {
  if (dynamic_cast<const Poco::TimeoutException*>(&e) != nullptr) return "timed out";
  if (dynamic_cast<const Poco::Net::HostNotFoundException*>(&e) != nullptr) return "unknown host";
  if (dynamic_cast<const Poco::Net::DNSException*>(&e) != nullptr) return "name lookup failed";
  if (dynamic_cast<const Poco::Net::ConnectionRefusedException*>(&e) != nullptr) {
    return "connection refused";
  }
  if (dynamic_cast<const Poco::Net::ConnectionResetException*>(&e) != nullptr) {
    return "connection reset by the server";
  }
  if (dynamic_cast<const Poco::Net::NoMessageException*>(&e) != nullptr) {
    return "connection closed by the server";
  }
  const std::string text = e.displayText();
  return text.empty() ? e.name() : text;
}

}  // namespace

std::string_view HttpResponse::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (equal_ignoring_case(key, name)) return value;
  }
  return {};
}

// Poco's session without its own reconnecting: only the caller knows whether a request may be sent
// twice.
class HttpConnection::Session : public Poco::Net::HTTPClientSession {
 public:
  explicit Session(const Endpoint& endpoint) : HTTPClientSession(endpoint.host, endpoint.port) {
    setKeepAlive(true);
  }

  void open(const Endpoint& endpoint, Deadline deadline) {
    Poco::Net::StreamSocket stream;
    stream.connect(Poco::Net::SocketAddress(endpoint.host, endpoint.port), time_left(deadline));
    stream.setNoDelay(true);
    attachSocket(stream);
  }

  // True when the idle connection can take a request.  A readable idle socket was closed by the
  // server.
  bool is_idle() {
    return connected() && !socket().poll(Poco::Timespan(0), Poco::Net::Socket::SELECT_READ);
  }

  void set_deadline(Deadline deadline) {
    socket().setSendTimeout(time_left(deadline));
    socket().setReceiveTimeout(time_left(deadline));
  }

  int descriptor() { return socket().impl()->sockfd(); }

  // Ends a request whose body could not be sent in full, so that an early answer can be read.
  void abandon_request() {
    try {
      flushRequest();
    } catch (const Poco::Exception&) {
      // The write failure that brought us here.
    }
    clearException();
  }

 protected:
  int write(const char* buffer, std::streamsize length) override {
    return HTTPSession::write(buffer, length);
  }
  bool mustReconnect() const override { return false; }
};

namespace {

enum class Upload { kDone, kWriteFailed, kSourceFailed, kTimedOut };

Upload send_body(std::ostream& out, const ValueSource& body, const std::function<void()>& rearm,
                 Deadline deadline) {
  std::string chunk(std::min<uint64_t>(body.bytes, kChunkBytes), '\0');
  for (uint64_t offset = 0; offset < body.bytes;) {
    if (Clock::now() >= deadline) return Upload::kTimedOut;
    const size_t want = static_cast<size_t>(std::min<uint64_t>(chunk.size(), body.bytes - offset));
    const size_t got = body.read(offset, chunk.data(), want);
    if (got == 0 || got > want) return Upload::kSourceFailed;
    rearm();
    out.write(chunk.data(), static_cast<std::streamsize>(got));
    if (!out.good()) return Upload::kWriteFailed;
    offset += got;
  }
  out.flush();
  return out.good() ? Upload::kDone : Upload::kWriteFailed;
}

enum class Download { kDone, kLost, kTimedOut, kTooLarge, kStopped };

Download receive_body(std::istream& in, const ValueSink& sink, const std::function<void()>& rearm,
                      Deadline& deadline, Clock::duration extension, uint64_t& total) {
  std::string chunk(kChunkBytes, '\0');
  total = 0;
  while (true) {
    if (Clock::now() >= deadline) return Download::kTimedOut;
    rearm();
    in.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    const size_t got = static_cast<size_t>(in.gcount());
    if (got > 0) {
      if (!sink(total, std::string_view(chunk).substr(0, got))) return Download::kStopped;
      total += got;
      if (extension.count() > 0) deadline = std::max(deadline, Clock::now() + extension);
    }
    if (in.bad()) return Download::kLost;
    if (in.eof()) return Download::kDone;
  }
}

// The body of an answer without an end in sight: what has come is delivered at once.
Download receive_stream(std::istream& in, const ValueSink& sink,
                        const std::function<void()>& rearm) {
  std::string chunk(kChunkBytes, '\0');
  for (uint64_t total = 0;;) {
    rearm();
    const bool some = in.peek() != std::istream::traits_type::eof();
    if (in.bad()) return Download::kLost;
    if (!some) return Download::kDone;
    const std::streamsize got =
        in.readsome(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    if (!sink(total, std::string_view(chunk).substr(0, static_cast<size_t>(got)))) {
      return Download::kStopped;
    }
    total += static_cast<uint64_t>(got);
  }
}

Headers copy_headers(const Poco::Net::HTTPResponse& response) {
  Headers out;
  for (const auto& [name, value] : response) out.emplace_back(name, value);
  return out;
}

}  // namespace

HttpConnection::HttpConnection(Endpoint endpoint) : endpoint_(std::move(endpoint)) {}
HttpConnection::HttpConnection(HttpConnection&&) noexcept = default;
HttpConnection& HttpConnection::operator=(HttpConnection&&) noexcept = default;
HttpConnection::~HttpConnection() = default;

std::optional<std::string> HttpConnection::open(Deadline connect_deadline) {
  try {
    if (session_ && session_->is_idle()) return std::nullopt;
    session_ = std::make_unique<Session>(endpoint_);
    session_->open(endpoint_, connect_deadline);
    return std::nullopt;
  } catch (const Poco::Exception& e) {
    session_.reset();
    return describe(e);
  }
}

Exchange HttpConnection::exchange(const HttpRequest& request, Deadline connect_deadline,
                                  Deadline deadline) {
  if (auto error = open(std::min(connect_deadline, deadline))) {
    return {ExchangeEnd::kNotConnected, {}, std::move(*error)};
  }
  Exchange result;
  const CancelGuard guard(request.cancel, session_->descriptor());
  if (request.cancel != nullptr && request.cancel->is_cancelled()) {
    session_.reset();
    return {ExchangeEnd::kNotConnected, {}, "cancelled"};
  }
  try {
    result = run(request, deadline);
  } catch (const Poco::TimeoutException&) {
    result = {ExchangeEnd::kTimedOut, {}, "timed out"};
  } catch (const Poco::Exception& e) {
    result = {ExchangeEnd::kConnectionLost, {}, describe(e)};
  }
  const bool reusable = result.end == ExchangeEnd::kAnswered && session_ &&
                        !equal_ignoring_case(result.response.header("Connection"), "close");
  if (!reusable) session_.reset();
  return result;
}

Exchange HttpConnection::run(const HttpRequest& request, Deadline deadline) {
  const Clock::duration extension =
      request.progress_extends ? deadline - Clock::now() : Clock::duration::zero();
  Poco::Net::HTTPRequest head(request.method, request.target, Poco::Net::HTTPMessage::HTTP_1_1);
  for (const auto& [name, value] : request.headers) head.set(name, value);
  head.setContentLength64(request.body ? static_cast<int64_t>(request.body->bytes) : 0);

  const auto rearm = [&] { session_->set_deadline(deadline); };
  rearm();
  std::ostream& out = session_->sendRequest(head);
  bool complete = true;
  if (request.body) {
    const Upload upload = send_body(out, *request.body, rearm, deadline);
    if (upload == Upload::kTimedOut) return {ExchangeEnd::kTimedOut, {}, "timed out"};
    if (upload == Upload::kSourceFailed) {
      return {ExchangeEnd::kSourceFailed, {}, "the value could not be read"};
    }
    // A server may refuse a body before it read all of it: its answer is worth more than the
    // failure.
    complete = upload == Upload::kDone;
    if (!complete) session_->abandon_request();
  }

  Poco::Net::HTTPResponse answer;
  rearm();
  std::istream& in = session_->receiveResponse(answer);
  Exchange result;
  result.response.status = static_cast<int>(answer.getStatus());
  result.response.headers = copy_headers(answer);
  if (!complete) result.response.headers.emplace_back("Connection", "close");

  bool too_large = false;
  const ValueSink collect = [&](uint64_t, std::string_view bytes) {
    too_large = result.response.body.size() + bytes.size() > kAnswerBytesMax;
    if (!too_large) result.response.body.append(bytes);
    return !too_large;
  };
  const bool to_sink = request.sink && result.response.status == 200;
  if (to_sink && request.on_size && answer.hasContentLength()) {
    request.on_size(static_cast<uint64_t>(answer.getContentLength64()));
  }
  if (to_sink && request.silence.count() != 0) {
    const Download ended = receive_stream(
        in, request.sink, [&] { session_->set_deadline(Clock::now() + request.silence); });
    if (const auto* error = session_->networkException()) error->rethrow();
    result.response.headers.emplace_back("Connection", "close");
    result.end = ended == Download::kStopped ? ExchangeEnd::kSinkStopped
                 : ended == Download::kLost  ? ExchangeEnd::kConnectionLost
                                             : ExchangeEnd::kAnswered;
    result.message = "the answer ended";
    return result;
  }
  uint64_t total = 0;
  const Download download =
      receive_body(in, to_sink ? request.sink : collect, rearm, deadline, extension, total);
  if (too_large) return {ExchangeEnd::kTooLarge, {}, "the answer is too large"};
  if (download == Download::kStopped) return {ExchangeEnd::kSinkStopped, {}, "stopped"};
  if (download == Download::kTimedOut) return {ExchangeEnd::kTimedOut, {}, "timed out"};
  if (const auto* error = session_->networkException()) error->rethrow();
  const bool short_body = answer.hasContentLength() && request.method != "HEAD" &&
                          total != static_cast<uint64_t>(answer.getContentLength64());
  if (download == Download::kLost || short_body) {
    return {ExchangeEnd::kConnectionLost, {}, "connection lost in the middle of the answer"};
  }
  result.end = ExchangeEnd::kAnswered;
  return result;
}

}  // namespace kvstore::client
