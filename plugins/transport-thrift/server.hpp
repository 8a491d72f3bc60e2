// Accepts connections and runs each on its own thread; bounded in number.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "context.hpp"
#include "incoming.hpp"
#include "socket.hpp"

namespace kvstore::transport_thrift {

class Server {
 public:
  Server(Context& context, std::function<void(kvs_node_id)> on_greeted)
      : context_(context), on_greeted_(std::move(on_greeted)) {}
  ~Server() { stop(); }

  // Throws sdk::Error that names the address.
  void start();
  // Closes the listening socket and every connection; no callback after.  Idempotent.
  void stop();
  // Closes the connections of this peer, which may dial again.
  void disconnect(kvs_node_id peer);

  Address bound() const { return bound_; }
  size_t connections() const;

 private:
  struct Connection {
    std::unique_ptr<Incoming> incoming;
    std::atomic<bool> done{false};
    bool sent_away = false;
    std::thread thread;
  };

  void run();
  void accept_one();
  bool make_room();
  void add(int fd);
  void reap();

  Context& context_;
  const std::function<void(kvs_node_id)> on_greeted_;
  Address bound_;
  int listen_fd_ = -1;
  WakeFd wake_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
  mutable std::mutex mutex_;
  std::list<Connection> connections_;
};

}  // namespace kvstore::transport_thrift
