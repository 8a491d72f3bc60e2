#include "front/connection.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <Poco/Exception.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/StreamSocketImpl.h>

#include "front/connection_set.hpp"
#include "front/lobby.hpp"

namespace kvstore::http {
namespace {

// How long a request keeps its thread while it waits for the engine: longer than a busy engine
// takes for a write, and short enough that a crowd of waiting requests does not keep others out.
constexpr std::chrono::milliseconds kParkAfter{30};
constexpr int kClientGoneStatus = 400;
constexpr size_t kCollectStep = 256 << 10;
// After an answer that ends the connection, the client may go on sending for so long and so much:
// closing at once would reset the connection and take the answer away from it.
constexpr uint64_t kLingerMs = 3000;
constexpr uint64_t kLingerBytes = 1ull << 30;
// How long a thread waits for a client while threads are scarce: for a request to begin, for the
// rest of its header, for the end of a refused connection.
constexpr uint64_t kScarceIdleMs = 20;
constexpr uint64_t kScarceHeaderMs = 500;
constexpr uint64_t kScarceLingerMs = 100;
// How long for the client to take an answer that no limit on requests stands behind.
constexpr uint64_t kUnlimitedSendMs = 2000;

ApiError body_needs_length() {
  ApiError error(411, "length_required", "the request needs a Content-Length or chunks");
  error.close = true;
  return error;
}

// The rest of a streamed body, for FrontExchange.
class Feed final : public BodyFeed {
 public:
  explicit Feed(BodyReader* body) : body_(body) {}

  void next(UniqueFunction<void(const BodyPiece&)>& done) override {
    BodyPiece piece;
    text_.clear();
    try {
      piece.end = !body_->read(kCollectStep, &text_);
      piece.bytes = text_;
      done(piece);
    } catch (const ApiError& error) {
      piece = {};
      piece.error = &error;
      done(piece);
    }
  }

