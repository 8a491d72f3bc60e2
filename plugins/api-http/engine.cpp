#include "engine.hpp"

#include <optional>

namespace kvstore::http {
namespace {

// How long shut() waits for completions that a drained host no longer owes.
constexpr std::chrono::milliseconds kShutPatience{2000};

}  // namespace

Reader& Reader::operator=(Reader&& other) noexcept {
  if (this != &other) {
    close();
    engine_ = std::move(other.engine_);
    reader_ = std::exchange(other.reader_, nullptr);
    term_ = other.term_;
  }
  return *this;
}

void Reader::close() noexcept {
  // A reader that arrives after shut() is the host's to clean up.
  if (reader_ != nullptr && !engine_->is_shut()) engine_->table()->read_close(reader_);
  reader_ = nullptr;
}

uint64_t Reader::revision() const {
  return engine_->table()->read_revision(reader_);
}

void Reader::value_read(std::string_view key, uint64_t offset, uint64_t bytes,
                        std::string* out) const {
  const kvs_slice slice = sdk::slice(key);
  kvs_error err = sdk::make_error();
  const kvs_status status = engine_->table()->value_read(reader_, &slice, offset, bytes,
                                                         sdk::append_to_string, out, &err);
  if (status != KVS_OK && status != KVS_E_END) throw error_from_status(status, err.message);
}

Upload& Upload::operator=(Upload&& other) noexcept {
  std::swap(engine_, other.engine_);
  std::swap(upload_, other.upload_);
  return *this;
}

Upload::~Upload() {
  if (upload_ != nullptr && !engine_->is_shut()) engine_->table()->upload_close(upload_);
}

Snapshot& Snapshot::operator=(Snapshot&& other) noexcept {
  std::swap(engine_, other.engine_);
  std::swap(blob_, other.blob_);
  return *this;
}

Snapshot::~Snapshot() {
  if (blob_ != nullptr && !engine_->is_shut()) engine_->table()->blob_close(blob_);
}

bool Snapshot::read(uint64_t bytes_max, std::string* out) const {
  if (engine_->is_shut()) throw error_from_status(KVS_E_CLOSED, "the server is shutting down");
  kvs_error err = sdk::make_error();
  const kvs_status status =
      engine_->table()->blob_read(blob_, bytes_max, sdk::append_to_string, out, &err);
  if (status != KVS_OK && status != KVS_E_END) throw error_from_status(status, err.message);
  return status == KVS_OK;
}

namespace {

// An answer that a thread waits for.
struct ReadWait {
  std::mutex mutex;
  std::condition_variable answered;
  bool done = false;
  kvs_reader* reader = nullptr;
  uint64_t term = 0;
  std::optional<ApiError> error;

  static void take(void* user, const kvs_result* result, kvs_reader* reader) noexcept {
    auto* wait = static_cast<ReadWait*>(user);
    std::lock_guard lock(wait->mutex);
    if (result->status != KVS_OK) wait->error = error_from_result(*result);
    wait->reader = reader;
    wait->term = result->at.term;
    wait->done = true;
    wait->answered.notify_all();  // inside the lock: the waiter ends its life
  }
};

}  // namespace

Reader Engine::read_open_and_wait(const kvs_call& call, const kvs_read_options& options) {
  ReadWait wait;
  kvs_error err = sdk::make_error();
  kvs_reader* now = nullptr;
  begin();
  const kvs_status status =
      table_->read_open(table_->ctx, &call, &options, &ReadWait::take, &wait, &now, &err);
  if (status != KVS_OK || now != nullptr) {
    finish();
    if (status != KVS_OK) throw error_from_status(status, err.message);
    return Reader(shared_from_this(), now, 0);
  }
  {
    std::unique_lock lock(wait.mutex);
    wait.answered.wait(lock, [&] { return wait.done; });
  }
  finish();
  if (wait.error) throw ApiError(*wait.error);
  return Reader(shared_from_this(), wait.reader, wait.term);
}

Upload Engine::upload_open(const kvs_call& call, uint64_t total_bytes) {
  kvs_error err = sdk::make_error();
  kvs_upload* upload = nullptr;
  const kvs_status status = table_->upload_open(table_->ctx, &call, total_bytes, &upload, &err);
  if (status != KVS_OK) throw error_from_status(status, err.message);
  return Upload(shared_from_this(), upload);
}

Snapshot Engine::snapshot_open(const kvs_call& call) {
  kvs_error err = sdk::make_error();
  kvs_blob* blob = nullptr;
  const kvs_status status = table_->blob_open(table_->ctx, &call, "snapshot", &blob, &err);
  if (status != KVS_OK) throw error_from_status(status, err.message);
  return Snapshot(shared_from_this(), blob);
}

std::string Engine::metrics() const {
  std::string text;
  const kvs_status status = table_->metrics(table_->ctx, sdk::append_to_string, &text);
  if (status != KVS_OK) throw error_from_status(status, "the metrics could not be read");
  return text;
}

void Engine::finish() {
  if (outstanding_.fetch_sub(1) != 1 || !draining_.load()) return;
  std::lock_guard lock(mutex_);
  idle_.notify_all();
}

bool Engine::shut() {
  draining_.store(true);
  std::unique_lock lock(mutex_);
  const bool idle = idle_.wait_for(lock, kShutPatience, [&] { return outstanding_.load() == 0; });
  shut_.store(true, std::memory_order_release);
  return idle;
}

}  // namespace kvstore::http
