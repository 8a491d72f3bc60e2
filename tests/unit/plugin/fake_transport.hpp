// A transport plugin without a network that keeps the contract; tests play the other side by
// calling the events that it was given.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <kvstore/abi/transport.h>

namespace kvstore::test {

// What the table below works on; one at a time per test.
struct FakeTransport {
  const kvs_transport_events* events = nullptr;
  bool open = false;
  bool started = false;
  std::string hello;
  std::string peer_address;
  kvs_node_id removed = 0;
  std::vector<kvs_tx_message> taken;  // accepted, not yet released
  std::string sent;                   // their bytes, joined
  std::string streamed;
  int streams = 0;

  // How to behave.
  uint32_t accept_max = 100;
  kvs_status refusal = KVS_E_BUSY;
  bool keep_on_stop = false;     // a leak
  bool release_refused = false;  // a double release
  bool release_at_once = false;  // legal
  bool lie_about_accepted = false;
  bool call_back_in_send = false;
  bool null_handles = false;

  void release_all() {
    for (const kvs_tx_message& m : std::exchange(taken, {})) m.release(m.owner);
  }
};

inline FakeTransport* g_fake_transport = nullptr;

inline kvs_status fake_send(kvs_transport*, kvs_node_id, uint32_t, const kvs_tx_message* m,
                            uint32_t n, uint32_t* accepted, kvs_error*) noexcept {
  FakeTransport& t = *g_fake_transport;
  *accepted = n < t.accept_max ? n : t.accept_max;
  for (uint32_t i = 0; i < *accepted; ++i) {
    for (uint32_t p = 0; p < m[i].part_count; ++p) {
      t.sent.append(reinterpret_cast<const char*>(m[i].parts[p].data), m[i].parts[p].len);
    }
    t.sent += '|';
    if (t.release_at_once) {
      m[i].release(m[i].owner);
    } else {
      t.taken.push_back(m[i]);
    }
  }
  if (t.release_refused) m[n - 1].release(m[n - 1].owner);
  if (t.call_back_in_send) {
    kvs_peer_event e{};
    e.struct_size = sizeof e;
    e.kind = KVS_PEER_WRITABLE;
    e.peer = 2;
    t.events->on_peer(t.events->ctx, &e);
  }
  if (t.lie_about_accepted) return *accepted = n + 1, KVS_OK;
  return *accepted == n ? KVS_OK : t.refusal;
}

inline void fake_stream_functions(kvs_transport_api& t) {
  t.stream_open = [](kvs_transport*, kvs_node_id, const kvs_slice* header, uint64_t, uint32_t,
                     kvs_tx_stream** out, kvs_error*) noexcept -> kvs_status {
    if (g_fake_transport->null_handles) return *out = nullptr, KVS_OK;
    ++g_fake_transport->streams;
    g_fake_transport->streamed.assign(reinterpret_cast<const char*>(header->data), header->len);
    *out = reinterpret_cast<kvs_tx_stream*>(g_fake_transport);
    return KVS_OK;
  };
  t.stream_write = [](kvs_tx_stream*, const kvs_slice* chunk, uint32_t,
                      kvs_error*) noexcept -> kvs_status {
    g_fake_transport->streamed.append(reinterpret_cast<const char*>(chunk->data), chunk->len);
    return KVS_OK;
  };
  t.stream_finish = [](kvs_tx_stream*, uint32_t, kvs_error*) noexcept -> kvs_status {
    --g_fake_transport->streams;
    return KVS_OK;
  };
  t.stream_abort = [](kvs_tx_stream*) noexcept { --g_fake_transport->streams; };
}

inline kvs_transport_api fake_transport_table() {
  kvs_transport_api t{};
  t.struct_size = sizeof t;
  t.open = [](const kvs_host*, const kvs_transport_options* o, kvs_transport** out,
              kvs_error*) noexcept -> kvs_status {
    g_fake_transport->open = true;
    g_fake_transport->events = o->events;
    g_fake_transport->hello.assign(reinterpret_cast<const char*>(o->hello.data), o->hello.len);
    *out = reinterpret_cast<kvs_transport*>(g_fake_transport);
    return KVS_OK;
  };
  t.start = [](kvs_transport*, kvs_error*) noexcept -> kvs_status {
    g_fake_transport->started = true;
    return KVS_OK;
  };
  t.stop = [](kvs_transport*) noexcept {
    g_fake_transport->started = false;
    if (!g_fake_transport->keep_on_stop) g_fake_transport->release_all();
  };
  t.close = [](kvs_transport*) noexcept { g_fake_transport->open = false; };
  t.get_extension = [](kvs_transport*, const char*) noexcept -> const void* { return nullptr; };
  t.set_hello = [](kvs_transport*, const kvs_slice* hello) noexcept -> kvs_status {
    g_fake_transport->hello.assign(reinterpret_cast<const char*>(hello->data), hello->len);
    return KVS_OK;
  };
  t.bound_address = [](kvs_transport*, kvs_slice_sink sink, void* ctx) noexcept -> kvs_status {
    kvs_slice s{reinterpret_cast<const uint8_t*>("h:1"), 3};
    return sink(ctx, &s);
  };
  t.stats = [](kvs_transport*, kvs_slice_sink sink, void* ctx) noexcept -> kvs_status {
    kvs_slice s{reinterpret_cast<const uint8_t*>("{}"), 2};
    return sink(ctx, &s);
  };
  t.peer_set = [](kvs_transport*, const kvs_peer* p, kvs_error*) noexcept -> kvs_status {
    g_fake_transport->peer_address.assign(reinterpret_cast<const char*>(p->address.data),
                                          p->address.len);
    return KVS_OK;
  };
  t.peer_remove = [](kvs_transport*, kvs_node_id id, kvs_error*) noexcept -> kvs_status {
    g_fake_transport->removed = id;
    return KVS_OK;
  };
  t.send = fake_send;
  fake_stream_functions(t);
  return t;
}

}  // namespace kvstore::test
