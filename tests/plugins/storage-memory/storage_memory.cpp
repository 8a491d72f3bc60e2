// A complete storage plugin in memory: kvstore.log/1 and kvstore.state/1, nothing survives a close.
//
// It is the template for plugin authors.  What to copy from it: C++ objects behind the opaque
// handles, every C function wrapped in sdk::guard so that no exception crosses, arguments checked
// by the SDK's rules before anything changes, no globals that change.  What a durable plugin adds:
// sdk::DataDir, sdk::FailureLatch, sdk::Generations, and the promises about crashes in
// <kvstore/abi/log.h> and <kvstore/abi/state.h>.
#include <array>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <kvstore/abi/log.h>
#include <kvstore/abi/state.h>
#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/options.hpp>
#include <kvstore/sdk/pair_buffer.hpp>
#include <kvstore/sdk/plugin.hpp>
#include <kvstore/sdk/slice.hpp>
#include <kvstore/sdk/storage_rules.hpp>

namespace sdk = kvstore::sdk;

namespace {

void check_open(const kvs_storage_options& options) {
  sdk::Options(options.config_json).reject_unknown();
  if ((options.flags & KVS_STORAGE_CREATE) == 0) {
    throw sdk::Error(KVS_E_NOT_FOUND, "a memory instance exists only once created");
  }
}

kvs_status send_json(const std::string& json, kvs_slice_sink sink, void* ctx) {
  const kvs_slice slice = sdk::slice(json);
  return sink(ctx, &slice);
}

// ---- kvstore.log/1

class Log {
 public:
  explicit Log(const kvs_storage_options& options) { check_open(options); }

  void write(const kvs_log_write& w) {
    std::lock_guard lock(mutex_);
    const kvs_log_id tail =
        sdk::check_log_write(w, base_, last(), [this](uint64_t i) { return term_of(i); });
    if ((w.flags & KVS_LOG_SET_HARD_STATE) != 0) hard_ = w.hard;
    entries_.resize(tail.index - base_.index - w.entry_count);
    for (uint64_t i = 0; i < w.entry_count; ++i) {
      const kvs_entry& e = w.entries[i];
      entries_.push_back({e.id, e.kind, e.crc32c, std::string(sdk::view(e.data))});
    }
  }
  void compact(const kvs_log_id& upto) {
    std::lock_guard lock(mutex_);
    sdk::require(upto.index <= last().index, "cannot compact beyond the last entry");
    if (upto.index <= base_.index) return;
    sdk::require(term_of(upto.index) == upto.term, "the entry to compact to has another term");
    const auto count = static_cast<std::ptrdiff_t>(upto.index - base_.index);
    entries_.erase(entries_.begin(), entries_.begin() + count);
    base_ = upto;
  }
  void reset(const kvs_log_id& base) {
    std::lock_guard lock(mutex_);
    entries_.clear();
    base_ = base;
  }
  kvs_log_state state() {
    std::lock_guard lock(mutex_);
    return {sizeof(kvs_log_state), 0, hard_, base_, last()};
  }
  kvs_status read(uint64_t first, uint64_t max_count, uint64_t max_bytes, kvs_entry_sink sink,
                  void* ctx) {
    std::lock_guard lock(mutex_);  // sinks are leaves: calling one under a lock is allowed
    if (first <= base_.index) return KVS_E_COMPACTED;
    if (first > last().index) return KVS_E_END;
    uint64_t bytes = 0;
    for (uint64_t i = first; i <= last().index && i - first < max_count; ++i) {
      const Entry& e = entries_[i - base_.index - 1];
      if (i > first && (bytes >= max_bytes || e.data.size() > max_bytes - bytes)) break;
      const kvs_entry out{e.id, e.kind, e.crc32c, sdk::slice(e.data)};
      if (kvs_status status = sink(ctx, &out); status != KVS_OK) return status;
      bytes += e.data.size();
    }
    return KVS_OK;
  }
  kvs_status term(uint64_t index, uint64_t* term) {
    std::lock_guard lock(mutex_);
    if (index < base_.index) return KVS_E_COMPACTED;
    if (index > last().index) return KVS_E_END;
    *term = term_of(index);
    return KVS_OK;
  }

 private:
  struct Entry {
    kvs_log_id id;
    uint32_t kind;
    uint32_t crc32c;
    std::string data;
  };
  kvs_log_id last() const { return entries_.empty() ? base_ : entries_.back().id; }
  uint64_t term_of(uint64_t i) const {
    return i == base_.index ? base_.term : entries_[i - base_.index - 1].id.term;
  }

