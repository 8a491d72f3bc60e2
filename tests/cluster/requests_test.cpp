// Goal: a request under an id takes effect once on a real cluster: across lost answers, failover,
// kill -9 of everybody, snapshots, on both engines, with values of every size.
// Method: the same HTTP request is sent again and again, through every node, and its answers are
// compared; 32 clients count up one key while leaders are killed.
#include <atomic>
#include <thread>

#include <doctest/doctest.h>

#include "support/cluster.hpp"

namespace kvstore::test {
namespace {

HttpAnswer put_once(Node& node, const std::string& id, const std::string& key,
                    const std::string& value, const std::string& query = "") {
  return node.http("PUT", "/api/v1/kv/" + key + query, value, {{"Idempotency-Key", id}});
}

bool is_replay(const HttpAnswer& answer) {
  return answer.headers.count("idempotency-replayed") != 0;
}

// Through whoever serves; repeated, as a client would, until the outcome is known.
HttpAnswer put_until_known(Cluster& cluster, Node& node, const std::string& id,
                           const std::string& key, const std::string& value) {
  HttpAnswer answer;
  cluster.wait_until("an answer to " + key, [&] {
    answer = put_once(node, id, key, value);
    return answer.status != 0 && answer.status != 503 && answer.status != 504;
  });
  return answer;
}

void check_replays(Cluster& cluster, const HttpAnswer& first, const std::string& value) {
  for (Node* node : cluster.running()) {
    CAPTURE(node->name());
    const HttpAnswer again = put_until_known(cluster, *node, "once", "k", value);
    CAPTURE(again.body);
    CHECK(again.status == 200);
    CHECK(is_replay(again));
    CHECK(again.body == first.body);
    CHECK(again.headers.at("etag") == first.headers.at("etag"));
    const HttpAnswer other = put_until_known(cluster, *node, "once", "k", "another value");
    CHECK(other.status == 422);
    CHECK(contains(other.body, R"("code":"idempotency_mismatch")"));
    const HttpAnswer got = node->http("GET", "/api/v1/kv/k");
    CHECK(contains(got.body, R"("version":1)"));
  }
}

}  // namespace

TEST_CASE("a-retry-applies-once") {
  Cluster cluster("retry-once");
  for (const char* engine : {"leveldb", "sqlite", "leveldb"}) {
    Node& node = cluster.make_node(engine);
    node.set("raft.trailing_entries=5");
    node.set("state_sync.interval_ms=100");
  }
  cluster.boot();
  const HttpAnswer first = put_once(cluster[0], "once", "k", "value");
  REQUIRE(first.status == 200);
  CHECK_FALSE(is_replay(first));
  const std::string large = pattern(2'500'000, 7);
  const HttpAnswer first_large = put_once(cluster[1], "large", "big", large);
  REQUIRE(first_large.status == 200);

  // Failover.
  Node& old = cluster.leader();
  old.kill();
  cluster.wait_until("another leader", [&] { return cluster.leader().name() != old.name(); });
  check_replays(cluster, first, "value");
  old.start();
  cluster.wait_caught_up({&old});

  // Everybody at once.
  for (size_t i = 0; i < 3; ++i) cluster[i].kill();
  for (size_t i = 0; i < 3; ++i) cluster[i].start();
  cluster.wait_for_leader();
  check_replays(cluster, first, "value");

  // A snapshot: the log that had the request is gone.
  for (int i = 0; i < 40; ++i) cluster.put("more", std::to_string(i));
  cluster.wait_until("the log to be compacted", [&] {
    const auto status = cluster.leader().client().status();
    return status && status->first_index > 40;
  });
  Node& late = cluster.make_node("sqlite");
  late.set_flags({"--peers", cluster[0].raft_address()});
  late.start();
  cluster.admit(late);
  cluster.wait_caught_up({&late});
  check_replays(cluster, first, "value");
  for (Node* node : cluster.running()) {
    const HttpAnswer again = put_until_known(cluster, *node, "large", "big", large);
    CHECK(again.status == 200);
    CHECK(is_replay(again));
    CHECK(again.body == first_large.body);
  }
  CHECK(cluster.leader().http("GET", "/api/v1/kv/big?raw=true").body == large);
  const HttpAnswer hashes = cluster.leader().http("GET", "/api/v1/admin/hash");
  CAPTURE(hashes.body);
  CHECK(contains(hashes.body, R"("agree":true)"));
}

// The write is in one log alone when its time is over; whether it will survive nobody knows.
TEST_CASE("an-unknown-outcome-is-settled-by-a-retry") {
  Cluster cluster("unknown-outcome");
  cluster.boot(3);
  Node& old = cluster.leader();
  for (size_t i = 0; i < 3; ++i) {
    if (&cluster[i] != &old) cluster[i].pause();
  }
  HttpAnswer lost;
  cluster.wait_until("a write of unknown outcome", [&] {
    lost = put_once(old, "once", "k", "value", "?timeout=300ms");
    return lost.status == 504;
  });
  CHECK(contains(lost.body, R"("committed":"unknown")"));
  CHECK(contains(lost.body, R"("retryable":true)"));
  old.kill();
  for (size_t i = 0; i < 3; ++i) {
    if (&cluster[i] != &old) cluster[i].resume();
  }
  cluster.wait_until("another leader", [&] { return cluster.leader().name() != old.name(); });
  const HttpAnswer settled = put_until_known(cluster, cluster.leader(), "once", "k", "value");
  CHECK(settled.status == 200);
  old.start();
  cluster.wait_caught_up({&old});
  check_replays(cluster, settled, "value");
}

namespace {

// Counts up one key, each step a compare-and-set under an id of its own, sent until it is known:
// half of the clients put under a condition, the others run transactions.
class Counters {
 public:
  Counters(const Cluster& cluster, size_t clients) {
    for (size_t i = 0; i < clients; ++i)
      threads_.emplace_back([this, &cluster, i] { run(cluster, i); });
  }
  ~Counters() { stop(); }
  void stop() {
    stopping_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  uint64_t steps() const { return steps_; }
  uint64_t replays() const { return replays_; }
  uint64_t unknowns() const { return unknowns_; }

 private:
  void run(const Cluster& cluster, size_t number) {
    client::Client client = cluster.client(std::chrono::seconds(3));
    for (uint64_t attempt = 0; !stopping_; ++attempt) {
      const auto now = client.get("counter");
      if (!now) continue;
      const std::string next = std::to_string(std::stoull(now->item.value) + 1);
      client::Condition condition;
      condition.mod_revision = now->item.mod_revision;
      const std::string id = std::to_string(number) + "-" + std::to_string(attempt);
      for (bool maybe = false;;) {
        const auto set = number % 2 == 0 ? put(client, next, condition, id)
                                         : transact(client, next, condition, id);
        if (set) {
          ++steps_;
          replays_ += set->replayed ? 1 : 0;
          break;
        }
        // What may have happened is asked for again, until the cluster says that it did not.
        const bool unknown = set.error().kind == client::ErrorKind::kUnknownOutcome;
        if (unknown) ++unknowns_;
        maybe = maybe || unknown;
        if (!maybe || set.error().kind == client::ErrorKind::kConditionFailed) break;
      }
    }
  }

  static client::Result<client::AnswerInfo> put(client::Client& client, const std::string& next,
                                                const client::Condition& condition,
                                                const std::string& id) {
    const auto put = client.put("counter", next, condition, {}, id);
    if (!put) return put.error();
    return put->info;
  }

  static client::Result<client::AnswerInfo> transact(client::Client& client,
                                                     const std::string& next,
                                                     const client::Condition& condition,
                                                     const std::string& id) {
    client::Txn txn;
    txn.compares = {client::Compare::mod_revision("counter", *condition.mod_revision)};
    txn.then_ops = {client::Operation::put("counter", next)};
    const auto done = client.txn(txn, id);
    if (!done) return done.error();
    if (done->succeeded) return done->info;
    return client::Error{client::ErrorKind::kConditionFailed, "precondition_failed", "no"};
  }

  std::atomic<bool> stopping_ = false;
  std::atomic<uint64_t> steps_ = 0, replays_ = 0, unknowns_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace

TEST_CASE("a-counter-of-32-clients-is-exact") {
  Cluster cluster("exact-counter");
  for (const char* engine : {"leveldb", "sqlite", "leveldb"}) cluster.make_node(engine);
  cluster.boot();
  cluster.put("counter", "0");
  Counters counters(cluster, 32);
  const auto wait_for_steps = [&](uint64_t more) {
    const uint64_t target = counters.steps() + more;
    cluster.wait_until("steps of the counter", [&] { return counters.steps() >= target; });
  };
  for (int round = 0; round < 4; ++round) {
    wait_for_steps(30);
    Node& old = cluster.leader();
    if (round % 2 == 0) {
      old.kill();
      wait_for_steps(30);
      old.start();
    } else {
      old.pause();
      wait_for_steps(30);
      old.resume();
    }
    cluster.wait_caught_up({&old});
  }
  counters.stop();
  MESSAGE(counters.steps(), " steps, ", counters.replays(), " answered by an earlier attempt, ",
          counters.unknowns(), " unknown for longer than a call");
  for (size_t i = 0; i < 3; ++i) {
    CAPTURE(cluster[i].name());
    const auto counter = cluster[i].client().get("counter");
    REQUIRE(counter);
    CHECK(counter->item.value == std::to_string(counters.steps()));
    CHECK(counter->item.version == counters.steps() + 1);
  }
}

namespace {

constexpr size_t kBatchPuts = 140;  // two transactions

// Batches under ids of their own, each repeated until all of it is done: new keys, and one key
// that is put twice.
class BatchWriters {
 public:
  BatchWriters(const Cluster& cluster, size_t writers) {
    for (size_t i = 0; i < writers; ++i)
      threads_.emplace_back([this, &cluster, i] { run(cluster, std::to_string(i)); });
  }
  ~BatchWriters() { stop(); }
  void stop() {
    stopping_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  uint64_t batches() const { return batches_; }
  uint64_t replayed() const { return replayed_; }

 private:
  void run(const Cluster& cluster, const std::string& name) {
    client::Client client = cluster.client(std::chrono::seconds(3));
    for (uint64_t number = 0; !stopping_; ++number) {
      const std::string id = name + "-" + std::to_string(number);
      std::vector<client::Operation> puts;
      for (size_t i = 0; i < kBatchPuts; ++i)
        puts.push_back(client::Operation::put("b/" + id + "/" + std::to_string(i), "v"));
      puts.push_back(client::Operation::put("b/" + id + "/twice", "1"));
      puts.push_back(client::Operation::put("b/" + id + "/twice", "2"));
      while (true) {
        const auto batch = client.batch(puts, id);
        if (!batch || batch->failed != 0) continue;
        for (const client::OperationResult& result : batch->results)
          replayed_ += result.replayed ? 1 : 0;
        break;
      }
      ++batches_;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  std::atomic<bool> stopping_ = false;
  std::atomic<uint64_t> batches_ = 0, replayed_ = 0;
  std::vector<std::thread> threads_;
};

// The number of keys below b/, each of which was put as often as it was asked for.
uint64_t check_batches(Cluster& cluster) {
  client::ListOptions options;
  options.prefix = "b/";
  options.limit = 0;
  uint64_t wrong = 0;
  const auto list = cluster.client().list(options, [&](const client::Item& item) {
    const bool twice = item.key.ends_with("/twice");
    wrong += item.version == (twice ? 2 : 1) && item.value == (twice ? "2" : "v") ? 0 : 1;
    return true;
  });
  REQUIRE(list);
  CHECK(wrong == 0);
  return list->count;
}

HttpAnswer delete_batches(Cluster& cluster) {
  HttpAnswer answer;
  for (size_t i = 0; answer.status != 200 && i < 1000; ++i) {
    if (i != 0) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    answer = cluster[i % cluster.size()].http("DELETE", "/api/v1/kv?prefix=b%2F", "",
                                              {{"Idempotency-Key", "gone"}});
  }
  return answer;
}

}  // namespace

TEST_CASE("batches-and-ranges-apply-once") {
  Cluster cluster("batches-once");
  for (const char* engine : {"leveldb", "sqlite", "leveldb"}) {
    // However a node limits transactions, it divides a batch as the others do.
    cluster.make_node(engine).set("apis.0.options.max_txn_operations=" +
                                  std::to_string(cluster.size() * 40));
  }
  cluster.boot();
  BatchWriters writers(cluster, 3);
  const auto wait_for_batches = [&](uint64_t more) {
    const uint64_t target = writers.batches() + more;
    cluster.wait_until("batches", [&] { return writers.batches() >= target; });
  };
  for (int round = 0; round < 4; ++round) {
    wait_for_batches(40);
    Node& old = cluster.leader();
    old.kill();
    wait_for_batches(10);
    old.start();
    cluster.wait_caught_up({&old});
  }
  writers.stop();
  const uint64_t keys = check_batches(cluster);
  CHECK(keys == writers.batches() * (kBatchPuts + 1));
  REQUIRE(keys > 20'000);
  MESSAGE(writers.batches(), " batches, ", writers.replayed(),
          " operations answered by an earlier attempt");

  // A delete in pieces, whose leader dies once something is gone.
  Node& old = cluster.leader();
  HttpAnswer deleted;
  std::thread deleting([&] { deleted = delete_batches(cluster); });
  Node& other = &cluster[0] == &old ? cluster[1] : cluster[0];
  cluster.wait_until("a piece to be deleted", [&] {
    return other.http("GET", "/api/v1/kv/b%2F0-0%2F0?consistency=stale").status == 404;
  });
  old.kill();
  deleting.join();
  REQUIRE(deleted.status == 200);
  CHECK(contains(deleted.body, "{\"deleted\":" + std::to_string(keys) + ",\"more\":false"));
  old.start();
  cluster.wait_caught_up({&old});
  cluster.put("b/new", "v");
  for (Node* node : cluster.running()) {
    HttpAnswer again;
    cluster.wait_until("an answer", [&] {
      again = node->http("DELETE", "/api/v1/kv?prefix=b%2F", "", {{"Idempotency-Key", "gone"}});
      return again.status != 503 && again.status != 504;
    });
    CHECK(again.body == deleted.body);
    CHECK(is_replay(again));
    CHECK(node->http("DELETE", "/api/v1/kv?prefix=b", "", {{"Idempotency-Key", "gone"}}).status ==
          422);
  }
  CHECK(cluster.get(cluster[0], "b/new") == "v");
  const HttpAnswer hashes = cluster.leader().http("GET", "/api/v1/admin/hash");
  CHECK(contains(hashes.body, R"("agree":true)"));
}

}  // namespace kvstore::test
