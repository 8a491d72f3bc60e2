// The host's engine as handlers use it: completions become closures, failures become answers.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <kvstore/abi/api.h>
#include <kvstore/sdk/host.hpp>
#include <kvstore/sdk/slice.hpp>

#include "exchange.hpp"

namespace kvstore::http {

class Engine;

// An open reader; closes itself.  Its functions may block on the disk: use it on the exchange's
// thread only.
class Reader {
 public:
  Reader() = default;
  Reader(std::shared_ptr<Engine> engine, kvs_reader* reader, uint64_t term)
      : engine_(std::move(engine)), reader_(reader), term_(term) {}
  Reader(Reader&& other) noexcept { *this = std::move(other); }
  Reader& operator=(Reader&& other) noexcept;
  ~Reader() { close(); }

  uint64_t revision() const;
  uint64_t term() const { return term_; }  // 0: not known

  // Calls sink(const kvs_item&) when the key exists; false when it does not.
  template <typename Sink>
  bool get(std::string_view key, Sink&& sink) const;
  // Calls sink(const kvs_item&) -> bool for each item until it returns false; true when there are
  // more items than were delivered.
  template <typename Sink>
  bool scan(const kvs_range& range, uint32_t flags, uint64_t limit, uint64_t bytes_max,
            Sink&& sink) const;
  // Appends bytes [offset, offset + bytes) of the value, fewer at its end.
  void value_read(std::string_view key, uint64_t offset, uint64_t bytes, std::string* out) const;

 private:
  void close() noexcept;

  std::shared_ptr<Engine> engine_;
  kvs_reader* reader_ = nullptr;
  uint64_t term_ = 0;
};

// A large value on its way in; closes itself.
class Upload {
 public:
  Upload() = default;
  Upload(std::shared_ptr<Engine> engine, kvs_upload* upload)
      : engine_(std::move(engine)), upload_(upload) {}
  Upload(Upload&& other) noexcept { *this = std::move(other); }
  Upload& operator=(Upload&& other) noexcept;
  ~Upload();
  kvs_upload* raw() const { return upload_; }

 private:
  std::shared_ptr<Engine> engine_;
  kvs_upload* upload_ = nullptr;
};

// The node's state on its way out as a file; closes itself.  read() may block on the disk.
class Snapshot {
 public:
  Snapshot() = default;
  Snapshot(std::shared_ptr<Engine> engine, kvs_blob* blob)
      : engine_(std::move(engine)), blob_(blob) {}
  Snapshot(Snapshot&& other) noexcept { *this = std::move(other); }
  Snapshot& operator=(Snapshot&& other) noexcept;
  ~Snapshot();

  // Appends the next bytes, at most bytes_max; false behind the last one.  Throws ApiError when the
  // file cannot be completed.
  bool read(uint64_t bytes_max, std::string* out) const;

 private:
  std::shared_ptr<Engine> engine_;
  kvs_blob* blob_ = nullptr;
};

// Runs fn and turns what it throws into the exchange's answer.
template <typename Fn>
void guarded(const sdk::Host& host, Exchange& exchange, Fn&& fn) noexcept;

// Concurrency: [any-thread] but for shut().  Every function that takes an
// exchange answers it with the error when the engine refuses the call or completes it with one; the
// closure runs for success only, on a host thread (read_open's: on the exchange's thread).
//
// Completions own the engine together with the instance, so that one that the host delivers late
// finds everything in place.
class Engine : public std::enable_shared_from_this<Engine> {
 public:
  Engine(const kvs_engine* table, const sdk::Host& host) : table_(table), host_(host) {}

  // fn(const kvs_result&); the result is borrowed.
  template <typename Fn>
  void txn(const ExchangePtr& exchange, const kvs_call& call, const kvs_txn& txn, Fn fn);
  // As txn, but fn gets every outcome, also the refusal of the call itself (then inside txn_any).
  template <typename Fn>
  void txn_any(const ExchangePtr& exchange, const kvs_call& call, const kvs_txn& txn, Fn fn);
  template <typename Fn>
  void control(const ExchangePtr& exchange, const kvs_call& call, const char* verb,
               std::string_view json, Fn fn);
  // As control, but fn gets failures as well.
  template <typename Fn>
  void control_any(const ExchangePtr& exchange, const kvs_call& call, const char* verb,
                   std::string_view json, Fn fn);
  template <typename Fn>
  void upload_write(const ExchangePtr& exchange, const Upload& upload, std::string_view chunk,
                    Fn fn);
  // fn(Reader), on the exchange's thread.
  template <typename Fn>
  void read_open(const ExchangePtr& exchange, const kvs_call& call, const kvs_read_options& options,
                 Fn fn) {
    read_open(exchange, call, options, std::move(fn), {});
  }
  // on_error, on the exchange's thread as well, takes a failed completion instead of the exchange;
  // a refusal of the call itself is still thrown.
  template <typename Fn>
  void read_open(const ExchangePtr& exchange, const kvs_call& call, const kvs_read_options& options,
                 Fn fn, UniqueFunction<void(const ApiError&)> on_error);
  // Blocks until the engine answers: for an exchange's thread.  Throws ApiError.
  Reader read_open_and_wait(const kvs_call& call, const kvs_read_options& options);
  // Throws ApiError.
  Upload upload_open(const kvs_call& call, uint64_t total_bytes);
  // Throws ApiError.
  Snapshot snapshot_open(const kvs_call& call);
  std::string metrics() const;

  // After this nothing of the host's engine is touched.  Waits a moment for completions that are
  // owed although the host should have drained them; false when some did not come.
  bool shut();
  bool is_shut() const { return shut_.load(std::memory_order_acquire); }

  const kvs_engine* table() const { return table_; }
  const sdk::Host& host() const { return host_; }

 private:
  template <typename Fn, bool kAnyStatus>
  struct Completion;
  template <typename Fn>
  struct ReadCompletion;
  void begin() { outstanding_.fetch_add(1, std::memory_order_relaxed); }
  void finish();

  const kvs_engine* table_;
  const sdk::Host host_;
  std::atomic<uint64_t> outstanding_{0};
  std::atomic<bool> draining_{false};
  std::atomic<bool> shut_{false};
  std::mutex mutex_;
  std::condition_variable idle_;
};

}  // namespace kvstore::http

#include "engine_impl.hpp"  // IWYU pragma: export
