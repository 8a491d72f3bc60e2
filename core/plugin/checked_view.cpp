// The views and iterators of the state proxy.
#include <memory>
#include <string>

#include "plugin/checked_state_parts.hpp"
#include "plugin/slice.hpp"

namespace kvstore::plugin::checked_state {

// ---- views

void view_close(kvs_view* handle) noexcept {
  std::unique_ptr<CheckedView> view(self(handle));
  KVS_ASSERT(view->iterators == 0 && !view->user.busy());
  view->state->table->view_close(view->inner);
  --view->state->children;
}

namespace {

// A view includes every write that returned before it was opened and none that began after.
kvs_status check_view(CheckedView& view, const kvs_log_id& before, kvs_error* err) {
  CheckedState& state = *view.state;
  kvs_status status = state.table->view_applied(view.inner, &view.at, ignore_slice, nullptr, err);
  if (status != KVS_OK) return status;
  const kvs_log_id newest = state.newest_possible();
  if (view.at.index < before.index || view.at.index > newest.index) {
    return state.probe.plugin_bug(
        err, "view_open",
        "shows " + id_text(view.at) + ", written is " + id_text(before) + ".." + id_text(newest));
  }
  return KVS_OK;
}

}  // namespace

kvs_status view_open(kvs_state* handle, kvs_view** out, kvs_error* err) noexcept {
  CheckedState& state = *self(handle);
  KVS_ASSERT(out != nullptr);
  const kvs_log_id before = state.applied_now();
  auto view = std::make_unique<CheckedView>();
  view->state = &state;
  view->inner = nullptr;
  kvs_status status;
  {
    Probe::Timer timer(state.probe, kViewOpen);
    status = state.table->view_open(state.inner, &view->inner, err);
  }
  status = outcome(state.probe, kViewOpen, status, err);
  if (status != KVS_OK) return status;
  if (view->inner == nullptr) {
    return state.probe.plugin_bug(err, "view_open", "succeeded without a handle");
  }
  if (state.probe.checked()) {
    status = check_view(*view, before, err);
    if (status != KVS_OK) {
      state.table->view_close(view->inner);
      return status;
    }
  }
  ++state.children;
  *out = reinterpret_cast<kvs_view*>(view.release());
  return KVS_OK;
}

kvs_status view_applied(kvs_view* handle, kvs_log_id* at, kvs_slice_sink meta, void* ctx,
                        kvs_error* err) noexcept {
  CheckedView& view = *self(handle);
  Exclusive::Scope exclusive(view.user);
  KVS_ASSERT(at != nullptr && meta != nullptr);
  const Probe& probe = view.state->probe;
  kvs_status status;
  {
    Probe::Timer timer(probe, kViewApplied);
    status = view.state->table->view_applied(view.inner, at, meta, ctx, err);
  }
  status = outcome(probe, kViewApplied, status, err);
  if (status == KVS_OK && probe.checked() && at->index != view.at.index) {
    return probe.plugin_bug(err, "view_applied", "the mark of an open view changed");
  }
  return status;
}

namespace {

struct ValueCheck {
  kvs_slice_sink sink;
  void* ctx;
  uint32_t calls = 0;
  kvs_status stopped = KVS_OK;
  bool valid = true;
};

kvs_status check_value(void* ctx, const kvs_slice* value) noexcept {
  ValueCheck& check = *static_cast<ValueCheck*>(ctx);
  check.valid = valid_slice(value);
  if (++check.calls > 1 || !check.valid) return KVS_E_INTERNAL;
  check.stopped = check.sink(check.ctx, value);
  return check.stopped;
}

}  // namespace

kvs_status view_get(kvs_view* handle, uint32_t space, const kvs_slice* key, kvs_slice_sink sink,
                    void* ctx, kvs_error* err) noexcept {
  CheckedView& view = *self(handle);
  Exclusive::Scope exclusive(view.user);
  KVS_ASSERT(space < kSpaces && valid_slice(key) && sink != nullptr);
  const Probe& probe = view.state->probe;
  ValueCheck check{sink, ctx};
  kvs_status status;
  {
    Probe::Timer timer(probe, kViewGet);
    status =
        view.state->table->view_get(view.inner, space, key, probe.checked() ? check_value : sink,
                                    probe.checked() ? &check : ctx, err);
  }
  if (!probe.checked()) return status;
  if (!check.valid || check.calls > 1) {
    return probe.plugin_bug(err, "view_get", "delivered a value in more than one piece or as NULL");
  }
  if (check.stopped != KVS_OK) {
    if (status == check.stopped) return status;
    return probe.plugin_bug(err, "view_get", "did not return the status of the sink");
  }
  status = outcome(probe, kViewGet, status, err);
  if ((status == KVS_OK) != (check.calls == 1)) {
    return probe.plugin_bug(err, "view_get", "its status and the call of the sink disagree");
  }
  return status;
}

// ---- iterators

kvs_status iter_open(kvs_view* handle, const kvs_iter_options* opt, kvs_iter** out,
                     kvs_error* err) noexcept {
  CheckedView& view = *self(handle);
  Exclusive::Scope exclusive(view.user);
  constexpr uint32_t kKnown = KVS_ITER_REVERSE | KVS_ITER_KEYS_ONLY;
  KVS_ASSERT(opt != nullptr && opt->struct_size >= sizeof *opt && (opt->flags & ~kKnown) == 0);
  KVS_ASSERT(opt->space < kSpaces && valid_slice(&opt->lower) && valid_slice(&opt->upper));
  KVS_ASSERT(out != nullptr);
  const Probe& probe = view.state->probe;
  auto iter = std::make_unique<CheckedIter>();
  iter->view = &view;
  iter->inner = nullptr;
  iter->flags = opt->flags;
  iter->lower = to_bytes(opt->lower);
  iter->upper = to_bytes(opt->upper);
  kvs_status status;
  {
    Probe::Timer timer(probe, kIterOpen);
    status = view.state->table->iter_open(view.inner, opt, &iter->inner, err);
  }
  status = outcome(probe, kIterOpen, status, err);
  if (status != KVS_OK) return status;
  if (iter->inner == nullptr) {
    return probe.plugin_bug(err, "iter_open", "succeeded without a handle");
  }
  ++view.iterators;
  *out = reinterpret_cast<kvs_iter*>(iter.release());
  return KVS_OK;
}

namespace {

std::string pair_form(CheckedIter& iter, const kvs_pair& pair) {
  if (!valid_slice(&pair.key) || !valid_slice(&pair.value)) return "delivered a NULL key or value";
  const Bytes key = to_bytes(pair.key);
  const bool reverse = (iter.flags & KVS_ITER_REVERSE) != 0;
  if (iter.has_previous && (reverse ? key >= iter.previous : key <= iter.previous)) {
    return "delivered keys out of order";
  }
  if (iter.has_sought && (reverse ? key > iter.sought : key < iter.sought)) {
    return "delivered a key that lies before the one sought";
  }
  if (key < Bytes(iter.lower) || (!iter.upper.empty() && key >= Bytes(iter.upper))) {
    return "delivered a key outside the bounds";
  }
  if ((iter.flags & KVS_ITER_KEYS_ONLY) != 0 && pair.value.len != 0) {
    return "delivered a value though only keys were asked for";
  }
  iter.previous.assign(key);
  iter.has_previous = true;
  return "";
}

std::string next_outcome(CheckedIter& iter, kvs_status status, const kvs_pair* out, uint32_t cap,
                         uint64_t bytes_max, uint32_t n) {
  if (status == KVS_E_END) {
    iter.ended = true;
    return n == 0 ? "" : "reported the end together with pairs";
  }
  if (status != KVS_OK) return "";
  if (iter.ended) return "delivered pairs after the end";
  if (n == 0 || n > cap) return "delivered " + std::to_string(n) + " of " + std::to_string(cap);
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < n; ++i) {
    if (std::string wrong = pair_form(iter, out[i]); !wrong.empty()) return wrong;
    bytes += out[i].key.len + out[i].value.len;
  }
  return n > 1 && bytes > bytes_max ? "delivered more than bytes_max" : "";
}

}  // namespace

