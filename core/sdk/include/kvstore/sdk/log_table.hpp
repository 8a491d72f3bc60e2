// kvstore.log/1 over a C++ class: argument checks, the exception guard and the failure latch around
// it.
//
//   const kvs_log_api kLogTable = kvstore::sdk::LogTable<Log>::table();
//
// Log(const kvs_host*, const kvs_storage_options&) opens, the destructor closes; write, compact,
// reset, state, read, term and stats take and return what the code below passes on; failures are
// sdk::Error, or a status where the outcome is a normal one; latch() is the instance's
// FailureLatch.
#pragma once

#include <string>

#include <kvstore/abi/log.h>
#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/slice.hpp>
#include <kvstore/sdk/storage_rules.hpp>

namespace kvstore::sdk {

template <typename Log>
struct LogTable {
  static constexpr kvs_log_api table() {
    return {sizeof(kvs_log_api),
            0,
            open,
            close,
            get_extension,
            write,
            compact,
            reset,
            state,
            read,
            term,
            stats};
  }

 private:
  static Log& self(kvs_log* l) { return *reinterpret_cast<Log*>(l); }

  static kvs_status open(const kvs_host* host, const kvs_storage_options* opt, kvs_log** out,
                         kvs_error* err) noexcept {
    return guard(err, [&] { *out = reinterpret_cast<kvs_log*>(new Log(host, copy_options(opt))); });
  }

  static void close(kvs_log* l) noexcept { delete &self(l); }

  static const void* get_extension(kvs_log*, const char*) noexcept { return nullptr; }

  static kvs_status write(kvs_log* l, const kvs_log_write* w, kvs_error* err) noexcept {
    return self(l).latch().write(err, [&] { self(l).write(copy_options(w)); });
  }

  static kvs_status compact(kvs_log* l, const kvs_log_id* upto, kvs_error* err) noexcept {
    return self(l).latch().write(err, [&] { self(l).compact(*upto); });
  }

  static kvs_status reset(kvs_log* l, const kvs_log_id* base, kvs_error* err) noexcept {
    return self(l).latch().write(err, [&] { self(l).reset(*base); });
  }

  static kvs_status state(kvs_log* l, kvs_log_state* out, kvs_error* err) noexcept {
    return self(l).latch().read(err, [&] { copy_result(out, self(l).state()); });
  }

  static kvs_status read(kvs_log* l, uint64_t first, uint64_t max_count, uint64_t max_bytes,
                         kvs_entry_sink sink, void* ctx, kvs_error* err) noexcept {
    return self(l).latch().read(err, [&] {
      require(max_count > 0, "max_count is 0");
      return self(l).read(first, max_count, max_bytes, sink, ctx);
    });
  }

  static kvs_status term(kvs_log* l, uint64_t index, uint64_t* term, kvs_error* err) noexcept {
    return self(l).latch().read(err, [&] { return self(l).term(index, term); });
  }

  static kvs_status stats(kvs_log* l, kvs_slice_sink sink, void* ctx) noexcept {
    return guard(nullptr, [&] {
      const std::string json = self(l).stats();
      const kvs_slice text = sdk::slice(json);
      return sink(ctx, &text);
    });
  }
};

}  // namespace kvstore::sdk
