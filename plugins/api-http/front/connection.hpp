// One client connection, served by one thread of the pool from its first request to its last.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <Poco/Net/TCPServerConnection.h>

#include "front/answer.hpp"
#include "front/body_reader.hpp"
#include "front/client_socket.hpp"
#include "front/front_exchange.hpp"
#include "front/input_buffer.hpp"
#include "front/request_head.hpp"
#include "front/streams.hpp"
#include "service.hpp"

namespace kvstore::http {

class ConnectionSet;
class Lobby;

class Connection final : public Poco::Net::TCPServerConnection {
 public:
  // Without a lobby an idle connection keeps its thread.
  Connection(const Poco::Net::StreamSocket& socket, Service* service, ConnectionSet* set,
             Lobby* lobby, Streams* streams);

  void run() override;  // called by Poco on the pool's thread

  // [any-thread] Ends the connection: a request under way is answered with 503.
  void stop();
  // [any-thread] Ends it without regard to what is being sent.
  void abort() { io_.shut_both(); }

 private:
  void serve();
  bool wait_for_request();
  bool may_leave_thread() const;
  bool read_head();
  bool serve_request();
  void collect_body(const Route& route, BodyReader* body, std::string* text, bool* complete);
  Response answer(const Service::Admission& admission, const Request& request, BodyReader* body);
  void hand_over(Response response, AnswerContext context, Service::Admission admission);
  void describe(Response& response, AnswerContext* context);
  bool send(Response& response, AnswerContext* context, uint64_t timeout_ms);
  void refuse(const ApiError& error);
  void linger();
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

  Service* const service_;
  ConnectionSet* const set_;
  Lobby* const lobby_;
  Streams* const streams_;
  ClientSocket io_;
  std::string remote_address_;
  InputBuffer input_;
  RequestHead head_;
  std::string scratch_;
  bool first_ = true;                     // no request was served yet
  bool linger_ = false;                   // the client may still be sending
  bool parked_ = false;                   // the lobby has it
  std::optional<Streams::Guest> stream_;  // which goes on without this thread

  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::shared_ptr<FrontExchange> current_;  // the request under way
  bool current_changes_ = false;            // it is no mere read
};

}  // namespace kvstore::http
