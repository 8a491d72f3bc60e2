// The C functions of kvstore.log/1: argument checks, the exception guard and the failure latch
// around Log.
#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/slice.hpp>
#include <kvstore/sdk/storage_rules.hpp>

#include "log.hpp"

namespace kvstore::storage_leveldb {
namespace {

Log& self(kvs_log* l) {
  return *reinterpret_cast<Log*>(l);
}

kvs_status log_open(const kvs_host* host, const kvs_storage_options* opt, kvs_log** out,
                    kvs_error* err) noexcept {
  return sdk::guard(
      err, [&] { *out = reinterpret_cast<kvs_log*>(new Log(host, sdk::copy_options(opt))); });
}

void log_close(kvs_log* l) noexcept {
  delete &self(l);
}

const void* log_get_extension(kvs_log*, const char*) noexcept {
  return nullptr;
}

kvs_status log_write(kvs_log* l, const kvs_log_write* w, kvs_error* err) noexcept {
  return self(l).latch().write(err, [&] { self(l).write(sdk::copy_options(w)); });
}

kvs_status log_compact(kvs_log* l, const kvs_log_id* upto, kvs_error* err) noexcept {
  return self(l).latch().write(err, [&] { self(l).compact(*upto); });
}

kvs_status log_reset(kvs_log* l, const kvs_log_id* base, kvs_error* err) noexcept {
  return self(l).latch().write(err, [&] { self(l).reset(*base); });
}

kvs_status log_state(kvs_log* l, kvs_log_state* out, kvs_error* err) noexcept {
  return self(l).latch().read(err, [&] { sdk::copy_result(out, self(l).state()); });
}

kvs_status log_read(kvs_log* l, uint64_t first, uint64_t max_count, uint64_t max_bytes,
                    kvs_entry_sink sink, void* ctx, kvs_error* err) noexcept {
  return self(l).latch().read(err, [&] {
    sdk::require(max_count > 0, "max_count is 0");
    return self(l).read(first, max_count, max_bytes, sink, ctx);
  });
}

kvs_status log_term(kvs_log* l, uint64_t index, uint64_t* term, kvs_error* err) noexcept {
  return self(l).latch().read(err, [&] { return self(l).term(index, term); });
}

kvs_status log_stats(kvs_log* l, kvs_slice_sink sink, void* ctx) noexcept {
  return sdk::guard(nullptr, [&] {
    const std::string json = self(l).stats();
    const kvs_slice slice = sdk::slice(json);
    return sink(ctx, &slice);
  });
}

}  // namespace

const kvs_log_api kLogTable = {
    sizeof(kvs_log_api), 0,         log_open,  log_close, log_get_extension, log_write,
    log_compact,         log_reset, log_state, log_read,  log_term,          log_stats,
};

}  // namespace kvstore::storage_leveldb
