// Goal: the record of who belongs to the cluster keeps its rules and survives its own encoding.
// Method: rules one by one; decoding of every truncation and of contexts that do not fit.
#include "node/membership.hpp"

#include <doctest/doctest.h>

namespace kvstore::node {
namespace {

constexpr raft::NodeId kA{11};
constexpr raft::NodeId kB{12};

// n1 is a member, n2 a member, n3 admitted, id 99 removed.
struct Fixture {
  raft::Configuration configuration = Membership::bootstrap({kA, "n1", "h1:1"});
  Membership membership = Membership::decode(configuration).value();

  Fixture() {
    CHECK(membership.admit({"n2", "h2:1", false}).is_ok());
    CHECK(membership.bind({kB, "n2", "h2:1"}).is_ok());
    configuration.set({.id = kB, .voter = false, .auto_promote = true});
    CHECK(membership.admit({"n3", "h3:1", true}).is_ok());
    membership.remove({99});
    configuration.context = membership.encode_context();
  }
};

TEST_CASE("bootstrap names one voter") {
  raft::Configuration configuration = Membership::bootstrap({kA, "n1", "h1:1"});
  CHECK(configuration.is_voter(kA));
  CHECK(configuration.voter_count() == 1);
  Result<Membership> decoded = Membership::decode(configuration);
  REQUIRE(decoded.is_ok());
  CHECK(decoded->members() == std::vector<MemberInfo>{{kA, "n1", "h1:1"}});
  CHECK(decoded->admissions().empty());
}

TEST_CASE_FIXTURE(Fixture, "what is encoded is decoded") {
  Result<Membership> decoded = Membership::decode(configuration);
  REQUIRE(decoded.is_ok());
  CHECK(*decoded == membership);
  CHECK(decoded->is_removed({99}));
  CHECK(decoded->find_admission("n3")->learner);
  CHECK(Membership::decode({}).value() == Membership());
}

TEST_CASE_FIXTURE(Fixture, "malformed contexts are refused") {
  std::string whole = configuration.context;
  for (size_t n = 0; n < whole.size(); ++n) {
    configuration.context = whole.substr(0, n);
    CHECK(Membership::decode(configuration).status().code() == Code::kCorrupt);
  }
  configuration.context = whole + "x";
  CHECK(Membership::decode(configuration).status().code() == Code::kCorrupt);
  configuration.context = whole;
  configuration.context[0] = 2;
  CHECK(Membership::decode(configuration).status().code() == Code::kCorrupt);
  // Members without a name, and names without a member.
  configuration.context = whole;
  configuration.set({.id = {50}, .voter = false, .auto_promote = false});
  CHECK(Membership::decode(configuration).status().code() == Code::kCorrupt);
  // As many names as members, but one member twice and another not at all.
  configuration.remove({50});
  raft::Configuration twice = Membership::bootstrap({kA, "n1", "h1:1"});
  twice.set({.id = kB, .voter = true, .auto_promote = false});
  const std::string one = twice.context.substr(2, twice.context.size() - 4);
  twice.context = std::string("\1\2") + one + one + std::string(2, '\0');
  CHECK(Membership::decode(twice).status().code() == Code::kCorrupt);
  configuration.remove(kB);
  CHECK(Membership::decode(configuration).status().code() == Code::kCorrupt);
}

TEST_CASE_FIXTURE(Fixture, "admissions need a fresh name and address") {
  CHECK(membership.admit({"n2", "h9:1", false}).code() == Code::kConflict);
  CHECK(membership.admit({"n4", "h2:1", false}).code() == Code::kConflict);  // a member's
  CHECK(membership.admit({"n4", "h3:1", false}).code() == Code::kConflict);  // an admission's
  for (const char* address : {"", "host", ":1", "host:", "host:x", "ho st:1", "host:1/"}) {
    CAPTURE(address);
    CHECK(membership.admit({"n4", address, false}).code() == Code::kInvalid);
  }
  for (std::string name : {std::string(), std::string("a b"), std::string("a/b"), std::string("\""),
                           std::string("\x7f"), std::string("\xc3\xa4"), std::string(129, 'x')}) {
    CAPTURE(name);
    CHECK(membership.admit({name, "h4:1", false}).code() == Code::kInvalid);
  }
  // Admitting again replaces: the operator corrects an address.
  CHECK(membership.admit({"n3", "h4:1", false}).is_ok());
  CHECK(membership.admissions() == std::vector<Admission>{{"n3", "h4:1", false}});
  CHECK(membership.admit({std::string(128, 'x'), "[::1]:65535", false}).is_ok());
}

TEST_CASE_FIXTURE(Fixture, "members and admissions together are bounded") {
  for (size_t i = 3; i < Membership::kMembersMax; ++i) {
    std::string number = std::to_string(i);
    REQUIRE(membership.admit({"m" + number, "m:" + number, false}).is_ok());
  }
  CHECK_FALSE(membership.admit({"one-too-many", "m:1", false}).is_ok());
}

TEST_CASE_FIXTURE(Fixture, "binding takes the admission and an unused id") {
  CHECK(membership.bind({{99}, "n3", "h3:1"}).code() == Code::kConflict);  // removed
  CHECK(membership.bind({kA, "n3", "h3:1"}).code() == Code::kConflict);    // taken
  CHECK(membership.find_admission("n3") != nullptr);
  CHECK(membership.bind({{13}, "n3", "h3:1"}).is_ok());
  CHECK(membership.find_admission("n3") == nullptr);
  CHECK(membership.find({13})->name == "n3");
  CHECK_FALSE(membership.bind({{14}, "n3", "h3:1"}).is_ok());  // nothing left to bind
  CHECK_FALSE(membership.bind({{14}, "n9", "h9:1"}).is_ok());  // never admitted
}

TEST_CASE_FIXTURE(Fixture, "members move to free addresses") {
  CHECK(membership.move({77}, "h7:1").code() == Code::kNotFound);
  CHECK(membership.move(kB, "h1:1").code() == Code::kConflict);
  CHECK(membership.move(kB, "h3:1").code() == Code::kConflict);
  CHECK(membership.move(kB, "nowhere").code() == Code::kInvalid);
  CHECK(membership.move(kB, "h2:1").is_ok());  // where it is
  CHECK(membership.move(kB, "h7:1").is_ok());
  CHECK(membership.find_address("h7:1")->id == kB);
  CHECK(membership.find_address("h2:1") == nullptr);
}

TEST_CASE_FIXTURE(Fixture, "removing frees the name and the address, never the id") {
  membership.remove(kB);
  membership.remove(kB);
  CHECK(membership.find(kB) == nullptr);
  CHECK(membership.is_removed(kB));
  CHECK(membership.admit({"n2", "h2:1", false}).is_ok());
  CHECK(membership.bind({kB, "n2", "h2:1"}).code() == Code::kConflict);
  CHECK(membership.bind({{13}, "n2", "h2:1"}).is_ok());
  membership.remove_admission("n3");
  CHECK(membership.admissions().empty());
}

TEST_CASE("the oldest removed id is forgotten at the bound") {
  Membership membership;
  for (uint64_t i = 1; i <= Membership::kRemovedMax; ++i) membership.remove({i});
  CHECK(membership.is_removed({1}));
  membership.remove({5});  // known already
  CHECK(membership.is_removed({1}));
  membership.remove({Membership::kRemovedMax + 1});
  CHECK_FALSE(membership.is_removed({1}));
  CHECK(membership.is_removed({2}));
  CHECK(membership.is_removed({Membership::kRemovedMax + 1}));
}

}  // namespace
}  // namespace kvstore::node
