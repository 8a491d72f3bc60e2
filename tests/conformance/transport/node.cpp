#include "node.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/slice.hpp>

#include <doctest/doctest.h>

namespace kvstore::conformance {

namespace {

constexpr auto kPatience = std::chrono::seconds(60);

void host_log(const kvs_host*, int32_t level, const char*, uint32_t, const char* msg,
              size_t len) noexcept {
  static const bool verbose = std::getenv("KVS_TEST_LOG") != nullptr;
  if (verbose) std::fprintf(stderr, "[%d] %.*s\n", level, static_cast<int>(len), msg);
  if (level < KVS_LEVEL_PLUGIN_BUG) return;
  std::fprintf(stderr, "%.*s\n", static_cast<int>(len), msg);
  std::abort();
}
int32_t host_log_enabled(const kvs_host*, int32_t) noexcept {
  return 1;
}
uint64_t host_now_ns(const kvs_host*) noexcept {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}
uint64_t host_random(const kvs_host*) noexcept {
  static std::atomic<uint64_t> state{1};
  uint64_t z = state.fetch_add(0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  return z ^ (z >> 27);
}
void host_fatal(const kvs_host*, kvs_status, const char* msg) noexcept {
  std::fprintf(stderr, "fatal: %s\n", msg);
  std::abort();
}
const void* host_get_extension(const kvs_host*, const char*) noexcept {
  return nullptr;
}

kvs_node_id id_in(const std::string& hello) {
  return hello.starts_with("id=") ? std::strtoull(hello.c_str() + 3, nullptr, 10) : 0;
}

constexpr kvs_node_id kProvisionalBit = 1ull << 63;

}  // namespace

const kvs_host* test_host() {
  static const kvs_host host = [] {
    kvs_host h{};
    h.struct_size = sizeof h;
    h.abi_major = KVS_ABI_MAJOR;
    h.abi_minor = KVS_ABI_MINOR;
    h.name = "conformance";
    h.version = "0";
    h.log = host_log;
    h.log_enabled = host_log_enabled;
    h.now_ns = host_now_ns;
    h.random_u64 = host_random;
    h.fatal = host_fatal;
    h.get_extension = host_get_extension;
    return h;
  }();
  return &host;
}

std::string hello_of(kvs_node_id id) {
  return "id=" + std::to_string(id);
}

kvs_error new_error() {
  return sdk::make_error();
}

kvs_tx_message Outbox::make(std::vector<std::string> parts) {
  auto item = std::make_unique<Item>();
  item->outbox = this;
  item->bytes = std::move(parts);
  for (const std::string& s : item->bytes) item->parts.push_back(sdk::slice(s));
  kvs_tx_message m{item->parts.data(), static_cast<uint32_t>(item->parts.size()), 0, item.get(),
                   release};
  made_++;
  std::lock_guard lock(mutex_);
  items_.push_back(std::move(item));
  return m;
}

void Outbox::release(void* owner) noexcept {
  auto* item = static_cast<Item*>(owner);
  if (item->releases.fetch_add(1) != 0) item->outbox->twice_++;
  // The bytes are gone for the transport: reading them again must show.
  for (std::string& s : item->bytes) std::string().swap(s);
  item->outbox->released_++;
}

Node::Node(NodeOptions options, bool start) : options_(std::move(options)) {
  events_table_ = {sizeof events_table_, 0, this, on_messages, on_peer, on_hello, on_stream};
  std::string hello = hello_of(options_.id);
  kvs_transport_options o{};
  o.struct_size = sizeof o;
  o.hello = sdk::slice(hello);
  o.listen_address = sdk::slice(options_.listen);
  o.config_json = sdk::slice(options_.config);
  o.lane_queue_bytes_max = options_.lane_queue_bytes_max;
  o.message_bytes_max = options_.message_bytes_max;
  o.events = &events_table_;
  kvs_error err = new_error();
  kvs_status s = api().open(test_host(), &o, &transport_, &err);
  REQUIRE_MESSAGE(s == KVS_OK, err.message);
  if (start) this->start();
}

void Node::start() {
  kvs_error err = new_error();
  kvs_status s = api().start(transport_, &err);
  REQUIRE_MESSAGE(s == KVS_OK, err.message);
}

Node::~Node() {
  {
    std::lock_guard lock(mutex_);
    closed_gates_.clear();
    changed_.notify_all();
  }
  stop();
  api().close(transport_);
  CHECK(outbox_.released_twice() == 0);
}

void Node::stop() {
  if (stopped_.load()) return;
  api().stop(transport_);
  stopped_.store(true);
}

std::string Node::address() const {
  std::string out;
  REQUIRE(api().bound_address(transport_, sdk::append_to_string, &out) == KVS_OK);
  return out;
}

void Node::set_peer(kvs_node_id id, const std::string& address) {
  kvs_peer p{};
  p.struct_size = sizeof p;
  p.id = id;
  p.address = sdk::slice(address);
  kvs_error err = new_error();
  kvs_status s = api().peer_set(transport_, &p, &err);
  REQUIRE_MESSAGE(s == KVS_OK, err.message);
}

void Node::set_hello(const std::string& hello) {
  kvs_slice s = sdk::slice(hello);
  REQUIRE(api().set_hello(transport_, &s) == KVS_OK);
}

kvs_status Node::remove_peer(kvs_node_id id) {
  return api().peer_remove(transport_, id, nullptr);
}

bool Node::wait(const std::function<bool()>& condition) {
  auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    if (condition()) return true;
    std::unique_lock lock(mutex_);
    if (std::chrono::steady_clock::now() > deadline) return false;
    changed_.wait_for(lock, std::chrono::milliseconds(2));
  }
}

bool Node::connected(kvs_node_id peer) {
  return wait([&] {
    std::lock_guard lock(mutex_);
    for (auto e = events_.rbegin(); e != events_.rend(); ++e) {
      if (e->peer != peer) continue;
      if (e->kind == KVS_PEER_CONNECTED) return true;
      if (e->kind == KVS_PEER_DISCONNECTED) return false;
    }
    return false;
  });
}

kvs_status Node::send(kvs_node_id to, uint32_t lane, const std::string& text) {
  kvs_tx_message m = outbox_.make({text});
  uint32_t accepted = 7;
  kvs_status s = api().send(transport_, to, lane, &m, 1, &accepted, nullptr);
  CHECK(accepted == (s == KVS_OK ? 1u : 0u));
  if (s != KVS_OK) m.release(m.owner);  // still ours
  return s;
}

bool Node::send_surely(kvs_node_id to, uint32_t lane, const std::string& text) {
  kvs_status s = KVS_E_BUSY;
  bool answered = wait([&] { return (s = send(to, lane, text)) != KVS_E_BUSY; });
  CHECK_MESSAGE(s == KVS_OK, "send: status " << s << ", " << events().size() << " events");
  return answered && s == KVS_OK;
}

std::vector<Event> Node::events(uint32_t kind) const {
  std::lock_guard lock(mutex_);
  std::vector<Event> out;
  for (const Event& e : events_) {
    if (kind == 0 || e.kind == kind) out.push_back(e);
  }
  return out;
}

std::vector<Greeting> Node::greetings() const {
  std::lock_guard lock(mutex_);
  return greetings_;
}

std::vector<std::string> Node::received(kvs_node_id from, uint32_t lane) const {
  std::lock_guard lock(mutex_);
  auto it = received_.find({from, lane});
  return it == received_.end() ? std::vector<std::string>() : it->second;
}

uint64_t Node::received_count(kvs_node_id from, uint32_t lane) const {
  std::lock_guard lock(mutex_);
  auto it = received_count_.find({from, lane});
  return it == received_count_.end() ? 0 : it->second;
}

std::vector<std::shared_ptr<Received>> Node::streams() const {
  std::lock_guard lock(mutex_);
  return streams_;
}

void Node::close_gate(uint32_t lane) {
  std::lock_guard lock(mutex_);
  closed_gates_.insert(lane);
}

void Node::open_gate(uint32_t lane) {
  std::lock_guard lock(mutex_);
  closed_gates_.erase(lane);
  changed_.notify_all();
}

void Node::on_messages(void* ctx, const kvs_rx_message* m, uint32_t n) noexcept {
  auto& self = *static_cast<Node*>(ctx);
  self.note_late();
  std::unique_lock lock(self.mutex_);
  self.changed_.wait(lock, [&] { return self.closed_gates_.count(m[0].lane) == 0; });
  for (uint32_t i = 0; i < n; ++i) {
    auto key = std::make_pair(m[i].from, m[i].lane);
    const kvs_buf& b = m[i].payload;
    self.received_count_[key]++;
    if (self.keep_messages) {
      self.received_[key].emplace_back(reinterpret_cast<const char*>(b.data), b.len);
    }
    if (b.release != nullptr) b.release(b.owner);
  }
  self.changed_.notify_all();
}

void Node::on_peer(void* ctx, const kvs_peer_event* e) noexcept {
  auto& self = *static_cast<Node*>(ctx);
  self.note_late();
  std::lock_guard lock(self.mutex_);
  self.events_.push_back(
      {e->kind, e->peer, e->session, e->why, e->lane, std::string(sdk::view(e->message))});
  self.changed_.notify_all();
}

kvs_status Node::on_hello(void* ctx, const kvs_hello* h, kvs_node_id* peer,
                          kvs_error* err) noexcept {
  auto& self = *static_cast<Node*>(ctx);
  self.note_late();
  std::string remote(sdk::view(h->remote));
  {
    std::lock_guard lock(self.mutex_);
    self.greetings_.push_back(
        {h->incoming != 0, h->dialed, *peer, remote, std::string(sdk::view(h->remote_address))});
    self.changed_.notify_all();
  }
  std::string why = "not welcome";
  kvs_status s = self.judge ? self.judge(*h, &why) : KVS_OK;
  if (s != KVS_OK) return sdk::fail(err, s, why);
  if (h->incoming != 0) {
    *peer = id_in(remote);
  } else if ((h->dialed & kProvisionalBit) == 0 && id_in(remote) != h->dialed) {
    return sdk::fail(err, KVS_E_INCOMPATIBLE, "another node answered: " + remote);
  }
  return KVS_OK;
}

kvs_status Node::on_stream(void* ctx, const kvs_stream_info* info, kvs_rx_stream* out) noexcept {
  auto& self = *static_cast<Node*>(ctx);
  self.note_late();
  auto r = std::make_shared<Received>();
  r->header = sdk::view(info->header);
  r->from = info->from;
  r->total = info->total_bytes;
  kvs_status s = self.accept_stream ? self.accept_stream(*r) : KVS_OK;
  if (s != KVS_OK) return s;
  out->ctx = r.get();
  out->write = [](void* c, const kvs_slice* chunk) noexcept -> kvs_status {
    auto& rx = *static_cast<Received*>(c);
    uint64_t sum = rx.checksum.load();
    for (size_t i = 0; i < chunk->len; ++i) sum = sum * 31 + chunk->data[i];
    rx.checksum.store(sum);
    kvs_status status = rx.on_write ? rx.on_write(std::string(sdk::view(*chunk))) : KVS_OK;
    rx.bytes += chunk->len;
    return status;
  };
  out->finish = [](void* c) noexcept -> kvs_status {
    auto& rx = *static_cast<Received*>(c);
    kvs_status status = rx.on_finish ? rx.on_finish() : KVS_OK;
    rx.finished++;
    return status;
  };
  out->abort = [](void* c, kvs_status why) noexcept {
    auto& rx = *static_cast<Received*>(c);
    rx.why.store(why);
    rx.aborted++;
  };
  std::lock_guard lock(self.mutex_);
  self.streams_.push_back(std::move(r));
  return KVS_OK;
}

namespace {
NodeOptions with_id(NodeOptions options, kvs_node_id id) {
  options.id = id;
  return options;
}
}  // namespace

Pair::Pair(NodeOptions a_options, NodeOptions b_options)
    : a(with_id(std::move(a_options), 1)), b(with_id(std::move(b_options), 2)) {
  a.set_peer(b);
  b.set_peer(a);
  REQUIRE(a.connected(2));
  REQUIRE(b.connected(1));
}

}  // namespace kvstore::conformance
