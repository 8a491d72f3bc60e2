// The receiving half of snapshot_stream.hpp.
#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "base/codec.hpp"
#include "base/mutation.hpp"
#include "wire/snapshot_format.hpp"
#include "wire/snapshot_stream.hpp"

namespace kvstore::wire {
namespace {

Status corrupt(std::string what) {
  return Status(Code::kCorrupt, "snapshot: " + what);
}

struct FrameHead {
  uint8_t type = 0;
  uint32_t body_bytes = 0;
  uint32_t checksum = 0;
};

FrameHead take_head(Bytes bytes) {
  Decoder d(bytes);
  FrameHead head;
  head.type = d.u8();
  head.body_bytes = d.u32();
  head.checksum = d.u32();
  return head;
}

Status check_head(const FrameHead& head) {
  if (head.type != kChunkFrame && head.type != kTrailerFrame)
    return corrupt(fmt::format("frame type {} is unknown", head.type));
  if (head.type == kTrailerFrame && head.body_bytes != kTrailerBytes)
    return corrupt(fmt::format("a trailer of {} bytes", head.body_bytes));
  if (head.body_bytes > kChunkBodyBytesMax)
    return corrupt(
        fmt::format("a chunk of {} bytes, above {}", head.body_bytes, kChunkBodyBytesMax));
  return Status();
}

}  // namespace

Status SnapshotReader::feed(Bytes piece) {
  while (failed_.is_ok() && !piece.empty()) failed_ = take(&piece);
  return failed_;
}

// Takes the next unit of the stream from the piece: in place when the piece holds it whole,
// otherwise through the buffer, which so never holds more than one unit.
Status SnapshotReader::take(Bytes* piece) {
  if (trailer_seen_) return corrupt("bytes behind the trailer");
  size_t wanted = kStreamStartBytes;
  if (started_) {
    wanted = kFrameHeadBytes;
    if (Status s = next_frame_bytes(*piece, &wanted); !s) return s;
  }
  if (buffer_.empty() && piece->size() >= wanted) {
    Bytes unit = piece->substr(0, wanted);
    piece->remove_prefix(wanted);
    return take_unit(unit);
  }
  size_t missing = std::min(wanted - buffer_.size(), piece->size());
  buffer_.append(piece->substr(0, missing));
  piece->remove_prefix(missing);
  if (buffer_.size() < wanted) return Status();
  if (started_ && wanted == kFrameHeadBytes) {
    const FrameHead head = take_head(buffer_);
    if (Status s = check_head(head); !s) return s;
    if (head.body_bytes > 0) return Status();
  }
  Status s = take_unit(buffer_);
  buffer_.clear();
  return s;
}

// The size of the frame that begins in the buffer or, when that is empty, in the piece; of its head
// alone while that is incomplete.
Status SnapshotReader::next_frame_bytes(Bytes piece, size_t* bytes) const {
  Bytes start = buffer_.empty() ? piece : Bytes(buffer_);
  if (start.size() < kFrameHeadBytes) return Status();
  FrameHead head = take_head(start);
  *bytes = kFrameHeadBytes + head.body_bytes;
  return check_head(head);
}

Status SnapshotReader::take_unit(Bytes unit) {
  if (!started_) {
    if (!unit.starts_with(kStreamMagic)) return corrupt("this is not a snapshot");
    uint32_t version = Decoder(unit.substr(kStreamMagic.size())).u32();
    if (version != kStreamVersion)
      return Status(Code::kUnsupported, fmt::format("snapshot: version {} is unknown", version));
    started_ = true;
    return Status();
  }
  FrameHead head = take_head(unit);
  Bytes body = unit.substr(kFrameHeadBytes);
  chain_ = chain_checksum(chain_, head.type, body);
  if (chain_ != head.checksum && !KVS_MUTATED(kSnapshotUnchecked))
    return corrupt(fmt::format("wrong checksum after {} pairs", pairs_));
  return head.type == kChunkFrame ? take_chunk(body) : take_trailer(body);
}

Status SnapshotReader::take_chunk(Bytes body) {
  Decoder d(body);
  uint64_t space = d.varint();
  if (space >= kv::kSpaceCount) return corrupt(fmt::format("space {} is unknown", space));
  std::vector<SnapshotPair> pairs;
  while (d.ok() && d.remaining() > 0) {
    SnapshotPair pair{static_cast<uint32_t>(space), d.bytes(), d.bytes()};
    if (!d.ok()) break;
    if (Status s = check_order(pair, pairs.empty() ? nullptr : &pairs.back()); !s) return s;
    bytes_ += pair.key.size() + pair.value.size();
    pairs.push_back(pair);
  }
  if (!d.ok() || pairs.empty()) return corrupt("malformed chunk");
  pairs_ += pairs.size();
  any_ = true;
  last_space_ = pairs.back().space;
  last_key_.assign(pairs.back().key);
  if (KVS_MUTATED(kSnapshotNoRequests)) {
    std::erase_if(pairs, [](const SnapshotPair& pair) {
      return pair.space == kv::kSpaceSystem && pair.key.starts_with("request");
    });
  }
  return sink_(pairs);
}

Status SnapshotReader::check_order(const SnapshotPair& pair, const SnapshotPair* before) const {
  bool ascends = true;
  if (before != nullptr)
    ascends = pair.key > before->key;
  else if (any_)
    ascends = pair.space > last_space_ || (pair.space == last_space_ && pair.key > last_key_);
  if (ascends) return Status();
  return corrupt(fmt::format("pairs of space {} are not in ascending order", pair.space));
}

Status SnapshotReader::take_trailer(Bytes body) {
  Decoder d(body);
  uint64_t pairs = d.u64();
  uint64_t bytes = d.u64();
  if (!d.done() || pairs != pairs_ || bytes != bytes_)
    return corrupt(fmt::format("{} pairs of {} bytes came, the trailer tells of {} of {}", pairs_,
                               bytes_, pairs, bytes));
  trailer_seen_ = true;
  return Status();
}

Status SnapshotReader::finish() {
  if (failed_.is_ok() && !trailer_seen_)
    failed_ = corrupt(fmt::format("the stream ended after {} pairs without a trailer", pairs_));
  return failed_;
}

}  // namespace kvstore::wire
