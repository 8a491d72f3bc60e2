// Goal: every refusal between two nodes, and the message their operators get.
// Method: one judged hello per rule, around a small membership.
#include <doctest/doctest.h>

#include "node/identity.hpp"

namespace kvstore::node {
namespace {

wire::ClusterId cluster_of(uint8_t byte) {
  wire::ClusterId id{};
  id.fill(byte);
  return id;
}

struct Fixture {
  Identity self{cluster_of(1), {11}, "n1", "h1:1", {{"http", "h1:80"}}, {"log=x/1"}};
  Membership membership = Membership::decode(Membership::bootstrap({{11}, "n1", "h1:1"})).value();
  wire::Hello remote;

  Fixture() {
    CHECK(membership.admit({"n2", "h2:1", false}).is_ok());
    CHECK(membership.bind({{12}, "n2", "h2:1"}).is_ok());
    CHECK(membership.admit({"n3", "h3:1", false}).is_ok());
    membership.remove({99});
    remote.cluster = cluster_of(1);
    remote.node = 12;
    remote.name = "n2";
    remote.raft_address = "h2:1";
  }

  Status judge(raft::NodeId dialed = raft::kNoNode) {
    return judge_hello(self, membership, remote, dialed);
  }
};

TEST_CASE_FIXTURE(Fixture, "members are welcome, dialled or incoming") {
  CHECK(judge().is_ok());
  CHECK(judge({12}).is_ok());
}

TEST_CASE_FIXTURE(Fixture, "impossible ids are invalid") {
  remote.node = 0;
  CHECK(judge().code() == Code::kInvalid);
  remote.node = provisional_id("h2:1").value;
  CHECK(judge().code() == Code::kInvalid);
  remote.node = 11;
  CHECK(judge().code() == Code::kInvalid);
  CHECK(judge().message().find("copied") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "another node than the dialled one is a conflict") {
  remote.node = 13;
  CHECK(judge({12}).code() == Code::kConflict);
}

TEST_CASE_FIXTURE(Fixture, "another cluster is incompatible, both named") {
  remote.cluster = cluster_of(2);
  CHECK(judge().code() == Code::kIncompatible);
  CHECK(judge().message().find(cluster_id_text(cluster_of(1))) != std::string::npos);
  CHECK(judge().message().find(cluster_id_text(cluster_of(2))) != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "a removed id stays out, with or without a cluster") {
  remote.node = 99;
  CHECK(judge().code() == Code::kClosed);
  remote.cluster = {};
  CHECK(judge().code() == Code::kClosed);
}

TEST_CASE_FIXTURE(Fixture, "a bound name with another id is a wiped or duplicate node") {
  remote.cluster = {};
  remote.node = 13;
  CHECK(judge().code() == Code::kConflict);
  CHECK(judge().message().find("remove 'n2' and add it again") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "admitted names may come, others wait") {
  remote.cluster = {};
  remote.node = 13;
  remote.name = "n3";
  CHECK(judge().is_ok());
  remote.name = "n4";
  CHECK(judge().code() == Code::kNotFound);
  CHECK(judge().message().find("not admitted") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "members of our cluster that we do not know yet are let in") {
  remote.node = 13;
  remote.name = "n4";
  CHECK(judge().is_ok());
}

TEST_CASE_FIXTURE(Fixture, "a node without a cluster talks to any") {
  self.cluster = {};
  membership = {};
  CHECK(judge().is_ok());
  remote.cluster = cluster_of(2);
  CHECK(judge().is_ok());
  remote.cluster = {};
  CHECK(judge().is_ok());
}

TEST_CASE_FIXTURE(Fixture, "a foreign cluster claims us by address only") {
  remote.cluster = cluster_of(2);
  remote.members = {{5, "x", "h5:1"}};
  CHECK_FALSE(claims_us(self, remote));
  remote.members.push_back({6, "n1", "h6:1"});
  CHECK_FALSE(claims_us(self, remote));
  remote.members.back() = {6, "y", "h1:1"};
  CHECK(claims_us(self, remote));
  remote.cluster = cluster_of(1);
  CHECK_FALSE(claims_us(self, remote));
  remote.cluster = {};
  CHECK_FALSE(claims_us(self, remote));
  remote.cluster = cluster_of(2);
  self.cluster = {};
  CHECK_FALSE(claims_us(self, remote));
}

TEST_CASE_FIXTURE(Fixture, "a hello tells who we are and whom we know") {
  wire::Hello hello = make_hello(self, membership);
  CHECK(hello.cluster == self.cluster);
  CHECK(hello.node == 11);
  CHECK(hello.api_addresses == self.api_addresses);
  CHECK(hello.plugins == self.plugins);
  CHECK(hello.members == std::vector<wire::HelloMember>{{11, "n1", "h1:1"}, {12, "n2", "h2:1"}});
  Result<std::string> bytes = wire::encode_hello(hello);
  REQUIRE(bytes.is_ok());
  CHECK(wire::decode_hello(*bytes).value() == hello);
}

TEST_CASE("provisional ids are stable and apart from real ones") {
  CHECK(provisional_id("h1:1") == provisional_id("h1:1"));
  CHECK(provisional_id("h1:1") != provisional_id("h1:2"));
  CHECK(is_provisional(provisional_id("h1:1")));
  CHECK_FALSE(is_provisional({~uint64_t{0} >> 1}));
}

}  // namespace
}  // namespace kvstore::node
