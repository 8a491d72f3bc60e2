// The front on Poco: a TCPServer with its own thread pool, one thread per connection under way.
//
// Poco's HTTPServer is this TCPServer with Poco's own connection class; ours takes its place
// because that one bounds every single receive, not the header as a whole, answers a malformed
// request without a body, and spends eight system calls on a request where three do.
#pragma once

#include <memory>
#include <string>

#include <Poco/Net/TCPServer.h>
#include <Poco/ThreadPool.h>

#include "front/connection_set.hpp"
#include "options.hpp"
#include "service.hpp"

namespace kvstore::http {

// Lifecycle: the constructor binds and listens, and throws sdk::Error naming the address when it
// cannot; start() accepts; stop() (once) ends everything and joins all threads.
class Server {
 public:
  Server(Service* service, const ListenAddress& address);
  ~Server() { stop(); }

  void start();
  void stop();
  std::string bound_address() const;

 private:
  class Factory;
  class Filter;

  Service* const service_;
  ConnectionSet connections_;
  Poco::ThreadPool pool_;
  std::unique_ptr<Poco::Net::TCPServer> tcp_;
  bool stopped_ = false;
};

}  // namespace kvstore::http
