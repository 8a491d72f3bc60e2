#include "peer.hpp"

#include <algorithm>
#include <utility>

#include <poll.h>

namespace kvstore::transport_thrift {

Peer::Peer(Context& context, kvs_node_id id, Address address)
    : context_(context),
      id_(id),
      address_(std::move(address)),
      backoff_ms_(context.settings.backoff_min_ms) {
  Lane::Callbacks callbacks;
  callbacks.on_failed = [this] { interrupt_.wake().notify(); };
  callbacks.on_writable = [this](uint64_t session, uint32_t lane) {
    emit(KVS_PEER_WRITABLE, session, KVS_OK, lane, {});
  };
  for (uint32_t i = 0; i < KVS_LANE_COUNT; ++i) {
    lanes_[i] = std::make_unique<Lane>(context, i, callbacks);
  }
}

Peer::~Peer() {
  close();
  join();
}

void Peer::start() {
  for (auto& lane : lanes_) lane->start();
  thread_ = std::thread([this] { run(); });
}

Address Peer::address() const {
  std::lock_guard lock(mutex_);
  return address_;
}

bool Peer::closed() const {
  std::lock_guard lock(mutex_);
  return closed_;
}

void Peer::set_address(const Address& address) {
  {
    std::lock_guard lock(mutex_);
    if (address == address_) return;
    address_ = address;
    redial_ = true;
  }
  interrupt_.interrupt_attached();
  interrupt_.wake().notify();
}

void Peer::poke() {
  std::lock_guard lock(mutex_);
  if (!backing_off_) return;
  poked_ = true;
  interrupt_.wake().notify();
}

void Peer::close() {
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }
  interrupt_.cancel();
  std::unique_lock lock(mutex_);
  quiet_.wait(lock, [this] { return emitting_ == 0 && !in_session_; });
}

void Peer::join() {
  if (thread_.joinable()) thread_.join();
  for (auto& lane : lanes_) lane->stop();
}

Peer::Status Peer::status() const {
  Status s;
  {
    std::lock_guard lock(mutex_);
    s.session = session_;
    s.trouble = trouble_;
  }
  for (uint32_t i = 0; i < KVS_LANE_COUNT; ++i) s.queued_bytes[i] = lanes_[i]->queued_bytes();
  return s;
}

// The host's callbacks return promptly and never call back, so close() may wait for one.
void Peer::emit(uint32_t kind, uint64_t session, kvs_status why, uint32_t lane,
                const std::string& message) {
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    ++emitting_;
  }
  kvs_peer_event e{};
  e.struct_size = sizeof e;
  e.kind = kind;
  e.peer = id_;
  e.session = session;
  e.why = why;
  e.lane = lane;
  e.message = sdk::slice(message);
  context_.events.on_peer(context_.events.ctx, &e);
  std::lock_guard lock(mutex_);
  --emitting_;
  quiet_.notify_all();
}

void Peer::run() {
  while (!closed()) {
    interrupt_.wake().drain();
    Channels channels;
    if (dial_lanes(&channels)) serve(std::move(channels));
    interrupt_.detach_all();
    back_off();
  }
  finished_.store(true, std::memory_order_release);
}

bool Peer::dial_lanes(Channels* channels) {
  Address address;
  {
    std::lock_guard lock(mutex_);
    address = address_;
    redial_ = false;
  }
  const Settings& s = context_.settings;
  try {
    for (int32_t lane = 0; lane < KVS_LANE_COUNT; ++lane) {
      uint64_t deadline = context_.deadline_in(s.connect_timeout_ms + s.hello_timeout_ms);
      channels->push_back(dial(context_, interrupt_, id_, address, lane, deadline));
    }
    return true;
  } catch (const Refused& why) {
    report_refused(why);
  } catch (const std::exception& e) {
    report_trouble(e.what());
  }
  return false;
}

