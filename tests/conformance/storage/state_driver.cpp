#include "state_driver.hpp"

#include <algorithm>

#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/slice.hpp>

#include "plugin_file.hpp"

namespace kvstore::conformance {
namespace {

kvs_status collect_found(void* ctx, uint32_t i, uint32_t found, const kvs_slice* value) noexcept {
  try {
    auto& out = *static_cast<std::vector<std::optional<std::string>>*>(ctx);
    if (i != out.size()) return KVS_E_INTERNAL;
    out.push_back(found != 0 ? std::optional<std::string>(sdk::view(*value)) : std::nullopt);
    return KVS_OK;
  } catch (...) {
    return KVS_E_NO_MEMORY;
  }
}

}  // namespace

kvs_status open_state(const PluginFile& plugin, const std::string& dir, const std::string& config,
                      uint32_t flags, kvs_state** out, std::string* message) {
  kvs_storage_options options{};
  options.struct_size = sizeof options;
  options.flags = flags;
  options.data_dir = sdk::slice(dir);
  options.config_json = sdk::slice(config);
  kvs_error err = sdk::make_error();
  const kvs_status status = plugin.state()->open(test_host(), &options, out, &err);
  if (message != nullptr) *message = err.message;
  return status;
}

// ---- view

ViewDriver::ViewDriver(const kvs_state_api& api, kvs_state* state) : api_(api) {
  kvs_error err = sdk::make_error();
  const kvs_status status = api_.view_open(state, &view_, &err);
  KIT_CHECK_MSG(status == KVS_OK, "view_open: " + status_name(status) + " " + err.message);
}

std::optional<std::string> ViewDriver::get(const std::string& key, uint32_t space) {
  std::string value;
  const kvs_slice k = sdk::slice(key);
  const kvs_status status = api_.view_get(view_, space, &k, sdk::append_to_string, &value, nullptr);
  if (status == KVS_E_NOT_FOUND) return std::nullopt;
  KIT_STATUS(KVS_OK, status);
  return value;
}

Pairs ViewDriver::scan(const Scan& scan) {
  return IterDriver(api_, view_, scan).rest();
}

StateModel ViewDriver::contents() {
  StateModel found;
  KIT_STATUS(KVS_OK,
             api_.view_applied(view_, &found.applied, sdk::append_to_string, &found.meta, nullptr));
  for (uint32_t space = 0; space < 16; ++space) {
    Scan forward;
    forward.space = space;
    const Pairs pairs = scan(forward);
    Scan backward = forward;
    backward.reverse = true;
    backward.cap = 7;
    Pairs reversed = scan(backward);
    std::reverse(reversed.begin(), reversed.end());
    KIT_CHECK_MSG(pairs == reversed, "the walks forwards and backwards differ");
    const std::string* previous = nullptr;
    for (const auto& [key, value] : pairs) {
      KIT_CHECK_MSG(previous == nullptr || *previous < key, "keys are not in byte order");
      previous = &key;
      found.spaces[space].emplace(key, value);
    }
    for (size_t i = 0; i < pairs.size(); i += 1 + pairs.size() / 50) {
      KIT_CHECK_MSG(get(pairs[i].first, space) == pairs[i].second, "walk and get differ");
    }
  }
  return found;
}

// ---- iterator

IterDriver::IterDriver(const kvs_state_api& api, kvs_view* view, const Scan& scan)
    : api_(api), scan_(scan) {
  kvs_iter_options options{};
  options.struct_size = sizeof options;
  options.flags =
      flag_if(scan.reverse, KVS_ITER_REVERSE) | flag_if(scan.keys_only, KVS_ITER_KEYS_ONLY);
  options.space = scan.space;
  options.lower = sdk::slice(scan.lower);
  options.upper = sdk::slice(scan.upper);
  kvs_error err = sdk::make_error();
  const kvs_status status = api_.iter_open(view, &options, &iter_, &err);
  KIT_CHECK_MSG(status == KVS_OK, "iter_open: " + status_name(status) + " " + err.message);
}

bool IterDriver::next(Pairs* out) {
  std::vector<kvs_pair> pairs(scan_.cap);
  uint32_t n = 12345;
  const kvs_status status =
      api_.iter_next(iter_, pairs.data(), scan_.cap, scan_.bytes_max, &n, nullptr);
  if (status == KVS_E_END) {
    KIT_CHECK(n == 0);
    return false;
  }
  KIT_STATUS(KVS_OK, status);
  KIT_CHECK(n >= 1 && n <= scan_.cap);
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < n; ++i) {
    bytes += pairs[i].key.len + pairs[i].value.len;
    out->emplace_back(sdk::view(pairs[i].key), sdk::view(pairs[i].value));
  }
  KIT_CHECK_MSG(n == 1 || bytes <= scan_.bytes_max, "more than bytes_max at once");
  return true;
}

void IterDriver::seek(const std::string& key) {
  const kvs_slice k = sdk::slice(key);
  KIT_STATUS(KVS_OK, api_.iter_seek(iter_, &k, nullptr));
}

Pairs IterDriver::rest() {
  Pairs out;
  while (next(&out)) {
  }
  KIT_CHECK_MSG(!next(&out), "pairs after the end");
  return out;
}

// ---- state

