#include "lane.hpp"

#include <string>
#include <utility>

namespace kvstore::transport_thrift {

namespace {

// What a message costs besides its bytes, so that empty ones are bounded too.
constexpr uint64_t kMessageCost = sizeof(QueuedMessage) + 16;
constexpr uint32_t kRejectFlags = 0xffff0000u;  // the half of the flags that must be understood

uint64_t charge(const QueuedMessage& m) {
  return m.bytes + kMessageCost;
}

void release(const QueuedMessage& m) noexcept {
  if (m.message.release != nullptr) m.message.release(m.message.owner);
}

// The total of the parts; more than `max` gives max + 1.
uint64_t total_bytes(const kvs_tx_message& m, uint64_t max) {
  uint64_t total = 0;
  for (uint32_t i = 0; i < m.part_count; ++i) {
    if (m.parts[i].len > max - total) return max + 1;
    total += m.parts[i].len;
  }
  return total;
}

}  // namespace

void Lane::start() {
  thread_ = std::thread([this] { run(); });
}

void Lane::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    work_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Lane::open(std::shared_ptr<Channel> channel, uint64_t session) {
  std::lock_guard lock(mutex_);
  channel_ = std::move(channel);
  session_ = session;
  failed_ = false;
}

void Lane::close() {
  Messages dropped;
  {
    std::unique_lock lock(mutex_);
    channel_.reset();
    owes_writable_ = false;
    idle_.wait(lock, [this] { return !writing_; });
    dropped.swap(queue_);
    bytes_ = 0;
  }
  for (const QueuedMessage& m : dropped) release(m);
  context_.counters.messages_dropped += dropped.size();
}

uint64_t Lane::queued_bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

bool Lane::failed() const {
  std::lock_guard lock(mutex_);
  return failed_;
}

// With the lock.
kvs_status Lane::take(const kvs_tx_message& m, kvs_error* err) {
  const uint64_t max = context_.settings.message_bytes_max;
  if ((m.flags & kRejectFlags) != 0) return sdk::fail(err, KVS_E_INVALID, "unknown message flags");
  if (m.part_count != 0 && m.parts == nullptr)
    return sdk::fail(err, KVS_E_INVALID, "parts is NULL");
  uint64_t size = total_bytes(m, max);
  if (size > max) {
    return sdk::fail(err, KVS_E_INVALID,
                     "the message is larger than " + std::to_string(max) + " bytes");
  }
  QueuedMessage queued{m, static_cast<uint32_t>(size)};
  if (bytes_ != 0 && bytes_ + charge(queued) > context_.settings.lane_queue_bytes_max) {
    owes_writable_ = true;
    return sdk::fail(err, KVS_E_BUSY, "the queue of this lane is full");
  }
  queue_.push_back(queued);
  bytes_ += charge(queued);
  return KVS_OK;
}

kvs_status Lane::send(const kvs_tx_message* m, uint32_t n, uint32_t* accepted, kvs_error* err) {
  kvs_status status = KVS_OK;
  {
    std::lock_guard lock(mutex_);
    if (channel_ == nullptr || failed_) {
      return sdk::fail(err, KVS_E_UNREACHABLE, "the peer is not connected");
    }
    bool wake = queue_.empty() && !writing_;
    while (status == KVS_OK && *accepted < n) {
      status = take(m[*accepted], err);
      if (status == KVS_OK) ++*accepted;
    }
    if (wake && *accepted != 0) work_.notify_one();
  }
  if (status == KVS_E_BUSY) context_.counters.sends_refused++;
  return status;
}

void Lane::run() {
  Messages messages;
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [this] { return stopping_ || (channel_ && !failed_ && !queue_.empty()); });
    if (stopping_) return;
    messages.swap(queue_);
    std::shared_ptr<Channel> channel = channel_;
    writing_ = true;
    lock.unlock();
    bool ok = write_all(*channel, messages);
    messages.clear();
    channel.reset();
    lock.lock();
    writing_ = false;
    if (!ok) failed_ = true;
    idle_.notify_all();
    if (!ok) {
      lock.unlock();
      callbacks_.on_failed();
      lock.lock();
    }
  }
}

// Writes frame after frame; releases every message, written or not.
bool Lane::write_all(Channel& channel, Messages& messages) {
  bool ok = true;
  for (size_t begin = 0; begin < messages.size();) {
    size_t end = begin;
    uint64_t wire_bytes = 0;
    uint64_t charged = 0;
    do {
      wire_bytes += messages[end].bytes + kMessagePrefixBytes;
      charged += charge(messages[end]);
      ++end;
    } while (end < messages.size() && end - begin < kBatchMessagesMax &&
             wire_bytes + messages[end].bytes + kMessagePrefixBytes <=
                 context_.settings.batch_bytes_max);
    if (ok) {
      try {
        channel.deliver({messages.data() + begin, end - begin});
        context_.counters.frames_sent++;
        context_.counters.messages_sent += end - begin;
        context_.counters.bytes_sent += wire_bytes;
      } catch (const std::exception& e) {
        context_.host.log(KVS_LEVEL_INFO,
                          "lane " + std::to_string(lane_) + ": cannot write: " + e.what());
        ok = false;
      }
    }
    if (!ok) context_.counters.messages_dropped += end - begin;
    for (size_t i = begin; i < end; ++i) release(messages[i]);
    account_written(charged);
    begin = end;
  }
  return ok;
}

void Lane::account_written(uint64_t bytes) {
  uint64_t session = 0;
  {
    std::lock_guard lock(mutex_);
    bytes_ -= bytes;
    if (!owes_writable_ || bytes_ > context_.settings.lane_queue_bytes_max / 2) return;
    owes_writable_ = false;
    session = session_;
  }
  callbacks_.on_writable(session, lane_);
}

}  // namespace kvstore::transport_thrift
