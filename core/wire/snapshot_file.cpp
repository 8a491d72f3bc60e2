#include "wire/snapshot_file.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/codec.hpp"
#include "kv/types.hpp"
#include "wire/checked_frame.hpp"

namespace kvstore::wire {
namespace {

constexpr Bytes kFileMagic = "KVSFILE\n";
// Magic, format u32, bytes of the body u32; for ever, so that a newer format is known for one.
constexpr size_t kFileStartBytes = 8 + 4 + 4;
constexpr size_t kChecksumBytes = 4;
// Least bytes of a member: id, two empty strings, flags.
constexpr size_t kMemberBytesMin = 8 + 1 + 1 + 1;
constexpr uint8_t kVoter = 1;

Status corrupt(std::string what) {
  return Status(Code::kCorrupt, "snapshot file: " + what);
}

Result<SnapshotFileHeader> decode_body(Bytes body) {
  Decoder d(body);
  SnapshotFileHeader header;
  const Bytes cluster = d.raw(header.cluster.size());
  std::copy(cluster.begin(), cluster.end(), header.cluster.begin());
  header.node = d.u64();
  header.node_name = d.bytes();
  header.created_ms = d.u64();
  header.last.term.value = d.u64();
  header.last.index.value = d.u64();
  header.revision = d.u64();
  header.compacted_revision = d.u64();
  for (uint64_t left = d.count(kMemberBytesMin); d.ok() && left > 0; --left) {
    SnapshotFileMember member;
    member.id = d.u64();
    member.name = d.bytes();
    member.address = d.bytes();
    const uint8_t flags = d.u8();
    if (flags > kVoter) d.fail();
    member.voter = flags == kVoter;
    header.members.push_back(std::move(member));
  }
  if (!d.done()) return corrupt("malformed header");
  if (header.cluster == std::array<uint8_t, 16>{} || header.node == 0 ||
      header.last.index.value == 0 || header.last.term.value == 0 || header.members.empty() ||
      header.compacted_revision > header.revision)
    return corrupt("its header says what cannot be");
  return header;
}

}  // namespace

std::string encode_snapshot_file_header(const SnapshotFileHeader& header) {
  std::string body;
  Encoder b(&body);
  b.raw(as_bytes(header.cluster.data(), header.cluster.size()));
  b.u64(header.node);
  b.bytes(header.node_name);
  b.u64(header.created_ms);
  b.u64(header.last.term.value);
  b.u64(header.last.index.value);
  b.u64(header.revision);
  b.u64(header.compacted_revision);
  b.varint(header.members.size());
  for (const SnapshotFileMember& member : header.members) {
    b.u64(member.id);
    b.bytes(member.name);
    b.bytes(member.address);
    b.u8(member.voter ? kVoter : 0);
  }
  KVS_ASSERT(body.size() <= kSnapshotFileHeaderBytesMax);
  std::string out(kFileMagic);
  Encoder e(&out);
  e.u32(kSnapshotFileFormat);
  e.u32(static_cast<uint32_t>(body.size()));
  e.raw(body);
  append_checksum(&out);
  return out;
}

uint32_t snapshot_file_chain(Bytes encoded_header) {
  KVS_ASSERT(encoded_header.size() > kChecksumBytes);
  return Decoder(encoded_header.substr(encoded_header.size() - kChecksumBytes)).u32();
}

Status SnapshotFileReader::feed(Bytes piece) {
  bytes_ += failed_.is_ok() ? piece.size() : 0;
  if (failed_.is_ok() && !stream_) failed_ = take_header(&piece);
  if (failed_.is_ok() && stream_ && !piece.empty()) failed_ = stream_->feed(piece);
  return failed_;
}

// Takes what belongs to the header; the stream begins once that is complete.
Status SnapshotFileReader::take_header(Bytes* piece) {
  size_t wanted = kFileStartBytes;
  for (;;) {
    const size_t missing = std::min(wanted - std::min(wanted, buffer_.size()), piece->size());
    buffer_.append(piece->substr(0, missing));
    piece->remove_prefix(missing);
    const Bytes magic = Bytes(buffer_).substr(0, kFileMagic.size());
    if (magic != kFileMagic.substr(0, magic.size())) return corrupt("this is no kvstore snapshot");
    if (buffer_.size() < kFileStartBytes) return Status();
    if (wanted > kFileStartBytes && buffer_.size() == wanted) break;
    Decoder d(Bytes(buffer_).substr(kFileMagic.size()));
    const uint32_t format = d.u32();
    const uint32_t body_bytes = d.u32();
    if (format != kSnapshotFileFormat) {
      return Status(Code::kUnsupported,
                    fmt::format("snapshot file: its format {} is not known to this program, which "
                                "reads format {}",
                                format, kSnapshotFileFormat));
    }
    if (body_bytes > kSnapshotFileHeaderBytesMax) {
      return corrupt(
          fmt::format("a header of {} bytes, above {}", body_bytes, kSnapshotFileHeaderBytesMax));
    }
    if (wanted > kFileStartBytes) return Status();  // the piece is used up
    wanted = kFileStartBytes + body_bytes + kChecksumBytes;
  }
  Result<Bytes> content = checked_content(buffer_, "snapshot file: its header");
  if (!content) return content.status();
  Result<SnapshotFileHeader> header = decode_body(content->substr(kFileStartBytes));
  if (!header) return header.status();
  header_ = std::move(*header);
  fingerprint_ = snapshot_file_chain(buffer_);
  stream_.emplace(
      [this](std::span<const SnapshotPair> pairs) {
        if (!pairs.empty() && pairs.front().space == kv::kSpaceUser) keys_ += pairs.size();
        return sink_ ? sink_(pairs) : Status();
      },
      fingerprint_);
  std::string().swap(buffer_);
  return Status();
}

Status SnapshotFileReader::finish() {
  if (failed_.is_ok() && !stream_) failed_ = corrupt("it ends within its header");
  if (failed_.is_ok()) failed_ = stream_->finish();
  return failed_;
}

}  // namespace kvstore::wire
