#include "server_fixture.hpp"

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>

#include "base/assert.hpp"
#include "node/runtime/clock.hpp"
#include "plugin/slice.hpp"
#include "plugin_set.hpp"

namespace kvstore::test {
namespace {

std::mutex g_mutex;
std::map<std::string, const kvs_engine*> g_engines;
std::atomic<int> g_port{1};

std::string text(const kvs_slice& s) {
  return std::string(plugin::to_bytes(s));
}

kvs_call call_for(uint64_t timeout_ms, uint32_t flags = 0) {
  kvs_call call{};
  call.struct_size = sizeof call;
  call.flags = flags;
  if (timeout_ms != 0) {
    call.deadline_ns = node::runtime::boot_time_ns() + timeout_ms * 1'000'000;
  }
  return call;
}

kvs_error new_error() {
  kvs_error err{};
  err.struct_size = sizeof err;
  return err;
}

}  // namespace

struct FakeFrontEnd {
  std::string listen;
};

const kvs_api_api* FakeApi::table() {
  static const kvs_api_api table = [] {
    kvs_api_api t{};
    t.struct_size = sizeof t;
    t.open = [](const kvs_host*, const kvs_api_options* o, kvs_api** out,
                kvs_error*) noexcept -> kvs_status {
      auto* front = new FakeFrontEnd{text(o->listen_address)};
      std::lock_guard lock(g_mutex);
      g_engines[front->listen] = o->engine;
      *out = reinterpret_cast<kvs_api*>(front);
      return KVS_OK;
    };
    t.start = [](kvs_api*, kvs_error*) noexcept -> kvs_status { return KVS_OK; };
    t.stop = [](kvs_api*) noexcept {};
    t.close = [](kvs_api* a) noexcept {
      auto* front = reinterpret_cast<FakeFrontEnd*>(a);
      std::lock_guard lock(g_mutex);
      g_engines.erase(front->listen);
      delete front;
    };
    t.bound_address = [](kvs_api* a, kvs_slice_sink sink, void* ctx) noexcept -> kvs_status {
      kvs_slice slice = plugin::to_slice(reinterpret_cast<FakeFrontEnd*>(a)->listen);
      return sink(ctx, &slice);
    };
    return t;
  }();
  return &table;
}

const kvs_engine* FakeApi::engine_of(const std::string& listen_address) {
  std::lock_guard lock(g_mutex);
  auto it = g_engines.find(listen_address);
  return it == g_engines.end() ? nullptr : it->second;
}

void* Pending::user() {
  return new std::shared_ptr<State>(state_);
}

void Pending::done(void* user, const kvs_result* r) noexcept {
  read_done(user, r, nullptr);
}

void Pending::read_done(void* user, const kvs_result* r, kvs_reader* rd) noexcept {
  std::unique_ptr<std::shared_ptr<State>> state(static_cast<std::shared_ptr<State>*>(user));
  Answer a;
  a.status = r->status;
  a.committed = r->committed;
  a.succeeded = r->succeeded;
  a.replayed = r->replayed;
  a.revision = r->revision;
  a.compacted_revision = r->compacted_revision;
  a.message = text(r->message);
  a.json = text(r->json);
  a.leader_name = text(r->leader_name);
  a.leader_api_address = text(r->leader_api_address);
  for (uint32_t i = 0; i < r->op_count; ++i) {
    for (uint64_t j = 0; j < r->ops[i].item_count; ++j) {
      a.values.push_back(text(r->ops[i].items[j].value));
    }
  }
  (*state)->reader = rd;
  (*state)->promise.set_value(std::move(a));  // throws, and so aborts, the second time
}

void Pending::refuse(void* user, kvs_status status, const char* message) {
  kvs_result r{};
  r.status = status;
  r.message = {reinterpret_cast<const uint8_t*>(message), std::char_traits<char>::length(message)};
  done(user, &r);
}

Answer Pending::wait() {
  Answer a = future_.get();
  reader = state_->reader;
  return a;
}

TestServer::TestServer(const std::string& name) {
  options.name = name;
  options.version = "test";
  options.data_dir = dir_.path() + "/data";
  options.bind_address = name + ":0";
  options.node.cluster_name = "test";
  options.log = {plugins().log, runtime_host(), "kvstore.storage-memory", "0", "", "{}"};
  options.state = {plugins().state, runtime_host(), "kvstore.storage-memory", "0", "", "{}"};
  options.transport = {
      plugins().transport, runtime_host(), "kvstore.transport-loopback", "0", "", "{}"};
  options.checked = true;
  options.tick_ms = 5;
  options.metrics_text = [] { return std::string("figures"); };
  node::runtime::ApiUse api;
  api.plugin = {FakeApi::table(), runtime_host(), "kvstore.api-fake", "0", "", "{}"};
  api.name = "fake";
  api.listen_address = "fake:" + std::to_string(g_port++);
  options.apis.push_back(std::move(api));
}

Status TestServer::start() {
  server_ = std::make_unique<node::runtime::Server>(options);
  Status s = server_->start();
  if (s) engine_ = FakeApi::engine_of(options.apis[0].listen_address);
  return s;
}

void TestServer::stop() {
  if (server_) server_->stop();
  server_.reset();
  engine_ = nullptr;
}

Pending TestServer::txn(const kvs_txn& txn, uint64_t timeout_ms, uint32_t flags) {
  Pending pending;
  kvs_call call = call_for(timeout_ms, flags);
  call.request_id = plugin::to_slice(request_id);
  kvs_error err = new_error();
  void* user = pending.user();
  kvs_status s = engine_->txn(engine_->ctx, &call, &txn, Pending::done, user, &err);
  if (s != KVS_OK) Pending::refuse(user, s, err.message);
  return pending;
}

Pending TestServer::put(const std::string& key, const std::string& value, uint64_t timeout_ms,
                        uint32_t flags) {
  kvs_op op{};
  op.kind = KVS_OP_PUT;
  op.flags = KVS_OP_PREV;
  op.range.key = plugin::to_slice(key);
  op.value = plugin::to_slice(value);
  kvs_txn t{};
  t.struct_size = sizeof t;
  t.then_ops = &op;
  t.then_count = 1;
  return txn(t, timeout_ms, flags);
}

Pending TestServer::put_upload(const std::string& key, kvs_upload* upload) {
  kvs_op op{};
  op.kind = KVS_OP_PUT;
  op.range.key = plugin::to_slice(key);
  op.upload = upload;
  kvs_txn t{};
  t.struct_size = sizeof t;
  t.then_ops = &op;
  t.then_count = 1;
  return txn(t);
}

Pending TestServer::open(const kvs_read_options& o, uint64_t timeout_ms) {
  Pending pending;
  kvs_call call = call_for(timeout_ms);
  kvs_error err = new_error();
  kvs_reader* now = nullptr;
  void* user = pending.user();
  kvs_status s = engine_->read_open(engine_->ctx, &call, &o, Pending::read_done, user, &now, &err);
  if (s != KVS_OK) {
    Pending::refuse(user, s, err.message);
  } else if (now != nullptr) {
    kvs_result r{};
    Pending::read_done(user, &r, now);
  }
  return pending;
}

Pending TestServer::control(const std::string& verb, const std::string& json, uint64_t timeout_ms) {
  Pending pending;
  kvs_call call = call_for(timeout_ms);
  kvs_error err = new_error();
  kvs_slice in = plugin::to_slice(json);
  void* user = pending.user();
  kvs_status s =
      engine_->control(engine_->ctx, &call, verb.c_str(), &in, Pending::done, user, &err);
  if (s != KVS_OK) Pending::refuse(user, s, err.message);
  return pending;
}

Pending TestServer::write_chunk(kvs_upload* upload, const std::string& chunk) {
  Pending pending;
  kvs_error err = new_error();
  kvs_slice slice = plugin::to_slice(chunk);
  void* user = pending.user();
  kvs_status s = engine_->upload_write(upload, &slice, Pending::done, user, &err);
  if (s != KVS_OK) Pending::refuse(user, s, err.message);
  return pending;
}

kvs_status TestServer::open_upload(uint64_t total_bytes, kvs_upload** out) {
  kvs_call call = call_for(0);
  kvs_error err = new_error();
  return engine_->upload_open(engine_->ctx, &call, total_bytes, out, &err);
}

kvs_status TestServer::open_blob(kvs_blob** out, std::string* message) {
  kvs_call call = call_for(0);
  kvs_error err = new_error();
  const kvs_status s = engine_->blob_open(engine_->ctx, &call, "snapshot", out, &err);
  if (message != nullptr) *message = err.message;
  return s;
}

TestServer::Blob TestServer::read_blob(kvs_blob* blob, uint64_t piece, uint64_t limit) {
  Blob out;
  while (out.status == KVS_OK && out.bytes.size() < limit) {
    kvs_error err = new_error();
    const size_t before = out.bytes.size();
    out.status = engine_->blob_read(
        blob, piece,
        [](void* ctx, const kvs_slice* s) noexcept -> kvs_status {
          *static_cast<std::string*>(ctx) += plugin::to_bytes(*s);
          return KVS_OK;
        },
        &out.bytes, &err);
    out.message = err.message;
    const size_t got = out.bytes.size() - before;
    KVS_ASSERT(got <= piece && (got > 0) == (out.status == KVS_OK));
  }
  return out;
}

TestServer::Blob TestServer::snapshot(uint64_t piece) {
  kvs_blob* blob = nullptr;
  Blob out;
  out.status = open_blob(&blob, &out.message);
  if (out.status != KVS_OK) return out;
  out = read_blob(blob, piece);
  engine_->blob_close(blob);
  return out;
}

std::string TestServer::get(const std::string& key) {
  Pending pending = open(linearizable(), 10'000);
  Answer a = pending.wait();
  if (a.status != KVS_OK) return "(" + std::to_string(a.status) + " " + a.message + ")";
  std::string value;
  kvs_slice k = plugin::to_slice(key);
  kvs_error err = new_error();
  kvs_status s = engine_->value_read(
      pending.reader, &k, 0, UINT64_MAX,
      [](void* ctx, const kvs_slice* piece) noexcept -> kvs_status {
        *static_cast<std::string*>(ctx) += plugin::to_bytes(*piece);
        return KVS_OK;
      },
      &value, &err);
  engine_->read_close(pending.reader);
  return s == KVS_OK ? value : "(" + std::to_string(s) + ")";
}

kvs_read_options linearizable() {
  kvs_read_options o{};
  o.struct_size = sizeof o;
  o.consistency = KVS_READ_LINEARIZABLE;
  return o;
}

bool eventually(const std::function<bool()>& done) {
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace kvstore::test
