// Goal: configurations survive their encoding, malformed ones are refused, and only single changes
// of voters pass.  Method: cases by hand, every truncation and every flipped byte of an encoding.
#include <doctest/doctest.h>

#include "node_fixture.hpp"

namespace kvstore::raft::testing {

namespace {

Configuration sample() {
  Configuration configuration = voters({3, 1, uint64_t{1} << 62});
  configuration.set({.id = {7}, .voter = false, .auto_promote = true});
  configuration.set({.id = {9}});
  configuration.context = std::string("names\0and more", 14);
  return configuration;
}

}  // namespace

TEST_CASE("configuration: members are sorted and unique") {
  Configuration configuration = sample();
  CHECK(configuration.is_valid());
  CHECK(configuration.members.size() == 5);
  CHECK(configuration.members.front().id == NodeId{1});
  configuration.set({.id = {1}, .voter = false});
  CHECK(configuration.members.size() == 5);
  CHECK_FALSE(configuration.is_voter({1}));
  configuration.remove({1});
  CHECK(configuration.find({1}) == nullptr);
  configuration.remove({1});
  CHECK(configuration.members.size() == 4);
}

TEST_CASE("configuration: quorums") {
  CHECK(Configuration{}.quorum() == 1);
  CHECK(voters({1}).quorum() == 1);
  CHECK(voters({1, 2}).quorum() == 2);
  CHECK(voters({1, 2, 3}).quorum() == 2);
  CHECK(voters({1, 2, 3, 4}).quorum() == 3);
  CHECK(voters({1, 2, 3, 4, 5}).quorum() == 3);
  CHECK(sample().voter_count() == 3);  // learners do not count
}

TEST_CASE("configuration: a single change is one voter more, less or other in standing") {
  const Configuration three = voters({1, 2, 3});
  Configuration learner = three;
  learner.set({.id = {4}});
  Configuration demoted = three;
  demoted.set({.id = {3}});
  Configuration context = three;
  context.context = "other";
  CHECK(Configuration::is_single_change(three, three));
  CHECK(Configuration::is_single_change(three, learner));
  CHECK(Configuration::is_single_change(three, demoted));
  CHECK(Configuration::is_single_change(three, context));
  CHECK(Configuration::is_single_change(three, voters({1, 2})));
  CHECK(Configuration::is_single_change(three, voters({1, 2, 3, 4})));
  CHECK(Configuration::is_single_change(learner, voters({1, 2, 3, 4})));
  CHECK_FALSE(Configuration::is_single_change(three, voters({1, 2, 4})));
  CHECK_FALSE(Configuration::is_single_change(three, voters({1})));
  CHECK_FALSE(Configuration::is_single_change(three, voters({1, 2, 3, 4, 5})));
}

TEST_CASE("configuration: decode gives back what encode wrote") {
  for (const Configuration& configuration : {sample(), voters({1}), Configuration{}}) {
    auto decoded = Configuration::decode(configuration.encode());
    REQUIRE(decoded.is_ok());
    CHECK(*decoded == configuration);
  }
}

TEST_CASE("configuration: every truncation and every appended byte is refused") {
  const std::string bytes = sample().encode();
  for (size_t size = 0; size < bytes.size(); ++size) {
    auto decoded = Configuration::decode(Bytes(bytes).substr(0, size));
    REQUIRE_FALSE(decoded.is_ok());
    CHECK(decoded.status().code() == Code::kCorrupt);
    CHECK_FALSE(decoded.status().message().empty());
  }
  CHECK_FALSE(Configuration::decode(bytes + '\0').is_ok());
}

TEST_CASE("configuration: a changed byte never yields an invalid configuration") {
  const std::string bytes = sample().encode();
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      auto decoded = Configuration::decode(changed);
      if (decoded) CHECK(decoded->is_valid());
    }
  }
}

TEST_CASE("configuration: duplicates, wrong order, node 0, unknown flags and formats are refused") {
  Configuration bad;
  bad.members = {{{2}, true, false}, {{1}, true, false}};
  CHECK_FALSE(Configuration::decode(bad.encode()).is_ok());
  bad.members = {{{2}, true, false}, {{2}, true, false}};
  CHECK_FALSE(Configuration::decode(bad.encode()).is_ok());
  bad.members = {{{0}, true, false}};
  CHECK_FALSE(Configuration::decode(bad.encode()).is_ok());
  std::string bytes = voters({1}).encode();
  bytes[10] = 4;  // flags of the first member
  CHECK_FALSE(Configuration::decode(bytes).is_ok());
  bytes = voters({1}).encode();
  bytes[0] = 2;
  CHECK_FALSE(Configuration::decode(bytes).is_ok());
}

TEST_CASE("configuration: a huge member count does not drive an allocation") {
  const std::string bytes("\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10);
  CHECK_FALSE(Configuration::decode(bytes).is_ok());
}

TEST_CASE("entry: the checksum covers term, index, kind and data") {
  const Entry entry = make_entry(3, 5, "data");
  CHECK(entry_intact(entry));
  auto changed = [&](auto change) {
    Entry copy = entry;
    change(copy);
    return entry_intact(copy);
  };
  CHECK_FALSE(changed([](Entry& e) { e.id.term = {4}; }));
  CHECK_FALSE(changed([](Entry& e) { e.id.index = {6}; }));
  CHECK_FALSE(changed([](Entry& e) { e.kind = EntryKind::kNoop; }));
  CHECK_FALSE(changed([](Entry& e) { e.data = SharedBytes(std::string("dat")); }));
}

}  // namespace kvstore::raft::testing
