#include "tx_stream.hpp"

namespace kvstore::transport_thrift {

namespace {
constexpr uint64_t kAbortNoticeMs = 200;
}

// Runs one call, remembers its failure, and repeats a failure of before.
template <typename Fn>
void TxStream::guarded(Fn&& fn) {
  if (failed_ != KVS_OK) throw sdk::Error(failed_, failure_);
  try {
    try {
      fn();
    } catch (const sdk::Error& e) {
      if (!interrupt_.cancelled()) throw;
      throw sdk::Error(KVS_E_CLOSED, "the transport was stopped");
    }
  } catch (const sdk::Error& e) {
    failed_ = e.code();
    failure_ = e.what();
    throw;
  }
}

void TxStream::accept(const wire::Answer& answer, const char* what) {
  if (answer.status == KVS_OK) return;
  throw sdk::Error(checked_status(answer.status),
                   "the receiver ended the stream (" + std::string(what) + "): " + answer.message);
}

void TxStream::open(kvs_node_id to, const Address& address, const kvs_slice& header,
                    uint64_t total_bytes, uint32_t timeout_ms) {
  guarded([&] {
    if (header.len > kStreamHeaderBytesMax) {
      throw sdk::Error(KVS_E_INVALID, "the stream's header is larger than 4 KiB");
    }
    uint64_t deadline = context_.deadline_in(timeout_ms);
    channel_ = dial(context_, interrupt_, to, address, kStreamKind, deadline);
    wire::Answer answer;
    channel_->call(deadline, [&](wire::PeerLinkClient& c) {
      c.streamOpen(answer, std::string(sdk::view(header)), static_cast<int64_t>(total_bytes));
    });
    accept(answer, "open");
  });
}

void TxStream::write(const kvs_slice& chunk, uint32_t timeout_ms) {
  guarded([&] {
    if (chunk.len > context_.settings.chunk_bytes_max()) {
      throw sdk::Error(KVS_E_INVALID, "a chunk of " + std::to_string(chunk.len) +
                                          " bytes, the limit is " +
                                          std::to_string(context_.settings.chunk_bytes_max()));
    }
    chunk_.assign(sdk::view(chunk));
    wire::Answer answer;
    channel_->call(context_.deadline_in(timeout_ms),
                   [&](wire::PeerLinkClient& c) { c.streamChunk(answer, chunk_); });
    accept(answer, "write");
    context_.counters.bytes_sent += chunk.len;
  });
}

void TxStream::finish(uint32_t timeout_ms) {
  guarded([&] {
    wire::Answer answer;
    channel_->call(context_.deadline_in(timeout_ms),
                   [&](wire::PeerLinkClient& c) { c.streamFinish(answer); });
    accept(answer, "finish");
  });
}

void TxStream::abort() noexcept {
  if (channel_ == nullptr || failed_ != KVS_OK) return;
  sdk::guard(nullptr, [&] {
    channel_->call(context_.deadline_in(kAbortNoticeMs),
                   [](wire::PeerLinkClient& c) { c.streamAbort(); });
  });
}

}  // namespace kvstore::transport_thrift
