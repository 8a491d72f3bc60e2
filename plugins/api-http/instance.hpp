// One instance of the plugin: what lies behind kvs_api.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include <kvstore/abi/api.h>
#include <kvstore/sdk/host.hpp>

#include "engine.hpp"
#include "front/server.hpp"
#include "options.hpp"
#include "service.hpp"

namespace kvstore::http {

// Concurrency: [main], but for bound_address: [any-thread].
class Instance {
 public:
  // Throws sdk::Error for bad options.
  Instance(const kvs_host* host, const kvs_api_options& options);
  ~Instance() { stop(); }

  void start();  // throws sdk::Error; no effect when started
  void stop();   // no effect when stopped
  // Throws sdk::Error(KVS_E_CLOSED) unless started.
  std::string bound_address() const;

 private:
  const sdk::Host host_;
  const std::string name_;
  const kvs_engine* const engine_table_;
  const Config config_;
  const ListenAddress listen_;

  mutable std::mutex mutex_;  // guards the pointers against bound_address()
  std::shared_ptr<Engine> engine_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<Server> server_;
};

}  // namespace kvstore::http