StateDriver::StateDriver(Context& context, const std::string& dir, uint32_t flags)
    : context_(context),
      api_(context.plugin->state()),
      dir_(dir[0] == '/' ? dir : context.sub(dir)) {
  std::string message;
  const kvs_status status =
      open_state(*context_.plugin, dir_, context_.config, flags, &state_, &message);
  KIT_CHECK_MSG(status == KVS_OK, "open: " + status_name(status) + " " + message);
}

StateDriver::~StateDriver() {
  close();
}

void StateDriver::close() {
  if (state_ != nullptr) api_->close(state_);
  state_ = nullptr;
}

void StateDriver::reopen() {
  if (!context_.persists) return;
  close();
  std::string message;
  const kvs_status status =
      open_state(*context_.plugin, dir_, context_.config, 0, &state_, &message);
  KIT_CHECK_MSG(status == KVS_OK, "reopen: " + status_name(status) + " " + message);
}

kvs_status StateDriver::write(const Batch& batch, std::string* message) {
  std::vector<kvs_kv_op> ops;
  for (const Op& op : batch.ops) {
    ops.push_back({op.kind, op.space, sdk::slice(op.key), sdk::slice(op.value)});
  }
  kvs_applied applied{};
  applied.struct_size = sizeof applied;
  applied.at = batch.at;
  applied.meta = sdk::slice(batch.meta);
  kvs_kv_batch b{};
  b.struct_size = sizeof b;
  b.flags = flag_if(batch.sync, KVS_KV_SYNC);
  b.ops = ops.data();
  b.op_count = ops.size();
  b.applied = &applied;
  kvs_error err = sdk::make_error();
  const kvs_status status = api_->write(state_, &b, &err);
  if (message != nullptr) *message = err.message;
  return status;
}

kvs_log_id StateDriver::sync() {
  kvs_log_id durable{};
  kvs_error err = sdk::make_error();
  const kvs_status status = api_->sync(state_, &durable, &err);
  KIT_CHECK_MSG(status == KVS_OK, "sync: " + status_name(status) + " " + err.message);
  return durable;
}

StateModel StateDriver::contents() {
  return ViewDriver(*api_, state_).contents();
}

std::vector<std::optional<std::string>> StateDriver::get_many(const std::vector<std::string>& keys,
                                                              uint32_t space) {
  std::vector<kvs_slice> slices;
  for (const std::string& key : keys) slices.push_back(sdk::slice(key));
  std::vector<std::optional<std::string>> out;
  KIT_STATUS(KVS_OK,
             api_->get_many(state_, space, slices.data(), static_cast<uint32_t>(slices.size()),
                            collect_found, &out, nullptr));
  KIT_CHECK(out.size() == keys.size());
  return out;
}

// ---- restore

RestoreDriver::RestoreDriver(StateDriver& state) : api_(state.api()) {
  kvs_error err = sdk::make_error();
  const kvs_status status = api_.restore_begin(state.handle(), &restore_, &err);
  KIT_CHECK_MSG(status == KVS_OK, "restore_begin: " + status_name(status) + " " + err.message);
}

RestoreDriver::~RestoreDriver() {
  abort();
}

void RestoreDriver::abort() {
  if (restore_ != nullptr) api_.restore_abort(restore_);
  restore_ = nullptr;
}

void RestoreDriver::put(uint32_t space, const Pairs& pairs) {
  std::vector<kvs_pair> out;
  for (const auto& [key, value] : pairs) out.push_back({sdk::slice(key), sdk::slice(value)});
  kvs_error err = sdk::make_error();
  const kvs_status status =
      api_.restore_put(restore_, space, out.data(), static_cast<uint32_t>(out.size()), &err);
  KIT_CHECK_MSG(status == KVS_OK, "restore_put: " + status_name(status) + " " + err.message);
}

void RestoreDriver::put(const StateModel& content) {
  for (uint32_t space = 0; space < 16; ++space) {
    const auto& pairs = content.spaces[space];
    if (!pairs.empty()) put(space, Pairs(pairs.begin(), pairs.end()));
  }
}

kvs_status RestoreDriver::commit(kvs_log_id at, const std::string& meta) {
  kvs_applied applied{};
  applied.struct_size = sizeof applied;
  applied.at = at;
  applied.meta = sdk::slice(meta);
  kvs_restore* r = std::exchange(restore_, nullptr);
  return api_.restore_commit(r, &applied, nullptr);
}

// ---- mirrored

void MirroredState::apply(const Batch& batch) {
  std::string message;
  const kvs_status status = driver.write(batch, &message);
  KIT_CHECK_MSG(status == KVS_OK, "write: " + status_name(status) + " " + message);
  model.apply(batch);
}

void MirroredState::write(std::vector<Op> ops, bool sync, const std::string& meta) {
  apply({std::move(ops), {1, model.applied.index + 1}, meta, sync});
}

void MirroredState::refuse(const Batch& batch, kvs_status expected) {
  std::string message;
  const kvs_status status = driver.write(batch, &message);
  KIT_CHECK_MSG(status == expected,
                "refused with " + status_name(status) + ", expected " + status_name(expected));
  KIT_CHECK_MSG(!message.empty(), "the error has no message");
  check();
}

void MirroredState::check() {
  const std::string wrong = difference(model, driver.contents());
  KIT_CHECK_MSG(wrong.empty(), wrong);
}

void MirroredState::check_after_reopen() {
  check();
  driver.reopen();
  check();
}

}  // namespace kvstore::conformance
