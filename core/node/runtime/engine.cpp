#include "node/runtime/engine.hpp"

#include <utility>

#include "node/runtime/identity_file.hpp"
#include "plugin/slice.hpp"
#include "plugin/status.hpp"

namespace kvstore::node::runtime {
namespace {

kvs_status engine_control(void* ctx, const kvs_call* c, const char* verb, const kvs_slice* json,
                          kvs_done done, void* user, kvs_error* err) noexcept {
  auto* frontend = static_cast<Engine::Frontend*>(ctx);
  Engine& engine = frontend->engine();
  if (!engine.reads().take(0)) {
    return plugin::fill_error(err, Status(Code::kBusy, "too many requests wait"));
  }
  auto control = std::make_unique<Control>();
  control->verb = verb;
  if (json != nullptr) control->json = plugin::to_bytes(*json);
  control->deadline_ms = engine.deadline_ms(c);
  control->may_forward = (c->flags & KVS_CALL_NO_FORWARD) == 0;
  control->done = Completion<ControlOutcome>([frontend, done, user](ControlOutcome&& outcome) {
    std::shared_ptr<const NodeView> view = frontend->engine().view();
    kvs_result r =
        make_result(outcome.code, outcome.message, {view ? view->term : raft::Term{}, {}},
                    view.get(), frontend->name());
    r.revision = frontend->engine().parts().machine->revision();
    r.json = plugin::to_slice(outcome.json);
    if (outcome.code == Code::kIndeterminate) r.committed = KVS_COMMITTED_UNKNOWN;
    frontend->engine().reads().give_back(0);
    done(user, &r);
  });
  engine.parts().raft_thread->control(std::move(control));
  return KVS_OK;
}

kvs_status engine_metrics(void* ctx, kvs_slice_sink text, void* sctx) noexcept {
  auto* frontend = static_cast<Engine::Frontend*>(ctx);
  std::string out = frontend->engine().parts().metrics_text();
  kvs_slice slice = plugin::to_slice(out);
  return text(sctx, &slice);
}

const void* engine_get_extension(void*, const char*) noexcept {
  return nullptr;
}

}  // namespace

Engine::Frontend::Frontend(Engine* engine, std::string name)
    : engine_(engine), name_(std::move(name)) {
  table_.struct_size = sizeof table_;
  table_.ctx = this;
  table_.txn = engine_txn;
  table_.read_open = engine_read_open;
  table_.read_revision = engine_read_revision;
  table_.get = engine_get;
  table_.scan = engine_scan;
  table_.value_read = engine_value_read;
  table_.read_close = engine_read_close;
  table_.upload_open = engine_upload_open;
  table_.upload_write = engine_upload_write;
  table_.upload_close = engine_upload_close;
  table_.watch_open = engine_watch_open;
  table_.watch_credit = engine_watch_credit;
  table_.watch_close = engine_watch_close;
  table_.control = engine_control;
  table_.blob_open = engine_blob_open;
  table_.blob_read = engine_blob_read;
  table_.blob_close = engine_blob_close;
  table_.metrics = engine_metrics;
  table_.get_extension = engine_get_extension;
}

Engine::Engine(const Parts& parts, const EngineLimits& limits)
    : parts_(parts),
      limits_(limits),
      proposals_(limits.proposals_max, limits.proposal_bytes_max),
      reads_(limits.reads_max, UINT64_MAX),
      readers_(limits.readers_max, UINT64_MAX),
      uploads_(limits.uploads_max, UINT64_MAX),
      blobs_(limits.blobs_max, UINT64_MAX),
      upload_seed_(make_node_id().value) {}

void Engine::publish(std::shared_ptr<const NodeView> view) {
  std::lock_guard lock(view_mutex_);
  view_ = std::move(view);
}

// The commit index goes first: who finds the lease finds what a read under it must hold.
void Engine::publish(const LocalReads& reads) {
  commit_index_.store(reads.commit.value);
  lease_until_ms_.store(reads.lease_until_ms);
  fresh_ms_.store(reads.fresh_ms);
}

bool Engine::may_read_here(const kvs_read_options& o) const {
  const kv::StateMachine& machine = *parts_.machine;
  if (o.consistency == KVS_READ_LINEARIZABLE || machine.revision() < o.min_revision) return false;
  if (o.consistency == KVS_READ_STALE && o.max_staleness_ms == 0) return true;
  // The clock is read after the lease: at that moment, which is after the call began, the lease
  // held, and whatever was committed by then is at or below the commit index read next.
  const uint64_t until_ms = lease_until_ms_.load();
  const uint64_t fresh_ms = fresh_ms_.load();
  const uint64_t now_ms = parts_.clock->now_ms();
  if (now_ms < until_ms && machine.applied_index() >= commit_index_.load()) return true;
  return o.consistency == KVS_READ_STALE && fresh_ms != 0 &&
         now_ms - fresh_ms <= o.max_staleness_ms;
}

std::shared_ptr<const NodeView> Engine::view() const {
  std::lock_guard lock(view_mutex_);
  return view_;
}

uint64_t Engine::deadline_ms(const kvs_call* call) const {
  uint64_t now_ms = parts_.clock->now_ms();
  if (call->deadline_ns == 0) return now_ms + limits_.request_timeout_ms;
  return call->deadline_ns / 1'000'000;
}

// Ids of uploads are random starts counted up: two nodes or two lives of one do not meet.
uint64_t Engine::next_upload_id() {
  uint64_t id = upload_seed_.fetch_add(1, std::memory_order_relaxed);
  return id == 0 ? next_upload_id() : id;
}

kvs_result make_result(Code code, const std::string& message, raft::LogId at, const NodeView* view,
                       const std::string& frontend) {
  kvs_result r{};
  r.struct_size = sizeof r;
  r.status = plugin::to_abi(code);
  r.at = {at.term.value, at.index.value};
  r.message = plugin::to_slice(message);
  if (view == nullptr) return r;
  r.leader_name = plugin::to_slice(view->leader_name);
  for (const auto& [name, address] : view->leader_api_addresses) {
    if (name == frontend) r.leader_api_address = plugin::to_slice(address);
  }
  return r;
}

}  // namespace kvstore::node::runtime
