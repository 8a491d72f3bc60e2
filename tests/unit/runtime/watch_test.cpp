// Goal: watches over the engine's table: whole, in order, with credit, ended as the header says,
// and silent once closed, whichever thread closes. Method: servers with real threads over in-memory
// plugins behind the checking proxy, which aborts on a batch without credit or a call after the
// end; watchers only write down what they are told.
#include <condition_variable>
#include <mutex>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "plugin/slice.hpp"
#include "server_fixture.hpp"

namespace kvstore::test {
namespace {

// "3+k=v,4-k;" is a batch, "end -20 7" the end.
class Watching {
 public:
  explicit Watching(TestServer* node) : node_(node) {}
  ~Watching() { close(); }
  Watching(const Watching&) = delete;
  Watching& operator=(const Watching&) = delete;

  kvs_status open(const std::string& prefix, uint64_t from, uint32_t credit, uint32_t flags = 0,
                  std::string* message = nullptr) {
    kvs_call call{};
    call.struct_size = sizeof call;
    kvs_watch_options options{};
    options.struct_size = sizeof options;
    options.flags = flags;
    options.range.kind = KVS_RANGE_PREFIX;
    options.range.key = plugin::to_slice(prefix);
    options.from_revision = from;
    options.credit = credit;
    kvs_error err{};
    err.struct_size = sizeof err;
    const kvs_engine* e = node_->engine();
    kvs_status s = e->watch_open(e->ctx, &call, &options, on_batch, this, &handle_, &err);
    if (message != nullptr) *message = err.message;
    return s;
  }
  void credit(uint32_t batches) { node_->engine()->watch_credit(handle_, batches); }
  void close() {
    if (kvs_watch* handle = std::exchange(handle_, nullptr)) node_->engine()->watch_close(handle);
  }
  void close_in_next_call() { close_inside_ = true; }

  std::string text() const {
    std::lock_guard lock(mutex_);
    return text_;
  }
  // Without the bounds of batches.
  std::string changes() const {
    std::string all = text();
    for (char& c : all) c = c == ',' ? ';' : c;
    return all;
  }
  uint64_t revision() const {
    std::lock_guard lock(mutex_);
    return revision_;
  }
  bool says(const std::string& expected) const {
    return eventually([&] { return text() == expected; });
  }

 private:
  static void on_batch(void* user, kvs_status status, const kvs_event* e, uint32_t n,
                       uint64_t revision) noexcept {
    static_cast<Watching*>(user)->take(status, e, n, revision);
  }
  void take(kvs_status status, const kvs_event* e, uint32_t n, uint64_t revision) {
    if (close_inside_) {
      node_->engine()->watch_close(handle_);
      handle_ = nullptr;
    }
    std::lock_guard lock(mutex_);
    revision_ = revision;
    if (status != KVS_OK) {
      text_ += "end " + std::to_string(status) + " " + std::to_string(revision);
      return;
    }
    for (uint32_t i = 0; i < n; ++i) {
      text_ += std::to_string(e[i].revision);
      text_ += e[i].kind == KVS_EVENT_PUT ? "+" : "-";
      text_.append(plugin::to_bytes(e[i].now.key));
      if (e[i].kind == KVS_EVENT_PUT) text_.append("=").append(plugin::to_bytes(e[i].now.value));
      if (e[i].prev != nullptr) text_.append("(").append(plugin::to_bytes(e[i].prev->value)) += ")";
      text_ += (e[i].flags & KVS_EVENT_MORE) != 0 ? "*" : i + 1 < n ? "," : ";";
    }
  }

