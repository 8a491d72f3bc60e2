// The engine-neutral snapshot format: a header, chunks of pairs with a checksum each, and a
// trailer.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/bytes.hpp"
#include "base/status.hpp"
#include "kv/store.hpp"
#include "raft/event.hpp"

namespace kvstore::wire {

// Travels as the stream's opaque header, closed by a checksum.
struct SnapshotHeader {
  uint64_t term = 0;  // the sender's, as leader
  uint64_t from = 0;
  std::array<uint8_t, 16> cluster{};
  raft::SnapshotMeta meta;
};
std::string encode_snapshot_header(const SnapshotHeader& header);
// CORRUPT for anything malformed, a sender of id 0 or a last entry of a term above the sender's;
// UNSUPPORTED for a newer format.
Result<SnapshotHeader> decode_snapshot_header(Bytes bytes);

// A chunk is at most this large, or one pair alone.
inline constexpr size_t kSnapshotChunkBytes = 256 << 10;
// The largest pair: the longest key and the largest stored value with what is around them.
inline constexpr size_t kSnapshotPairBytesMax = (1 << 20) + (192 << 10);

// Makes the stream of all spaces of a view, a bounded piece at a time.  The bytes depend only on
// the content, not on the engine that holds it. Lifecycle: next() until it says that there is
// nothing more, or fails; the view outlives it.
class SnapshotFrames {
 public:
  // `chain`: what the checksums start from; a reader needs the same.
  explicit SnapshotFrames(kv::View* view, uint32_t chain = 0) : view_(view), chain_(chain) {}
  // Appends the next piece of the stream; false, and nothing appended, behind its end.  Errors: the
  // view's; CORRUPT for a pair above kSnapshotPairBytesMax.
  Result<bool> next(std::string* out);

 private:
  Result<bool> fill();
  void send(uint8_t type, std::string* out);

  kv::View* view_;
  std::unique_ptr<kv::Cursor> cursor_;  // of space_; null: not begun
  bool standing_ = false;               // at a pair that is not taken yet
  std::string body_;
  uint32_t space_ = 0;
  uint32_t chain_;
  uint64_t pairs_ = 0;
  uint64_t bytes_ = 0;
  bool started_ = false;
  bool ended_ = false;
};

// The whole stream, piece by piece, to `sink`, which may block; its error stops the walk and is
// returned.
Status write_snapshot(kv::View& view, const std::function<Status(Bytes chunk)>& sink);

struct SnapshotPair {
  uint32_t space = 0;
  Bytes key;
  Bytes value;
};

// Takes the stream in pieces of any size, checks it and delivers pairs in order.
// Lifecycle: feed() each piece, then finish().  After an error every call returns it again.
class SnapshotReader {
 public:
  using Sink = std::function<Status(std::span<const SnapshotPair>)>;
  // `chain`: what the writer's checksums started from.
  explicit SnapshotReader(Sink sink, uint32_t chain = 0) : sink_(std::move(sink)), chain_(chain) {}
  // CORRUPT for a wrong checksum, order (pairs must ascend), size or anything behind the trailer;
  // UNSUPPORTED for a newer version of the stream.
  Status feed(Bytes piece);
  // CORRUPT unless the trailer was seen and its counts agree.
  Status finish();
  // Pairs delivered, and the bytes of their keys and values.
  uint64_t pairs() const { return pairs_; }
  uint64_t bytes() const { return bytes_; }

 private:
  Status take(Bytes* piece);
  Status next_frame_bytes(Bytes piece, size_t* bytes) const;
  Status take_unit(Bytes unit);
  Status take_chunk(Bytes body);
  Status take_trailer(Bytes body);
  Status check_order(const SnapshotPair& pair, const SnapshotPair* before) const;

  Sink sink_;
  std::string buffer_;  // the beginning of a unit that is not complete yet
  Status failed_;
  uint32_t chain_;  // checksum over all frames so far
  uint64_t pairs_ = 0;
  uint64_t bytes_ = 0;
  bool started_ = false;
  bool trailer_seen_ = false;
  uint32_t last_space_ = 0;
  std::string last_key_;
  bool any_ = false;
};

}  // namespace kvstore::wire
