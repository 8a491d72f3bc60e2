#include "peer.hpp"

#include <chrono>
#include <utility>

#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/slice.hpp>

namespace kvstore::loopback {

namespace {

constexpr auto kRetry = std::chrono::milliseconds(10);
constexpr uint64_t kMessageCost = 64;  // so that empty messages are bounded too

uint64_t size_of(const kvs_tx_message& m) {
  uint64_t total = 0;
  for (uint32_t i = 0; i < m.part_count; ++i) total += m.parts[i].len;
  return total;
}

std::string joined(const kvs_tx_message& m) {
  std::string out;
  out.reserve(size_of(m));
  for (uint32_t i = 0; i < m.part_count; ++i) out.append(sdk::view(m.parts[i]));
  return out;
}

}  // namespace

Peer::Peer(Shared& shared, kvs_node_id id, std::string address)
    : shared_(shared), id_(id), address_(std::move(address)) {}

void Peer::start() {
  for (uint32_t i = 0; i < KVS_LANE_COUNT; ++i)
    lanes_[i].thread = std::thread([this, i] { run_lane(i); });
  link_ = std::thread([this] { run_link(); });
}

void Peer::set_address(const std::string& address) {
  std::lock_guard lock(mutex_);
  if (address == address_) return;
  address_ = address;
  redial_ = true;
  changed_.notify_all();
}

std::string Peer::address() const {
  std::lock_guard lock(mutex_);
  return address_;
}

void Peer::close() {
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  if (link_.joinable()) link_.join();
  for (Lane& lane : lanes_) {
    if (lane.thread.joinable()) lane.thread.join();
  }
}

void Peer::emit(uint32_t kind, uint64_t session, kvs_status why, uint32_t lane,
                const std::string& message) {
  kvs_peer_event e{};
  e.struct_size = sizeof e;
  e.kind = kind;
  e.peer = id_;
  e.session = session;
  e.why = why;
  e.lane = lane;
  e.message = sdk::slice(message);
  shared_.events.on_peer(shared_.events.ctx, &e);
}

void Peer::run_link() {
  std::unique_lock lock(mutex_);
  while (!closed_) {
    redial_ = false;
    std::string address = address_;
    lock.unlock();
    std::shared_ptr<Endpoint> remote = Endpoint::find(address);
    if (remote != nullptr && greet(remote)) serve(remote);
    lock.lock();
    changed_.wait_for(lock, kRetry, [this] { return closed_ || redial_; });
  }
}

// The other host judges our hello, then ours judges its.
bool Peer::greet(const std::shared_ptr<Endpoint>& remote) {
  std::string theirs;
  kvs_error err = sdk::make_error();
  kvs_status s = remote->greet(shared_.self->hello(), &theirs, &seen_as_, &err);
  if (s == KVS_E_UNREACHABLE && err.message[0] == '\0') return false;  // it is just closing
  if (s == KVS_OK) {
    std::string address = remote->address();
    kvs_node_id peer = id_;
    kvs_hello h{};
    h.struct_size = sizeof h;
    h.dialed = id_;
    h.remote = sdk::slice(theirs);
    h.remote_address = sdk::slice(address);
    s = shared_.events.on_hello(shared_.events.ctx, &h, &peer, &err);
    if (s == KVS_OK && peer != id_)
      s = sdk::fail(&err, KVS_E_INTERNAL, "the host changed the peer");
  }
  if (s == KVS_OK) return true;
  std::string reason = std::to_string(s) + err.message;
  if (std::exchange(last_refusal_, reason) != reason) emit(KVS_PEER_REJECTED, 0, s, 0, err.message);
  return false;
}

void Peer::serve(const std::shared_ptr<Endpoint>& remote) {
  last_refusal_.clear();
  std::unique_lock lock(mutex_);
  if (closed_) return;
  remote_ = remote;
  const uint64_t session = session_ = shared_.next_session++;
  lock.unlock();
  emit(KVS_PEER_CONNECTED, session, KVS_OK, 0, {});
  lock.lock();
  while (!closed_ && !redial_ && !remote->closed()) changed_.wait_for(lock, kRetry);

  remote_.reset();
  std::vector<kvs_tx_message> dropped;
  for (Lane& lane : lanes_) {
    changed_.wait(lock, [&] { return !lane.delivering; });
    dropped.insert(dropped.end(), lane.queue.begin(), lane.queue.end());
    lane.queue.clear();
    lane.bytes = 0;
    lane.owes_writable = false;
  }
  bool closed = closed_;
  kvs_status why = redial_ ? KVS_E_CANCELLED : KVS_E_UNREACHABLE;
  lock.unlock();
  for (const kvs_tx_message& m : dropped) m.release(m.owner);
  if (!closed) emit(KVS_PEER_DISCONNECTED, session, why, 0, {});
}

void Peer::run_lane(uint32_t number) {
  Lane& lane = lanes_[number];
  std::vector<kvs_tx_message> batch;
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return closed_ || (remote_ != nullptr && !lane.queue.empty()); });
    if (closed_) return;  // serve() drops what is queued
    batch.swap(lane.queue);
    lane.delivering = true;
    std::shared_ptr<Endpoint> remote = remote_;
    uint64_t session = session_;
    lock.unlock();
    std::vector<std::string> payloads;
    for (const kvs_tx_message& m : batch) payloads.push_back(joined(m));
    remote->deliver(seen_as_, number, std::move(payloads));
    uint64_t delivered = 0;
    for (const kvs_tx_message& m : batch) {
      delivered += size_of(m) + kMessageCost;
      m.release(m.owner);
    }
    batch.clear();
    lock.lock();
    lane.bytes -= delivered;
    bool writable = !closed_ && lane.bytes <= shared_.lane_queue_bytes_max / 2 &&
                    std::exchange(lane.owes_writable, false);
    if (writable) {
      lock.unlock();
      emit(KVS_PEER_WRITABLE, session, KVS_OK, number, {});
      lock.lock();
    }
    lane.delivering = false;
    changed_.notify_all();
  }
}

kvs_status Peer::send(uint32_t lane_number, const kvs_tx_message* m, uint32_t n, uint32_t* accepted,
                      kvs_error* err) {
  std::lock_guard lock(mutex_);
  Lane& lane = lanes_[lane_number];
  if (remote_ == nullptr) return sdk::fail(err, KVS_E_UNREACHABLE, "the peer is not connected");
  for (; *accepted < n; ++*accepted) {
    const kvs_tx_message& message = m[*accepted];
    uint64_t size = size_of(message);
    if (size > shared_.message_bytes_max)
      return sdk::fail(err, KVS_E_INVALID, "the message is too large");
    uint64_t cost = size + kMessageCost;
    if (lane.bytes != 0 && lane.bytes + cost > shared_.lane_queue_bytes_max) {
      lane.owes_writable = true;
      return sdk::fail(err, KVS_E_BUSY, "the queue of this lane is full");
    }
    if (lane.queue.empty()) changed_.notify_all();
    lane.queue.push_back(message);
    lane.bytes += cost;
  }
  return KVS_OK;
}

}  // namespace kvstore::loopback
