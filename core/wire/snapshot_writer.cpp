// The sending half of snapshot_stream.hpp.
#include <fmt/format.h>

#include "base/codec.hpp"
#include "base/crc32c.hpp"
#include "wire/snapshot_format.hpp"
#include "wire/snapshot_stream.hpp"

namespace kvstore::wire {
namespace {

// Collects pairs of one space into a chunk and hands out full ones.
class ChunkWriter {
 public:
  explicit ChunkWriter(const std::function<Status(Bytes)>& sink) : sink_(sink) {}

  Status start() {
    std::string out(kStreamMagic);
    Encoder(&out).u32(kStreamVersion);
    return sink_(out);
  }

  Status add(uint32_t space, Bytes key, Bytes value) {
    size_t pair_bytes = key.size() + value.size() + kPairOverheadMax;
    if (pair_bytes > kSnapshotPairBytesMax)
      return Status(Code::kCorrupt,
                    fmt::format("snapshot: a pair of space {} has {} bytes, above {}", space,
                                pair_bytes, kSnapshotPairBytesMax));
    bool other_space = !body_.empty() && space != space_;
    bool full = !body_.empty() && body_.size() + pair_bytes > kSnapshotChunkBytes;
    if (other_space || full) {
      if (Status s = flush(); !s) return s;
    }
    Encoder e(&body_);
    if (body_.empty()) {
      space_ = space;
      e.varint(space);
    }
    e.bytes(key);
    e.bytes(value);
    pairs_++;
    bytes_ += key.size() + value.size();
    return Status();
  }

  Status finish() {
    if (Status s = flush(); !s) return s;
    Encoder e(&body_);
    e.u64(pairs_);
    e.u64(bytes_);
    return send(kTrailerFrame);
  }

 private:
  Status flush() { return body_.empty() ? Status() : send(kChunkFrame); }

  Status send(uint8_t type) {
    chain_ = chain_checksum(chain_, type, body_);
    frame_.clear();
    Encoder e(&frame_);
    e.u8(type);
    e.u32(static_cast<uint32_t>(body_.size()));
    e.u32(chain_);
    e.raw(body_);
    body_.clear();
    return sink_(frame_);
  }

  const std::function<Status(Bytes)>& sink_;
  std::string body_;
  std::string frame_;
  uint32_t space_ = 0;
  uint32_t chain_ = 0;
  uint64_t pairs_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace

uint32_t chain_checksum(uint32_t chain, uint8_t type, Bytes body) {
  std::string head;
  Encoder e(&head);
  e.u8(type);
  e.u32(static_cast<uint32_t>(body.size()));
  return crc32c(crc32c(chain, head), body);
}

Status write_snapshot(kv::View& view, const std::function<Status(Bytes chunk)>& sink) {
  ChunkWriter writer(sink);
  if (Status s = writer.start(); !s) return s;
  for (uint32_t space = 0; space < kv::kSpaceCount; space++) {
    kv::ScanOptions options;
    options.space = space;
    Status failed;
    Status scanned = view.scan(options, [&](Bytes key, Bytes value) {
      failed = writer.add(space, key, value);
      return failed.is_ok();
    });
    if (!failed.is_ok()) return failed;
    if (!scanned) return scanned;
  }
  return writer.finish();
}

}  // namespace kvstore::wire
