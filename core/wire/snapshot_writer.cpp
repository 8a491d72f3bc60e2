// The sending half of snapshot_stream.hpp.
#include <fmt/format.h>

#include "base/codec.hpp"
#include "base/crc32c.hpp"
#include "wire/snapshot_format.hpp"
#include "wire/snapshot_stream.hpp"

namespace kvstore::wire {
uint32_t chain_checksum(uint32_t chain, uint8_t type, Bytes body) {
  std::string head;
  Encoder e(&head);
  e.u8(type);
  e.u32(static_cast<uint32_t>(body.size()));
  return crc32c(crc32c(chain, head), body);
}

Result<bool> SnapshotFrames::next(std::string* out) {
  if (ended_) return false;
  if (!started_) {
    started_ = true;
    out->append(kStreamMagic);
    Encoder(out).u32(kStreamVersion);
    return true;
  }
  Result<bool> chunk = fill();
  if (!chunk) return chunk.status();
  if (*chunk) {
    send(kChunkFrame, out);
    return true;
  }
  Encoder e(&body_);
  e.u64(pairs_);
  e.u64(bytes_);
  send(kTrailerFrame, out);
  ended_ = true;
  return true;
}

// Collects pairs of one space until a chunk is full or the space ends; false when none is left.
Result<bool> SnapshotFrames::fill() {
  while (space_ < kv::kSpaceCount) {
    if (cursor_ == nullptr) {
      kv::ScanOptions options;
      options.space = space_;
      Result<std::unique_ptr<kv::Cursor>> opened = view_->cursor(options);
      if (!opened) return opened.status();
      cursor_ = std::move(*opened);
    }
    if (!standing_) {
      Result<bool> moved = cursor_->next();
      if (!moved) return moved.status();
      standing_ = *moved;
    }
    if (!standing_) {
      cursor_.reset();
      ++space_;
      if (!body_.empty()) return true;
      continue;
    }
    const Bytes key = cursor_->key();
    const Bytes value = cursor_->value();
    const size_t pair_bytes = key.size() + value.size() + kPairOverheadMax;
    if (pair_bytes > kSnapshotPairBytesMax)
      return Status(Code::kCorrupt,
                    fmt::format("snapshot: a pair of space {} has {} bytes, above {}", space_,
                                pair_bytes, kSnapshotPairBytesMax));
    if (!body_.empty() && body_.size() + pair_bytes > kSnapshotChunkBytes) return true;
    Encoder e(&body_);
    if (body_.empty()) e.varint(space_);
    e.bytes(key);
    e.bytes(value);
    pairs_++;
    bytes_ += key.size() + value.size();
    standing_ = false;
  }
  return false;
}

void SnapshotFrames::send(uint8_t type, std::string* out) {
  chain_ = chain_checksum(chain_, type, body_);
  Encoder e(out);
  e.u8(type);
  e.u32(static_cast<uint32_t>(body_.size()));
  e.u32(chain_);
  e.raw(body_);
  body_.clear();
}

Status write_snapshot(kv::View& view, const std::function<Status(Bytes chunk)>& sink) {
  SnapshotFrames frames(&view);
  std::string piece;
  for (;;) {
    piece.clear();
    Result<bool> more = frames.next(&piece);
    if (!more) return more.status();
    if (!*more) return Status();
    if (Status s = sink(piece); !s) return s;
  }
}

}  // namespace kvstore::wire
