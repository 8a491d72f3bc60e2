#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "kv/reader.hpp"
#include "node/runtime/engine.hpp"
#include "node/runtime/engine_convert.hpp"
#include "plugin/slice.hpp"
#include "plugin/status.hpp"

// A read that may go on: the applied state serves it.  The view is opened by the first use, on the
// reader's own thread, so that neither the raft nor the apply thread ever waits for a store; a view
// opened later is newer, which is as linearizable.
struct kvs_reader {
  kvstore::node::runtime::Engine* engine = nullptr;
  std::unique_ptr<kvstore::kv::View> view;
  uint64_t wanted = 0;    // the revision asked for; 0: the newest
  uint64_t at = 0;        // the same as kv's readers take it
  uint64_t revision = 0;  // that is read
  uint64_t end_ms = 0;    // of the view
};

namespace kvstore::node::runtime {
namespace {

// A view that is kept holds back what the store could reuse, so it ends at an age.
Status open_view(kvs_reader* r) {
  const uint64_t now_ms = r->engine->parts().clock->now_ms();
  if (r->end_ms != 0) {
    if (now_ms < r->end_ms) return Status::ok();
    r->view.reset();
    return {Code::kCancelled, "the read took too long (limits.reader_age_ms_max)"};
  }
  Result<std::unique_ptr<kv::View>> view = r->engine->parts().adapter->open_view();
  if (!view) return view.status();
  Result<kv::Revisions> revisions = kv::read_revisions(**view);
  if (!revisions) return revisions.status();
  Result<uint64_t> at = kv::resolve_revision(*revisions, r->wanted);
  if (!at) return at.status();
  r->view = std::move(*view);
  r->at = *at;
  r->revision = r->wanted != 0 ? r->wanted : revisions->current;
  r->end_ms = now_ms + r->engine->limits().reader_age_ms_max;
  return Status::ok();
}

// The answer of a read that failed.  A state that cannot be read or is damaged stops the node: its
// next read might be wrong without showing it.
kvs_status fail_read(const kvs_reader* r, const Status& status, kvs_error* err) {
  if (condemns_state(status.code())) r->engine->parts().fatal(status);
  return plugin::fill_error(err, status);
}

// Runs a sink of the C kind behind one that can only say go on or stop, keeping what it said.
struct SinkState {
  kvs_status status = KVS_OK;
};

// Whether the applied state has this revision.  A compaction may still overtake the read, which the
// reader's own view then finds.
Status check_revision(const Engine& engine, uint64_t wanted) {
  const kv::StateMachine& machine = *engine.parts().machine;
  return kv::resolve_revision({machine.revision(), machine.compacted_revision()}, wanted).status();
}

kvs_reader* make_reader(Engine* engine, uint64_t wanted) {
  auto* reader = new kvs_reader;
  reader->engine = engine;
  reader->wanted = wanted;
  return reader;
}

void complete_read(Engine::Frontend* frontend, const ReadOutcome& outcome, uint64_t wanted,
                   kvs_read_done done, void* user) {
  Engine& engine = frontend->engine();
  std::shared_ptr<const NodeView> view = engine.view();
  Code code = outcome.code;
  std::string message = outcome.message;
  kvs_reader* reader = nullptr;
  if (code == Code::kOk) {
    Status readable = check_revision(engine, wanted);
    code = readable.code();
    message = readable.message();
  }
  if (code == Code::kOk && !engine.readers().take(0)) {
    code = Code::kBusy;
    message = "too many reads are open";
  } else if (code == Code::kOk) {
    reader = make_reader(&engine, wanted);
  }
  kvs_result r = make_result(code, message, outcome.at, view.get(), frontend->name());
  r.revision = engine.parts().machine->revision();
  std::string reason;
  if (outcome.reason != nullptr) reason = fmt::format(R"({{"code":"{}"}})", outcome.reason);
  r.json = plugin::to_slice(reason);
  if (code == Code::kCompacted) {
    r.compacted_revision = engine.parts().machine->compacted_revision();
  }
  done(user, &r, reader);
}

}  // namespace

kvs_status engine_read_open(void* ctx, const kvs_call* c, const kvs_read_options* o,
                            kvs_read_done done, void* user, kvs_reader** now,
                            kvs_error* err) noexcept {
  auto* frontend = static_cast<Engine::Frontend*>(ctx);
  Engine& engine = frontend->engine();
  *now = nullptr;
  if (o->consistency > KVS_READ_STALE) {
    return plugin::fill_error(err, Status(Code::kUnsupported, "this consistency is unknown"));
  }
  if (engine.may_read_here(*o)) {
    if (Status s = check_revision(engine, o->revision); !s) return plugin::fill_error(err, s);
    if (!engine.readers().take(0)) {
      return plugin::fill_error(err, Status(Code::kBusy, "too many reads are open"));
    }
    *now = make_reader(&engine, o->revision);
    return KVS_OK;
  }
  if (!engine.reads().take(0)) {
    return plugin::fill_error(err, Status(Code::kBusy, "too many reads are waiting"));
  }
  auto read = std::make_unique<Read>();
  read->consistency = static_cast<Consistency>(o->consistency);
  read->max_staleness_ms = o->max_staleness_ms;
  read->min_revision = o->min_revision;
  read->deadline_ms = engine.deadline_ms(c);
  read->may_forward = (c->flags & KVS_CALL_NO_FORWARD) == 0;
  read->done =
      Completion<ReadOutcome>([frontend, done, user, wanted = o->revision](ReadOutcome&& outcome) {
        frontend->engine().reads().give_back(0);
        complete_read(frontend, outcome, wanted, done, user);
      });
  engine.parts().raft_thread->read(std::move(read));
  return KVS_OK;
}

uint64_t engine_read_revision(kvs_reader* r) noexcept {
  if (!open_view(r)) return 0;
  return r->revision;
}

kvs_status engine_get(kvs_reader* r, const kvs_slice* key, kvs_item_sink sink, void* sctx,
                      kvs_error* err) noexcept {
  Status status = open_view(r);
  SinkState state;
  if (status) {
    status = kv::read_item(*r->view, r->at, plugin::to_bytes(*key), [&](const kv::ItemView& item) {
      kvs_item out = item_to_abi(item);
      state.status = sink(sctx, &out);
      return state.status == KVS_OK;
    });
  }
  if (!status) return fail_read(r, status, err);
  return state.status;
}

kvs_status engine_scan(kvs_reader* r, const kvs_range* range, uint32_t flags, uint64_t limit,
                       uint64_t bytes_max, kvs_item_sink sink, void* sctx, kvs_slice_sink cursor,
                       kvs_error* err) noexcept {
  if ((flags & ~(KVS_OP_KEYS_ONLY | KVS_OP_REVERSE)) != 0) {
    return plugin::fill_error(
        err, Status(Code::kUnsupported, "a scan knows the flags KEYS_ONLY and REVERSE"));
  }
  Result<kv::Range> bounds = range_from_abi(*range, r->engine->limits());
  if (!bounds) return plugin::fill_error(err, bounds.status());
  if (Status s = open_view(r); !s) return fail_read(r, s, err);
  SinkState state;
  Result<kv::ScanResult> result = kv::scan_items(*r->view, r->at, *bounds, flags, limit, bytes_max,
                                                 [&](const kv::ItemView& item) {
                                                   kvs_item out = item_to_abi(item);
                                                   state.status = sink(sctx, &out);
                                                   return state.status == KVS_OK;
                                                 });
  if (!result) return fail_read(r, result.status(), err);
  if (state.status != KVS_OK) return state.status;
  if (result->more && cursor != nullptr) {
    kvs_slice next = plugin::to_slice(result->cursor);
    return cursor(sctx, &next);
  }
  return KVS_OK;
}

kvs_status engine_value_read(kvs_reader* r, const kvs_slice* key, uint64_t offset, uint64_t bytes,
                             kvs_slice_sink sink, void* sctx, kvs_error* err) noexcept {
  Status status = open_view(r);
  SinkState state;
  if (status) {
    status =
        kv::read_value(*r->view, r->at, plugin::to_bytes(*key), offset, bytes, [&](Bytes piece) {
          if (state.status != KVS_OK) return;
          kvs_slice out = plugin::to_slice(piece);
          state.status = sink(sctx, &out);
        });
  }
  if (!status) return fail_read(r, status, err);
  return state.status;
}

void engine_read_close(kvs_reader* r) noexcept {
  r->engine->readers().give_back(0);
  delete r;
}

}  // namespace kvstore::node::runtime