  std::mutex mutex_;
  kvs_hard_state hard_{};
  kvs_log_id base_{};
  std::deque<Entry> entries_;  // base_.index + 1 ...
};

Log& self(kvs_log* l) {
  return *reinterpret_cast<Log*>(l);
}

const kvs_log_api kLogTable = {
    .struct_size = sizeof(kvs_log_api),
    .reserved = 0,
    .open = [](const kvs_host*, const kvs_storage_options* opt, kvs_log** out,
               kvs_error* err) noexcept -> kvs_status {
      return sdk::guard(
          err, [&] { *out = reinterpret_cast<kvs_log*>(new Log(sdk::copy_options(opt))); });
    },
    .close = [](kvs_log* l) noexcept { delete &self(l); },
    .get_extension = [](kvs_log*, const char*) noexcept -> const void* { return nullptr; },
    .write = [](kvs_log* l, const kvs_log_write* w, kvs_error* err) noexcept -> kvs_status {
      return sdk::guard(err, [&] { self(l).write(sdk::copy_options(w)); });
    },
    .compact = [](kvs_log* l, const kvs_log_id* upto, kvs_error* err) noexcept -> kvs_status {
      return sdk::guard(err, [&] { self(l).compact(*upto); });
    },
    .reset = [](kvs_log* l, const kvs_log_id* base, kvs_error* err) noexcept -> kvs_status {
      return sdk::guard(err, [&] { self(l).reset(*base); });
    },
    .state = [](kvs_log* l, kvs_log_state* out, kvs_error* err) noexcept -> kvs_status {
      return sdk::guard(err, [&] { sdk::copy_result(out, self(l).state()); });
    },
    .read = [](kvs_log* l, uint64_t first, uint64_t max_count, uint64_t max_bytes,
               kvs_entry_sink sink, void* ctx, kvs_error* err) noexcept -> kvs_status {
      return sdk::guard(err, [&] {
        sdk::require(max_count > 0, "max_count is 0");
        return self(l).read(first, max_count, max_bytes, sink, ctx);
      });
    },
    .term = [](kvs_log* l, uint64_t index, uint64_t* term, kvs_error* err) noexcept -> kvs_status {
      return sdk::guard(err, [&] { return self(l).term(index, term); });
    },
    .stats = [](kvs_log*, kvs_slice_sink sink, void* ctx) noexcept -> kvs_status {
      return sdk::guard(nullptr, [&] { return send_json(R"({"engine":"memory"})", sink, ctx); });
    },
};

// ---- kvstore.state/1

struct Data {
  std::array<std::map<std::string, std::string, std::less<>>, sdk::kSpaceCount> spaces;
  kvs_log_id applied{};
  std::string meta;

  void set_applied(const kvs_applied& a) {
    applied = a.at;
    if (a.meta.len > 0) meta = sdk::view(a.meta);
  }
};

// Views share the data; a write copies it first if any view is open.
struct State {
  explicit State(const kvs_storage_options& options) { check_open(options); }

  void write(const kvs_kv_batch& b) {
    std::lock_guard lock(mutex);
    sdk::check_kv_batch(b, data->applied);
    if (data.use_count() > 1) data = std::make_shared<Data>(*data);
    for (uint64_t i = 0; i < b.op_count; ++i) apply(b.ops[i]);
    data->set_applied(sdk::copy_options(b.applied));
  }
  void apply(const kvs_kv_op& op) {
    auto& space = data->spaces[op.space];
    const std::string key(sdk::view(op.key));
    const std::string_view value = sdk::view(op.value);
    if (op.kind == KVS_KV_PUT) {
      space[key] = value;
    } else if (op.kind == KVS_KV_DELETE) {
      space.erase(key);
    } else {
      auto begin = space.lower_bound(key);
      auto end = value.empty() ? space.end() : space.lower_bound(value);
      if (value.empty() || key < value) space.erase(begin, end);
    }
  }

  std::mutex mutex;
  std::shared_ptr<Data> data = std::make_shared<Data>();
};

struct View {
  explicit View(State& s) : state(s) {
    std::lock_guard lock(state.mutex);
    data = state.data;
  }
  ~View() {
    std::lock_guard lock(state.mutex);  // the writer looks at use_count() under it
    data.reset();
  }
  State& state;
  std::shared_ptr<const Data> data;
};

struct Iter {
  Iter(const View& v, const kvs_iter_options& o)
      : space(v.data->spaces[o.space]),
        flags(o.flags),
        lower(space.lower_bound(sdk::view(o.lower))),
        upper(o.upper.len == 0 ? space.end() : space.lower_bound(sdk::view(o.upper))) {
    if (o.upper.len > 0 && sdk::view(o.upper) <= sdk::view(o.lower)) upper = lower;
    at = reverse() ? upper : lower;
  }
  bool reverse() const { return (flags & KVS_ITER_REVERSE) != 0; }

