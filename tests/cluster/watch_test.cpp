// Goal: a client that watches from the first revision on sees each change once and in order, over
// reconnects, on other nodes, and while the leader dies.
// Method: writers put ever new keys through all nodes; watchers write down what they are told, end
// their watch again and again, and lose their servers.  One revision for each put, so that a gap or
// a repetition shows in the numbers.  KVS_WATCH_CHANGES sets how many puts.
#include <cstdlib>

#include <doctest/doctest.h>

#include "support/cluster.hpp"

namespace kvstore::test {
namespace {

uint64_t wanted_changes() {
  const char* text = std::getenv("KVS_WATCH_CHANGES");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 20'000;
}

// Follows everything from revision 1 on, on a thread of its own.
class Follower {
 public:
  // The servers in their order; a new watch after each `stretch` changes.
  Follower(std::vector<std::string> servers, uint64_t stretch)
      : servers_(std::move(servers)), stretch_(stretch), thread_([this] { run(); }) {}
  ~Follower() { join(); }

  // It ends by itself behind the key "w/last", or with a problem.
  bool ended() const { return ended_; }
  void join() {
    if (!thread_.joinable()) return;
    if (!ended_) token_.cancel();
    thread_.join();
  }
  std::string problem() const { return problem_; }
  const std::map<std::string, uint64_t>& keys() const { return keys_; }
  uint64_t connections() const { return connections_; }

 private:
  void run() {
    follow();
    ended_ = true;
  }
  void follow() {
    client::ClientOptions options;
    options.servers = servers_;
    auto client = client::Client::create(options);
    client::CallLimits limits;
    limits.cancel = token_;
    client->limit_calls(limits);
    client::WatchOptions watch;
    watch.prefix = "w/";
    watch.from_revision = 1;
    while (problem_.empty() && !done_) {
      uint64_t left = stretch_;
      auto end = client->watch(watch, [&](const client::Change& change) {
        take(change);
        return problem_.empty() && !done_ && --left > 0;
      });
      if (!end) {
        problem_ = end.error().message;
        return;
      }
      connections_ += end->connections;
      watch.from_revision = end->revision + 1;
    }
  }
  void take(const client::Change& change) {
    const bool next = revision_ == 0 || change.revision == revision_ + 1;
    if (!next || change.kind != client::ChangeKind::kPut || change.item.version != 1) {
      problem_ = "revision " + std::to_string(change.revision) + " came after " +
                 std::to_string(revision_) + ", key " + change.item.key;
    }
    if (!keys_.emplace(change.item.key, change.revision).second) {
      problem_ = change.item.key + " came twice";
    }
    revision_ = change.revision;
    done_ = change.item.key == "w/last";
  }

  const std::vector<std::string> servers_;
  const uint64_t stretch_;
  client::CancelToken token_;
  std::atomic<bool> ended_{false};
  bool done_ = false;
  uint64_t revision_ = 0;
  std::string problem_;
  std::map<std::string, uint64_t> keys_;  // with their revisions
  uint64_t connections_ = 0;
  std::thread thread_;
};

// Writers that put each key once; what was acknowledged, with its revision.
class Writers {
 public:
  Writers(const Cluster& cluster, size_t count, uint64_t changes) : left_(changes) {
    for (size_t i = 0; i < count; ++i) {
      threads_.emplace_back([this, i, urls = cluster.urls()] { run(i, urls); });
    }
  }
  void join() {
    for (std::thread& thread : threads_) thread.join();
  }
  uint64_t done() const { return done_; }
  const std::map<std::string, uint64_t>& acknowledged() const { return acknowledged_; }

 private:
  void run(size_t number, std::vector<std::string> urls) {
    std::rotate(urls.begin(), urls.begin() + static_cast<long>(number % urls.size()), urls.end());
    client::ClientOptions options;
    options.servers = urls;
    options.timeout = std::chrono::seconds(30);
    auto client = client::Client::create(options);
    std::map<std::string, uint64_t> mine;
    for (uint64_t i = 0; left_.fetch_sub(1) > 0; ++i) {
      const std::string key = "w/" + std::to_string(number) + "/" + std::to_string(i);
      const auto result = client->put(key, "value of " + key);
      // A put of unknown outcome is neither repeated nor missed.
      if (result) mine[key] = result->revision;
      ++done_;
    }
    const std::lock_guard lock(mutex_);
    acknowledged_.merge(mine);
  }

  std::atomic<int64_t> left_;
  std::atomic<uint64_t> done_{0};
  std::mutex mutex_;
  std::map<std::string, uint64_t> acknowledged_;
  std::vector<std::thread> threads_;
};

}  // namespace

TEST_CASE("watches-over-reconnects-and-a-failover") {
  const uint64_t changes = wanted_changes();
  Cluster cluster("watches");
  for (const char* engine : {"leveldb", "sqlite", "leveldb"}) cluster.make_node(engine);
  cluster.boot();
  Node& leader = cluster.leader();
  // One whose server dies, one on a follower, one that begins again and again.
  std::vector<std::string> urls = cluster.urls();
  std::vector<std::string> leader_first = urls;
  std::rotate(leader_first.begin(),
              std::find(leader_first.begin(), leader_first.end(), leader.url()),
              leader_first.end());
  std::vector<std::string> leader_last(leader_first.rbegin(), leader_first.rend());
  Follower on_leader(leader_first, UINT64_MAX), on_follower(leader_last, UINT64_MAX),
      restless(urls, std::max<uint64_t>(changes / 50, 1));
  Writers writers(cluster, 16, changes);
  cluster.wait_until(
      "half of the writes", [&] { return writers.done() >= changes / 2; },
      std::chrono::minutes(10));
  leader.kill();
  cluster.wait_for_leader();
  leader.start();
  writers.join();
  const auto& acknowledged = writers.acknowledged();
  CHECK(acknowledged.size() > changes * 9 / 10);
  // Everything that was written, acknowledged or not, is in the store now.
  const auto stored = cluster.read_all(cluster.leader(), "w/");
  cluster.put("w/last", "v");
  Follower late(urls, UINT64_MAX);
  for (Follower* follower : {&on_leader, &on_follower, &restless, &late}) {
    cluster.wait_until(
        "the watch is through", [&] { return follower->ended(); }, std::chrono::minutes(10));
    follower->join();
    CHECK(follower->problem() == "");
    CHECK(follower->keys().size() == stored.size() + 1);
    size_t missed = 0;
    for (const auto& [key, revision] : acknowledged) {
      const auto seen = follower->keys().find(key);
      if (seen == follower->keys().end() || seen->second != revision) ++missed;
    }
    CHECK(missed == 0);
  }
  CHECK(restless.connections() > 20);
  MESSAGE((stored.size() + 1) << " changes; connections: " << on_leader.connections()
                              << " on the leader, " << on_follower.connections()
                              << " on a follower, " << restless.connections() << " restless, "
                              << late.connections() << " late");
}

}  // namespace kvstore::test
