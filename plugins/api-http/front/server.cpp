#include "front/server.hpp"

#include <chrono>
#include <thread>

#include <kvstore/sdk/guard.hpp>

#include <Poco/Exception.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/TCPServerConnection.h>
#include <Poco/Net/TCPServerConnectionFactory.h>
#include <Poco/Net/TCPServerParams.h>

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
  params->setMaxQueued(static_cast<int>(config.max_connections + config.max_watches +
                                        config.max_parked_requests + config.threads + 1));
  return params;
}

}  // namespace

// What a thread of the pool does with a connection.
class Server::Turn final : public Poco::Net::TCPServerConnection {
 public:
  Turn(const Poco::Net::StreamSocket& socket, std::unique_ptr<Connection> connection)
      : TCPServerConnection(socket), connection_(std::move(connection)) {}
  void run() override { Connection::serve(std::move(connection_)); }

 private:
  std::unique_ptr<Connection> connection_;
};

class Server::Factory final : public Poco::Net::TCPServerConnectionFactory {
 public:
  Factory(Server* server, Service* service) : server_(server), service_(service) {}
  Poco::Net::TCPServerConnection* createConnection(const Poco::Net::StreamSocket& s) override {
    std::unique_ptr<Connection> connection = server_->take_resumed(s.impl()->sockfd());
    if (connection == nullptr) {
      connection = std::make_unique<Connection>(s, service_, &server_->connections_,
                                                &server_->lobby_, &server_->streams_);
    }
    return new Turn(s, std::move(connection));
  }

 private:
  Server* server_;
  Service* service_;
};

Server::Server(Service* service, const ListenAddress& address)
    : connections_(service->config().threads, service->connections()),
      pool_("api-http", kThreadsAtStart, static_cast<int>(service->config().threads),
            kThreadIdleSeconds),
      listener_(listen_on(address)),
      lobby_(listener_, service->config(), service->host(), &connections_,
             [this](const Poco::Net::StreamSocket& socket) { dispatch(socket); }),
      streams_(service, &connections_, &lobby_,
               [this](std::unique_ptr<Connection>* connection) { return resume(connection); }),
      dispatcher_(new Poco::Net::TCPServerDispatcher(new Factory(this, service), pool_,
                                                     server_params(service->config()))) {}

void Server::start() {
  streams_.start();
  lobby_.start();
}

// False when no thread could be made.  With the lock held, so that the counter tells about this
// connection.
bool Server::enqueue(const Poco::Net::StreamSocket& socket) {
  const int refused = dispatcher_->refusedConnections();
  connections_.dispatched();
  dispatcher_->enqueue(socket);
  if (dispatcher_->refusedConnections() == refused) return true;
  connections_.lost();
  return false;
}

void Server::dispatch(const Poco::Net::StreamSocket& socket) {
  std::lock_guard lock(dispatch_mutex_);
  if (!enqueue(socket)) connections_.leave(socket.impl()->sockfd());
}

bool Server::resume(std::unique_ptr<Connection>* connection) {
  std::lock_guard lock(dispatch_mutex_);
  if (dispatch_closed_) return false;
  const Poco::Net::StreamSocket socket = (*connection)->socket();
  const int fd = (*connection)->fd();
  {
    std::lock_guard resumed(resumed_mutex_);
    resumed_.emplace(fd, std::move(*connection));
  }
  if (enqueue(socket)) return true;
  *connection = take_resumed(fd);
  return false;
}

// Null for a connection that was not parked.
std::unique_ptr<Connection> Server::take_resumed(int fd) {
  std::lock_guard lock(resumed_mutex_);
  const auto found = resumed_.find(fd);
  if (found == resumed_.end()) return nullptr;
  std::unique_ptr<Connection> connection = std::move(found->second);
  resumed_.erase(found);
  return connection;
}

void Server::stop() {
  if (stopped_) return;
  stopped_ = true;
  lobby_.stop();
  {
    std::lock_guard lock(dispatch_mutex_);
    dispatch_closed_ = true;
  }
  dispatcher_->stop();
  connections_.stop_all();
  if (!connections_.wait_empty(kStopPatience)) connections_.abort_all();
  // One call wakes one of Poco's threads that wait for a connection; others would wait on.
  while (pool_.used() > 0) {
    dispatcher_->stop();
    std::this_thread::sleep_for(kStopStep);
  }
  pool_.joinAll();
  {
    // Those that no thread came for.
    std::lock_guard lock(resumed_mutex_);
    for (auto& [fd, connection] : resumed_) streams_.park(std::move(connection));
    resumed_.clear();
  }
  streams_.stop();
}

std::string Server::bound_address() const {
  return listener_.address().toString();
}

}  // namespace kvstore::http
