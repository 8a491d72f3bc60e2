#include "front/server.hpp"

#include <chrono>

#include <kvstore/sdk/guard.hpp>

#include <Poco/Exception.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/TCPServerConnectionFactory.h>
#include <Poco/Net/TCPServerParams.h>
#include <sys/socket.h>

#include "front/answer.hpp"
#include "front/connection.hpp"

namespace kvstore::http {
namespace {

constexpr int kBacklog = 1024;
constexpr int kThreadsAtStart = 2;
constexpr int kThreadIdleSeconds = 60;
// What answers under way at stop() may take before their connections are cut.
constexpr std::chrono::milliseconds kStopPatience{1000};

Poco::Net::ServerSocket listen_on(const ListenAddress& address) {
  const std::string text = address.host + ":" + std::to_string(address.port);
  try {
    Poco::Net::ServerSocket socket;
    // Never SO_REUSEPORT: a second server on the same port must fail, not share it.
    socket.bind(Poco::Net::SocketAddress(address.host, address.port), true, false);
    socket.listen(kBacklog);
    return socket;
  } catch (const Poco::Exception& e) {
    const std::string why = e.message().empty() ? e.displayText() : e.message();
    throw sdk::Error(KVS_E_IO, "cannot listen on " + text + ": " + e.name() + ": " + why, e.code());
  }
}

Poco::Net::TCPServerParams::Ptr server_params(const Config& config) {
  Poco::Net::TCPServerParams::Ptr params = new Poco::Net::TCPServerParams;
  params->setMaxThreads(static_cast<int>(config.threads));
  // The filter refuses with an answer what Poco would drop without one.
  params->setMaxQueued(static_cast<int>(config.max_connections) + 1);
  return params;
}

}  // namespace

class Server::Factory final : public Poco::Net::TCPServerConnectionFactory {
 public:
  Factory(Service* service, ConnectionSet* connections)
      : service_(service), connections_(connections) {}
  Poco::Net::TCPServerConnection* createConnection(const Poco::Net::StreamSocket& s) override {
    return new Connection(s, service_, connections_);
  }

 private:
  Service* service_;
  ConnectionSet* connections_;
};

// Runs on the accepting thread, before a connection is queued.
class Server::Filter final : public Poco::Net::TCPServerConnectionFilter {
 public:
  Filter(Service* service, ConnectionSet* connections)
      : service_(service), connections_(connections) {}

  bool accept(const Poco::Net::StreamSocket& socket) override {
    const Config& config = service_->config();
    if (connections_->open() >= config.max_connections) {
      return refuse(socket, "max_connections", config.max_connections);
    }
    const uint64_t limit = config.max_connections_per_address;
    if (limit != 0 && connections_->open_of(socket.peerAddress().host().toString()) >= limit) {
      return refuse(socket, "max_connections_per_address", limit);
    }
    return true;
  }

 private:
  // Says why, as far as that is possible without waiting for the client.
  bool refuse(const Poco::Net::StreamSocket& socket, const char* option, uint64_t limit) {
    ApiError error(503, "busy",
                   "more than " + std::to_string(limit) + " connections (" + option + ")");
    error.retryable = true;
    error.retry_after_s = 1;
    const std::string text = refusal_text(error);
    const int fd = socket.impl()->sockfd();
    static_cast<void>(::send(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
    ::shutdown(fd, SHUT_WR);
    return false;
  }

  Service* service_;
  ConnectionSet* connections_;
};

Server::Server(Service* service, const ListenAddress& address)
    : service_(service),
      connections_(service->config().threads, [this] { return tcp_->queuedConnections(); }),
      pool_("api-http", kThreadsAtStart, static_cast<int>(service->config().threads),
            kThreadIdleSeconds) {
  const Poco::Net::ServerSocket socket = listen_on(address);
  tcp_ = std::make_unique<Poco::Net::TCPServer>(new Factory(service, &connections_), pool_, socket,
                                                server_params(service->config()));
  tcp_->setConnectionFilter(new Filter(service, &connections_));
}

void Server::start() {
  tcp_->start();
}

void Server::stop() {
  if (stopped_) return;
  stopped_ = true;
  // Ends the accepting thread's wait at once; it would look for stop() every 250 ms only.
  ::shutdown(tcp_->socket().impl()->sockfd(), SHUT_RDWR);
  tcp_->stop();
  connections_.stop_all();
  if (!connections_.wait_empty(kStopPatience)) connections_.abort_all();
  pool_.joinAll();
}

std::string Server::bound_address() const {
  return tcp_->socket().address().toString();
}

}  // namespace kvstore::http