  TestServer* node_;
  kvs_watch* handle_ = nullptr;
  std::atomic<bool> close_inside_{false};
  mutable std::mutex mutex_;
  std::string text_;
  uint64_t revision_ = 0;
};

struct Fixture {
  TestServer node{"solo"};
  void start() {
    node.options.bootstrap = true;
    Status s = node.start();
    INFO(s.to_string());
    REQUIRE(s.is_ok());
  }
  uint64_t put(const std::string& key, const std::string& value) {
    Answer a = node.put(key, value, 20'000).wait();
    REQUIRE(a.status == KVS_OK);
    return a.revision;
  }
};

TEST_CASE_FIXTURE(Fixture, "changes from a revision on, from now on, and with what was before") {
  start();
  put("k", "1");
  put("other", "x");
  put("k", "2");
  Watching past(&node), now(&node), future(&node);
  REQUIRE(past.open("k", 1, 100, KVS_WATCH_PREV) == KVS_OK);
  REQUIRE(now.open("k", 0, 100) == KVS_OK);
  REQUIRE(future.open("", 5, 100) == KVS_OK);
  CHECK(past.says("1+k=1,3+k=2(1);"));
  put("k", "3");
  CHECK(now.says("4+k=3;"));
  CHECK(past.says("1+k=1,3+k=2(1);4+k=3(2);"));
  put("l", "4");
  CHECK(future.says("5+l=4;"));
}

TEST_CASE_FIXTURE(Fixture, "credit holds batches back") {
  start();
  Watching slow(&node), witness(&node);
  REQUIRE(slow.open("k", 1, 1) == KVS_OK);
  REQUIRE(witness.open("k", 1, 100) == KVS_OK);
  put("k", "1");
  CHECK(slow.says("1+k=1;"));
  put("k", "2");
  put("k", "3");
  CHECK(eventually([&] { return witness.text().find("3+k=3;") != std::string::npos; }));
  CHECK(slow.text() == "1+k=1;");
  slow.credit(1);
  CHECK(slow.says("1+k=1;2+k=2,3+k=3;"));
}

TEST_CASE_FIXTURE(Fixture, "what cannot be watched is refused") {
  node.options.limits.watches_max = 1;
  start();
  Watching first(&node), second(&node);
  std::string message;
  CHECK(first.open("k", 1, 1, 4, &message) == KVS_E_UNSUPPORTED);
  CHECK(first.open(std::string(10'000, 'k'), 1, 1) == KVS_E_INVALID);
  for (const char* value : {"1", "2", "3"}) put("k", value);
  REQUIRE(node.control("admin.compact", R"({"revision":2})", 20'000).wait().status == KVS_OK);
  REQUIRE(eventually([&] { return first.open("k", 2, 1, 0, &message) == KVS_E_COMPACTED; }));
  CHECK(message == "the changes of revision 2 are compacted: the oldest are those of revision 3");
  REQUIRE(first.open("k", 3, 1) == KVS_OK);
  CHECK(second.open("k", 3, 1, 0, &message) == KVS_E_BUSY);
  CHECK(message == "1 watches are open (limits.watches_max)");
  CHECK(first.says("3+k=3;"));
  first.close();
  CHECK(second.open("k", 3, 1) == KVS_OK);
  CHECK(second.says("3+k=3;"));
}

TEST_CASE_FIXTURE(Fixture, "a watch that takes nothing ends, and says where to resume") {
  node.options.limits.watch_lag_bytes_max = 1000;
  start();
  Watching slow(&node);
  REQUIRE(slow.open("k", 1, 1) == KVS_OK);
  put("k", "1");
  REQUIRE(slow.says("1+k=1;"));
  for (int i = 0; i < 4; ++i) put("k", std::string(500, 'v'));
  CHECK(slow.says("1+k=1;end -20 1"));
}

TEST_CASE_FIXTURE(Fixture, "progress comes by itself") {
  start();
  Watching quiet(&node);
  REQUIRE(quiet.open("quiet", 0, 0, KVS_WATCH_PROGRESS) == KVS_OK);
  const uint64_t last = put("k", "1");
  CHECK(eventually([&] { return quiet.revision() == last; }));
  CHECK(quiet.text().empty());
}

TEST_CASE_FIXTURE(Fixture, "a stopping node ends its watches") {
  start();
  Watching watching(&node);
  REQUIRE(watching.open("k", 1, 100) == KVS_OK);
  put("k", "1");
  REQUIRE(watching.says("1+k=1;"));
  // As a front end does it: closed between drain and stop, here on the thread that is told.
  watching.close_in_next_call();
  node.stop();
  CHECK(watching.text() == "1+k=1;end -40 1");
}

TEST_CASE_FIXTURE(Fixture, "watches come, go and are closed while changes pour in") {
  start();
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; !stop; ++round) {
        Watching w(&node);
        if (w.open(t == 0 ? "" : "k", round % 2 == 0 ? 0 : 1, static_cast<uint32_t>(round % 3)) !=
            KVS_OK) {
          abort();
        }
        if (round % 3 == 0) w.credit(2);
        if (round % 5 == 0) std::this_thread::yield();
        w.close();
        const std::string text = w.text();
        std::this_thread::yield();
        if (w.text() != text) abort();  // something was delivered after the close
      }
    });
  }
  Watching whole(&node);
  REQUIRE(whole.open("k", 1, 1'000'000) == KVS_OK);
  std::string expected;
  for (int i = 1; i <= 200; ++i) {
    put("k" + std::to_string(i % 7), std::to_string(i));
    expected += std::to_string(i) + "+k" + std::to_string(i % 7) + "=" + std::to_string(i) + ";";
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(eventually([&] { return whole.changes() == expected; }));
}

TEST_CASE("a watch on an empty joiner goes on through the snapshot that it installs") {
  TestServer a{"a"}, b{"b"};
  for (TestServer* node : {&a, &b}) {
    node->options.node.trailing_entries = 5;
    node->options.node.sync_interval_ms = 20;
  }
  a.options.bootstrap = true;
  REQUIRE(a.start().is_ok());
  std::string expected;
  const auto put = [&](int i) {
    const std::string key = "k" + std::to_string(i);
    Answer answer = a.put(key, "v", 30'000).wait();
    REQUIRE(answer.status == KVS_OK);
    expected += std::to_string(answer.revision) + "+" + key + "=v;";
  };
  for (int i = 0; i < 100; ++i) put(i);
  const auto first_index = [&] {
    return nlohmann::json::parse(
               a.control("cluster.status", "{}", 20'000).wait().json)["first_index"]
        .get<uint64_t>();
  };
  REQUIRE(eventually([&] { return first_index() > 50; }));
  REQUIRE(b.start().is_ok());
  Watching whole(&b);
  REQUIRE(whole.open("k", 1, 1'000'000) == KVS_OK);
  const nlohmann::json arguments{
      {"node_id", "b"}, {"address", b.server().raft_address()}, {"timeout_ms", 40'000}};
  REQUIRE(a.control("cluster.add", arguments.dump(), 60'000).wait().status == KVS_OK);
  for (int i = 100; i < 120; ++i) put(i);
  CHECK(eventually([&] { return whole.changes() == expected; }));
}

}  // namespace
}  // namespace kvstore::test
