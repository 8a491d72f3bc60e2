// The snapshot as a file of its own, which people take away and begin a cluster from: a header that
// says what it is, and behind it the stream of snapshot_stream.hpp, whose checksums start from the
// header's, so that the two belong together.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/status.hpp"
#include "raft/types.hpp"
#include "wire/snapshot_stream.hpp"

namespace kvstore::wire {

// A member of the cluster that the snapshot was taken of.  For people: a new cluster begins with
// one member of its own.
struct SnapshotFileMember {
  uint64_t id = 0;
  std::string name;
  std::string address;
  bool voter = false;
  bool operator==(const SnapshotFileMember&) const = default;
};

struct SnapshotFileHeader {
  std::array<uint8_t, 16> cluster{};
  uint64_t node = 0;  // that took it
  std::string node_name;
  uint64_t created_ms = 0;  // since 1970, by that node's clock
  raft::LogId last;         // applied
  uint64_t revision = 0;
  uint64_t compacted_revision = 0;  // the oldest one that can be read
  std::vector<SnapshotFileMember> members;
  bool operator==(const SnapshotFileHeader&) const = default;
};

inline constexpr uint32_t kSnapshotFileFormat = 1;
inline constexpr size_t kSnapshotFileHeaderBytesMax = 1 << 20;

// Under this name in an empty data directory a file is what `kvstore-server --bootstrap` begins the
// new cluster from.
inline constexpr const char* kRestoreFileName = "restore.snapshot";

std::string encode_snapshot_file_header(const SnapshotFileHeader& header);
// What the checksums of the stream behind this encoded header start from.
uint32_t snapshot_file_chain(Bytes encoded_header);

// Takes a file in pieces of any size, checks everything and delivers its pairs in order.  Holds one
// frame at most.
// Lifecycle: feed() each piece, then finish().  After an error every call returns it again.
class SnapshotFileReader {
 public:
  // `sink` gets the pairs, if it is given.
  explicit SnapshotFileReader(SnapshotReader::Sink sink = {}) : sink_(std::move(sink)) {}
  SnapshotFileReader(const SnapshotFileReader&) = delete;
  SnapshotFileReader& operator=(const SnapshotFileReader&) = delete;

  // CORRUPT for what is no snapshot file, or a damaged one; UNSUPPORTED for a newer format.
  Status feed(Bytes piece);
  // CORRUPT unless the file was complete.
  Status finish();

  // Null until it was read.
  const SnapshotFileHeader* header() const { return header_ ? &*header_ : nullptr; }
  // Of the header: tells one file from another.  0 until it was read.
  uint32_t fingerprint() const { return fingerprint_; }
  uint64_t keys() const { return keys_; }  // that exist in the newest revision
  uint64_t pairs() const { return stream_ ? stream_->pairs() : 0; }
  uint64_t bytes() const { return bytes_; }  // of the file, so far

 private:
  Status take_header(Bytes* piece);

  SnapshotReader::Sink sink_;
  std::string buffer_;  // the header as far as it came
  std::optional<SnapshotFileHeader> header_;
  std::optional<SnapshotReader> stream_;
  Status failed_;
  uint32_t fingerprint_ = 0;
  uint64_t keys_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace kvstore::wire
