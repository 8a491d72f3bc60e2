// The C++ face of kvstore.api/1: one front end that clients talk to.
#pragma once

#include <string>

#include <kvstore/abi/api.h>

#include "base/status.hpp"
#include "plugin/options.hpp"

namespace kvstore::plugin {

struct ApiOptions {
  std::string name;               // instance name, unique among the front ends
  std::string listen_address;     // "127.0.0.1:8081"; port 0: any free one
  std::string advertise_address;  // what other nodes tell clients; empty: the bound address
  std::string config_json;        // the plugin's "options" object
};

// Owns one API instance of a plugin.
//
// Lifecycle: open() binds nothing; start() serves; the engine is drained before stop(), which joins
// the plugin's threads; close() (or the destructor) stops first if need be. Concurrency: all on the
// main thread, bound_address on any.
class Api {
 public:
  // `engine` must stay callable until stop() returned.
  static Result<Api> open(const kvs_api_api* table, const kvs_host* host, const ApiOptions& options,
                          const kvs_engine* engine, const ProxyOptions& proxy);
  Api() = default;
  Api(Api&& other) noexcept;
  Api& operator=(Api&& other) noexcept;
  ~Api() { close(); }

  bool is_open() const { return api_ != nullptr; }
  Status start();
  void stop();
  void close();
  // The real address after start(), e.g. when the port was 0.
  Result<std::string> bound_address() const;

 private:
  Api(const kvs_api_api* table, kvs_api* api) : table_(table), api_(api) {}

  const kvs_api_api* table_ = nullptr;
  kvs_api* api_ = nullptr;
  bool started_ = false;
};

}  // namespace kvstore::plugin
