// Goal: asynchronous calls are bounded, complete exactly once, and end early when they are told to;
// a write that was sent is never called cancelled. Method: scripted servers that answer, hang, or
// wait until the test lets them go.
#include <condition_variable>
#include <mutex>
#include <thread>

#include <kvstore/client/async.hpp>

#include <doctest/doctest.h>

#include "scripted_server.hpp"

namespace kvstore::client {
namespace {

using std::chrono::milliseconds;
using test::error_reply;
using test::json_reply;
using test::Reply;
using test::ScriptedServer;
using test::SeenRequest;

AsyncOptions options_of(const std::string& url, size_t threads, size_t queue_max,
                        int timeout_ms = 20'000) {
  AsyncOptions options;
  options.client.servers = {url};
  options.client.timeout = milliseconds(timeout_ms);
  options.threads = threads;
  options.queue_max = queue_max;
  return options;
}

AsyncClient make(const AsyncOptions& options) {
  auto client = AsyncClient::create(options);
  REQUIRE(client);
  return std::move(*client);
}

Reply item_reply() {
  return json_reply(200, R"({"key":"k","value":"dg==","deleted":1})");
}
Reply hung() {
  return {200, "", {}, Reply::Action::kHang};
}

// Something that several threads wait for.
class Gate {
 public:
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

TEST_CASE("futures") {
  ScriptedServer server([](const SeenRequest&) { return item_reply(); });
  AsyncClient client = make(options_of(server.url(), 4, 100));
  auto put = client.put("k", "v");
  auto get = client.get("k");
  auto del = client.del("k");
  auto list = client.submit([](Client& c) { return c.metrics(); });
  CHECK(put.get());
  const auto got = get.get();
  REQUIRE(got);
  CHECK(got->item.value == "v");
  const auto deleted = del.get();
  REQUIRE(deleted);
  CHECK(deleted->deleted == 1);
  CHECK(list.get());
  CHECK(server.requests().size() == 4);
}

TEST_CASE("callbacks run once each, on other threads, and may submit more") {
  ScriptedServer server([](const SeenRequest&) { return item_reply(); });
  std::mutex mutex;
  int calls = 0;
  Gate all;
  const auto self = std::this_thread::get_id();
  bool elsewhere = true;
  AsyncClient client = make(options_of(server.url(), 3, 100));
  const auto get = [](Client& c) { return c.get("k"); };
  const auto count = [&](Result<GetResult> result) {
    const std::lock_guard lock(mutex);
    elsewhere = elsewhere && result && std::this_thread::get_id() != self;
    if (++calls == 20) all.open();
  };
  for (int i = 0; i < 10; ++i) {
    CHECK_FALSE(client.submit_then(get, [&](Result<GetResult> result) {
      CHECK_FALSE(client.submit_then(get, count));
      count(std::move(result));
    }));
  }
  all.wait();
  CHECK(calls == 20);
  CHECK(elsewhere);
}

TEST_CASE("what does not fit into the queue is refused at once, and never called back") {
  ScriptedServer server([](const SeenRequest&) { return item_reply(); });
  Gate running, go;
  AsyncClient client = make(options_of(server.url(), 1, 2));
  auto first = client.submit([&](Client& c) {
    running.open();
    go.wait();
    return c.get("k");
  });
  running.wait();
  auto second = client.get("k");
  auto third = client.get("k");
  const auto fourth = client.get("k").get();
  REQUIRE_FALSE(fourth);
  CHECK(fourth.error().kind == ErrorKind::kOverloaded);
  CHECK(fourth.error().message == "2 calls are waiting already");
  bool called = false;
  const auto refused = client.submit_then([](Client& c) { return c.get("k"); },
                                          [&](const Result<GetResult>&) { called = true; });
  REQUIRE(refused);
  CHECK(refused->kind == ErrorKind::kOverloaded);
  go.open();
  CHECK(first.get());
  CHECK(second.get());
  CHECK(third.get());
  CHECK_FALSE(called);
  CHECK(server.requests().size() == 3);
}

TEST_CASE("the end of the client cancels what waits and finishes what runs") {
  ScriptedServer server([](const SeenRequest&) { return item_reply(); });
  Gate running, go;
  std::future<Result<GetResult>> first, second;
  std::thread opener;
  {
    AsyncClient client = make(options_of(server.url(), 1, 10));
    first = client.submit([&](Client& c) {
      running.open();
      go.wait();
      return c.get("k");
    });
    running.wait();
    second = client.get("k");
    // Runs only once the waiting call has been cancelled by the destructor below.
    opener = std::thread([&] {
      second.wait();
      go.open();
    });
  }
  opener.join();
  CHECK(first.get());
  const auto cancelled = second.get();
  REQUIRE_FALSE(cancelled);
  CHECK(cancelled.error().kind == ErrorKind::kCancelled);
}

TEST_CASE("a token ends a read that waits for its answer, and a write with an unknown outcome") {
  Gate asked;
  ScriptedServer server([&](const SeenRequest&) {
    asked.open();
    return hung();
  });
  for (const bool write : {false, true}) {
    CAPTURE(write);
    AsyncClient client = make(options_of(server.url(), 1, 10));
    CallLimits limits;
    limits.cancel.emplace();
    const CancelToken other;
    auto call = client.submit(
        [&](Client& c) -> Result<AnswerInfo> {
          if (write) {
            const auto put = c.put("k", "v");
            return put ? Result<AnswerInfo>(put->info) : put.error();
          }
          const auto get = c.get("k");
          return get ? Result<AnswerInfo>(get->info) : get.error();
        },
        limits);
    asked.wait();
    other.cancel();  // is nothing to this call
    limits.cancel->cancel();
    const auto result = call.get();
    REQUIRE_FALSE(result);
    CAPTURE(result.error().message);
    // The write's request may not have left yet when the token is cancelled: then it did nothing.
    const bool unknown = result.error().kind == ErrorKind::kUnknownOutcome;
    CHECK((unknown ? write : result.error().kind == ErrorKind::kCancelled));
    CHECK(result.error().code == "cancelled");
    CHECK(limits.cancel->is_cancelled());
    CHECK_FALSE(CallLimits{}.cancel);
  }
}

TEST_CASE("a write that was seen by the server and is cancelled has an unknown outcome") {
  Gate asked;
  ScriptedServer server([&](const SeenRequest&) {
    asked.open();
    return hung();
  });
  auto client = Client::create({{server.url()}, milliseconds(20'000)});
  REQUIRE(client);
  CallLimits limits;
  limits.cancel.emplace();
  client->limit_calls(limits);
  std::thread canceller([&] {
    asked.wait();
    limits.cancel->cancel();
  });
  const auto result = client->put("k", "v");
  canceller.join();
  REQUIRE_FALSE(result);
  CHECK(result.error().kind == ErrorKind::kUnknownOutcome);
  CHECK(result.error().code == "cancelled");
  // Cancelled for good, until there are other limits.
  const auto next = client->get("k");
  REQUIRE_FALSE(next);
  CHECK(next.error().kind == ErrorKind::kCancelled);
  CHECK(server.requests().size() == 1);
}

TEST_CASE("a token ends the waiting between attempts") {
  Gate asked;
  ScriptedServer server([&](const SeenRequest&) {
    asked.open();
    return error_reply(503, "no_leader", true, "no");
  });
  AsyncClient client = make(options_of(server.url(), 1, 10, 3'600'000));
  CallLimits limits;
  limits.cancel.emplace();
  auto call = client.get("k", {}, limits);  // a write could be under way, outcome unknown
  asked.wait();
  limits.cancel->cancel();
  const auto result = call.get();
  REQUIRE_FALSE(result);
  CHECK(result.error().kind == ErrorKind::kCancelled);
}

TEST_CASE("a deadline ends a call before its timeout, and one that is over sends nothing") {
  ScriptedServer server([](const SeenRequest&) { return hung(); });
  auto client = Client::create({{server.url()}, milliseconds(3'600'000)});
  REQUIRE(client);
  CallLimits limits;
  limits.deadline = std::chrono::steady_clock::now() + milliseconds(300);
  client->limit_calls(limits);
  const auto result = client->get("k");
  REQUIRE_FALSE(result);
  CHECK(result.error().kind == ErrorKind::kUnreachable);
  CHECK(result.error().code == "timeout");
  const auto late = client->put("k", "v");
  REQUIRE_FALSE(late);
  CHECK(late.error().kind == ErrorKind::kUnreachable);
  CHECK(late.error().code == "timeout");
  CHECK(server.requests().size() == 1);
}

TEST_CASE("a call that no thread took in time is not sent") {
  ScriptedServer server([](const SeenRequest&) { return item_reply(); });
  Gate running, go;
  AsyncClient client = make(options_of(server.url(), 1, 10));
  auto first = client.submit([&](Client& c) {
    running.open();
    go.wait();
    return c.get("k");
  });
  running.wait();
  CallLimits limits;
  limits.deadline = std::chrono::steady_clock::now();
  auto late = client.get("k", {}, limits);
  CallLimits cancelled;
  cancelled.cancel.emplace();
  auto unwanted = client.get("k", {}, cancelled);
  cancelled.cancel->cancel();
  go.open();
  CHECK(first.get());
  CHECK(late.get().error().code == "timeout");
  CHECK(unwanted.get().error().kind == ErrorKind::kCancelled);
  CHECK(server.requests().size() == 1);
}

TEST_CASE("limits are of the call, not of the thread that ran it") {
  ScriptedServer server([](const SeenRequest&) { return item_reply(); });
  AsyncClient client = make(options_of(server.url(), 1, 10));
  CallLimits limits;
  limits.cancel.emplace();
  CHECK(client.get("k", {}, limits).get());
  limits.cancel->cancel();
  CHECK(client.get("k").get());
}

TEST_CASE("an exception of a submitted function comes out of its future") {
  AsyncClient client = make(options_of("127.0.0.1:1", 1, 10));
  auto call = client.submit([](Client&) -> Result<AnswerInfo> { throw 42; });
  CHECK_THROWS_AS(call.get(), int);
}

TEST_CASE("options out of range are refused") {
  for (const auto& [threads, queue] :
       std::vector<std::pair<size_t, size_t>>{{0, 1}, {257, 1}, {1, 0}, {1, 1'000'001}}) {
    CAPTURE(threads);
    const auto client = AsyncClient::create(options_of("127.0.0.1:1", threads, queue));
    REQUIRE_FALSE(client);
    CHECK(client.error().kind == ErrorKind::kInvalidArgument);
  }
  CHECK_FALSE(AsyncClient::create(options_of("ftp://x", 1, 1)));
}

}  // namespace
}  // namespace kvstore::client
