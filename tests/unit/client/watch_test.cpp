// Goal: a watch delivers every change once and in order over as many connections and servers as it
// takes, and ends when it cannot.
// Method: scripted servers that end their streams wherever it hurts; the requests that each has
// seen.
#include <thread>

#include <kvstore/client/client.hpp>

#include <doctest/doctest.h>

#include "cli_fixture.hpp"
#include "scripted_server.hpp"

namespace kvstore::client {
namespace {

using test::dead_url;
using test::error_reply;
using test::Reply;
using test::ScriptedServer;
using test::SeenRequest;

Client connect(std::vector<std::string> servers, int timeout_ms = 10'000) {
  ClientOptions options;
  options.servers = std::move(servers);
  options.timeout = std::chrono::milliseconds(timeout_ms);
  auto client = Client::create(options);
  REQUIRE(client);
  return std::move(*client);
}

std::string put(uint64_t revision, const std::string& key, bool more = false) {
  return R"({"type":"put","revision":)" + std::to_string(revision) + R"(,"key":")" + key +
         R"(","value":"dg==","create_revision":1,"mod_revision":)" + std::to_string(revision) +
         R"(,"version":1)" + (more ? R"(,"more":true})" : "}") + "\n";
}
std::string progress(uint64_t revision) {
  return R"({"type":"progress","revision":)" + std::to_string(revision) + "}\n";
}
Reply lines(std::string text) {
  return {200, std::move(text), {{"Content-Type", "application/x-ndjson"}}, Reply::Action::kAnswer};
}

// "5a 5b* 6c" until `last` was delivered.
struct Log {
  std::string text;
  Result<WatchEnd> follow(Client& client, const WatchOptions& options, const std::string& last) {
    return client.watch(options, [&](const Change& change) {
      const std::string one = std::to_string(change.revision) + change.item.key;
      text += (text.empty() ? "" : " ") + one + (change.more ? "*" : "");
      return one != last;
    });
  }
};

TEST_CASE("a watch goes on with other connections where the last one ended") {
  std::vector<std::string> first = {
      progress(4) + put(5, "a"), put(6, "b", true) + put(6, "c", true), progress(6) + put(7, "e")};
  std::vector<std::string> second = {"", put(6, "b", true) + put(6, "c", true) + put(6, "d"),
                                     put(7, "e") + put(8, "f")};
  size_t asked_first = 0, asked_second = 0;
  ScriptedServer a([&](const SeenRequest&) { return lines(first.at(asked_first++)); });
  ScriptedServer b([&](const SeenRequest&) { return lines(second.at(asked_second++)); });
  Client client = connect({dead_url(), a.url(), b.url()});
  Log log;
  const auto end = log.follow(client, {}, "8f");
  REQUIRE(end);
  CHECK(log.text == "5a 6b* 6c* 6d 7e 8f");
  CHECK(end->revision == 8);
  std::string queries;
  for (const auto& request : a.requests()) queries += request.path + "?" + request.query + " ";
  CHECK(queries ==
        "/api/v1/watch?prefix= /api/v1/watch?prefix=&from_revision=6 "
        "/api/v1/watch?prefix=&from_revision=7 ");
  CHECK(a.requests()[0].headers.at("accept") == "application/x-ndjson");
  CHECK(b.requests().back().query == "prefix=&from_revision=8");
}

TEST_CASE("an answer cut in the middle of a line loses and repeats nothing") {
  int asked = 0;
  ScriptedServer server([&](const SeenRequest&) {
    Reply reply =
        lines(++asked == 1 ? put(2, "a") + put(3, "b") + put(4, "c") : put(3, "b") + put(4, "c"));
    if (asked == 1) reply.action = Reply::Action::kCutBody;  // after the first line and a half
    return reply;
  });
  Client client = connect({server.url()});
  Log log;
  WatchOptions options;
  options.key = "k/1";
  options.from_revision = 2;
  options.with_prev = true;
  REQUIRE(log.follow(client, options, "4c"));
  CHECK(log.text == "2a 3b 4c");
  CHECK(server.requests()[0].query == "key=k%2F1&from_revision=2&prev=true");
  CHECK(server.requests()[1].query == "key=k%2F1&from_revision=3&prev=true");
}

TEST_CASE("a silent server is given up for another") {
  ScriptedServer silent([](const SeenRequest&) {
    return Reply{200, "", {}, Reply::Action::kHang};
  });
  ScriptedServer good([](const SeenRequest&) { return lines(put(1, "a")); });
  Client client = connect({silent.url(), good.url()}, 300);
  Log log;
  WatchOptions options;
  options.from_revision = 1;
  REQUIRE(log.follow(client, options, "1a"));
  CHECK(log.text == "1a");
}

