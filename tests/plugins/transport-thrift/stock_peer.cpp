#include "stock_peer.hpp"

#include <cstring>

#include <poll.h>
#include <sys/socket.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <unistd.h>

namespace kvstore::transport_thrift_test {

using namespace apache::thrift::protocol;
using namespace apache::thrift::transport;
namespace wire = transport_thrift::wire;

namespace {

constexpr int kPatienceMs = 60'000;

bool wait_for_end(int fd) {
  for (;;) {
    pollfd polled{fd, POLLIN, 0};
    if (poll(&polled, 1, kPatienceMs) <= 0) return false;
    char buffer[4096];
    if (::recv(fd, buffer, sizeof buffer, 0) <= 0) return true;
  }
}

}  // namespace

std::string batch_of(const std::vector<std::string>& messages) {
  std::string out;
  for (const std::string& m : messages) {
    auto size = static_cast<uint32_t>(m.size());
    out.append(reinterpret_cast<const char*>(&size), sizeof size);
    out.append(m);
  }
  return out;
}

StockClient::StockClient(const std::string& address) {
  transport_thrift::Address a = transport_thrift::parse_address(address);
  socket_ = std::make_shared<TSocket>(a.host, a.port);
  socket_->setLinger(false, 0);
  socket_->open();
  auto framed = std::make_shared<TFramedTransport>(socket_);
  client_ = std::make_unique<wire::PeerLinkClient>(std::make_shared<TBinaryProtocol>(framed));
}

wire::Answer StockClient::hello(int32_t kind, const std::string& hello, int32_t protocol) {
  wire::Hello h;
  h.protocol = protocol;
  h.kind = kind;
  h.hello = hello;
  wire::Answer answer;
  client_->hello(answer, h);
  return answer;
}

bool StockClient::closed_by_other_side() {
  return wait_for_end(socket_->getSocketFD());
}

class StockServer::Handler : public wire::PeerLinkNull {
 public:
  explicit Handler(StockServer& server) : server_(server) {}
  void hello(wire::Answer& answer, const wire::Hello&) override {
    answer.status = server_.verdict.load();
    answer.message = "verdict";
    answer.hello = "id=2";
  }
  void deliver(const std::string& batch) override {
    std::lock_guard lock(server_.mutex_);
    server_.batches_.push_back(batch);
  }

 private:
  StockServer& server_;
};

StockServer::StockServer() : listener_(std::make_shared<TServerSocket>("127.0.0.1", 0)) {
  listener_->listen();
  acceptor_ = std::thread([this] {
    while (!stopping_.load()) {
      try {
        std::shared_ptr<TTransport> connection = listener_->accept();
        threads_.emplace_back([this, connection] { serve(connection); });
      } catch (const TTransportException&) {  // interrupted
      }
    }
  });
}

StockServer::~StockServer() {
  stopping_.store(true);
  reading.store(true);
  listener_->interrupt();
  acceptor_.join();
  listener_->interruptChildren();
  for (std::thread& t : threads_) t.join();
  listener_->close();
}

std::string StockServer::address() const {
  return "127.0.0.1:" + std::to_string(listener_->getPort());
}

std::vector<std::string> StockServer::batches() const {
  std::lock_guard lock(mutex_);
  return batches_;
}

void StockServer::serve(const std::shared_ptr<TTransport>& connection) {
  auto protocol = std::make_shared<TBinaryProtocol>(std::make_shared<TFramedTransport>(connection));
  wire::PeerLinkProcessor processor(std::make_shared<Handler>(*this));
  try {
    while (processor.process(protocol, protocol, nullptr)) {
      while (!reading.load()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  } catch (const apache::thrift::TException&) {  // the end of the connection
  }
  connection->close();
}

RawClient::RawClient(const std::string& address)
    : fd_(transport_thrift::connect_to(transport_thrift::parse_address(address), 10'000,
                                       wake_.fd())) {}

RawClient::~RawClient() {
  ::close(fd_);
}

bool RawClient::send(const std::string& bytes) {
  return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(bytes.size());
}

bool RawClient::closed_by_other_side() {
  return wait_for_end(fd_);
}

}  // namespace kvstore::transport_thrift_test
