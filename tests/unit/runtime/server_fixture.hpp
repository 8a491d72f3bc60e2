// Servers in this process, each with a front end that hands its engine to the test.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <kvstore/abi/api.h>

#include "node/runtime/server.hpp"
#include "support/temp_dir.hpp"

namespace kvstore::test {

// A kvstore.api/1 without a protocol.
struct FakeApi {
  static const kvs_api_api* table();
  // The engine given to the newest open front end of this listen address; null when closed.
  static const kvs_engine* engine_of(const std::string& listen_address);
};

// A copy of what a completion said.
struct Answer {
  kvs_status status = KVS_OK;
  uint32_t committed = 0;
  uint32_t succeeded = 0;
  uint32_t replayed = 0;
  uint64_t revision = 0;
  uint64_t compacted_revision = 0;
  std::string message;
  std::string json;
  std::string leader_name;
  std::string leader_api_address;
  std::vector<std::string> values;  // of all items of all operations
};

// The end of one call.  Aborts when it comes twice.
class Pending {
 public:
  static void done(void* user, const kvs_result* r) noexcept;
  static void read_done(void* user, const kvs_result* r, kvs_reader* rd) noexcept;
  // The argument `user` of the call.
  void* user();
  // The call was refused at once: its completion will not come.
  static void refuse(void* user, kvs_status status, const char* message);
  Answer wait();
  bool has_ended() const {
    return future_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }
  kvs_reader* reader = nullptr;  // of a read that succeeded, after wait()

 private:
  struct State {
    std::promise<Answer> promise;
    kvs_reader* reader = nullptr;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
  std::future<Answer> future_ = state_->promise.get_future();
};

class TestServer {
 public:
  explicit TestServer(const std::string& name);
  ~TestServer() { stop(); }

  node::runtime::ServerOptions options;  // for start()
  Status start();
  void stop();
  node::runtime::Server& server() { return *server_; }
  const std::string& name() const { return options.name; }
  const kvs_engine* engine() const { return engine_; }

  // Of the transactions from now on; empty: none.
  std::string request_id;
  // Calls of the engine; each returns at once.
  Pending txn(const kvs_txn& txn, uint64_t timeout_ms = 0, uint32_t flags = 0);
  Pending put(const std::string& key, const std::string& value, uint64_t timeout_ms = 0,
              uint32_t flags = 0);
  Pending put_upload(const std::string& key, kvs_upload* upload);
  Pending open(const kvs_read_options& options, uint64_t timeout_ms = 0);
  Pending control(const std::string& verb, const std::string& json, uint64_t timeout_ms = 0);
  Pending write_chunk(kvs_upload* upload, const std::string& chunk);
  // OK with `out`, or why not.
  kvs_status open_upload(uint64_t total_bytes, kvs_upload** out);

  // A snapshot, in reads of at most `piece` bytes, to its end; the status of what ended it.
  struct Blob {
    kvs_status status = KVS_OK;
    std::string message;
    std::string bytes;
  };
  kvs_status open_blob(kvs_blob** out, std::string* message = nullptr);
  // Of an open one; `limit`: stop after so many bytes.
  Blob read_blob(kvs_blob* blob, uint64_t piece, uint64_t limit = UINT64_MAX);
  Blob snapshot(uint64_t piece = 1 << 20);

  // A linearizable read of one key to its end; "(status)" when it fails.
  std::string get(const std::string& key);

 private:
  TempDir dir_;
  std::unique_ptr<node::runtime::Server> server_;
  const kvs_engine* engine_ = nullptr;
};

kvs_read_options linearizable();
// Waits as long as it takes, up to a limit that only a broken product reaches.
bool eventually(const std::function<bool()>& done);

}  // namespace kvstore::test