 private:
  BodyReader* body_;
  std::string text_;
};

uint64_t idle_slice_ms(const Config& config) {
  return std::min(
      {ConnectionSet::kIdleSliceMs, config.keep_alive_timeout_ms, config.header_timeout_ms});
}

}  // namespace

Connection::Connection(const Poco::Net::StreamSocket& socket, Service* service, ConnectionSet* set,
                       Lobby* lobby, Streams* streams)
    : socket_(socket),
      fd_(socket.impl()->sockfd()),
      service_(service),
      set_(set),
      lobby_(lobby),
      streams_(streams),
      io_(fd_, service->host()) {}

Connection::~Connection() {
  if (current_ != nullptr) current_->give_up();
}

void Connection::serve(std::unique_ptr<Connection> connection) {
  Connection& self = *connection;
  if (!self.set_->add(&self)) {
    // The server stops: a request that waited is still answered.
    if (self.underway_) self.streams_->park(std::move(connection));
    return;
  }
  self.after_ = After::kClose;
  try {
    self.run();
    if (self.linger_ && !self.stopping()) self.linger();
  } catch (const std::exception& e) {
    self.service_->host().log(KVS_LEVEL_DEBUG, std::string("connection ended: ").append(e.what()));
  } catch (...) {
    self.service_->host().log(KVS_LEVEL_DEBUG, "connection ended by an unknown exception");
  }
  leave(std::move(connection));
}

void Connection::leave(std::unique_ptr<Connection> connection) {
  Connection& self = *connection;
  if (self.after_ == After::kClose) self.set_->leave(self.fd_);
  self.set_->remove(&self);
  // Last: from then on the connection may be another thread's.
  switch (self.after_) {
    case After::kClose:
      break;
    case After::kLobby:
      self.lobby_->take_back(self.socket_);
      break;
    case After::kStream:
      self.streams_->adopt(std::move(*self.stream_));
      break;
    case After::kPark:
      self.streams_->park(std::move(connection));
      break;
  }
}

void Connection::stop() {
  std::shared_ptr<FrontExchange> current;
  bool changes = false;
  {
    std::lock_guard lock(mutex_);
    stopping_.store(true, std::memory_order_relaxed);
    current = current_;
    changes = current_changes_;
  }
  if (current != nullptr) {
    current->respond(error_from_status(changes ? KVS_E_INDETERMINATE : KVS_E_CLOSED,
                                       "the server is shutting down"));
  }
  io_.shut_receiving();
}

void Connection::run() {
  bool goes_on = true;
  if (underway_) {
    goes_on = finish();
  } else {
    remote_address_ = socket_.peerAddress().toString();
    io_.set_idle_slice(idle_slice_ms(service_->config()));
  }
  while (goes_on && !stopping() && wait_for_request() && read_head()) {
    goes_on = serve_request();
    first_ = false;
  }
}

bool Connection::may_leave_thread() const {
  return lobby_ != nullptr && set_->threads_are_scarce();
}

// Waits in slices, so that an idle connection leaves its thread to others when threads are scarce.
bool Connection::wait_for_request() {
  const Config& config = service_->config();
  const uint64_t patience_ms = first_ ? config.header_timeout_ms : config.keep_alive_timeout_ms;
  for (uint64_t waited_ms = 0; input_.empty();) {
    if (waited_ms >= patience_ms || stopping()) return false;
    Patience scarce(kScarceIdleMs, UINT64_MAX);
    const bool brief = may_leave_thread();
    waited_ms += brief ? kScarceIdleMs : idle_slice_ms(config);
    const ClientSocket::Io io = input_.fill([&](char* to, size_t room, size_t* got) {
      return brief ? io_.receive(to, room, got, &scarce) : io_.receive_idle(to, room, got);
    });
    // Empty lines are no request, and keep no thread.
    while (input_.view().starts_with("\r\n")) input_.consume(2);
    if (io == ClientSocket::Io::kOk) continue;
    if (io != ClientSocket::Io::kTimeout) return false;
    if (may_leave_thread() && !stopping()) {
      after_ = After::kLobby;
      return false;
    }
  }
  return true;
}

bool Connection::read_head() {
  const Config& config = service_->config();
  const uint64_t scarce_ms = may_leave_thread() ? kScarceHeaderMs : UINT64_MAX;
  Patience patience(std::min(config.header_timeout_ms, scarce_ms), UINT64_MAX);
  size_t checked = 0;
  try {
    while (true) {
      while (checked == 0 && input_.view().starts_with("\r\n")) input_.consume(2);
      const size_t end = find_head_end(input_.view(), &checked);
      if ((end == 0 ? input_.view().size() : end) > config.max_header_bytes) {
        throw ApiError(431, "header_too_large",
                       "the header exceeds the limit of " +
                           std::to_string(config.max_header_bytes) + " bytes (max_header_bytes)");
      }
      if (end != 0) {
        head_.parse(input_.view().substr(0, end));
        input_.consume(end);
        return true;
      }
      const ClientSocket::Io io = input_.fill([&](char* to, size_t room, size_t* got) {
        return io_.receive(to, room, got, &patience);
      });
      if (io == ClientSocket::Io::kTimeout) {
        ApiError error(408, "request_timeout", "the header did not arrive in time");
        error.retryable = true;
        throw error;
      }
      if (io != ClientSocket::Io::kOk) return false;
    }
  } catch (const ApiError& e) {
    refuse(e);
    return false;
  }
}

// An answer to something that is no proper request.
void Connection::refuse(const ApiError& error) {
  Service::Admission none;
  none.started_ns = service_->host().now_ns();
  Response response = error_response(error);
  AnswerContext context;
  context.keep_alive = false;
  send(response, &context, kUnlimitedSendMs);
  service_->count(none, error.http_status, error.code);
  linger_ = true;
}

bool Connection::serve_request() {
  Request request;
  request.method = head_.method();
  request.path = head_.path();
  request.query = head_.query();
  request.headers = &head_;
  request.remote_address = remote_address_;
  request.content_length = head_.content_length();
  const Config& config = service_->config();
  underway_.emplace(head_, &io_, &input_,
                    Patience(config.body_timeout_ms, config.min_bytes_per_second));
  underway_->admission = service_->admit(&request);
  if (std::optional<Response> refusal = begin(request)) return complete(std::move(*refusal));
  return finish();
}

// Reads the body and calls the handler; an answer when it does not come to that.
std::optional<Response> Connection::begin(Request request) {
  const Service::Admission& admission = underway_->admission;
  if (admission.refusal) return error_response(*admission.refusal);
  std::string text;
  try {
    collect_body(*admission.route, &text, &request.body_complete);
  } catch (const ApiError& e) {
    return error_response(e);
  }
  request.body = text;
  // A body that goes up in parts is held in two of them.
  underway_->body_bytes = request.body_complete ? text.size() : 2 * text.size();
  const auto exchange = FrontExchange::make();
  {
    std::lock_guard lock(mutex_);
    if (stopping()) {
      return error_response(error_from_status(KVS_E_CLOSED, "the server is shutting down"));
    }
    current_ = exchange;
    current_changes_ = request.method != Method::kGet && request.method != Method::kHead;
  }
  service_->handle(admission, request, exchange->handle());
  return std::nullopt;
}

// Waits for the answer and sends it; false when this thread is done with the connection.
bool Connection::finish() {
  Feed feed(&underway_->body);
  std::optional<Response> response = current_->wait(&feed, kParkAfter);
  if (!response) {
    park();
    return false;
  }
  {
    std::lock_guard lock(mutex_);
    current_.reset();
  }
  return complete(std::move(*response));
}

bool Connection::complete(Response response) {
  const bool goes_on = answer(std::move(response));
  underway_.reset();
  return goes_on;
}

bool Connection::answer(Response response) {
  BodyReader& body = underway_->body;
  const Service::Admission& admission = underway_->admission;
  AnswerContext context = answer_context();
  if (response.stream != nullptr && !context.head_only) {
    hand_over(std::move(response), context);
    return false;
  }
  const bool unlimited = admission.refusal || admission.route->route_class == RouteClass::kProbe;
  const bool sent =
      send(response, &context, unlimited ? kUnlimitedSendMs : service_->config().send_timeout_ms);
  response.source.reset();
  service_->count(admission, response.status, response.error_code);
  if (body.at_end()) return sent;
  if (sent && !may_leave_thread() && body.skip_rest()) return true;
  linger_ = true;
  return false;
}

AnswerContext Connection::answer_context() const {
  AnswerContext context;
  context.http_1_1 = head_.http_1_1();
  context.head_only = head_.method() == Method::kHead;
  context.keep_alive = head_.keep_alive() && !stopping() && underway_->body.rest_is_short();
  return context;
}

// The rest of the answer needs no thread.
void Connection::hand_over(Response response, AnswerContext context) {
  context.keep_alive = context.keep_alive && input_.empty();
  describe(response, &context);
  set_->set_apart(fd_, true);
  stream_.emplace(
      Streams::Guest{socket_, std::move(response), context, std::move(underway_->admission)});
  after_ = After::kStream;
}

// What the request waits for needs no thread, and may take long.
void Connection::park() {
  service_->park(&underway_->admission, underway_->body_bytes);
  input_.release();
  std::string().swap(scratch_);
  set_->set_apart(fd_, true);
  after_ = After::kPark;
}

FrontExchange::Next Connection::next() const {
  using Next = FrontExchange::Next;
  const Next next = current_->next();
  // What else the client has sent has to be dealt with as well.
  const bool alone = underway_->body.at_end() && input_.empty();
  return next == Next::kAnswer && !alone ? Next::kThread : next;
}

std::string Connection::take_answer(AnswerContext* context) {
  *context = answer_context();
  Response response = current_->take_answer();
  if (response.source != nullptr || response.stream != nullptr) {
    response = error_response(error_from_status(KVS_E_CLOSED, "the server is shutting down"));
  }
  if (response.close) context->keep_alive = false;
  describe(response, context);
  service_->count(underway_->admission, response.status, response.error_code);
  return answer_text(response, *context);
}

void Connection::count_gone() {
  service_->count(underway_->admission, kClientGoneStatus, "client_gone");
}

bool Connection::unpark() {
  if (!service_->unpark(&underway_->admission)) return false;
  current_->unpark();
  return true;
}

// Reads the body as far as the route wants it at once.
void Connection::collect_body(const Route& route, std::string* text, bool* complete) {
  BodyReader* body = &underway_->body;
  *complete = true;
  if (route.body_bytes_max == 0) {
    if (!body->at_end()) throw ApiError(400, "invalid", "this request takes no body");
    return;
  }
  if (!head_.content_length() && !head_.chunked()) throw body_needs_length();
  const uint64_t length = head_.content_length().value_or(0);
  if (length > route.body_bytes_max && !route.streams_body) {
    throw ApiError(
        413, "too_large",
        "the body exceeds the limit of " + std::to_string(route.body_bytes_max) + " bytes");
  }
  text->reserve(std::min<uint64_t>(length, route.body_bytes_max));
  while (text->size() < route.body_bytes_max) {
    const uint64_t room = route.body_bytes_max - text->size();
    if (!body->read(std::min<uint64_t>(room, kCollectStep), text)) return;
  }
  *complete = false;
  if (!route.streams_body) {
    // A body of exactly the limit may end here, which only another look tells.
    *complete = !body->read(1, text);
    if (*complete) return;
    throw ApiError(
        413, "too_large",
        "the body exceeds the limit of " + std::to_string(route.body_bytes_max) + " bytes");
  }
}

void Connection::describe(Response& response, AnswerContext* context) {
  context->node = service_->node_name();
  context->term = service_->newest_term(response.term);
  response.revision = service_->newest_revision(response.revision);
}

bool Connection::send(Response& response, AnswerContext* context, uint64_t timeout_ms) {
  const Config& config = service_->config();
  timeout_ms = std::min(timeout_ms, config.send_timeout_ms);
  describe(response, context);
  return send_answer(response, context, &io_, Patience(timeout_ms, config.min_bytes_per_second),
                     &scratch_);
}

void Connection::linger() {
  io_.shut_sending();
  Patience patience(may_leave_thread() ? kScarceLingerMs : kLingerMs, UINT64_MAX);
  std::string scrap(kCollectStep, '\0');
  for (uint64_t total = 0; total < kLingerBytes;) {
    size_t got = 0;
    if (io_.receive(scrap.data(), scrap.size(), &got, &patience) != ClientSocket::Io::kOk) return;
    total += got;
  }
}

}  // namespace kvstore::http
