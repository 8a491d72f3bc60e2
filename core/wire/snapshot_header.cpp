// The stream's opaque header of snapshot_stream.hpp.
#include <algorithm>

#include <fmt/format.h>

#include "base/codec.hpp"
#include "wire/checked_frame.hpp"
#include "wire/snapshot_stream.hpp"

namespace kvstore::wire {
namespace {

constexpr Bytes kMagic = "KVSI";
constexpr uint8_t kFormat = 1;

Status corrupt(std::string what) {
  return Status(Code::kCorrupt, "snapshot header: " + what);
}

}  // namespace

std::string encode_snapshot_header(const SnapshotHeader& header) {
  std::string out(kMagic);
  Encoder e(&out);
  e.u8(kFormat);
  e.u64(header.term);
  e.u64(header.from);
  e.raw(as_bytes(header.cluster.data(), header.cluster.size()));
  e.u64(header.meta.last.term.value);
  e.u64(header.meta.last.index.value);
  e.bytes(header.meta.configuration.encode());
  append_checksum(&out);
  return out;
}

Result<SnapshotHeader> decode_snapshot_header(Bytes bytes) {
  auto content = checked_content(bytes, "snapshot header");
  if (!content) return content.status();
  Decoder d(*content);
  if (d.raw(kMagic.size()) != kMagic) return corrupt("this is not one");
  uint8_t format = d.u8();
  if (format != kFormat)
    return Status(Code::kUnsupported, fmt::format("snapshot header: format {} is unknown", format));
  SnapshotHeader header;
  header.term = d.u64();
  header.from = d.u64();
  Bytes cluster = d.raw(header.cluster.size());
  std::copy(cluster.begin(), cluster.end(), header.cluster.begin());
  header.meta.last.term.value = d.u64();
  header.meta.last.index.value = d.u64();
  Bytes encoded = d.bytes();
  if (!d.ok()) return corrupt("malformed or cut short");
  if (!d.done()) return corrupt("bytes behind its end");
  if (header.from == 0) return corrupt("node id 0");
  if (header.meta.last.term.value > header.term)
    return corrupt("its last entry's term is above the sender's");
  auto configuration = raft::Configuration::decode(encoded);
  if (!configuration) return corrupt(configuration.status().message());
  header.meta.configuration = std::move(configuration).value();
  return header;
}

}  // namespace kvstore::wire