  // `at` is the next pair, in reverse the one after it.
  void seek(std::string_view key) {
    if (reverse()) {
      auto it = space.upper_bound(key);
      const bool beyond = upper != space.end() && key >= upper->first;
      const bool below = it == space.begin() || (lower != space.end() && key < lower->first);
      at = beyond ? upper : below || lower == upper ? lower : it;
    } else {
      auto it = space.lower_bound(key);
      const bool below = lower != space.end() && key < lower->first;
      const bool beyond = upper != space.end() && key >= upper->first;
      at = below || lower == upper ? lower : beyond ? upper : it;
    }
  }
  kvs_status next(kvs_pair* out, uint32_t cap, uint64_t bytes_max, uint32_t* n) {
    sdk::require(cap > 0, "cap is 0");
    *n = 0;
    pairs.clear();
    while (at != (reverse() ? lower : upper)) {
      auto pair = reverse() ? std::prev(at) : at;
      const std::string_view value =
          (flags & KVS_ITER_KEYS_ONLY) != 0 ? std::string_view() : pair->second;
      if (!pairs.fits(pair->first.size() + value.size(), cap, bytes_max)) break;
      pairs.add(pair->first, value);
      at = reverse() ? pair : std::next(at);
    }
    if (pairs.count() == 0) return KVS_E_END;
    pairs.export_to(out);
    *n = pairs.count();
    return KVS_OK;
  }

