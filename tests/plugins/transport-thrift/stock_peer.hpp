// The other end of the wire, in two forms: Thrift's own client and server with the generated code,
// which know nothing of the plugin's; and a bare socket for what no honest peer sends.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <thrift/transport/TServerSocket.h>
#include <thrift/transport/TSocket.h>

#include "PeerLink.h"
#include "socket.hpp"

namespace kvstore::transport_thrift_test {

inline constexpr int32_t kProtocol = 1;
inline constexpr int32_t kStream = 255;

// A dialling peer.
class StockClient {
 public:
  explicit StockClient(const std::string& address);
  transport_thrift::wire::PeerLinkClient& call() { return *client_; }
  transport_thrift::wire::Answer hello(int32_t kind, const std::string& hello = "id=7",
                                       int32_t protocol = kProtocol);
  // Waits until the other side has closed; false after a minute.
  bool closed_by_other_side();

 private:
  std::shared_ptr<apache::thrift::transport::TSocket> socket_;
  std::unique_ptr<transport_thrift::wire::PeerLinkClient> client_;
};

// An accepting peer with id 2: answers hellos, records the batches it gets.
class StockServer {
 public:
  StockServer();
  ~StockServer();
  std::string address() const;
  std::vector<std::string> batches() const;
  // While false, it reads nothing after the hello.
  std::atomic<bool> reading{true};
  // Its answer to hellos.
  std::atomic<int32_t> verdict{0};

 private:
  class Handler;
  void serve(const std::shared_ptr<apache::thrift::transport::TTransport>& connection);

  std::shared_ptr<apache::thrift::transport::TServerSocket> listener_;
  mutable std::mutex mutex_;
  std::vector<std::string> batches_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
  std::atomic<bool> stopping_{false};
};

// A bare connection.
class RawClient {
 public:
  explicit RawClient(const std::string& address);
  ~RawClient();
  bool send(const std::string& bytes);  // false: the other side has closed
  bool closed_by_other_side();

 private:
  transport_thrift::WakeFd wake_;
  int fd_;
};

// (u32 little endian length, bytes) of each message.
std::string batch_of(const std::vector<std::string>& messages);

}  // namespace kvstore::transport_thrift_test
