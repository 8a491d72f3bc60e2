// Goal: a snapshot file says what it is, carries everything, and nothing that is cut, damaged,
// spliced or of another format passes. Method: files made from stores in memory; cut at every byte
// and so at every frame's boundary, every bit flipped, parts of two files put together.
#include "wire/snapshot_file.hpp"

#include <doctest/doctest.h>

#include "base/codec.hpp"
#include "mutations.hpp"
#include "support/memory_store.hpp"
#include "wire/snapshot_format.hpp"

namespace kvstore::wire::test {
namespace {

using kvstore::test::MemoryData;
using kvstore::test::MemoryStore;
using Spaces = std::map<uint32_t, MemoryData::Space>;

SnapshotFileHeader sample() {
  SnapshotFileHeader h;
  h.cluster.fill(7);
  h.node = 99;
  h.node_name = "node2";
  h.created_ms = 1'700'000'000'123;
  h.last = {{3}, {500}};
  h.revision = 41;
  h.compacted_revision = 12;
  h.members = {{99, "node2", "b:2", true}, {100, "node3", "c:3", false}};
  return h;
}

Spaces data() {
  Spaces spaces;
  spaces[kv::kSpaceUser] = {{"a", "1"}, {"b", ""}, {"c", std::string(300'000, 'x')}};
  spaces[kv::kSpaceSystem] = {{"machine", "m"}};
  spaces[kv::kSpaceHistory] = {{"old", "o"}};
  return spaces;
}

// The file in the pieces in which it is made: the header, the start of the stream, its frames.
std::vector<std::string> pieces_of(const SnapshotFileHeader& header, const Spaces& spaces) {
  MemoryStore store;
  MemoryData content;
  content.spaces = spaces;
  store.replace(content);
  auto view = store.open_view();
  std::vector<std::string> pieces{encode_snapshot_file_header(header)};
  SnapshotFrames frames(view->get(), snapshot_file_chain(pieces[0]));
  for (;;) {
    std::string piece;
    Result<bool> more = frames.next(&piece);
    REQUIRE(more.is_ok());
    if (!*more) break;
    pieces.push_back(std::move(piece));
  }
  std::string behind;
  CHECK_FALSE(*frames.next(&behind));
  CHECK(behind.empty());
  return pieces;
}

std::string joined(const std::vector<std::string>& pieces) {
  std::string file;
  for (const std::string& piece : pieces) file += piece;
  return file;
}

struct Read {
  Status status;
  Spaces spaces;
  std::optional<SnapshotFileHeader> header;
  uint64_t keys = 0, pairs = 0, bytes = 0;
};

Read read(Bytes file, size_t piece) {
  Read out;
  SnapshotFileReader reader([&](std::span<const SnapshotPair> pairs) {
    for (const SnapshotPair& pair : pairs)
      out.spaces[pair.space].emplace(std::string(pair.key), std::string(pair.value));
    return Status();
  });
  while (!file.empty() && out.status.is_ok()) {
    out.status = reader.feed(file.substr(0, piece));
    file.remove_prefix(std::min(piece, file.size()));
  }
  if (out.status.is_ok()) out.status = reader.finish();
  if (!out.status) CHECK(reader.finish().code() == out.status.code());
  if (reader.header() != nullptr) out.header = *reader.header();
  out.keys = reader.keys();
  out.pairs = reader.pairs();
  out.bytes = reader.bytes();
  return out;
}

std::string refusal(const SnapshotFileHeader& header) {
  return read(encode_snapshot_file_header(header), 1 << 20).status.message();
}

}  // namespace

TEST_CASE("a file carries its header and every pair, fed in pieces of any size") {
  const std::string file = joined(pieces_of(sample(), data()));
  for (const size_t piece :
       {size_t{1}, size_t{15}, size_t{16}, size_t{17}, size_t{4096}, file.size()}) {
    CAPTURE(piece);
    const Read got = read(file, piece);
    REQUIRE_MESSAGE(got.status.is_ok(), got.status.to_string());
    CHECK((got.header == sample()));
    CHECK((got.spaces == data()));
    CHECK(got.keys == 3);
    CHECK(got.pairs == 5);
    CHECK(got.bytes == file.size());
  }
}

TEST_CASE("a file cut at any frame's boundary, or anywhere in a small one, is refused") {
  const std::vector<std::string> pieces = pieces_of(sample(), data());
  REQUIRE(pieces.size() >= 6);
  for (size_t count = 0; count < pieces.size(); ++count) {
    CAPTURE(count);
    const Read got =
        read(joined({pieces.begin(), pieces.begin() + static_cast<long>(count)}), 1000);
    CHECK(got.status.code() == Code::kCorrupt);
  }
}

TEST_CASE("no cut, extended or damaged file passes") {
  Spaces small = data();
  small[kv::kSpaceUser].erase("c");
  for (const std::string& bad : mutations(joined(pieces_of(sample(), small)))) {
    const Code code = read(bad, bad.size() + 1).status.code();
    // A flipped bit in the format's number makes it another format.
    const bool refused = code == Code::kCorrupt || code == Code::kUnsupported;
    CHECK(refused);
    CHECK(read(bad, 7).status.code() == code);
  }
}

TEST_CASE("the header of one file before the data of another is refused") {
  std::vector<std::string> mine = pieces_of(sample(), data());
  SnapshotFileHeader other = sample();
  other.revision = 42;
  mine[0] = encode_snapshot_file_header(other);
  const Read got = read(joined(mine), 1 << 20);
  CHECK(got.status.code() == Code::kCorrupt);
  CHECK(got.status.message().find("wrong checksum") != std::string::npos);
}

TEST_CASE("what is no snapshot, and what is of a newer format, is told apart") {
  CHECK(read("", 1).status.message() == "snapshot file: it ends within its header");
  CHECK(read("PK\3\4 some archive", 4).status.message() ==
        "snapshot file: this is no kvstore snapshot");
  std::string newer = joined(pieces_of(sample(), {}));
  newer[8] = 2;
  const Read got = read(newer, 100);
  CHECK(got.status.code() == Code::kUnsupported);
  CHECK(got.status.message().find("format 2") != std::string::npos);
  std::string large = newer;
  large[8] = 1;
  large[15] = 1;  // a header of 16 MiB is not waited for
  CHECK(read(large, 100).status.message().find("above 1048576") != std::string::npos);
}

TEST_CASE("a header that cannot be is refused") {
  SnapshotFileHeader h = sample();
  h.cluster.fill(0);
  CHECK(refusal(h) == "snapshot file: its header says what cannot be");
  h = sample();
  h.last.index = {0};
  CHECK(refusal(h) == "snapshot file: its header says what cannot be");
  h = sample();
  h.members.clear();
  CHECK(refusal(h) == "snapshot file: its header says what cannot be");
  h = sample();
  h.compacted_revision = 42;
  CHECK(refusal(h) == "snapshot file: its header says what cannot be");
}

TEST_CASE("a reader's sink can end it") {
  SnapshotFileReader reader(
      [](std::span<const SnapshotPair>) { return Status(Code::kNoSpace, "full"); });
  CHECK(reader.feed(joined(pieces_of(sample(), data()))).code() == Code::kNoSpace);
  CHECK(reader.finish().code() == Code::kNoSpace);
}

}  // namespace kvstore::wire::test
