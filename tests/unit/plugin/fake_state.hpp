// A state plugin in memory that keeps the contract, until a test tells it how to break it.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <kvstore/abi/state.h>

namespace kvstore::test {

using FakeKey = std::pair<uint32_t, std::string>;
struct FakeContents {
  std::map<FakeKey, std::string> pairs;
  kvs_log_id at{};
  std::string meta;
};

// What the table below works on; one at a time per test.
struct FakeState {
  FakeContents now;
  bool open = false;
  int live = 0;  // views, iterators and restores

  // How to misbehave.
  kvs_status write_status = KVS_OK;
  int64_t sync_offset = 0;
  int64_t view_offset = 0;
  uint64_t view_drift = 0;  // added to the mark of an open view when asked again
  int value_calls = 1;
  bool null_handles = false;
  uint32_t skip_found = UINT32_MAX;
  std::function<void(std::vector<kvs_pair>*)> on_next;
  bool endless = false;
};

inline FakeState* g_fake_state = nullptr;

struct FakeView {
  FakeContents contents;
  int applied_calls = 0;
};
struct FakeIter {
  std::vector<std::pair<std::string, std::string>> pairs;  // in the direction of the walk
  size_t next = 0;
  bool reverse = false;
  bool keys_only = false;
};

inline std::string text(const kvs_slice& s) {
  return {reinterpret_cast<const char*>(s.data), s.len};
}
inline kvs_slice bytes(const std::string& s) {
  return {reinterpret_cast<const uint8_t*>(s.data()), s.size()};
}
inline uint64_t shifted(uint64_t v, int64_t by) {
  return static_cast<uint64_t>(static_cast<int64_t>(v) + by);
}

inline kvs_status fake_state_write(kvs_state*, const kvs_kv_batch* b, kvs_error*) noexcept {
  FakeState& s = *g_fake_state;
  if (s.write_status != KVS_OK) return s.write_status;
  auto& pairs = s.now.pairs;
  for (uint64_t i = 0; i < b->op_count; ++i) {
    const kvs_kv_op& op = b->ops[i];
    FakeKey key{op.space, text(op.key)};
    if (op.kind == KVS_KV_PUT) {
      pairs[key] = text(op.value);
    } else if (op.kind == KVS_KV_DELETE) {
      pairs.erase(key);
    } else {
      auto end = op.value.len == 0 ? pairs.lower_bound({op.space + 1, ""})
                                   : pairs.lower_bound({op.space, text(op.value)});
      pairs.erase(pairs.lower_bound(key), end);
    }
  }
  s.now.at = b->applied->at;
  if (b->applied->meta.len > 0) s.now.meta = text(b->applied->meta);
  return KVS_OK;
}

inline kvs_status fake_get_many(kvs_state*, uint32_t space, const kvs_slice* keys, uint32_t n,
                                kvs_found_sink sink, void* ctx, kvs_error*) noexcept {
  FakeState& s = *g_fake_state;
  for (uint32_t i = 0; i < n; ++i) {
    if (i == s.skip_found) continue;
    auto it = s.now.pairs.find({space, text(keys[i])});
    kvs_slice value{};
    if (it != s.now.pairs.end()) value = bytes(it->second);
    kvs_status status = sink(ctx, i, it != s.now.pairs.end() ? 1 : 0, &value);
    if (status != KVS_OK) return status;
  }
  return KVS_OK;
}

inline kvs_status fake_view_applied(kvs_view* v, kvs_log_id* at, kvs_slice_sink meta, void* ctx,
                                    kvs_error*) noexcept {
  FakeView& view = *reinterpret_cast<FakeView*>(v);
  *at = view.contents.at;
  at->index = shifted(at->index, g_fake_state->view_offset);
  if (view.applied_calls++ > 0) at->index += g_fake_state->view_drift;
  kvs_slice s = bytes(view.contents.meta);
  return meta(ctx, &s);
}

inline kvs_status fake_view_get(kvs_view* v, uint32_t space, const kvs_slice* key,
                                kvs_slice_sink sink, void* ctx, kvs_error*) noexcept {
  FakeView& view = *reinterpret_cast<FakeView*>(v);
  auto it = view.contents.pairs.find({space, text(*key)});
  if (it == view.contents.pairs.end()) return KVS_E_NOT_FOUND;
  kvs_slice value = bytes(it->second);
  for (int i = 0; i < g_fake_state->value_calls; ++i) {
    kvs_status status = sink(ctx, &value);
    if (status != KVS_OK) return status;
  }
  return KVS_OK;
}

inline kvs_status fake_iter_open(kvs_view* v, const kvs_iter_options* o, kvs_iter** out,
                                 kvs_error*) noexcept {
  FakeView& view = *reinterpret_cast<FakeView*>(v);
  auto* iter = new FakeIter;
  iter->reverse = (o->flags & KVS_ITER_REVERSE) != 0;
  iter->keys_only = (o->flags & KVS_ITER_KEYS_ONLY) != 0;
  for (const auto& [key, value] : view.contents.pairs) {
    if (key.first != o->space || key.second < text(o->lower)) continue;
    if (o->upper.len > 0 && key.second >= text(o->upper)) continue;
    iter->pairs.insert(iter->reverse ? iter->pairs.begin() : iter->pairs.end(),
                       {key.second, iter->keys_only ? "" : value});
  }
  ++g_fake_state->live;
  *out = reinterpret_cast<kvs_iter*>(iter);
  return KVS_OK;
}

inline kvs_status fake_iter_next(kvs_iter* it, kvs_pair* out, uint32_t cap, uint64_t bytes_max,
                                 uint32_t* n, kvs_error*) noexcept {
  FakeIter& iter = *reinterpret_cast<FakeIter*>(it);
  std::vector<kvs_pair> chosen;
  uint64_t total = 0;
  while (iter.next < iter.pairs.size() && chosen.size() < cap) {
    const auto& [key, value] = iter.pairs[iter.next];
    if (!chosen.empty() && total + key.size() + value.size() > bytes_max) break;
    total += key.size() + value.size();
    chosen.push_back({bytes(key), bytes(value)});
    ++iter.next;
  }
  if (g_fake_state->on_next) g_fake_state->on_next(&chosen);
  *n = static_cast<uint32_t>(chosen.size());
  for (size_t i = 0; i < chosen.size(); ++i) out[i] = chosen[i];
  if (g_fake_state->endless && chosen.empty()) iter.next = 0;
  return chosen.empty() ? KVS_E_END : KVS_OK;
}

inline kvs_status fake_iter_seek(kvs_iter* it, const kvs_slice* key, kvs_error*) noexcept {
  FakeIter& iter = *reinterpret_cast<FakeIter*>(it);
  iter.next = 0;
  while (iter.next < iter.pairs.size() && (iter.reverse ? iter.pairs[iter.next].first > text(*key)
                                                        : iter.pairs[iter.next].first < text(*key)))
    ++iter.next;
  return KVS_OK;
}

inline void fake_restore_functions(kvs_state_api& t) {
  t.restore_begin = [](kvs_state*, kvs_restore** out, kvs_error*) noexcept -> kvs_status {
    ++g_fake_state->live;
    *out = reinterpret_cast<kvs_restore*>(new FakeContents);
    return KVS_OK;
  };
  t.restore_put = [](kvs_restore* r, uint32_t space, const kvs_pair* pairs, uint32_t n,
                     kvs_error*) noexcept -> kvs_status {
    for (uint32_t i = 0; i < n; ++i) {
      reinterpret_cast<FakeContents*>(r)->pairs[{space, text(pairs[i].key)}] = text(pairs[i].value);
    }
    return KVS_OK;
  };
  t.restore_commit = [](kvs_restore* r, const kvs_applied* a, kvs_error*) noexcept -> kvs_status {
    auto* staged = reinterpret_cast<FakeContents*>(r);
    staged->at = a->at;
    staged->meta = text(a->meta);
    g_fake_state->now = *staged;
    delete staged;
    --g_fake_state->live;
    return KVS_OK;
  };
  t.restore_abort = [](kvs_restore* r) noexcept {
    delete reinterpret_cast<FakeContents*>(r);
    --g_fake_state->live;
  };
}

inline kvs_state_api fake_state_table() {
  kvs_state_api t{};
  t.struct_size = sizeof t;
  t.open = [](const kvs_host*, const kvs_storage_options*, kvs_state** out,
              kvs_error*) noexcept -> kvs_status {
    g_fake_state->open = true;
    *out = g_fake_state->null_handles ? nullptr : reinterpret_cast<kvs_state*>(g_fake_state);
    return KVS_OK;
  };
  t.close = [](kvs_state*) noexcept { g_fake_state->open = false; };
  t.capabilities = [](const kvs_state*) noexcept -> uint64_t { return KVS_CAP_CHEAP_LONG_VIEWS; };
  t.get_extension = [](kvs_state*, const char*) noexcept -> const void* { return nullptr; };
  t.write = fake_state_write;
  t.sync = [](kvs_state*, kvs_log_id* durable, kvs_error*) noexcept -> kvs_status {
    *durable = g_fake_state->now.at;
    durable->index = shifted(durable->index, g_fake_state->sync_offset);
    return KVS_OK;
  };
  t.get_many = fake_get_many;
  t.view_open = [](kvs_state*, kvs_view** out, kvs_error*) noexcept -> kvs_status {
    if (g_fake_state->null_handles) return *out = nullptr, KVS_OK;
    ++g_fake_state->live;
    *out = reinterpret_cast<kvs_view*>(new FakeView{g_fake_state->now, 0});
    return KVS_OK;
  };
  t.view_close = [](kvs_view* v) noexcept {
    --g_fake_state->live;
    delete reinterpret_cast<FakeView*>(v);
  };
  t.view_applied = fake_view_applied;
  t.view_get = fake_view_get;
  t.iter_open = fake_iter_open;
  t.iter_next = fake_iter_next;
  t.iter_seek = fake_iter_seek;
  t.iter_close = [](kvs_iter* it) noexcept {
    --g_fake_state->live;
    delete reinterpret_cast<FakeIter*>(it);
  };
  fake_restore_functions(t);
  t.stats = [](kvs_state*, kvs_slice_sink sink, void* ctx) noexcept -> kvs_status {
    kvs_slice s{reinterpret_cast<const uint8_t*>("{}"), 2};
    return sink(ctx, &s);
  };
  return t;
}

}  // namespace kvstore::test
