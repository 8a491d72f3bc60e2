// The transport proxy's side that the plugin calls: events, incoming streams, releases.
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "plugin/checked_transport_parts.hpp"

namespace kvstore::plugin::checked_transport {
namespace {

// The tickets of every living transport, by number.
struct Directory {
  std::mutex mutex;
  uint64_t next = 1;
  std::map<uint64_t, Tickets*> living;
};

Directory& directory() {
  static auto* const only = new Directory;  // plugins may call late: never destroyed
  return *only;
}

constexpr int kNumberShift = 40;

// Calls fn with the tickets that a ticket belongs to, which cannot go away meanwhile.
template <typename Fn>
void with_tickets(void* ticket, const char* call, Fn fn) {
  Directory& all = directory();
  std::lock_guard lock(all.mutex);
  auto it = all.living.find(reinterpret_cast<uint64_t>(ticket) >> kNumberShift);
  if (it == all.living.end()) {
    KVS_LOG(kError, "plugin", "PLUGIN_BUG: transport.{} of something that a closed transport owned",
            call);
    return;
  }
  fn(*it->second);
}

}  // namespace

// ---- tickets

Tickets::Tickets(CheckedTransport* transport)
    : transport_(transport), number_([this] {
        std::lock_guard lock(directory().mutex);
        uint64_t number = directory().next++;
        directory().living[number] = this;
        return number;
      }()) {}

Tickets::~Tickets() {
  std::lock_guard lock(directory().mutex);
  directory().living.erase(number_);
}

void* Tickets::next_ticket() {
  return reinterpret_cast<void*>((number_ << kNumberShift) | next_++);
}

void Tickets::report(const char* call, const char* what) {
  (void)transport_->probe.plugin_bug(nullptr, call, what);
}

void* Tickets::issue_message(void* owner, void (*release)(void*) KVS_NOEXCEPT) {
  std::lock_guard lock(mutex_);
  void* ticket = next_ticket();
  messages_[ticket] = {owner, release, true, false};
  return ticket;
}

bool Tickets::settle_message(void* ticket, bool accepted) {
  TxTicket settled;
  {
    std::lock_guard lock(mutex_);
    auto it = messages_.find(ticket);
    KVS_ASSERT(it != messages_.end());
    it->second.sending = false;
    if (accepted && !it->second.released) return true;
    settled = it->second;
    messages_.erase(it);
  }
  if (accepted) settled.release(settled.owner);
  return accepted || !settled.released;
}

size_t Tickets::messages_out() {
  std::lock_guard lock(mutex_);
  return messages_.size();
}

void* Tickets::issue_stream(const kvs_rx_stream& host) {
  std::lock_guard lock(mutex_);
  void* ticket = next_ticket();
  streams_[ticket] = std::make_shared<RxTicket>(RxTicket{transport_, host});
  return ticket;
}

size_t Tickets::streams_in() {
  std::lock_guard lock(mutex_);
  return streams_.size();
}

void Tickets::release_message(void* ticket) noexcept {
  TxTicket released;
  with_tickets(ticket, "release", [&](Tickets& self) {
    std::lock_guard lock(self.mutex_);
    auto it = self.messages_.find(ticket);
    if (it == self.messages_.end() || it->second.released) {
      self.report("release", "a message was released a second time");
    } else if (it->second.sending) {
      it->second.released = true;
    } else {
      released = it->second;
      self.messages_.erase(it);
    }
  });
  if (released.release != nullptr) released.release(released.owner);
}

std::shared_ptr<RxTicket> Tickets::stream(void* ticket, const char* call, bool last) {
  std::shared_ptr<RxTicket> found;
  with_tickets(ticket, call, [&](Tickets& self) {
    std::lock_guard lock(self.mutex_);
    auto it = self.streams_.find(ticket);
    if (it == self.streams_.end()) {
      self.report(call, "an incoming stream was used after its end");
      return;
    }
    found = it->second;
    if (last) self.streams_.erase(it);
  });
  return found;
}

// ---- events

namespace {

CheckedTransport& transport_of(void* ctx) {
  return *static_cast<CheckedTransport*>(ctx);
}

// False, with a report, when no event may come now.
bool event_is_legal(const CheckedTransport& t, const char* event) {
  std::string wrong;
  if (!t.running) wrong = "came before start() or after stop()";
  if (t_sending == &t) wrong = "came inside send()";
  if (wrong.empty()) return true;
  (void)t.probe.plugin_bug(nullptr, event, wrong);
  return false;
}

std::string message_form(const CheckedTransport& t, const kvs_rx_message& m) {
  if (m.from == 0) return "delivered a message from node 0";
  if (m.lane >= KVS_LANE_COUNT) return "delivered a message of an unknown lane";
  if (m.payload.data == nullptr && m.payload.len != 0) return "delivered a message without bytes";
  if (m.payload.len > t.message_bytes_max) return "delivered a message above the limit";
  return "";
}

void drop(const kvs_rx_message& m) {
  if (m.payload.release != nullptr) m.payload.release(m.payload.owner);
}

void on_messages(void* ctx, const kvs_rx_message* m, uint32_t n) noexcept {
  CheckedTransport& t = transport_of(ctx);
  if (n == 0 || m == nullptr) {
    (void)t.probe.plugin_bug(nullptr, "on_messages", "delivered no message");
    return;
  }
  const bool legal = event_is_legal(t, "on_messages");
  std::vector<kvs_rx_message> good;
  for (const kvs_rx_message& one : std::span(m, n)) {
    std::string wrong = message_form(t, one);
    if (!wrong.empty()) (void)t.probe.plugin_bug(nullptr, "on_messages", wrong);
    if (legal && wrong.empty()) {
      good.push_back(one);
    } else {
      drop(one);
    }
  }
  if (good.empty()) return;
  t.host_events->on_messages(t.host_events->ctx, good.data(), static_cast<uint32_t>(good.size()));
}

void on_peer(void* ctx, const kvs_peer_event* e) noexcept {
  CheckedTransport& t = transport_of(ctx);
  if (!event_is_legal(t, "on_peer")) return;
  bool known = e != nullptr && e->kind >= KVS_PEER_CONNECTED && e->kind <= KVS_PEER_REJECTED;
  if (!known || e->peer == 0 || !valid_slice(&e->message) || e->lane >= KVS_LANE_COUNT) {
    (void)t.probe.plugin_bug(nullptr, "on_peer", "reported a malformed event");
    return;
  }
  if (e->kind == KVS_PEER_CONNECTED) {
    std::lock_guard lock(t.mutex);
    uint64_t& newest = t.sessions[e->peer];
    if (e->session <= newest) {
      (void)t.probe.plugin_bug(nullptr, "on_peer", "a new session does not have a higher number");
    }
    newest = std::max(newest, e->session);
  }
  t.host_events->on_peer(t.host_events->ctx, e);
}

kvs_status on_hello(void* ctx, const kvs_hello* h, kvs_node_id* peer, kvs_error* err) noexcept {
  CheckedTransport& t = transport_of(ctx);
  if (!event_is_legal(t, "on_hello")) return KVS_E_CLOSED;
  if (h == nullptr || peer == nullptr || !valid_slice(&h->remote) || h->incoming > 1) {
    return t.probe.plugin_bug(err, "on_hello", "asked with malformed arguments");
  }
  if (h->remote.len > kHelloBytesMax) {
    return t.probe.plugin_bug(err, "on_hello", "passed on a hello above 4 KiB");
  }
  if (h->incoming == 0 && (h->dialed == 0 || *peer != h->dialed)) {
    return t.probe.plugin_bug(err, "on_hello", "does not say which peer was dialled");
  }
  kvs_status status = t.host_events->on_hello(t.host_events->ctx, h, peer, err);
  if (status == KVS_OK) KVS_ASSERT(*peer != 0 && (h->incoming == 1 || *peer == h->dialed));
  return status;
}

kvs_status rx_write(void* ctx, const kvs_slice* chunk) noexcept {
  std::shared_ptr<RxTicket> stream = Tickets::stream(ctx, "rx_stream.write", false);
  if (stream == nullptr) return KVS_E_INTERNAL;
  if (!valid_slice(chunk)) {
    return stream->transport->probe.plugin_bug(nullptr, "rx_stream.write", "wrote a NULL chunk");
  }
  return stream->host.write(stream->host.ctx, chunk);
}

kvs_status rx_finish(void* ctx) noexcept {
  std::shared_ptr<RxTicket> stream = Tickets::stream(ctx, "rx_stream.finish", true);
  return stream == nullptr ? KVS_E_INTERNAL : stream->host.finish(stream->host.ctx);
}

void rx_abort(void* ctx, kvs_status why) noexcept {
  std::shared_ptr<RxTicket> stream = Tickets::stream(ctx, "rx_stream.abort", true);
  if (stream != nullptr) stream->host.abort(stream->host.ctx, why);
}

kvs_status on_stream(void* ctx, const kvs_stream_info* info, kvs_rx_stream* out) noexcept {
  CheckedTransport& t = transport_of(ctx);
  if (!event_is_legal(t, "on_stream")) return KVS_E_CLOSED;
  if (info == nullptr || out == nullptr || info->from == 0 || !valid_slice(&info->header)) {
    return t.probe.plugin_bug(nullptr, "on_stream", "offered a malformed stream");
  }
  kvs_rx_stream host{};
  kvs_status status = t.host_events->on_stream(t.host_events->ctx, info, &host);
  if (status != KVS_OK) return status;
  KVS_ASSERT(host.write != nullptr && host.finish != nullptr && host.abort != nullptr);
  *out = {t.tickets.issue_stream(host), rx_write, rx_finish, rx_abort};
  return KVS_OK;
}

}  // namespace

kvs_transport_events make_events(CheckedTransport* transport) {
  kvs_transport_events events{};
  events.struct_size = sizeof events;
  events.ctx = transport;
  events.on_messages = on_messages;
  events.on_peer = on_peer;
  events.on_hello = on_hello;
  events.on_stream = on_stream;
  return events;
}

}  // namespace kvstore::plugin::checked_transport
