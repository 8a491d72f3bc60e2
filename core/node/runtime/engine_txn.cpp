#include <algorithm>
#include <mutex>
#include <utility>

#include "kv/command_codec.hpp"
#include "kv/fingerprint.hpp"
#include "kv/leases.hpp"
#include "kv/validate.hpp"
#include "node/runtime/engine.hpp"
#include "node/runtime/engine_convert.hpp"
#include "plugin/slice.hpp"
#include "plugin/status.hpp"

// A large value on its way in.  Used by one caller at a time but for parts' completions; freed by
// the last of them.
struct kvs_upload {
  kvstore::node::runtime::Engine::Frontend* frontend = nullptr;
  uint64_t id = 0;
  uint64_t total_bytes = 0;  // 0: not announced; a chunk shorter than a part is the last
  bool ended = false;        // the last chunk came
  uint64_t deadline_ns = 0;
  uint32_t call_flags = 0;
  uint64_t received_bytes = 0;
  uint32_t next_part = 0;
  std::string buffer;
  kvstore::kv::ContentHash content;  // of what was received
  bool used =
      false;  // a transaction named it: what becomes of the parts is the state machine's business
};

namespace kvstore::node::runtime {
namespace {

constexpr Bytes kLeaseNotFound = R"({"code":"lease_not_found"})";

void deliver(Engine::Frontend* frontend, const ProposalOutcome& outcome, kvs_done done,
             void* user) {
  std::shared_ptr<const NodeView> view = frontend->engine().view();
  ResultArrays arrays(outcome.result);
  kvs_result r =
      make_result(outcome.code, outcome.message, outcome.at, view.get(), frontend->name());
  r.revision = outcome.result.revision != 0 ? outcome.result.revision
                                            : frontend->engine().parts().machine->revision();
  r.committed = static_cast<uint32_t>(outcome.committed);
  r.succeeded = outcome.result.succeeded ? 1 : 0;
  if (outcome.result.replayed)
    r.replayed = outcome.result.shortened ? KVS_REPLAYED_SHORTENED : KVS_REPLAYED;
  r.ops = arrays.ops();
  r.op_count = arrays.count();
  if (kv::is_lease_not_found(outcome.code, outcome.message)) {
    r.json = plugin::to_slice(kLeaseNotFound);
    ++frontend->engine().puts_without_lease();
  } else if (kv::is_too_many_leases(outcome.code, outcome.message)) {
    ++frontend->engine().puts_above_leases();
  }
  done(user, &r);
}

ProposalPtr make_proposal(Engine::Frontend* frontend, const kv::Command& command,
                          uint64_t deadline_ms, uint32_t call_flags,
                          std::function<void(const ProposalOutcome&)> done) {
  auto proposal = std::make_unique<Proposal>();
  proposal->command = kv::encode_command(command);
  proposal->deadline_ms = deadline_ms;
  proposal->may_forward = (call_flags & KVS_CALL_NO_FORWARD) == 0;
  uint64_t bytes = proposal->command.size();
  proposal->done = Completion<ProposalOutcome>(
      [frontend, bytes, done = std::move(done)](ProposalOutcome&& outcome) {
        frontend->engine().proposals().give_back(bytes);
        done(outcome);
      });
  return proposal;
}

// Takes room for the proposal or, leaving `done` uncalled, says BUSY.
Status reserve(Engine& engine, Proposal* proposal) {
  if (engine.proposals().take(proposal->command.size())) return Status::ok();
  proposal->done.drop();
  return {Code::kBusy, "too many writes are waiting"};
}

Status attach_uploads(const kvs_op* ops, uint32_t count, std::vector<kv::Op>* out,
                      std::vector<kv::Fingerprint>* contents) {
  for (uint32_t i = 0; i < count; ++i) {
    const kvs_upload* upload = ops[i].upload;
    if (upload == nullptr) continue;
    bool complete = upload->total_bytes == 0 ? upload->buffer.empty() && upload->received_bytes > 0
                                             : upload->received_bytes == upload->total_bytes;
    if (!complete) {
      return {Code::kInvalid, "the upload is not complete"};
    }
    (*out)[i].upload_id = upload->id;
    (*out)[i].upload_bytes = upload->received_bytes;
    contents->push_back(upload->content.sum());
  }
  return Status::ok();
}

// The transaction that the call asks for, ready to be proposed.
Result<kv::Txn> make_txn(const kvs_call& c, const kvs_txn& t, const EngineLimits& limits) {
  Result<kv::Txn> txn = txn_from_abi(t, limits);
  if (!txn) return txn;
  std::vector<kv::Fingerprint> contents;
  Status valid = attach_uploads(t.then_ops, t.then_count, &txn->then_ops, &contents);
  if (valid) valid = attach_uploads(t.else_ops, t.else_count, &txn->else_ops, &contents);
  if (!valid) return valid;
  if (c.request_id.len != 0) {
    kv::RequestId request;
    request.principal = plugin::to_bytes(c.principal);
    request.id = plugin::to_bytes(c.request_id);
    request.fingerprint = kv::fingerprint_of(*txn, contents);
    txn->request = std::move(request);
  }
  if (Status s = kv::validate_txn(*txn); !s) return s;
  return txn;
}

void mark_used(const kvs_op* ops, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    if (ops[i].upload != nullptr) ops[i].upload->used = true;
  }
}

Status check_chunk(const kvs_upload& upload, size_t bytes, const EngineLimits& limits) {
  if (bytes > kv::kPartBytes) return {Code::kInvalid, "a chunk has at most 1 MiB"};
  if (upload.ended) return {Code::kInvalid, "the upload ended with its last chunk"};
  uint64_t bytes_max = upload.total_bytes == 0 ? limits.value_bytes_max : upload.total_bytes;
  if (bytes > bytes_max - upload.received_bytes) {
    return {Code::kInvalid, "the value is larger than " + std::to_string(bytes_max) + " bytes"};
  }
  return Status::ok();
}

// Completes `done` once after `parts` proposals ended, with the first failure if there was one.
struct ChunkWait {
  std::mutex mutex;
  size_t parts = 0;
  ProposalOutcome outcome;
};

}  // namespace

