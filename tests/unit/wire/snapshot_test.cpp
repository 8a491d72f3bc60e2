// Goal: a snapshot stream carries every pair of a store, in bounded pieces, and no damage passes.
// Method: streams from stores in memory, fed in pieces of many sizes; truncated, extended,
// reordered and bit-flipped streams; forged frames with right checksums for what only content can
// tell.
#include <doctest/doctest.h>

#include "base/codec.hpp"
#include "base/crc32c.hpp"
#include "kv/history.hpp"
#include "mutations.hpp"
#include "support/memory_store.hpp"
#include "wire/snapshot_format.hpp"
#include "wire/snapshot_stream.hpp"

namespace kvstore::wire::test {
namespace {

using kvstore::test::MemoryData;
using kvstore::test::MemoryStore;
using Spaces = std::map<uint32_t, MemoryData::Space>;

std::vector<std::string> write_chunks(const Spaces& spaces) {
  MemoryStore store;
  MemoryData data;
  data.spaces = spaces;
  store.replace(data);
  auto view = store.open_view();
  std::vector<std::string> chunks;
  Status s = write_snapshot(**view, [&chunks](Bytes chunk) {
    chunks.emplace_back(chunk);
    return Status();
  });
  REQUIRE_MESSAGE(s.is_ok(), s.to_string());
  return chunks;
}

std::string write(const Spaces& spaces) {
  std::string stream;
  for (const std::string& chunk : write_chunks(spaces)) stream += chunk;
  return stream;
}

struct Received {
  Status status;
  Spaces spaces;
  uint64_t pairs = 0;
  uint64_t bytes = 0;
};

// Feeds the stream in pieces of `piece` bytes.
Received read(Bytes stream, size_t piece) {
  Received r;
  SnapshotReader reader([&r](std::span<const SnapshotPair> pairs) {
    CHECK_FALSE(pairs.empty());
    for (const SnapshotPair& pair : pairs)
      r.spaces[pair.space].emplace(std::string(pair.key), std::string(pair.value));
    return Status();
  });
  while (!stream.empty() && r.status.is_ok()) {
    r.status = reader.feed(stream.substr(0, piece));
    stream.remove_prefix(std::min(piece, stream.size()));
  }
  if (r.status.is_ok()) r.status = reader.finish();
  r.pairs = reader.pairs();
  r.bytes = reader.bytes();
  return r;
}

Spaces small() {
  Spaces spaces;
  spaces[0] = {{"", "empty key"}, {"a", ""}, {std::string("a\0", 2), "1"}, {"\xff", "2"}};
  spaces[1] = {{"machine", "m"}};
  spaces[2] = {{std::string("\0\0", 2), "part"}};
  return spaces;
}

Spaces large() {
  Spaces spaces = small();
  for (int i = 0; i < 3000; i++)
    spaces[0]["key" + std::to_string(i)] = std::string(static_cast<size_t>(i) % 700, 'v');
  for (char c : {'a', 'b', 'c'}) spaces[2][std::string(1, c)] = std::string(kv::kPartBytes, c);
  return spaces;
}

// A stream made frame by frame, with right checksums.
class Forger {
 public:
  Forger() : stream_(kStreamMagic) { Encoder(&stream_).u32(kStreamVersion); }
  Forger& frame(uint8_t type, const std::string& body) {
    chain_ = chain_checksum(chain_, type, body);
    Encoder e(&stream_);
    e.u8(type);
    e.u32(static_cast<uint32_t>(body.size()));
    e.u32(chain_);
    e.raw(body);
    return *this;
  }
  Forger& chunk(uint8_t space, std::initializer_list<Bytes> keys) {
    std::string body;
    Encoder e(&body);
    e.varint(space);
    for (Bytes key : keys) {
      e.bytes(key);
      e.bytes("");
    }
    return frame(kChunkFrame, body);
  }
  Forger& trailer(uint64_t pairs, uint64_t bytes) {
    std::string body;
    Encoder e(&body);
    e.u64(pairs);
    e.u64(bytes);
    return frame(kTrailerFrame, body);
  }
  std::string refusal() const {
    Received r = read(stream_, stream_.size());
    CHECK(r.status.code() == Code::kCorrupt);
    return r.status.message();
  }
  bool accepted() const { return read(stream_, 1).status.is_ok(); }