// One event per distinct refusal: a peer that keeps saying the same is not news.
void Peer::report_refused(const Refused& why) {
  std::string key = std::to_string(why.code()) + " " + why.what();
  report_trouble("refused: " + std::string(why.what()));
  if (key == last_refusal_) return;
  last_refusal_ = std::move(key);
  emit(KVS_PEER_REJECTED, 0, why.code(), 0, why.what());
}

void Peer::report_trouble(const std::string& why) {
  bool news = false;
  {
    std::lock_guard lock(mutex_);
    if (closed_ || redial_) return;
    news = why != trouble_;
    trouble_ = why;
  }
  context_.host.log(news ? KVS_LEVEL_INFO : KVS_LEVEL_DEBUG,
                    "peer " + std::to_string(id_) + " cannot be reached: " + why);
}

bool Peer::begin_session() {
  std::lock_guard lock(mutex_);
  if (closed_ || redial_) return false;
  in_session_ = true;
  session_ = context_.next_session++;
  trouble_.clear();
  return true;
}

void Peer::serve(Channels channels) {
  if (!begin_session()) return;
  const uint64_t session = session_;
  const uint64_t began_ns = context_.host.now_ns();
  context_.counters.sessions++;
  last_refusal_.clear();
  for (size_t i = 0; i < lanes_.size(); ++i) lanes_[i]->open(channels[i], session);
  emit(KVS_PEER_CONNECTED, session, KVS_OK, 0, {});

  kvs_status why = watch(channels);

  for (const auto& channel : channels) channel->interrupt();
  for (auto& lane : lanes_) lane->close();
  {
    std::lock_guard lock(mutex_);
    in_session_ = false;
    session_ = 0;
    quiet_.notify_all();
  }
  emit(KVS_PEER_DISCONNECTED, session, why, 0, {});
  // A peer that takes us in and throws us out at once is not dialled in a tight loop.
  uint64_t lasted_ms = (context_.host.now_ns() - began_ns) / 1'000'000;
  if (lasted_ms >= context_.settings.backoff_max_ms) backoff_ms_ = context_.settings.backoff_min_ms;
}

// Returns when the session is over.  Nothing is ever received on a lane's connection after the
// hello, so anything that makes a socket readable is its end.
kvs_status Peer::watch(const Channels& channels) {
  std::array<pollfd, KVS_LANE_COUNT + 1> polled{};
  for (size_t i = 0; i < channels.size(); ++i)
    polled[i] = {channels[i]->fd(), POLLIN | POLLRDHUP, 0};
  polled.back() = {interrupt_.wake().fd(), POLLIN, 0};
  for (;;) {
    if (poll(polled.data(), polled.size(), -1) < 0) continue;  // EINTR
    interrupt_.wake().drain();
    {
      std::lock_guard lock(mutex_);
      if (closed_ || redial_) return KVS_E_CANCELLED;
    }
    for (size_t i = 0; i < channels.size(); ++i) {
      if (polled[i].revents != 0 || lanes_[i]->failed()) return KVS_E_UNREACHABLE;
    }
  }
}

void Peer::back_off() {
  uint32_t delay_ms =
      backoff_ms_ / 2 + static_cast<uint32_t>(context_.host.random_u64() % (backoff_ms_ / 2 + 1));
  backoff_ms_ = std::min(backoff_ms_ * 2, context_.settings.backoff_max_ms);
  const uint64_t until = context_.deadline_in(delay_ms);
  std::unique_lock lock(mutex_);
  backing_off_ = true;
  poked_ = false;
  while (!closed_ && !redial_ && !poked_) {
    uint64_t now = context_.host.now_ns();
    if (now >= until) break;
    lock.unlock();
    pollfd polled{interrupt_.wake().fd(), POLLIN, 0};
    poll(&polled, 1, static_cast<int>((until - now) / 1'000'000 + 1));
    interrupt_.wake().drain();
    lock.lock();
  }
  backing_off_ = false;
}

}  // namespace kvstore::transport_thrift