kvs_status engine_txn(void* ctx, const kvs_call* c, const kvs_txn* t, kvs_done done, void* user,
                      kvs_error* err) noexcept {
  auto* frontend = static_cast<Engine::Frontend*>(ctx);
  Engine& engine = frontend->engine();
  Result<kv::Txn> txn = make_txn(*c, *t, engine.limits());
  if (!txn) return plugin::fill_error(err, txn.status());
  ProposalPtr proposal =
      make_proposal(frontend, kv::Command(std::move(*txn)), engine.deadline_ms(c), c->flags,
                    [frontend, done, user](const ProposalOutcome& outcome) {
                      deliver(frontend, outcome, done, user);
                    });
  if (Status s = reserve(engine, proposal.get()); !s) return plugin::fill_error(err, s);
  // Before it is submitted: its completion may already be on its way when submit() returns.
  mark_used(t->then_ops, t->then_count);
  mark_used(t->else_ops, t->else_count);
  engine.parts().raft_thread->submit(std::move(proposal));
  return KVS_OK;
}

kvs_status engine_upload_open(void* ctx, const kvs_call* c, uint64_t total_bytes, kvs_upload** out,
                              kvs_error* err) noexcept {
  auto* frontend = static_cast<Engine::Frontend*>(ctx);
  Engine& engine = frontend->engine();
  if (total_bytes > engine.limits().value_bytes_max) {
    return plugin::fill_error(
        err,
        Status(Code::kInvalid, "a value has at most " +
                                   std::to_string(engine.limits().value_bytes_max) + " bytes"));
  }
  if (!engine.uploads().take(0)) {
    return plugin::fill_error(err, Status(Code::kBusy, "too many large values are being uploaded"));
  }
  auto* upload = new kvs_upload;
  upload->frontend = frontend;
  upload->id = engine.next_upload_id();
  upload->total_bytes = total_bytes;
  upload->deadline_ns = c->deadline_ns;
  upload->call_flags = c->flags;
  *out = upload;
  return KVS_OK;
}

kvs_status engine_upload_write(kvs_upload* u, const kvs_slice* chunk, kvs_done done, void* user,
                               kvs_error* err) noexcept {
  Engine::Frontend* frontend = u->frontend;
  Engine& engine = frontend->engine();
  if (Status s = check_chunk(*u, chunk->len, engine.limits()); !s)
    return plugin::fill_error(err, s);
  u->buffer.append(plugin::to_bytes(*chunk));
  u->content.add(plugin::to_bytes(*chunk));
  u->received_bytes += chunk->len;
  std::vector<kv::UploadPart> parts;
  u->ended =
      u->total_bytes == 0 ? chunk->len < kv::kPartBytes : u->received_bytes == u->total_bytes;
  while (u->buffer.size() >= kv::kPartBytes || (u->ended && !u->buffer.empty())) {
    size_t n = std::min<size_t>(u->buffer.size(), kv::kPartBytes);
    parts.push_back({u->id, u->next_part++, u->buffer.substr(0, n)});
    u->buffer.erase(0, n);
  }
  kvs_call call{};
  call.deadline_ns =
      0;  // each part has the default time; the whole upload takes as long as its size asks
  uint64_t deadline_ms = engine.deadline_ms(&call);
  auto wait = std::make_shared<ChunkWait>();
  wait->parts = std::max<size_t>(parts.size(), 1);
  auto part_done = [frontend, wait, done, user](const ProposalOutcome& outcome) {
    {
      std::lock_guard lock(wait->mutex);
      if (wait->outcome.code == Code::kOk) wait->outcome = outcome;
      if (--wait->parts != 0) return;
    }
    deliver(frontend, wait->outcome, done, user);
  };
  if (parts.empty()) {  // kept until the part is full
    engine.parts().raft_thread->post([part_done] { part_done(ProposalOutcome{}); });
    return KVS_OK;
  }
  for (kv::UploadPart& part : parts) {
    ProposalPtr proposal = make_proposal(frontend, kv::Command(std::move(part)), deadline_ms,
                                         u->call_flags, part_done);
    Status room = reserve(engine, proposal.get());
    if (room) {
      engine.parts().raft_thread->submit(std::move(proposal));
      continue;
    }
    // The chunk is half taken: its end is the completion, not this call's result.
    ProposalOutcome busy;
    busy.code = room.code();
    busy.message = room.message();
    engine.parts().raft_thread->post([part_done, busy] { part_done(busy); });
  }
  return KVS_OK;
}

void engine_upload_close(kvs_upload* u) noexcept {
  std::unique_ptr<kvs_upload> upload(u);
  Engine& engine = upload->frontend->engine();
  engine.uploads().give_back(0);
  if (upload->used || upload->next_part == 0) return;
  // Nobody will use the parts.  When this is lost too, the sweep finds them.
  kvs_call call{};
  ProposalPtr abort =
      make_proposal(upload->frontend, kv::Command(kv::UploadAbort{upload->id}),
                    engine.deadline_ms(&call), upload->call_flags, [](const ProposalOutcome&) {});
  if (reserve(engine, abort.get())) engine.parts().raft_thread->submit(std::move(abort));
}

}  // namespace kvstore::node::runtime
