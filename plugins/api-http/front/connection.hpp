// One client connection: a thread of the pool serves it, from its first request to its last unless
// something else is of more use.
//
// When threads are scarce an idle connection goes to the lobby.  An answer that goes on for long is
// handed over to the streams.  And a request that waits for the engine is parked: the streams have
// the connection as it is until there is something to do, and another thread goes on with it, or,
// for a small answer, none.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <Poco/Net/StreamSocket.h>

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

class Connection final {
 public:
  // Without a lobby an idle connection keeps its thread.
  Connection(const Poco::Net::StreamSocket& socket, Service* service, ConnectionSet* set,
             Lobby* lobby, Streams* streams);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // One turn of a thread: a connection just dispatched, or one whose request has waited long
  // enough.
  static void serve(std::unique_ptr<Connection> connection);

  // [any-thread] Ends the connection: a request under way is answered with 503.
  void stop();
  // [any-thread] Ends it without regard to what is being sent.
  void abort() { io_.shut_both(); }

  const Poco::Net::StreamSocket& socket() const { return socket_; }
  int fd() const { return fd_; }

  // ---- of a parked connection, by the one thread that has it

  // `wake` is called once, on any thread, when next() may have changed.
  void when_ready(UniqueFunction<void()> wake) { current_->park(std::move(wake)); }
  // What can be done now; kAnswer: take_answer() and send it.
  FrontExchange::Next next() const;
  // The whole answer as it goes on the wire.  When the server stops it is one in any case.
  std::string take_answer(AnswerContext* context);
  // The client went away.
  void count_gone();
  bool needs_place() const { return service_->needs_place(underway_->admission); }
  // False when there is no place for it yet.
  bool unpark();

 private:
  // The request that is served: longer than one turn when it is parked.
  struct Underway {
    Underway(const RequestHead& head, ClientSocket* socket, InputBuffer* input,
             const Patience& patience)
        : body(head, socket, input, patience) {}
    Service::Admission admission;
    BodyReader body;
    uint64_t body_bytes = 0;  // that its handler may hold
  };
  enum class After : uint8_t { kClose, kLobby, kStream, kPark };

  void run();
  static void leave(std::unique_ptr<Connection> connection);
  bool wait_for_request();
  bool may_leave_thread() const;
  bool read_head();
  bool serve_request();
  std::optional<Response> begin(Request request);
  bool finish();
  bool complete(Response response);
  bool answer(Response response);
  void collect_body(const Route& route, std::string* text, bool* complete);
  AnswerContext answer_context() const;
  void hand_over(Response response, AnswerContext context);
  void park();
  void describe(Response& response, AnswerContext* context);
  bool send(Response& response, AnswerContext* context, uint64_t timeout_ms);
  void refuse(const ApiError& error);
  void linger();
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

  const Poco::Net::StreamSocket socket_;
  const int fd_;
  Service* const service_;
  ConnectionSet* const set_;
  Lobby* const lobby_;
  Streams* const streams_;
  ClientSocket io_;
  std::string remote_address_;
  InputBuffer input_;
  RequestHead head_;
  std::string scratch_;
  std::optional<Underway> underway_;
  bool first_ = true;                     // no request was served yet
  bool linger_ = false;                   // the client may still be sending
  After after_ = After::kClose;           // this turn
  std::optional<Streams::Guest> stream_;  // which goes on without this thread

  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::shared_ptr<FrontExchange> current_;  // of the request under way; set by who serves it
  bool current_changes_ = false;            // it is no mere read
};

}  // namespace kvstore::http
