#include "stream.hpp"

#include <chrono>
#include <utility>

#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/slice.hpp>

namespace kvstore::loopback {

TxStream::TxStream(Shared& shared, std::shared_ptr<Endpoint> remote)
    : shared_(shared), remote_(std::move(remote)), thread_([this] { run(); }) {}

TxStream::~TxStream() {
  leave();
  thread_.join();
}

void TxStream::run() {
  std::unique_lock lock(mutex_);
  while (failed_ == KVS_OK) {
    changed_.wait(lock, [this] { return leaving_ || work_; });
    if (leaving_) break;
    Work work = std::move(work_);
    lock.unlock();
    kvs_status s = work();
    lock.lock();
    if (failed_ == KVS_OK) failed_ = s;  // unless the caller has given up meanwhile
    answered_ = true;
    changed_.notify_all();
  }
  kvs_status why = failed_ != KVS_OK ? failed_ : KVS_E_CANCELLED;
  lock.unlock();
  if (receiver_ != nullptr) remote_->stream_abort(*receiver_, why);
  lock.lock();
  ended_ = true;
  changed_.notify_all();
}

bool TxStream::ended() const {
  std::lock_guard lock(mutex_);
  return ended_;
}

void TxStream::wait_ended() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ended_; });
}

kvs_status TxStream::call(Work work, uint32_t timeout_ms, kvs_error* err) {
  std::unique_lock lock(mutex_);
  if (cancelled_) return sdk::fail(err, KVS_E_CLOSED, "the transport was stopped");
  if (failed_ != KVS_OK) return sdk::fail(err, failed_, "the stream has failed before");
  work_ = std::move(work);
  answered_ = false;
  changed_.notify_all();
  changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms),
                    [this] { return cancelled_ || answered_; });
  if (cancelled_) return sdk::fail(err, KVS_E_CLOSED, "the transport was stopped");
  if (!answered_) {
    failed_ = KVS_E_TIMEOUT;
    leaving_ = true;
    changed_.notify_all();
    return sdk::fail(err, KVS_E_TIMEOUT, "timed out");
  }
  return failed_ == KVS_OK ? KVS_OK : sdk::fail(err, failed_, "the receiver ended the stream");
}

// Our id in the receiver's eyes comes from a hello of the stream's own.
kvs_status TxStream::open(kvs_node_id to, std::string header, uint64_t total, uint32_t timeout_ms,
                          kvs_error* err) {
  return call(
      [this, to, header = std::move(header), total] {
        std::string theirs;
        kvs_node_id seen_as = 0;
        kvs_status s = remote_->greet(shared_.self->hello(), &theirs, &seen_as, nullptr);
        if (s != KVS_OK) return s;
        kvs_node_id peer = to;
        kvs_hello h{};
        h.struct_size = sizeof h;
        h.dialed = to;
        h.remote = sdk::slice(theirs);
        h.remote_address = sdk::slice(remote_->address());
        s = shared_.events.on_hello(shared_.events.ctx, &h, &peer, nullptr);
        return s != KVS_OK ? s : remote_->stream_open(seen_as, header, total, &receiver_);
      },
      timeout_ms, err);
}

kvs_status TxStream::write(std::string chunk, uint32_t timeout_ms, kvs_error* err) {
  return call([this, chunk = std::move(chunk)] { return remote_->stream_write(*receiver_, chunk); },
              timeout_ms, err);
}

kvs_status TxStream::finish(uint32_t timeout_ms, kvs_error* err) {
  return call([this] { return remote_->stream_finish(*receiver_); }, timeout_ms, err);
}

void TxStream::leave() {
  std::lock_guard lock(mutex_);
  leaving_ = true;
  changed_.notify_all();
}

void TxStream::cancel() {
  std::lock_guard lock(mutex_);
  cancelled_ = true;
  leaving_ = true;
  changed_.notify_all();
}

}  // namespace kvstore::loopback
