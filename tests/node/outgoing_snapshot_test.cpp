// Goal: what a leader says of a snapshot is what a follower accepts, or nothing is sent.
// Method: the header of one mark, in its own term and in others, through the codec.
#include "node/outgoing_snapshot.hpp"

#include <doctest/doctest.h>

#include "node/membership.hpp"

namespace kvstore::node {
namespace {

constexpr raft::NodeId kSelf{11};

Result<wire::SnapshotHeader> header_in(raft::Term term, kv::AppliedMark mark) {
  wire::ClusterId cluster{};
  cluster.fill(3);
  return outgoing_header(mark, term, kSelf, cluster);
}

kv::AppliedMark mark() {
  return {5, 40, Membership::bootstrap({kSelf, "n1", "h1:1"}).encode()};
}

TEST_CASE("the header tells the sender's term and the state's last entry") {
  for (const raft::Term term : {raft::Term{5}, raft::Term{6}}) {
    Result<wire::SnapshotHeader> sent = header_in(term, mark());
    REQUIRE(sent.is_ok());
    Result<wire::SnapshotHeader> received =
        wire::decode_snapshot_header(wire::encode_snapshot_header(*sent));
    REQUIRE(received.is_ok());
    CHECK(received->term == term.value);
    CHECK(received->from == kSelf.value);
    CHECK(received->meta.last == raft::LogId{{5}, {40}});
    CHECK(received->meta.configuration.members.size() == 1);
  }
}

TEST_CASE("an order from before the state's term is not carried out") {
  Result<wire::SnapshotHeader> header = header_in({4}, mark());
  CHECK(header.status().code() == Code::kNotLeader);
  CHECK(header.status().message() == "ordered in term 4, but the state is of term 5 already");
}

TEST_CASE("a mark without a readable configuration is corrupt") {
  kv::AppliedMark damaged = mark();
  damaged.meta.resize(damaged.meta.size() / 2);
  CHECK(header_in({5}, damaged).status().code() == Code::kCorrupt);
}

TEST_CASE("a file's header names the node, the state and the members of that moment") {
  Identity self;
  self.id = kSelf;
  self.name = "n1";
  self.cluster.fill(9);
  Result<wire::SnapshotFileHeader> header = file_header(mark(), {41, 12}, self, 1'000);
  REQUIRE(header.is_ok());
  CHECK(header->cluster == self.cluster);
  CHECK(header->node == kSelf.value);
  CHECK(header->node_name == "n1");
  CHECK(header->created_ms == 1'000);
  CHECK((header->last == raft::LogId{{5}, {40}}));
  CHECK(header->revision == 41);
  CHECK(header->compacted_revision == 12);
  REQUIRE(header->members.size() == 1);
  CHECK((header->members[0] == wire::SnapshotFileMember{kSelf.value, "n1", "h1:1", true}));
  // Nothing to give away, or not to be trusted.
  CHECK(file_header({}, {}, self, 1).status().code() == Code::kUnreachable);
  CHECK(file_header({5, 40, "junk"}, {}, self, 1).status().code() == Code::kCorrupt);
  self.cluster = {};
  CHECK(file_header(mark(), {}, self, 1).status().code() == Code::kUnreachable);
}

}  // namespace
}  // namespace kvstore::node
