// The engine's watches.
#include "kv/validate.hpp"
#include "node/runtime/engine.hpp"
#include "node/runtime/engine_convert.hpp"
#include "node/runtime/watch_service.hpp"
#include "plugin/status.hpp"

namespace kvstore::node::runtime {
namespace {

Result<kv::WatchOptions> options_from_abi(const kvs_watch_options& o, const EngineLimits& limits) {
  if ((o.flags & ~(KVS_WATCH_PREV | KVS_WATCH_PROGRESS)) != 0) {
    return Status(Code::kUnsupported, "a watch knows the flags PREV and PROGRESS");
  }
  Result<kv::Range> range = range_from_abi(o.range, limits);
  if (!range) return range.status();
  if (Status s = kv::validate_range(*range); !s) return s;
  kv::WatchOptions out;
  out.range = std::move(*range);
  out.from_revision = o.from_revision;
  out.with_prev = (o.flags & KVS_WATCH_PREV) != 0;
  out.with_progress = (o.flags & KVS_WATCH_PROGRESS) != 0;
  out.credit = o.credit;
  return out;
}

WatchService& service_of(void* ctx) {
  return *static_cast<Engine::Frontend*>(ctx)->engine().parts().watches;
}

}  // namespace

kvs_status engine_watch_open(void* ctx, const kvs_call*, const kvs_watch_options* o,
                             kvs_watch_fn fn, void* user, kvs_watch** out,
                             kvs_error* err) noexcept {
  const EngineLimits& limits = static_cast<Engine::Frontend*>(ctx)->engine().limits();
  Result<kv::WatchOptions> options = options_from_abi(*o, limits);
  if (!options) return plugin::fill_error(err, options.status());
  Status opened = service_of(ctx).open(std::move(*options), fn, user, out);
  return opened ? KVS_OK : plugin::fill_error(err, opened);
}

}  // namespace kvstore::node::runtime
