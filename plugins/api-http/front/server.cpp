#include "front/server.hpp"

#include <chrono>
#include <thread>

#include <kvstore/sdk/guard.hpp>

#include <Poco/Exception.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/TCPServerConnectionFactory.h>
#include <Poco/Net/TCPServerParams.h>

#include "front/connection.hpp"

namespace kvstore::http {
namespace {

constexpr int kBacklog = 1024;
constexpr int kThreadsAtStart = 2;
constexpr int kThreadIdleSeconds = 60;
// What answers under way at stop() may take before their connections are cut.
constexpr std::chrono::milliseconds kStopPatience{1000};
constexpr std::chrono::milliseconds kStopStep{1};

Poco::Net::ServerSocket listen_on(const ListenAddress& address) {
  const std::string text = address.host + ":" + std::to_string(address.port);
  try {
    Poco::Net::ServerSocket socket;
    // Never SO_REUSEPORT: a second server on the same port must fail, not share it.
    socket.bind(Poco::Net::SocketAddress(address.host, address.port), true, false);
    socket.listen(kBacklog);
    socket.setBlocking(false);
    return socket;
  } catch (const Poco::Exception& e) {
    const std::string why = e.message().empty() ? e.displayText() : e.message();
    throw sdk::Error(KVS_E_IO, "cannot listen on " + text + ": " + e.name() + ": " + why, e.code());
  }
}

Poco::Net::TCPServerParams::Ptr server_params(const Config& config) {
  Poco::Net::TCPServerParams::Ptr params = new Poco::Net::TCPServerParams;
  params->setMaxThreads(static_cast<int>(config.threads));
  // The lobby refuses with an answer what Poco would drop without one.
  params->setMaxQueued(static_cast<int>(config.max_connections) + 1);
  return params;
}

}  // namespace

class Server::Factory final : public Poco::Net::TCPServerConnectionFactory {
 public:
  Factory(Service* service, ConnectionSet* connections, Lobby* lobby, Streams* streams)
      : service_(service), connections_(connections), lobby_(lobby), streams_(streams) {}
  Poco::Net::TCPServerConnection* createConnection(const Poco::Net::StreamSocket& s) override {
    return new Connection(s, service_, connections_, lobby_, streams_);
  }

 private:
  Service* service_;
  ConnectionSet* connections_;
  Lobby* lobby_;
  Streams* streams_;
};

Server::Server(Service* service, const ListenAddress& address)
    : connections_(service->config().threads),
      pool_("api-http", kThreadsAtStart, static_cast<int>(service->config().threads),
            kThreadIdleSeconds),
      listener_(listen_on(address)),
      lobby_(listener_, service->config(), service->host(), &connections_,
             [this](const Poco::Net::StreamSocket& socket) { dispatch(socket); }),
      streams_(service, &connections_, &lobby_),
      dispatcher_(new Poco::Net::TCPServerDispatcher(
          new Factory(service, &connections_, &lobby_, &streams_), pool_,
          server_params(service->config()))) {}

void Server::start() {
  streams_.start();
  lobby_.start();
}

// Called by the lobby's thread only, so that the counter tells about this connection.
void Server::dispatch(const Poco::Net::StreamSocket& socket) {
  const int refused = dispatcher_->refusedConnections();
  connections_.dispatched();
  dispatcher_->enqueue(socket);
  if (dispatcher_->refusedConnections() == refused) return;
  // No thread could be made.
  connections_.lost();
  connections_.leave(socket.impl()->sockfd());
}

void Server::stop() {
  if (stopped_) return;
  stopped_ = true;
  lobby_.stop();
  dispatcher_->stop();
  connections_.stop_all();
  if (!connections_.wait_empty(kStopPatience)) connections_.abort_all();
  // One call wakes one of Poco's threads that wait for a connection; others would wait on.
  while (pool_.used() > 0) {
    dispatcher_->stop();
    std::this_thread::sleep_for(kStopStep);
  }
  pool_.joinAll();
  streams_.stop();
}

std::string Server::bound_address() const {
  return listener_.address().toString();
}

}  // namespace kvstore::http