TEST_CASE("an overloaded server is asked again, a compacted history ends the watch") {
  int asked = 0;
  ScriptedServer server([&](const SeenRequest&) {
    ++asked;
    if (asked == 1) return error_reply(429, "busy", true, "no");
    if (asked == 2) {
      return lines(put(3, "a") +
                   R"({"type":"error","error":{"code":"busy","message":"slow"},"resume_from":4})"
                   "\n");
    }
    if (asked == 3) return lines(put(4, "b"));
    return error_reply(410, "compacted", false, "no");
  });
  Client client = connect({server.url()});
  Log log;
  WatchOptions options;
  options.from_revision = 3;
  auto end = log.follow(client, options, "never");
  REQUIRE_FALSE(end);
  CHECK(log.text == "3a 4b");
  CHECK(end.error().kind == ErrorKind::kRefused);
  CHECK(end.error().code == "compacted");
  ScriptedServer in_stream([](const SeenRequest&) {
    return lines(R"({"type":"error","error":{"code":"compacted","message":"the changes below 9"}})"
                 "\n");
  });
  client = connect({in_stream.url()});
  end = log.follow(client, options, "never");
  REQUIRE_FALSE(end);
  CHECK(end.error().code == "compacted");
  CHECK(end.error().message == "the changes below 9");
}

TEST_CASE("a watch ends when nobody serves it, when it is cancelled, and for what is no watch") {
  WatchOptions options;
  Log log;
  Client nobody = connect({dead_url(), dead_url()}, 200);
  auto end = log.follow(nobody, options, "");
  REQUIRE_FALSE(end);
  CHECK(end.error().kind == ErrorKind::kUnreachable);
  CHECK(end.error().message.find("connection refused") != std::string::npos);

  ScriptedServer hanging([](const SeenRequest&) {
    return Reply{200, "", {}, Reply::Action::kHang};
  });
  Client waiting = connect({hanging.url()}, 60'000);
  CancelToken token;
  CallLimits limits;
  limits.cancel = token;
  waiting.limit_calls(limits);
  std::thread canceller([&] {
    while (hanging.requests().empty()) std::this_thread::yield();
    token.cancel();
  });
  end = log.follow(waiting, options, "");
  canceller.join();
  REQUIRE_FALSE(end);
  CHECK(end.error().kind == ErrorKind::kCancelled);

  ScriptedServer other([](const SeenRequest&) { return lines("hello\n"); });
  Client wrong = connect({other.url()});
  end = log.follow(wrong, options, "");
  REQUIRE_FALSE(end);
  CHECK(end.error().kind == ErrorKind::kMalformedAnswer);
  options.key = "k";
  options.prefix = "p";
  end = log.follow(wrong, options, "");
  REQUIRE_FALSE(end);
  CHECK(end.error().kind == ErrorKind::kInvalidArgument);
}

TEST_CASE("the command prints changes as lines") {
  const std::string text =
      put(5, "a") +
      R"({"type":"delete","revision":6,"key_base64":"/w==","prev":{"key_base64":"/w==",)"
      R"("value":"b2xk","create_revision":1,"mod_revision":2,"version":2}})"
      "\n";
  ScriptedServer server([&](const SeenRequest&) { return lines(text); });
  auto shown = test::run_cli({"watch", "--server", server.url(), "--from-revision", "5", "--prev",
                              "--prefix", "x/", "--count", "2"});
  CHECK(shown.code == 0);
  CHECK(shown.out == "5  put     a  v\n6  delete  \\xff  (was old)\n");
  CHECK(server.requests()[0].query == "prefix=x%2F&from_revision=5&prev=true");
  shown =
      test::run_cli({"watch", "a", "--server", server.url(), "--format", "json", "--count", "2"});
  CHECK(
      shown.out ==
      R"({"type":"put","revision":5,"key":"a","value":"dg==","create_revision":1,"mod_revision":5,"version":1})"
      "\n"
      R"({"type":"delete","revision":6,"key_base64":"/w==","prev":{"key_base64":"/w==","value":"b2xk","create_revision":1,"mod_revision":2,"version":2}})"
      "\n");
  CHECK(test::run_cli({"watch", "a", "--prefix", "b"}).code == 2);
  CHECK(test::run_cli({"watch", "--from-revision", "-1"}).code == 2);
  CHECK(test::run_cli({"completion", "bash"}).out.find("--from-revision") != std::string::npos);
}

}  // namespace
}  // namespace kvstore::client
