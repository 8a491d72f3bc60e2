#include "endpoint.hpp"

#include <map>
#include <utility>

#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/slice.hpp>

namespace kvstore::loopback {

namespace {

struct Network {
  std::mutex mutex;
  std::map<std::string, std::weak_ptr<Endpoint>> endpoints;
  uint16_t next_port = 20000;
};

Network& network() {
  static Network instance;
  return instance;
}

void free_string(void* owner) noexcept {
  delete static_cast<std::string*>(owner);
}

}  // namespace

class Endpoint::Visit {
 public:
  explicit Visit(Endpoint& e) : e_(e) {
    std::lock_guard lock(e.mutex_);
    admitted_ = !e.closed_;
    if (admitted_) ++e.inside_;
  }
  ~Visit() {
    if (!admitted_) return;
    std::lock_guard lock(e_.mutex_);
    --e_.inside_;
    e_.left_.notify_all();
  }
  explicit operator bool() const { return admitted_; }

 private:
  Endpoint& e_;
  bool admitted_;
};

Endpoint::Endpoint(const kvs_transport_events& events, std::string hello)
    : events_(events), hello_(std::move(hello)) {}

bool Endpoint::closed() const {
  std::lock_guard lock(mutex_);
  return closed_;
}

std::string Endpoint::hello() const {
  std::lock_guard lock(mutex_);
  return hello_;
}

void Endpoint::set_hello(std::string hello) {
  std::lock_guard lock(mutex_);
  hello_ = std::move(hello);
}

kvs_status Endpoint::greet(const std::string& remote_hello, std::string* hello_out,
                           kvs_node_id* seen_as, kvs_error* err) {
  Visit visit(*this);
  if (!visit) return KVS_E_UNREACHABLE;
  kvs_hello h{};
  h.struct_size = sizeof h;
  h.incoming = 1;
  h.remote = sdk::slice(remote_hello);
  h.remote_address = sdk::slice("loopback");
  kvs_status s = events_.on_hello(events_.ctx, &h, seen_as, err);
  if (s == KVS_OK && *seen_as == 0) s = sdk::fail(err, KVS_E_INTERNAL, "the host named no peer");
  if (s == KVS_OK) *hello_out = hello();
  return s;
}

bool Endpoint::deliver(kvs_node_id from, uint32_t lane, std::vector<std::string> messages) {
  Visit visit(*this);
  if (!visit) return false;
  std::vector<kvs_rx_message> out;
  out.reserve(messages.size());
  for (std::string& m : messages) {
    auto* owner = new std::string(std::move(m));  // the host releases it
    kvs_slice bytes = sdk::slice(*owner);
    out.push_back({from, lane, 0, {bytes.data, bytes.len, owner, free_string}});
  }
  events_.on_messages(events_.ctx, out.data(), static_cast<uint32_t>(out.size()));
  return true;
}

kvs_status Endpoint::stream_open(kvs_node_id from, const std::string& header, uint64_t total,
                                 std::shared_ptr<Receiver>* out) {
  Visit visit(*this);
  if (!visit) return KVS_E_UNREACHABLE;
  kvs_stream_info info{};
  info.struct_size = sizeof info;
  info.from = from;
  info.total_bytes = total;
  info.header = sdk::slice(header);
  auto receiver = std::make_shared<Receiver>();
  kvs_status s = events_.on_stream(events_.ctx, &info, &receiver->sink);
  if (s != KVS_OK) return s;
  receiver->live = true;
  std::lock_guard lock(mutex_);
  receivers_.push_back(receiver);
  *out = std::move(receiver);
  return KVS_OK;
}

kvs_status Endpoint::stream_write(Receiver& r, const std::string& chunk) {
  Visit visit(*this);
  if (!visit) return KVS_E_UNREACHABLE;
  kvs_slice s = sdk::slice(chunk);
  return r.sink.write(r.sink.ctx, &s);
}

kvs_status Endpoint::stream_finish(Receiver& r) {
  Visit visit(*this);
  if (!visit) return KVS_E_UNREACHABLE;
  forget(r);
  r.live = false;
  return r.sink.finish(r.sink.ctx);
}

void Endpoint::stream_abort(Receiver& r, kvs_status why) {
  Visit visit(*this);
  if (!visit) return;
  forget(r);
  if (std::exchange(r.live, false)) r.sink.abort(r.sink.ctx, why);
}

void Endpoint::forget(Receiver& r) {
  std::lock_guard lock(mutex_);
  receivers_.remove_if([&](const std::shared_ptr<Receiver>& other) { return other.get() == &r; });
}

void Endpoint::listen(const std::shared_ptr<Endpoint>& endpoint, const std::string& address) {
  Network& n = network();
  std::lock_guard lock(n.mutex);
  size_t colon = address.rfind(':');
  if (colon == std::string::npos)
    throw sdk::Error(KVS_E_INVALID, "address '" + address + "': no port");
  std::string bound = address;
  while (address.substr(colon) == ":0" && (bound == address || n.endpoints.count(bound) != 0)) {
    bound = address.substr(0, colon + 1) + std::to_string(n.next_port++);
  }
  auto [it, added] = n.endpoints.try_emplace(bound, endpoint);
  if (!added) throw sdk::Error(KVS_E_IO, "cannot listen on " + bound + ": address already in use");
  endpoint->address_ = bound;
}

std::shared_ptr<Endpoint> Endpoint::find(const std::string& address) {
  Network& n = network();
  std::lock_guard lock(n.mutex);
  auto it = n.endpoints.find(address);
  return it == n.endpoints.end() ? nullptr : it->second.lock();
}

void Endpoint::close() {
  {
    Network& n = network();
    std::lock_guard lock(n.mutex);
    if (!address_.empty()) n.endpoints.erase(address_);
  }
  std::unique_lock lock(mutex_);
  closed_ = true;
  left_.wait(lock, [this] { return inside_ == 0; });
  std::list<std::shared_ptr<Receiver>> receivers;
  receivers.swap(receivers_);
  lock.unlock();
  for (const auto& r : receivers) {
    if (std::exchange(r->live, false)) r->sink.abort(r->sink.ctx, KVS_E_CLOSED);
  }
}

}  // namespace kvstore::loopback
