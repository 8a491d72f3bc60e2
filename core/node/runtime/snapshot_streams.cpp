#include "node/runtime/snapshot_streams.hpp"

#include <future>
#include <utility>

#include <fmt/format.h>

#include "base/log.hpp"
#include "node/outgoing_snapshot.hpp"
#include "node/runtime/restore_pairs.hpp"
#include "plugin/slice.hpp"
#include "wire/snapshot_stream.hpp"

namespace kvstore::node::runtime {
namespace {

struct StagedRestore : StagedSnapshot {
  explicit StagedRestore(std::shared_ptr<plugin::Restore> r) : restore(std::move(r)) {}
  std::shared_ptr<plugin::Restore> restore;
};

}  // namespace

// Receives one stream on the transport's thread.  finish() waits for the Node's decision and, if it
// installs, for the install: its answer is what the sender learns.
class SnapshotStreams::Incoming : public plugin::RxStream {
 public:
  Incoming(SnapshotStreams* owner, wire::SnapshotHeader header,
           std::shared_ptr<plugin::Restore> restore)
      : owner_(owner),
        header_(std::move(header)),
        restore_(std::move(restore)),
        reader_([this](std::span<const wire::SnapshotPair> pairs) {
          return put_pairs(restore_.get(), pairs);
        }) {}

  Status write(Bytes chunk) override {
    if (owner_->stopping_) return Status(Code::kCancelled, "the node is shutting down");
    return reader_.feed(chunk);
  }

  Status finish() override {
    if (Status s = reader_.finish(); !s) return s;
    auto decided = std::make_shared<std::promise<Status>>();
    std::future<Status> answer = decided->get_future();
    auto staged = std::make_shared<std::unique_ptr<StagedSnapshot>>(
        std::make_unique<StagedRestore>(std::move(restore_)));
    owner_->parts_.raft_thread->post([node = owner_->node_, staged, decided, header = header_] {
      raft::SnapshotStaged event{{header.from}, {header.term}, header.meta};
      node->on_snapshot_staged(std::move(event), header.cluster, std::move(*staged),
                               [decided](const Status& status) { decided->set_value(status); });
    });
    // A stopping raft thread drops the post or the Node ends it: either way the wait is bounded.
    auto limit = std::chrono::milliseconds(owner_->parts_.finish_timeout_ms);
    auto end = std::chrono::steady_clock::now() + limit;
    while (answer.wait_for(std::chrono::milliseconds(100)) != std::future_status::ready) {
      if (owner_->stopping_ || std::chrono::steady_clock::now() > end) {
        return Status(Code::kTimeout, "the snapshot was not installed in time");
      }
    }
    try {
      return answer.get();
    } catch (const std::future_error&) {  // the raft thread stopped before it looked
      return Status(Code::kCancelled, "the node is shutting down");
    }
  }

  void abort(Code why) override {
    KVS_LOG(kWarn, "snapshot", "incoming snapshot aborted: {}", code_name(why));
    restore_.reset();
  }

 private:
  SnapshotStreams* owner_;
  wire::SnapshotHeader header_;
  std::shared_ptr<plugin::Restore> restore_;
  wire::SnapshotReader reader_;
};

void SnapshotStreams::start(Node* node) {
  node_ = node;
  sender_.start("kvs-snapshot", [this](std::vector<Outgoing>* tasks) {
    for (const Outgoing& task : *tasks) {
      raft::LogId last;
      Status sent = stream_to(task, &last);
      KVS_LOG(kInfo, "snapshot", "to={:016x} index={}: {}", task.peer.value, last.index.value,
              sent.to_string());
      parts_.raft_thread->post([node = node_, peer = task.peer, ok = sent.is_ok(), last] {
        node->on_snapshot_sent(peer, ok, last);
      });
    }
  });
}

void SnapshotStreams::stop() {
  begin_stop();
  sender_.stop();
}

void SnapshotStreams::send(raft::NodeId peer, raft::Term term) {
  sender_.push({peer, term});
}

Status SnapshotStreams::own_state_failed(const Status& why) {
  if (condemns_state(why.code())) parts_.fatal(why);
  return why;
}

Status SnapshotStreams::stream_to(const Outgoing& task, raft::LogId* last) {
  Result<std::unique_ptr<kv::View>> view = parts_.adapter->open_view();
  if (!view) return own_state_failed(view.status());
  Result<kv::AppliedMark> mark = (*view)->applied();
  if (!mark) return own_state_failed(mark.status());
  Result<wire::SnapshotHeader> header =
      outgoing_header(*mark, task.term, parts_.self, parts_.cluster());
  if (!header) return own_state_failed(header.status());
  *last = header->meta.last;
  Result<plugin::TxStream> stream = parts_.transport->stream_open(
      task.peer.value, wire::encode_snapshot_header(*header), 0, parts_.chunk_timeout_ms);
  if (!stream) return stream.status();
  Status sent = Status::ok();
  Status written = wire::write_snapshot(**view, [&](Bytes chunk) {
    sent = stopping_ ? Status(Code::kCancelled, "the node is shutting down")
                     : stream->write(chunk, parts_.chunk_timeout_ms);
    return sent;
  });
  // Dropping the stream aborts it: the receiver keeps nothing of a state that cannot be read.
  if (!written) {
    return sent ? own_state_failed(written) : written;
  }
  return stream->finish(parts_.finish_timeout_ms);
}

Result<std::unique_ptr<plugin::RxStream>> SnapshotStreams::accept(const kvs_stream_info& info) {
  Result<wire::SnapshotHeader> header = wire::decode_snapshot_header(plugin::to_bytes(info.header));
  if (!header) return header.status();
  if (header->from != info.from)
    return Status(Code::kInvalid, "the stream's sender is another node");
  wire::ClusterId cluster = parts_.cluster();
  if (cluster != wire::ClusterId{} && cluster != header->cluster) {
    return Status(Code::kIncompatible, "the snapshot is of another cluster");
  }
  if (stopping_ || receiving_->exchange(true)) {
    return Status(Code::kBusy, "another snapshot is being received");
  }
  Result<plugin::Restore> opened = parts_.state->restore();
  if (!opened) {
    *receiving_ = false;
    return opened.status();
  }
  // The next one may come when this one is gone, wherever it waits for its install meanwhile.
  std::shared_ptr<plugin::Restore> restore(new plugin::Restore(std::move(*opened)),
                                           [receiving = receiving_](plugin::Restore* done) {
                                             delete done;
                                             *receiving = false;
                                           });
  KVS_LOG(kInfo, "snapshot", "receiving from={:016x} index={}", header->from,
          header->meta.last.index.value);
  return std::unique_ptr<plugin::RxStream>(
      std::make_unique<Incoming>(this, std::move(*header), std::move(restore)));
}

void SnapshotStreams::install(std::unique_ptr<StagedSnapshot> staged,
                              const raft::SnapshotMeta& meta) {
  auto restore = std::move(static_cast<StagedRestore*>(staged.get())->restore);
  // State first, then log: a crash in between is finished at the next start (abi.md §7, step c).
  parts_.apply->install(std::move(restore), meta, [this, meta](const AppliedReport& report) {
    parts_.log->reset(meta.last, [this, meta, report] {
      parts_.raft_thread->post(
          [node = node_, meta, report] { node->on_snapshot_installed(meta, report); });
    });
  });
}

}  // namespace kvstore::node::runtime
