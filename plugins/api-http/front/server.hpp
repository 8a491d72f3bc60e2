// The front on Poco: its sockets, thread pool and dispatcher, one thread per request under way.
//
// Poco's HTTPServer accepts every connection straight into a thread, bounds every single receive
// and not the header as a whole, answers a malformed request without a body, and spends eight
// system calls on a request where three do; Lobby and Connection take the place of those parts.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/TCPServerDispatcher.h>
#include <Poco/ThreadPool.h>

#include "front/connection.hpp"
#include "front/connection_set.hpp"
#include "front/lobby.hpp"
#include "front/streams.hpp"
#include "options.hpp"
#include "service.hpp"

namespace kvstore::http {

// Lifecycle: the constructor binds and listens, and throws sdk::Error naming the address when it
// cannot; start() accepts; stop() (once) ends everything and joins all threads.
class Server {
 public:
  Server(Service* service, const ListenAddress& address);
  ~Server() { stop(); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void start();
  void stop();
  std::string bound_address() const;

 private:
  class Factory;
  class Turn;
  struct Release {
    void operator()(Poco::Net::TCPServerDispatcher* dispatcher) const { dispatcher->release(); }
  };
  bool enqueue(const Poco::Net::StreamSocket& socket);
  void dispatch(const Poco::Net::StreamSocket& socket);
  bool resume(std::unique_ptr<Connection>* connection);
  std::unique_ptr<Connection> take_resumed(int fd);

  ConnectionSet connections_;
  Poco::ThreadPool pool_;
  const Poco::Net::ServerSocket listener_;
  Lobby lobby_;
  Streams streams_;
  std::unique_ptr<Poco::Net::TCPServerDispatcher, Release> dispatcher_;
  bool stopped_ = false;

  std::mutex dispatch_mutex_;  // taken before resumed_mutex_
  bool dispatch_closed_ = false;
  std::mutex resumed_mutex_;
  // Connections whose thread is on its way, by descriptor.
  std::unordered_map<int, std::unique_ptr<Connection>> resumed_;
};

}  // namespace kvstore::http
