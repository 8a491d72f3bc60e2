#include "engine.hpp"

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

Upload Engine::upload_open(const kvs_call& call, uint64_t total_bytes) {
  kvs_error err = sdk::make_error();
  kvs_upload* upload = nullptr;
  const kvs_status status = table_->upload_open(table_->ctx, &call, total_bytes, &upload, &err);
  if (status != KVS_OK) throw error_from_status(status, err.message);
  return Upload(shared_from_this(), upload);
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
