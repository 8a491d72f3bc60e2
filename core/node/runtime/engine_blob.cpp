// Snapshots that front ends hand on: kvs_engine.blob_*.
#include <algorithm>
#include <optional>
#include <utility>

#include "kv/reader.hpp"
#include "node/outgoing_snapshot.hpp"
#include "node/runtime/engine.hpp"
#include "plugin/slice.hpp"
#include "plugin/status.hpp"

// A view on its way out as a file.  It is opened by the first read, on the reading thread, as
// opening may wait for the disk; everything applied when blob_open() was called is in it.
struct kvs_blob {
  kvstore::node::runtime::Engine* engine = nullptr;
  std::unique_ptr<kvstore::kv::View> view;
  std::optional<kvstore::wire::SnapshotFrames> frames;  // reads from the view
  std::string piece;                                    // of the file, made but not delivered
  size_t delivered = 0;                                 // of the piece
  uint64_t used_ms = 0;                                 // when it was last opened or read
  kvstore::Status ended;                                // what every further read says
};

namespace kvstore::node::runtime {
namespace {

// Nothing of the state is held from here on.
void end(kvs_blob* b, Status why) {
  b->ended = std::move(why);
  b->frames.reset();
  b->view.reset();
  std::string().swap(b->piece);
  b->delivered = 0;
}

Status begin(kvs_blob* b) {
  const Engine::Parts& parts = b->engine->parts();
  const std::shared_ptr<const NodeView> node = b->engine->view();
  if (!node) return {Code::kUnreachable, "this node has not started yet"};
  Result<std::unique_ptr<kv::View>> view = parts.adapter->open_view();
  if (!view) return view.status();
  Result<kv::AppliedMark> mark = (*view)->applied();
  if (!mark) return mark.status();
  Result<kv::Revisions> revisions = kv::read_revisions(**view);
  if (!revisions) return revisions.status();
  Result<wire::SnapshotFileHeader> header =
      file_header(*mark, *revisions, node->identity, parts.clock->wall_ms());
  if (!header) return header.status();
  b->piece = wire::encode_snapshot_file_header(*header);
  b->view = std::move(*view);
  b->frames.emplace(b->view.get(), wire::snapshot_file_chain(b->piece));
  return Status::ok();
}

// Whether the blob may still be read.
Status check(const kvs_blob& b, uint64_t now_ms) {
  if (!b.ended) return b.ended;
  if (b.engine->blobs_stopped()) return {Code::kCancelled, "the node is shutting down"};
  if (now_ms - b.used_ms > b.engine->limits().blob_idle_ms_max) {
    return {Code::kCancelled,
            "the download did not go on for too long (snapshot.download_idle_ms)"};
  }
  return Status::ok();
}

// Makes the next bytes of the file, about `bytes`; END behind the last.
Status fill(kvs_blob* b, uint64_t bytes) {
  b->piece.clear();
  b->delivered = 0;
  if (!b->view) {
    if (Status s = begin(b); !s) return s;
  }
  while (b->piece.size() < bytes) {
    Result<bool> more = b->frames->next(&b->piece);
    if (!more) return more.status();
    if (!*more) break;
  }
  return b->piece.empty() ? Status(Code::kEnd, "the snapshot is complete") : Status::ok();
}

}  // namespace

kvs_status engine_blob_open(void* ctx, const kvs_call*, const char* what, kvs_blob** out,
                            kvs_error* err) noexcept {
  Engine& engine = static_cast<Engine::Frontend*>(ctx)->engine();
  if (Bytes(what) != "snapshot") {
    return plugin::fill_error(err,
                              Status(Code::kUnsupported, "there is no such thing to download"));
  }
  if (engine.blobs_stopped()) {
    return plugin::fill_error(err, Status(Code::kCancelled, "the node is shutting down"));
  }
  if (!engine.blobs().take(0)) {
    return plugin::fill_error(
        err,
        Status(Code::kBusy, "too many snapshots are being downloaded (snapshot.downloads_max)"));
  }
  auto blob = std::make_unique<kvs_blob>();
  blob->engine = &engine;
  blob->used_ms = engine.parts().clock->now_ms();
  *out = blob.release();
  return KVS_OK;
}

kvs_status engine_blob_read(kvs_blob* b, uint64_t bytes_max, kvs_slice_sink sink, void* sctx,
                            kvs_error* err) noexcept {
  if (bytes_max == 0) {
    return plugin::fill_error(err, Status(Code::kInvalid, "a read of no bytes"));
  }
  Clock& clock = *b->engine->parts().clock;
  Status status = check(*b, clock.now_ms());
  if (status && b->delivered == b->piece.size()) {
    status = fill(b, std::min<uint64_t>(bytes_max, wire::kSnapshotChunkBytes));
  }
  if (!status) {
    if (condemns_state(status.code()) && b->ended) b->engine->parts().fatal(status);
    end(b, status);
    return plugin::fill_error(err, status);
  }
  const Bytes next = Bytes(b->piece).substr(b->delivered, bytes_max);
  const kvs_slice slice = plugin::to_slice(next);
  const kvs_status said = sink(sctx, &slice);
  if (said == KVS_OK) b->delivered += next.size();
  b->used_ms = clock.now_ms();
  return said;
}

void engine_blob_close(kvs_blob* b) noexcept {
  end(b, Status(Code::kClosed, "closed"));
  b->engine->blobs().give_back(0);
  delete b;
}

}  // namespace kvstore::node::runtime