 private:
  std::string stream_;
  uint32_t chain_ = 0;
};

SnapshotHeader sample_header() {
  SnapshotHeader h;
  h.term = 9;
  h.from = 77;
  h.cluster.fill(3);
  h.meta.last = {raft::Term{8}, raft::Index{1000}};
  h.meta.configuration.set({raft::NodeId{77}, true, false});
  h.meta.configuration.set({raft::NodeId{78}, false, true});
  h.meta.configuration.context = "names";
  return h;
}

}  // namespace

TEST_CASE("a stream carries every pair of every space, in pieces of any size") {
  std::string stream = write(small());
  for (size_t piece : {size_t{1}, size_t{2}, size_t{7}, size_t{13}, stream.size()}) {
    CAPTURE(piece);
    Received r = read(stream, piece);
    REQUIRE_MESSAGE(r.status.is_ok(), r.status.to_string());
    CHECK(r.spaces == small());
    CHECK(r.pairs == 6);
    CHECK(r.bytes == 29);
  }
}

TEST_CASE("large stores are cut into bounded chunks") {
  Spaces spaces = large();
  size_t largest_pair = kv::kPartBytes + 1 + kPairOverheadMax;
  std::string stream;
  for (const std::string& chunk : write_chunks(spaces)) {
    CHECK(chunk.size() <= std::max(kSnapshotChunkBytes, largest_pair) + kFrameHeadBytes);
    stream += chunk;
  }
  for (size_t piece : {size_t{1000}, size_t{kSnapshotChunkBytes}, stream.size()}) {
    Received r = read(stream, piece);
    REQUIRE_MESSAGE(r.status.is_ok(), r.status.to_string());
    CHECK((r.spaces == spaces));
  }
}

TEST_CASE("an empty store is a stream too") {
  Received r = read(write({}), 3);
  CHECK(r.status.is_ok());
  CHECK(r.pairs == 0);
  CHECK(r.spaces.empty());
}

TEST_CASE("no truncated, extended or damaged stream passes") {
  for (const std::string& bad : mutations(write(small()))) {
    CHECK_FALSE(read(bad, bad.size() + 1).status.is_ok());
    CHECK_FALSE(read(bad, 5).status.is_ok());
  }
}

TEST_CASE("missing, repeated and swapped chunks do not pass") {
  std::vector<std::string> chunks = write_chunks(small());
  REQUIRE(chunks.size() == 5);  // start, one per space, trailer
  auto stream = [&chunks](std::initializer_list<size_t> order) {
    std::string out;
    for (size_t i : order) out += chunks[i];
    return read(out, 100).status.code();
  };
  CHECK(stream({0, 1, 2, 3, 4}) == Code::kOk);
  CHECK(stream({0, 1, 3, 4}) == Code::kCorrupt);
  CHECK(stream({0, 1, 1, 2, 3, 4}) == Code::kCorrupt);
  CHECK(stream({0, 2, 1, 3, 4}) == Code::kCorrupt);
  CHECK(stream({0, 4}) == Code::kCorrupt);
  CHECK(stream({0, 1, 2, 3, 4, 4}) == Code::kCorrupt);
  CHECK(stream({1, 2, 3, 4}) == Code::kCorrupt);
}

TEST_CASE("content that the checksums cannot judge is judged") {
  CHECK(Forger().chunk(0, {"a", "b"}).chunk(2, {"a"}).trailer(3, 3).accepted());
  CHECK(Forger().chunk(0, {"b", "a"}).refusal() ==
        "snapshot: pairs of space 0 are not in ascending order");
  CHECK(Forger().chunk(0, {"a", "a"}).refusal() ==
        "snapshot: pairs of space 0 are not in ascending order");
  CHECK(Forger().chunk(0, {"b"}).chunk(0, {"b"}).refusal() ==
        "snapshot: pairs of space 0 are not in ascending order");
  CHECK(Forger().chunk(1, {"a"}).chunk(0, {"b"}).refusal() ==
        "snapshot: pairs of space 0 are not in ascending order");
  CHECK(Forger().chunk(5, {"a"}).refusal() == "snapshot: space 5 is unknown");
  CHECK(Forger().chunk(0, {}).refusal() == "snapshot: malformed chunk");
  CHECK(Forger().frame(kChunkFrame, "").refusal() == "snapshot: malformed chunk");
  CHECK(Forger().frame(kChunkFrame, std::string("\0\5a", 3)).refusal() ==
        "snapshot: malformed chunk");
  CHECK(Forger().frame(3, "").refusal() == "snapshot: frame type 3 is unknown");
  CHECK(Forger().frame(kTrailerFrame, "x").refusal() == "snapshot: a trailer of 1 bytes");
  CHECK(Forger().frame(kChunkFrame, std::string(kChunkBodyBytesMax + 1, 'x')).refusal() ==
        "snapshot: a chunk of 1245185 bytes, above 1245184");
  CHECK(Forger().chunk(0, {"a"}).trailer(2, 1).refusal() ==
        "snapshot: 1 pairs of 1 bytes came, the trailer tells of 2 of 1");
  CHECK(Forger().chunk(0, {"a"}).trailer(1, 2).refusal() ==
        "snapshot: 1 pairs of 1 bytes came, the trailer tells of 1 of 2");
  CHECK(Forger().trailer(0, 0).trailer(0, 0).refusal() == "snapshot: bytes behind the trailer");
  CHECK(Forger().chunk(0, {"a"}).refusal() ==
        "snapshot: the stream ended after 1 pairs without a trailer");
}

TEST_CASE("a frame's size is judged before its bytes are waited for") {
  std::string stream(kStreamMagic);
  Encoder e(&stream);
  e.u32(kStreamVersion);
  e.u8(kChunkFrame);
  e.u32(UINT32_MAX);
  e.u32(0);
  for (const size_t step : {size_t{1}, stream.size()}) {
    SnapshotReader reader([](std::span<const SnapshotPair>) { return Status(); });
    Status status;
    for (size_t at = 0; at < stream.size(); at += step)
      status = reader.feed(stream.substr(at, step));
    CHECK(status.message().find("a chunk of 4294967295 bytes") != std::string::npos);
  }
}

TEST_CASE("another version is UNSUPPORTED, another file CORRUPT") {
  std::string stream = write({});
  stream[8] = 2;
  CHECK(read(stream, 100).status.code() == Code::kUnsupported);
  CHECK(read("this is no snapshot", 100).status.message() == "snapshot: this is not a snapshot");
}

TEST_CASE("an error stays") {
  std::string stream = write(small());
  SnapshotReader reader([](std::span<const SnapshotPair>) { return Status(Code::kNoSpace); });
  CHECK(reader.feed(stream).code() == Code::kNoSpace);
  CHECK(reader.feed("").code() == Code::kNoSpace);
  CHECK(reader.finish().code() == Code::kNoSpace);
}

TEST_CASE("the writer stops at its sink's error and refuses a pair above the bound") {
  MemoryStore store;
  MemoryData data;
  data.spaces = small();
  store.replace(data);
  int calls = 0;
  auto view = store.open_view();
  Status s = write_snapshot(
      **view, [&calls](Bytes) { return ++calls == 2 ? Status(Code::kCancelled) : Status(); });
  CHECK(s.code() == Code::kCancelled);
  CHECK(calls == 2);
  data.spaces[0]["k"] = std::string(kSnapshotPairBytesMax, 'x');
  store.replace(data);
  view = store.open_view();
  s = write_snapshot(**view, [](Bytes) { return Status(); });
  CHECK(s.code() == Code::kCorrupt);
}

TEST_CASE("the longest key with the largest inline value fits a snapshot") {
  Spaces spaces;
  spaces[0][std::string(kv::kKeyBytesMax, 'k')] = std::string(kv::kPartBytes + 64, 'v');
  spaces[kv::kSpaceHistory][kv::history_key(std::string(kv::kKeyBytesMax, '\0'), UINT64_MAX)] =
      std::string(kv::kPartBytes + 64, 'v');
  spaces[kv::kSpaceChanges][kv::change_key({UINT64_MAX, 0})] = std::string(kv::kKeyBytesMax, 'c');
  Received r = read(write(spaces), 4096);
  CHECK(r.status.is_ok());
  CHECK((r.spaces == spaces));
}

TEST_CASE("a snapshot header survives the wire, damage is refused") {
  SnapshotHeader h = sample_header();
  std::string bytes = encode_snapshot_header(h);
  auto decoded = decode_snapshot_header(bytes);
  REQUIRE_MESSAGE(decoded.is_ok(), decoded.status().to_string());
  CHECK(decoded->term == h.term);
  CHECK(decoded->from == h.from);
  CHECK(decoded->cluster == h.cluster);
  CHECK((decoded->meta.last == h.meta.last));
  CHECK((decoded->meta.configuration == h.meta.configuration));
  for (const std::string& bad : mutations(bytes))
    CHECK(decode_snapshot_header(bad).status().code() == Code::kCorrupt);
}

TEST_CASE("an impossible snapshot header is refused by name") {
  SnapshotHeader h = sample_header();
  h.from = 0;
  CHECK(decode_snapshot_header(encode_snapshot_header(h)).status().message() ==
        "snapshot header: node id 0");
  h = sample_header();
  h.term = 7;
  CHECK(decode_snapshot_header(encode_snapshot_header(h)).status().message() ==
        "snapshot header: its last entry's term is above the sender's");
}

}  // namespace kvstore::wire::test
