// A log plugin in memory that keeps the contract, until a test tells it how to break it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <kvstore/abi/log.h>

namespace kvstore::test {

struct FakeEntry {
  kvs_entry entry;
  std::string data;
};

// What the table below works on; one at a time per test.
struct FakeLog {
  kvs_hard_state hard{};
  kvs_log_id base{};
  std::vector<FakeEntry> entries;
  bool open = false;
  std::string config;
  uint32_t open_flags = 0;

  // How to misbehave.
  std::function<kvs_status(kvs_error*)> on_write;  // runs instead of the write
  std::function<void(kvs_log_state*)> on_state;    // spoils a state
  std::function<void(std::vector<kvs_entry>*)> on_read;
  kvs_status read_status = KVS_OK;
  kvs_status open_status = KVS_OK;
  bool null_handle = false;
  uint64_t term_offset = 0;

  kvs_log_id last() const { return entries.empty() ? base : entries.back().entry.id; }
};

inline FakeLog* g_fake_log = nullptr;

inline FakeLog& fake(kvs_log* log) {
  return *reinterpret_cast<FakeLog*>(log);
}

inline kvs_status fake_log_write(kvs_log* handle, const kvs_log_write* w, kvs_error* err) noexcept {
  FakeLog& log = fake(handle);
  if (log.on_write) return log.on_write(err);
  if ((w->flags & KVS_LOG_SET_HARD_STATE) != 0) log.hard = w->hard;
  if ((w->flags & KVS_LOG_TRUNCATE) != 0) {
    while (!log.entries.empty() && log.last().index >= w->truncate_from) log.entries.pop_back();
  }
  for (uint64_t i = 0; i < w->entry_count; ++i) {
    const kvs_entry& e = w->entries[i];
    log.entries.push_back({e, std::string(reinterpret_cast<const char*>(e.data.data), e.data.len)});
  }
  return KVS_OK;
}

inline kvs_status fake_log_read(kvs_log* handle, uint64_t first, uint64_t max_count,
                                uint64_t max_bytes, kvs_entry_sink sink, void* ctx,
                                kvs_error*) noexcept {
  FakeLog& log = fake(handle);
  std::vector<kvs_entry> chosen;
  uint64_t bytes = 0;
  for (const FakeEntry& e : log.entries) {
    if (e.entry.id.index < first || chosen.size() == max_count) continue;
    if (!chosen.empty() && bytes + e.data.size() > max_bytes) break;
    bytes += e.data.size();
    chosen.push_back(e.entry);
    chosen.back().data = {reinterpret_cast<const uint8_t*>(e.data.data()), e.data.size()};
  }
  if (log.on_read) log.on_read(&chosen);
  if (log.read_status != KVS_OK) return log.read_status;
  if (first <= log.base.index) return KVS_E_COMPACTED;
  if (first > log.last().index) return KVS_E_END;
  for (const kvs_entry& e : chosen) {
    kvs_status status = sink(ctx, &e);
    if (status != KVS_OK) return status;
  }
  return KVS_OK;
}

inline kvs_status fake_log_term(kvs_log* handle, uint64_t index, uint64_t* term,
                                kvs_error*) noexcept {
  FakeLog& log = fake(handle);
  *term = log.base.term + log.term_offset;
  if (index == log.base.index) return KVS_OK;
  if (index < log.base.index) return KVS_E_COMPACTED;
  if (index > log.last().index) return KVS_E_END;
  *term = log.entries[index - log.base.index - 1].entry.id.term + log.term_offset;
  return KVS_OK;
}

inline kvs_status fake_log_compact(kvs_log* handle, const kvs_log_id* upto, kvs_error*) noexcept {
  FakeLog& log = fake(handle);
  while (!log.entries.empty() && log.entries.front().entry.id.index <= upto->index) {
    log.entries.erase(log.entries.begin());
  }
  if (upto->index > log.base.index) log.base = *upto;
  return KVS_OK;
}

inline kvs_log_api fake_log_table() {
  kvs_log_api t{};
  t.struct_size = sizeof t;
  t.open = [](const kvs_host*, const kvs_storage_options* o, kvs_log** out,
              kvs_error*) noexcept -> kvs_status {
    if (g_fake_log->open_status != KVS_OK) return g_fake_log->open_status;
    g_fake_log->open = true;
    g_fake_log->open_flags = o->flags;
    g_fake_log->config.assign(reinterpret_cast<const char*>(o->config_json.data),
                              o->config_json.len);
    *out = g_fake_log->null_handle ? nullptr : reinterpret_cast<kvs_log*>(g_fake_log);
    return KVS_OK;
  };
  t.close = [](kvs_log* l) noexcept { fake(l).open = false; };
  t.get_extension = [](kvs_log*, const char* id) noexcept -> const void* {
    static constexpr char kThing[] = "thing";
    return std::string(id) == "test.thing/1" ? kThing : nullptr;
  };
  t.write = fake_log_write;
  t.compact = fake_log_compact;
  t.reset = [](kvs_log* l, const kvs_log_id* base, kvs_error*) noexcept -> kvs_status {
    fake(l).entries.clear();
    fake(l).base = *base;
    return KVS_OK;
  };
  t.state = [](kvs_log* l, kvs_log_state* out, kvs_error*) noexcept -> kvs_status {
    out->hard = fake(l).hard;
    out->base = fake(l).base;
    out->last = fake(l).last();
    if (fake(l).on_state) fake(l).on_state(out);
    return KVS_OK;
  };
  t.read = fake_log_read;
  t.term = fake_log_term;
  t.stats = [](kvs_log*, kvs_slice_sink sink, void* ctx) noexcept -> kvs_status {
    static constexpr char kJson[] = R"({"entries": 1})";
    kvs_slice s{reinterpret_cast<const uint8_t*>(kJson), sizeof kJson - 1};
    return sink(ctx, &s);
  };
  return t;
}

}  // namespace kvstore::test
