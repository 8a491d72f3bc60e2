#include "scripted_server.hpp"

#include <atomic>
#include <chrono>
#include <iterator>
#include <thread>

#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServer.h>
#include <Poco/Net/HTTPServerParams.h>
#include <Poco/Net/HTTPServerRequestImpl.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/String.h>
#include <Poco/ThreadPool.h>

namespace kvstore::test {
namespace {

// Larger bodies are answered unread, as by a server that enforces a limit.
constexpr int64_t kBodyBytesMax = int64_t{64} << 20;

using Poco::Net::HTTPServerRequest;
using Poco::Net::HTTPServerResponse;

std::string without_timeout(const std::string& query) {
  std::string out;
  for (size_t begin = 0; begin <= query.size();) {
    const size_t end = std::min(query.find('&', begin), query.size());
    const std::string part = query.substr(begin, end - begin);
    if (!part.empty() && part.rfind("timeout=", 0) != 0) out += (out.empty() ? "" : "&") + part;
    begin = end + 1;
  }
  return out;
}

Poco::Net::HTTPServerParams* make_params() {
  auto* params = new Poco::Net::HTTPServerParams;  // owned by the server
  params->setMaxThreads(16);
  params->setKeepAlive(true);
  return params;
}

}  // namespace

Reply json_reply(int status, const std::string& body) {
  return {status, body, {{"Content-Type", "application/json"}}, Reply::Action::kAnswer};
}

Reply error_reply(int status, const std::string& code, bool retryable, const std::string& committed,
                  const std::string& leader_address) {
  std::string body = R"({"error":{"code":")" + code + R"(","message":")" + code +
                     R"( happened","retryable":)" + (retryable ? "true" : "false") +
                     R"(,"committed":")" + committed + '"';
  if (!leader_address.empty()) body += R"(,"leader":{"api_address":")" + leader_address + R"("})";
  return json_reply(status, body + "}}");
}

class ScriptedServer::Impl {
 public:
  explicit Impl(Handler handler)
      : handler_(std::move(handler)),
        pool_(2, 16),
        socket_(Poco::Net::SocketAddress("127.0.0.1", 0)),
        server_(new Factory(*this), pool_, socket_, make_params()) {
    server_.start();
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    // Poco's accept loop looks at its stop flag only every 250 ms or after a connection: make some.
    std::atomic<bool> done = false;
    std::thread waker([&, address = socket_.address()] {
      while (!done) {
        try {
          const Poco::Net::StreamSocket knock(address);
        } catch (const Poco::Exception&) {
          return;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
    server_.stopAll(true);
    done = true;
    waker.join();
    pool_.joinAll();
  }

  std::string address() const { return socket_.address().toString(); }
  std::vector<SeenRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  size_t connection_count() const { return static_cast<size_t>(server_.totalConnections()); }

 private:
  class Connection : public Poco::Net::HTTPRequestHandler {
   public:
    explicit Connection(Impl& impl) : impl_(impl) {}
    void handleRequest(HTTPServerRequest& request, HTTPServerResponse& response) override {
      impl_.handle(request, response);
    }

   private:
    Impl& impl_;
  };

  class Factory : public Poco::Net::HTTPRequestHandlerFactory {
   public:
    explicit Factory(Impl& impl) : impl_(impl) {}
    Poco::Net::HTTPRequestHandler* createRequestHandler(const HTTPServerRequest&) override {
      return new Connection(impl_);
    }

   private:
    Impl& impl_;
  };

  Reply ask(HTTPServerRequest& request, bool read_body) {
    SeenRequest seen;
    seen.method = request.getMethod();
    const std::string& target = request.getURI();
    const size_t mark = std::min(target.find('?'), target.size());
    seen.path = target.substr(0, mark);
    seen.query = without_timeout(target.substr(std::min(mark + 1, target.size())));
    for (const auto& [name, value] : request) seen.headers[Poco::toLower(name)] = value;
    if (read_body) {
      seen.body.assign(std::istreambuf_iterator<char>(request.stream()), {});
    }
    const std::lock_guard lock(mutex_);
    seen_.push_back(seen);
    return handler_(seen);
  }

  void handle(HTTPServerRequest& request, HTTPServerResponse& response) {
    const bool refuse_early = request.getContentLength64() > kBodyBytesMax;
    Reply reply = ask(request, !refuse_early);
    auto socket = static_cast<Poco::Net::HTTPServerRequestImpl&>(request).socket();
    if (reply.action == Reply::Action::kHang) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopped_; });
    }
    if (reply.action == Reply::Action::kDrop || reply.action == Reply::Action::kHang) {
      socket.shutdown();
      return;
    }
    response.setStatus(static_cast<Poco::Net::HTTPResponse::HTTPStatus>(reply.status));
    for (const auto& [name, value] : reply.headers) response.set(name, value);
    if (refuse_early) response.setKeepAlive(false);
    response.setContentLength64(static_cast<int64_t>(reply.body.size()));
    std::ostream& out = response.send();
    const bool cut = reply.action == Reply::Action::kCutBody;
    const size_t bytes = cut ? reply.body.size() / 2 : reply.body.size();
    out.write(reply.body.data(), static_cast<std::streamsize>(bytes)).flush();
    if (cut) socket.shutdown();
  }

  Handler handler_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<SeenRequest> seen_;
  bool stopped_ = false;
  Poco::ThreadPool pool_;
  Poco::Net::ServerSocket socket_;
  Poco::Net::HTTPServer server_;
};

ScriptedServer::ScriptedServer(Handler handler)
    : impl_(std::make_unique<Impl>(std::move(handler))) {}
ScriptedServer::~ScriptedServer() = default;
std::string ScriptedServer::address() const {
  return impl_->address();
}
std::vector<SeenRequest> ScriptedServer::requests() const {
  return impl_->requests();
}
size_t ScriptedServer::connection_count() const {
  return impl_->connection_count();
}

std::string dead_url() {
  const Poco::Net::ServerSocket socket(Poco::Net::SocketAddress("127.0.0.1", 0));
  return "http://" + socket.address().toString();
}

}  // namespace kvstore::test
