#include "instance.hpp"

#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/slice.hpp>

namespace kvstore::http {

Instance::Instance(const kvs_host* host, const kvs_api_options& options)
    : host_(host),
      name_(sdk::view(options.name)),
      engine_table_(options.engine),
      config_(parse_config(options.config_json)),
      listen_(parse_listen_address(std::string(sdk::view(options.listen_address)))) {
  if (engine_table_ == nullptr) throw sdk::Error(KVS_E_INVALID, "no engine was given");
}

void Instance::start() {
  std::lock_guard lock(mutex_);
  if (server_ != nullptr) return;
  auto engine = std::make_shared<Engine>(engine_table_, host_);
  auto service = std::make_unique<Service>(engine, config_, name_);
  auto server = std::make_unique<Server>(service.get(), listen_);
  service->learn_node_name();
  server->start();
  engine_ = std::move(engine);
  service_ = std::move(service);
  server_ = std::move(server);
  host_.log(KVS_LEVEL_INFO, "listening on http://" + server_->bound_address());
}

void Instance::stop() {
  std::unique_ptr<Server> server;
  {
    std::lock_guard lock(mutex_);
    server = std::move(server_);
  }
  if (server == nullptr) return;
  server->stop();
  server.reset();
  if (engine_->shut()) {
    service_.reset();
  } else {
    // A completion still to come would find its service gone.
    host_.log(KVS_LEVEL_HOST_BUG, "stop() was called while completions are outstanding");
    static_cast<void>(service_.release());
  }
  engine_.reset();
}

std::string Instance::bound_address() const {
  std::lock_guard lock(mutex_);
  if (server_ == nullptr) throw sdk::Error(KVS_E_CLOSED, "the server is not started");
  return server_->bound_address();
}

}  // namespace kvstore::http
