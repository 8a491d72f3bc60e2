// The layout that the snapshot's writer and reader share.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.hpp"
#include "kv/types.hpp"
#include "wire/snapshot_stream.hpp"

namespace kvstore::wire {

inline constexpr Bytes kStreamMagic = "KVSSNAP\n";
inline constexpr uint32_t kStreamVersion = 1;
inline constexpr size_t kStreamStartBytes = 8 + 4;

// Frame: type u8, body bytes u32, checksum u32, body.
enum : uint8_t { kChunkFrame = 1, kTrailerFrame = 2 };
inline constexpr size_t kFrameHeadBytes = 1 + 4 + 4;
// Trailer: pairs u64, bytes of keys and values u64.
inline constexpr size_t kTrailerBytes = 8 + 8;
// Most bytes of a chunk's body: full, or one pair alone.
inline constexpr size_t kChunkBodyBytesMax =
    kSnapshotChunkBytes > kSnapshotPairBytesMax ? kSnapshotChunkBytes : kSnapshotPairBytesMax;
// Space, and the lengths of one key and value, take at most this much of a body.
inline constexpr size_t kPairOverheadMax = 16;

// The checksum of a frame, over all frames up to it.
uint32_t chain_checksum(uint32_t chain, uint8_t type, Bytes body);

}  // namespace kvstore::wire
