#include "plugin/api.hpp"

#include <utility>

#include "base/assert.hpp"
#include "plugin/checked_api.hpp"
#include "plugin/sinks.hpp"
#include "plugin/slice.hpp"
#include "plugin/status.hpp"

namespace kvstore::plugin {

Result<Api> Api::open(const kvs_api_api* table, const kvs_host* host, const ApiOptions& options,
                      const kvs_engine* engine, const ProxyOptions& proxy) {
  KVS_ASSERT(table != nullptr && host != nullptr && engine != nullptr);
  kvs_api_options raw{};
  raw.struct_size = sizeof raw;
  raw.name = to_slice(options.name);
  raw.listen_address = to_slice(options.listen_address);
  raw.advertise_address = to_slice(options.advertise_address);
  raw.config_json = to_slice(options.config_json);
  raw.engine = engine;
  CallError error;
  OpenedApi opened;
  kvs_status status = open_api(table, host, raw, proxy, &opened, error.raw());
  if (status != KVS_OK) return error.status(status, "api.open");
  return Api(opened.table, opened.api);
}

Api::Api(Api&& other) noexcept
    : table_(other.table_),
      api_(std::exchange(other.api_, nullptr)),
      started_(std::exchange(other.started_, false)) {}

Api& Api::operator=(Api&& other) noexcept {
  if (this != &other) {
    close();
    table_ = other.table_;
    api_ = std::exchange(other.api_, nullptr);
    started_ = std::exchange(other.started_, false);
  }
  return *this;
}

Status Api::start() {
  KVS_ASSERT(is_open() && !started_);
  CallError error;
  kvs_status status = table_->start(api_, error.raw());
  started_ = status == KVS_OK;
  return error.status(status, "api.start");
}

void Api::stop() {
  KVS_ASSERT(is_open());
  if (std::exchange(started_, false)) table_->stop(api_);
}

void Api::close() {
  if (api_ == nullptr) return;
  stop();
  table_->close(std::exchange(api_, nullptr));
}

Result<std::string> Api::bound_address() const {
  KVS_ASSERT(is_open());
  std::string address;
  kvs_status status = table_->bound_address(api_, append_sink, &address);
  if (status != KVS_OK) return CallError().status(status, "api.bound_address");
  return address;
}

}  // namespace kvstore::plugin
