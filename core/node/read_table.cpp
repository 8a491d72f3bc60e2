#include "node/read_table.hpp"

#include <utility>

#include "base/mutation.hpp"

namespace kvstore::node {
namespace {

void finish(ReadPtr read, raft::LogId at) {
  ReadOutcome outcome;
  outcome.at = at;
  read->done(std::move(outcome));
}

// Ends the reads of a map or vector that are past their deadline.
template <typename Container, typename Get>
void expire(Container* reads, uint64_t now_ms, Get get, Code code, const std::string& message,
            const char* reason = nullptr) {
  for (auto it = reads->begin(); it != reads->end();) {
    ReadPtr& read = get(*it);
    if (read->deadline_ms > now_ms) {
      ++it;
      continue;
    }
    ReadPtr expired = std::move(read);
    it = reads->erase(it);
    expired->fail(code, message, reason);
  }
}

constexpr auto kSelf = [](ReadPtr& r) -> ReadPtr& { return r; };
constexpr auto kSecond = [](auto& pair) -> ReadPtr& { return pair.second; };
constexpr const char* kNoLeader = "no leader is known";
constexpr const char* kNotConfirmed = "the leader did not confirm the read in time";
constexpr const char* kBehind = "this node did not catch up in time";

}  // namespace

ReadTable::~ReadTable() {
  fail_all(Code::kCancelled, "the node stops");
}

void ReadTable::add(ReadPtr read, uint64_t revision) {
  revision_ = revision;
  if (read->consistency == Consistency::kStale) {
    settle(std::move(read), {raft::Term{}, applied_});
  } else {
    unasked_.push_back(std::move(read));
  }
}

void ReadTable::add_confirmed(ReadPtr read, raft::Index index, raft::Term term) {
  if (index <= applied_ || KVS_MUTATED(kReadBeforeApplied)) {
    settle(std::move(read), {term, index});
  } else {
    confirmed_.emplace(index, std::move(read));
  }
}

void ReadTable::settle(ReadPtr read, raft::LogId at) {
  if (read->min_revision <= revision_) {
    finish(std::move(read), at);
  } else if (by_revision_.size() < revision_waiters_max_) {
    by_revision_.emplace(read->min_revision, std::move(read));
  } else {
    read->fail(Code::kBusy, "too many reads wait for a revision that is not there yet");
  }
}

void ReadTable::ask(uint64_t token, uint64_t now_ms) {
  asked_.emplace(token, Asked{now_ms, std::exchange(unasked_, {})});
}

void ReadTable::on_result(const raft::ReadResult& result, raft::Term term) {
  auto it = asked_.find(result.token);
  if (it == asked_.end()) return;  // asked again meanwhile
  std::vector<ReadPtr> reads = std::move(it->second.reads);
  asked_.erase(it);
  for (ReadPtr& read : reads) {
    if (result.code != Code::kOk) {
      unasked_.push_back(std::move(read));
    } else {
      add_confirmed(std::move(read), result.index, term);
    }
  }
}

void ReadTable::on_applied(raft::Index applied, raft::Term term, uint64_t revision) {
  applied_ = applied;
  revision_ = revision;
  while (!confirmed_.empty() && confirmed_.begin()->first <= applied) {
    auto node = confirmed_.extract(confirmed_.begin());
    settle(std::move(node.mapped()), {term, node.key()});
  }
  while (!by_revision_.empty() && by_revision_.begin()->first <= revision) {
    auto node = by_revision_.extract(by_revision_.begin());
    finish(std::move(node.mapped()), {term, applied});
  }
}

void ReadTable::tick(uint64_t now_ms, uint64_t retry_ms, bool leader_known) {
  for (auto it = asked_.begin(); it != asked_.end();) {
    if (it->second.at_ms + retry_ms > now_ms) {
      ++it;
      continue;
    }
    for (ReadPtr& read : it->second.reads) unasked_.push_back(std::move(read));
    it = asked_.erase(it);
  }
  expire(&unasked_, now_ms, kSelf, Code::kUnreachable, leader_known ? kNotConfirmed : kNoLeader);
  for (auto& [token, asked] : asked_) {
    expire(&asked.reads, now_ms, kSelf, Code::kUnreachable, kNotConfirmed);
  }
  expire(&confirmed_, now_ms, kSecond, Code::kTimeout, kBehind);
  expire(&by_revision_, now_ms, kSecond, Code::kTimeout,
         "this node is at revision " + std::to_string(revision_) +
             " and did not reach the min_revision of the read in time",
         "revision_not_reached");
}

void ReadTable::fail_all(Code code, const char* message) {
  std::vector<ReadPtr> all = std::exchange(unasked_, {});
  for (auto& [token, asked] : std::exchange(asked_, {})) {
    for (ReadPtr& read : asked.reads) all.push_back(std::move(read));
  }
  for (auto& [index, read] : std::exchange(confirmed_, {})) all.push_back(std::move(read));
  for (auto& [revision, read] : std::exchange(by_revision_, {})) all.push_back(std::move(read));
  for (ReadPtr& read : all) read->fail(code, message);
}

}  // namespace kvstore::node
