// Goal: the log loses only what the state made durable and no peer is about to need.
// Method: a log of known entries; each bound alone and the strictest of several.
#include "node/compaction.hpp"

#include <doctest/doctest.h>

namespace kvstore::node {
namespace {

raft::RaftLog log_of(uint64_t entries) {
  raft::RaftLog log({}, 1 << 20);
  for (uint64_t i = 1; i <= entries; ++i) {
    raft::Entry e;
    e.id = {{1}, {i}};
    log.append(std::move(e));
  }
  return log;
}

raft::Index upto(CompactionPolicy& policy, const raft::RaftLog& log, uint64_t durable,
                 uint64_t now_ms = 0) {
  return policy.upto(log, {durable}, log.last().index, now_ms);
}

TEST_CASE("a tail of entries stays, and all that is not durable") {
  raft::RaftLog log = log_of(100);
  CompactionPolicy policy(20, 1 << 30);
  CHECK(upto(policy, log, 100) == raft::Index{80});
  CHECK(upto(policy, log, 30) == raft::Index{30});
  CHECK(upto(policy, log, 0) == raft::Index{0});
  CompactionPolicy long_tail(100, 1 << 30);
  CHECK(upto(long_tail, log, 100) == raft::Index{0});
  log.compact({50});
  CHECK(upto(long_tail, log, 100) == raft::Index{50});  // the base: nothing to drop
}

TEST_CASE("large entries make the tail shorter than its number") {
  raft::RaftLog log = log_of(100);
  CompactionPolicy policy(1'000, 10 << 20);
  for (uint64_t i = 1; i <= 100; ++i) policy.on_appended({i}, 1 << 20);
  raft::Index target = upto(policy, log, 100);
  CHECK(target >= raft::Index{85});
  CHECK(target <= raft::Index{90});
}

TEST_CASE("what a stream to a peer will need is held until it ends or is too old") {
  raft::RaftLog log = log_of(100);
  CompactionPolicy policy(0, 1 << 30);
  policy.hold({1}, {40}, 1'000);
  policy.hold({2}, {30}, 500);
  CHECK(upto(policy, log, 100, 499) == raft::Index{30});
  CHECK(upto(policy, log, 100, 500) == raft::Index{40});
  policy.release({1});
  CHECK(upto(policy, log, 100, 500) == raft::Index{100});
}

TEST_CASE("what a receiver has taken is not held any more") {
  raft::RaftLog log = log_of(100);
  CompactionPolicy policy(0, 1 << 30);
  policy.hold({1}, {40}, 1'000);
  policy.follow({1}, {30});
  CHECK(upto(policy, log, 100) == raft::Index{40});
  policy.follow({1}, {70});
  policy.follow({2}, {10});
  CHECK(upto(policy, log, 100) == raft::Index{70});
  policy.release_all();
  CHECK(upto(policy, log, 100) == raft::Index{100});
}

TEST_CASE("a peer that takes part finds what it lacks, up to a number of bytes") {
  raft::RaftLog log = log_of(100);
  CompactionPolicy policy(20, 10 << 20);
  for (uint64_t i = 1; i <= 100; ++i) policy.on_appended({i}, 256 << 10);
  const raft::Index bounded = policy.upto(log, {100}, {1}, 0);
  CHECK(bounded >= raft::Index{55});
  CHECK(bounded <= raft::Index{62});
  CHECK(policy.upto(log, {100}, {70}, 0) == raft::Index{70});
  CHECK(policy.upto(log, {100}, {90}, 0) == raft::Index{80});
}

TEST_CASE("a truncated log does not confuse the count of bytes") {
  raft::RaftLog log = log_of(50);
  CompactionPolicy policy(1'000, 1 << 20);
  for (uint64_t i = 1; i <= 100; ++i) policy.on_appended({i}, 1 << 20);
  policy.on_appended({50}, 1 << 20);  // 51..100 were replaced
  CHECK(upto(policy, log, 50) <= raft::Index{50});
  CHECK(upto(policy, log, 50) >= raft::Index{40});
}

}  // namespace
}  // namespace kvstore::node