  const std::map<std::string, std::string, std::less<>>& space;
  const uint32_t flags;
  std::map<std::string, std::string, std::less<>>::const_iterator lower, upper, at;
  sdk::PairBuffer pairs;
};

struct Restore {
  State& state;
  std::shared_ptr<Data> data = std::make_shared<Data>();
};

State& self(kvs_state* s) {
  return *reinterpret_cast<State*>(s);
}
View& self(kvs_view* v) {
  return *reinterpret_cast<View*>(v);
}
Iter& self(kvs_iter* i) {
  return *reinterpret_cast<Iter*>(i);
}
Restore& self(kvs_restore* r) {
  return *reinterpret_cast<Restore*>(r);
}

kvs_status state_open(const kvs_host*, const kvs_storage_options* opt, kvs_state** out,
                      kvs_error* err) noexcept {
  return sdk::guard(
      err, [&] { *out = reinterpret_cast<kvs_state*>(new State(sdk::copy_options(opt))); });
}

kvs_status state_sync(kvs_state* s, kvs_log_id* durable, kvs_error* err) noexcept {
  return sdk::guard(err, [&] {
    std::lock_guard lock(self(s).mutex);
    *durable = self(s).data->applied;
  });
}

kvs_status state_get_many(kvs_state* s, uint32_t space, const kvs_slice* keys, uint32_t n,
                          kvs_found_sink sink, void* ctx, kvs_error* err) noexcept {
  return sdk::guard(err, [&]() -> kvs_status {
    sdk::check_space(space);
    std::lock_guard lock(self(s).mutex);
    const auto& map = self(s).data->spaces[space];
    for (uint32_t i = 0; i < n; ++i) {
      auto it = map.find(sdk::view(keys[i]));
      const kvs_slice value = it == map.end() ? kvs_slice{nullptr, 0} : sdk::slice(it->second);
      const kvs_status status = sink(ctx, i, it != map.end() ? 1 : 0, &value);
      if (status != KVS_OK) return status;
    }
    return KVS_OK;
  });
}

kvs_status view_applied(kvs_view* v, kvs_log_id* at, kvs_slice_sink meta, void* ctx,
                        kvs_error* err) noexcept {
  return sdk::guard(err, [&]() -> kvs_status {
    *at = self(v).data->applied;
    const kvs_slice slice = sdk::slice(self(v).data->meta);
    return meta == nullptr ? KVS_OK : meta(ctx, &slice);
  });
}

kvs_status view_get(kvs_view* v, uint32_t space, const kvs_slice* key, kvs_slice_sink sink,
                    void* ctx, kvs_error* err) noexcept {
  return sdk::guard(err, [&]() -> kvs_status {
    sdk::check_space(space);
    const auto& map = self(v).data->spaces[space];
    auto it = map.find(sdk::view(*key));
    if (it == map.end()) return KVS_E_NOT_FOUND;
    const kvs_slice value = sdk::slice(it->second);
    return sink(ctx, &value);
  });
}

kvs_status iter_open(kvs_view* v, const kvs_iter_options* opt, kvs_iter** out,
                     kvs_error* err) noexcept {
  return sdk::guard(err, [&] {
    const kvs_iter_options options = sdk::copy_options(opt);
    sdk::check_iter_options(options);
    *out = reinterpret_cast<kvs_iter*>(new Iter(self(v), options));
  });
}

kvs_status restore_put(kvs_restore* r, uint32_t space, const kvs_pair* pairs, uint32_t n,
                       kvs_error* err) noexcept {
  return sdk::guard(err, [&] {
    sdk::check_space(space);
    for (uint32_t i = 0; i < n; ++i) {
      self(r).data->spaces[space][std::string(sdk::view(pairs[i].key))] = sdk::view(pairs[i].value);
    }
  });
}

kvs_status restore_commit(kvs_restore* r, const kvs_applied* applied, kvs_error* err) noexcept {
  std::unique_ptr<Restore> restore(&self(r));
  return sdk::guard(err, [&] {
    sdk::require(applied != nullptr, "applied is missing");
    std::lock_guard lock(restore->state.mutex);
    restore->data->meta = restore->state.data->meta;  // kept if the new one is empty
    restore->data->set_applied(sdk::copy_options(applied));
    restore->state.data = restore->data;
    restore->data.reset();
  });
}

const kvs_state_api kStateTable = {
    .struct_size = sizeof(kvs_state_api),
    .reserved = 0,
    .open = state_open,
    .close = [](kvs_state* s) noexcept { delete &self(s); },
    .capabilities = [](const kvs_state*) noexcept -> uint64_t {
      return KVS_CAP_CHEAP_DELETE_RANGE | KVS_CAP_CHEAP_LONG_VIEWS;
    },
    .get_extension = [](kvs_state*, const char*) noexcept -> const void* { return nullptr; },
    .write = [](kvs_state* s, const kvs_kv_batch* b, kvs_error* err) noexcept -> kvs_status {
      return sdk::guard(err, [&] { self(s).write(sdk::copy_options(b)); });
    },
    .sync = state_sync,
    .get_many = state_get_many,
    .view_open = [](kvs_state* s, kvs_view** out, kvs_error* err) noexcept -> kvs_status {
      return sdk::guard(err, [&] { *out = reinterpret_cast<kvs_view*>(new View(self(s))); });
    },
    .view_close = [](kvs_view* v) noexcept { delete &self(v); },
    .view_applied = view_applied,
    .view_get = view_get,
    .iter_open = iter_open,
    .iter_next = [](kvs_iter* it, kvs_pair* out, uint32_t cap, uint64_t bytes_max, uint32_t* n,
                    kvs_error* err) noexcept -> kvs_status {
      return sdk::guard(err, [&] { return self(it).next(out, cap, bytes_max, n); });
    },
    .iter_seek = [](kvs_iter* it, const kvs_slice* key, kvs_error* err) noexcept -> kvs_status {
      return sdk::guard(err, [&] { self(it).seek(sdk::view(*key)); });
    },
    .iter_close = [](kvs_iter* it) noexcept { delete &self(it); },
    .restore_begin = [](kvs_state* s, kvs_restore** out, kvs_error* err) noexcept -> kvs_status {
      return sdk::guard(err, [&] { *out = reinterpret_cast<kvs_restore*>(new Restore{self(s)}); });
    },
    .restore_put = restore_put,
    .restore_commit = restore_commit,
    .restore_abort = [](kvs_restore* r) noexcept { delete &self(r); },
    .stats = [](kvs_state*, kvs_slice_sink sink, void* ctx) noexcept -> kvs_status {
      return sdk::guard(nullptr, [&] { return send_json(R"({"engine":"memory"})", sink, ctx); });
    },
};

// ---- the plugin

const kvs_interface_ref kInterfaces[] = {{KVS_LOG_ID, 0, 0}, {KVS_STATE_ID, 0, 0}};

const void* get_interface(const char* id) noexcept {
  if (std::strcmp(id, KVS_LOG_ID) == 0) return &kLogTable;
  if (std::strcmp(id, KVS_STATE_ID) == 0) return &kStateTable;
  return nullptr;
}

const kvs_plugin_manifest kManifest = [] {
  auto m = sdk::manifest("kvstore.storage-memory", "0.1.0", "Log and state in memory, for tests",
                         kInterfaces, get_interface);
  m.config_schema = R"({"type": "object", "additionalProperties": false})";
  return m;
}();

}  // namespace

KVS_PLUGIN_ENTRY(kManifest)
