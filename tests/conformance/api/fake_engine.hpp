// A scripted engine behind an API plugin: a small store in memory whose answers a test can replace,
// delay or hold back, and which watches how the plugin uses it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <kvstore/abi/api.h>

#include "fake_txn.hpp"
#include "fake_watches.hpp"

namespace kvstore::conformance {

// What one call is answered with instead of the store's own answer.
struct Scripted {
  bool by_store = false;        // the store's own answer after all: for the place in the order
  kvs_status at_once = KVS_OK;  // not OK: the call itself fails
  kvs_status status = KVS_OK;
  uint32_t committed = KVS_COMMITTED_NO;
  std::string message;
  std::string json;
  std::string leader_name, leader_api_address;
  uint32_t replayed = 0;     // not 0: the store's own answer to a transaction, with this
  bool at_any_time = false;  // also while completions are held back
  bool lost = false;         // the store carries the transaction out, and the answer is this one
};

class FakeEngine {
 public:
  FakeEngine();
  ~FakeEngine();
  const kvs_engine* table() const { return &table_; }

  // The next calls of txn, read_open and control, in order, get these answers.
  void script(Scripted answer);
  // From now on a request id takes effect once, as in a host: the result of the first execution is
  // given again, and CONFLICT to another transaction under the id.  Results that are not the
  // store's own are not kept.
  void remember_requests() { remembers_ = true; }
  // What was asked, by id.
  std::map<std::string, std::string> remembered_requests() const;
  // Completions wait until release(); drain() ends what waits as a stopping host does (reads and
  // control calls CANCELLED, transactions INDETERMINATE) and refuses what comes after.
  void hold();
  void release();
  void drain();
  size_t held() const;

  // Readers end, as too old ones do, after so many scans or pieces of values; 0: never.
  void set_reads_per_reader(uint64_t reads) { reads_per_reader_ = reads; }
  uint64_t reads_per_reader() const { return reads_per_reader_; }
  uint64_t readers_opened() const { return readers_opened_; }
  // Readers are ready at once instead of by completion; those of stale reads alone.
  void set_readers_ready(bool ready) { readers_ready_ = ready; }
  void set_stale_readers_ready(bool ready) { stale_readers_ready_ = ready; }
  void set_control(const std::string& verb, Scripted answer);
  // What blob_open("snapshot") gives, in pieces of at most `piece` bytes; `end`: what follows them.
  void set_snapshot(std::string bytes, uint64_t piece, kvs_status end = KVS_E_END) {
    std::lock_guard lock(mutex_);
    snapshot_ = std::move(bytes);
    snapshot_piece_ = piece;
    snapshot_end_ = end;
  }
  // The next blob_open fails.
  void refuse_snapshot(kvs_status status) { snapshot_refusal_ = status; }
  uint64_t open_blobs() const { return open_blobs_; }
  // Called before each upload_write completes, on the completion thread.
  void set_on_part(std::function<void()> fn);

  void put(const std::string& key, std::string value);
  bool has(const std::string& key) const;
  std::string value_of(const std::string& key) const;

  struct ControlCall {
    std::string verb, json;
  };
  std::vector<ControlCall> control_calls() const;
  uint64_t txn_calls() const { return txn_calls_; }
  // Calls of the engine that a request could have caused.
  uint64_t data_calls() const { return txn_calls_ + read_calls_ + upload_calls_; }
  kvs_call last_call() const;
  // Of the last transaction.
  std::string last_request_id() const {
    std::lock_guard lock(mutex_);
    return last_request_id_;
  }
  // That the last read asked for.
  uint64_t last_revision() const {
    std::lock_guard lock(mutex_);
    return last_revision_;
  }
  uint64_t last_upload_total() const { return last_upload_total_; }

  FakeWatches watches;
  uint64_t open_readers() const { return open_readers_; }
  uint64_t open_uploads() const { return open_uploads_; }
  uint64_t upload_bytes() const { return upload_bytes_; }
  // From now on every call is a violation.
  void forbid_calls() { forbidden_ = true; }
  // What the plugin did against the contract, as text; empty: nothing.
  std::string violations() const;

 private:
  friend struct FakeTable;
  struct Waiting {
    std::function<void()> complete;
    std::function<void()> cancel;
    bool at_any_time = false;
  };

  void called();
  void violation(const std::string& what);
  bool take_script(Scripted* answer);
  void later(Waiting waiting);
  void run();
  // The one that holds what the result borrows.
  std::shared_ptr<FakeTxn> apply(const kvs_txn& txn, const std::string& id, kvs_result* result);

  kvs_engine table_{};
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Waiting> queue_;
  bool held_ = false;
  bool stop_ = false;
  FakeItems items_;
  uint64_t revision_ = 1;
  std::deque<Scripted> scripts_;
  std::map<std::string, Scripted> controls_;
  std::vector<ControlCall> control_calls_;
  std::function<void()> on_part_;
  kvs_call last_call_{};
  std::string last_request_id_;
  uint64_t last_revision_ = 0;
  std::string violations_;
  struct Remembered {
    std::string asked;
    std::shared_ptr<FakeTxn> run;
    kvs_result result{};
  };
  std::map<std::string, Remembered> requests_;
  std::atomic<bool> remembers_{false};
  std::atomic<bool> readers_ready_{false}, stale_readers_ready_{false}, forbidden_{false},
      drained_{false};
  std::atomic<uint64_t> txn_calls_{0}, read_calls_{0}, upload_calls_{0};
  std::atomic<uint64_t> reads_per_reader_{0}, readers_opened_{0};
  std::atomic<uint64_t> open_readers_{0}, open_uploads_{0}, upload_bytes_{0};
  std::atomic<uint64_t> last_upload_total_{0};
  std::string snapshot_;
  uint64_t snapshot_piece_ = 1;
  kvs_status snapshot_end_ = KVS_E_END;
  std::atomic<kvs_status> snapshot_refusal_{KVS_OK};
  std::atomic<uint64_t> open_blobs_{0};
  std::thread thread_;
};

}  // namespace kvstore::conformance