kvs_status iter_next(kvs_iter* handle, kvs_pair* out, uint32_t cap, uint64_t bytes_max, uint32_t* n,
                     kvs_error* err) noexcept {
  CheckedIter& iter = *self(handle);
  Exclusive::Scope exclusive(iter.view->user);
  KVS_ASSERT(out != nullptr && cap > 0 && n != nullptr);
  const CheckedState& state = *iter.view->state;
  kvs_status status;
  {
    Probe::Timer timer(state.probe, kIterNext);
    status = state.table->iter_next(iter.inner, out, cap, bytes_max, n, err);
  }
  status = outcome(state.probe, kIterNext, status, err);
  if (!state.probe.checked()) return status;
  std::string wrong = next_outcome(iter, status, out, cap, bytes_max, *n);
  return wrong.empty() ? status : state.probe.plugin_bug(err, "iter_next", wrong);
}

kvs_status iter_seek(kvs_iter* handle, const kvs_slice* key, kvs_error* err) noexcept {
  CheckedIter& iter = *self(handle);
  Exclusive::Scope exclusive(iter.view->user);
  KVS_ASSERT(valid_slice(key));
  const CheckedState& state = *iter.view->state;
  iter.sought = to_bytes(*key);
  iter.has_sought = true;
  iter.has_previous = false;
  iter.ended = false;
  Probe::Timer timer(state.probe, kIterSeek);
  return outcome(state.probe, kIterSeek, state.table->iter_seek(iter.inner, key, err), err);
}

void iter_close(kvs_iter* handle) noexcept {
  std::unique_ptr<CheckedIter> iter(self(handle));
  iter->view->state->table->iter_close(iter->inner);
  --iter->view->iterators;
}

}  // namespace kvstore::plugin::checked_state
