// The engine-neutral snapshot format: a header, chunks of pairs with a checksum each, and a
// trailer.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/bytes.hpp"
#include "base/status.hpp"
#include "kv/store.hpp"
#include "raft/event.hpp"

namespace kvstore::wire {

// Travels as the stream's opaque header.
struct SnapshotHeader {
  uint64_t term = 0;  // the sender's, as leader
  uint64_t from = 0;
  std::array<uint8_t, 16> cluster{};
  raft::SnapshotMeta meta;
};
std::string encode_snapshot_header(const SnapshotHeader& header);
Result<SnapshotHeader> decode_snapshot_header(Bytes bytes);

// No chunk is larger than this plus one pair.
inline constexpr size_t kSnapshotChunkBytes = 256 << 10;

// Writes all spaces of a view as chunks to `sink`, which may block; its error stops the walk and is
// returned. The bytes depend only on the content, not on the engine that holds it.
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
  explicit SnapshotReader(Sink sink) : sink_(std::move(sink)) {}
  // CORRUPT for a wrong checksum, order (pairs must ascend), size or anything behind the trailer.
  Status feed(Bytes piece);
  // CORRUPT unless the trailer was seen and its counts agree.
  Status finish();
  uint64_t pairs() const { return pairs_; }
  uint64_t bytes() const { return bytes_; }

 private:
  Status take_frames();
  Status take_chunk(Bytes body);

  Sink sink_;
  std::string buffer_;
  Status failed_;
  uint32_t chain_ = 0;  // checksum over all chunks so far
  uint64_t pairs_ = 0;
  uint64_t bytes_ = 0;
  bool trailer_seen_ = false;
  uint32_t last_space_ = 0;
  std::string last_key_;
  bool any_ = false;
};

}  // namespace kvstore::wire
