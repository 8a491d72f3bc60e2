#include "plugin/log_store.hpp"

#include <utility>

#include "base/assert.hpp"
#include "plugin/checked_log.hpp"
#include "plugin/sinks.hpp"
#include "plugin/slice.hpp"
#include "plugin/status.hpp"
#include "plugin/storage_options.hpp"

namespace kvstore::plugin {
namespace {

using EntryCall = SinkCall<const kvs_entry&>;

kvs_status deliver_entry(void* ctx, const kvs_entry* e) noexcept {
  return (*static_cast<EntryCall*>(ctx))(*e);
}

}  // namespace

Result<LogStore> LogStore::open(const kvs_log_api* table, const kvs_host* host,
                                const StorageOptions& options, const ProxyOptions& proxy) {
  KVS_ASSERT(table != nullptr && host != nullptr);
  kvs_storage_options raw = raw_storage_options(options);
  CallError error;
  OpenedLog opened;
  kvs_status status = open_log(table, host, raw, proxy, &opened, error.raw());
  if (status != KVS_OK) return error.status(status, "log.open");
  return LogStore(opened.table, opened.log);
}

LogStore::LogStore(LogStore&& other) noexcept
    : table_(other.table_), log_(std::exchange(other.log_, nullptr)) {}

LogStore& LogStore::operator=(LogStore&& other) noexcept {
  if (this != &other) {
    close();
    table_ = other.table_;
    log_ = std::exchange(other.log_, nullptr);
  }
  return *this;
}

void LogStore::close() {
  if (log_ != nullptr) table_->close(std::exchange(log_, nullptr));
}

Status LogStore::write(uint32_t flags, const kvs_hard_state& hard, uint64_t truncate_from,
                       std::span<const kvs_entry> entries) {
  KVS_ASSERT(is_open());
  kvs_log_write write{};
  write.struct_size = sizeof write;
  write.flags = flags;
  write.hard = hard;
  write.truncate_from = truncate_from;
  write.entries = entries.data();
  write.entry_count = entries.size();
  CallError error;
  return error.status(table_->write(log_, &write, error.raw()), "log.write");
}

Status LogStore::compact(kvs_log_id upto) {
  KVS_ASSERT(is_open());
  CallError error;
  return error.status(table_->compact(log_, &upto, error.raw()), "log.compact");
}

Status LogStore::reset(kvs_log_id base) {
  KVS_ASSERT(is_open());
  CallError error;
  return error.status(table_->reset(log_, &base, error.raw()), "log.reset");
}

Result<kvs_log_state> LogStore::state() const {
  KVS_ASSERT(is_open());
  kvs_log_state state{};
  state.struct_size = sizeof state;
  CallError error;
  kvs_status status = table_->state(log_, &state, error.raw());
  if (status != KVS_OK) return error.status(status, "log.state");
  return state;
}

Status LogStore::read(uint64_t first, uint64_t max_count, uint64_t max_bytes,
                      EntrySink sink) const {
  KVS_ASSERT(is_open());
  EntryCall call{sink, {}};
  CallError error;
  kvs_status status =
      table_->read(log_, first, max_count, max_bytes, deliver_entry, &call, error.raw());
  return call.result(status, error, "log.read");
}

Result<uint64_t> LogStore::term(uint64_t index) const {
  KVS_ASSERT(is_open());
  uint64_t term = 0;
  CallError error;
  kvs_status status = table_->term(log_, index, &term, error.raw());
  if (status != KVS_OK) return error.status(status, "log.term");
  return term;
}

Result<std::string> LogStore::stats() const {
  KVS_ASSERT(is_open());
  std::string json;
  kvs_status status = table_->stats(log_, append_sink, &json);
  if (status != KVS_OK) return CallError().status(status, "log.stats");
  return json;
}

const void* LogStore::get_extension(const char* id) const {
  KVS_ASSERT(is_open());
  return table_->get_extension(log_, id);
}

}  // namespace kvstore::plugin
