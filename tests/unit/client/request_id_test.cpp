// Goal: writes of keys carry an id under which they may be sent again, and are, until their outcome
// is known. Method: scripted servers that drop, hang and refuse; what each has seen is compared.
#include "lib/request_id.hpp"

#include <atomic>
#include <set>

#include <kvstore/client/client.hpp>

#include <doctest/doctest.h>

#include "scripted_server.hpp"

namespace kvstore::client {
namespace {

using test::dead_url;
using test::error_reply;
using test::json_reply;
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

Reply done() {
  return json_reply(200, R"({"deleted":1})");
}
Reply replayed() {
  Reply reply = done();
  reply.headers["Idempotency-Replayed"] = "true";
  return reply;
}
Reply dropped() {
  return {200, "", {}, Reply::Action::kDrop};
}
Reply hung() {
  return {200, "", {}, Reply::Action::kHang};
}

std::string id_of(const SeenRequest& request) {
  const auto found = request.headers.find("idempotency-key");
  return found == request.headers.end() ? "" : found->second;
}

TEST_CASE("each put and delete has an id of its own; reads and other calls have none") {
  ScriptedServer server([](const SeenRequest&) { return done(); });
  Client client = connect({server.url()});
  std::set<std::string> ids;
  for (int i = 0; i < 50; ++i) {
    REQUIRE(client.put("k", "v"));
    REQUIRE(client.del("k"));
  }
  for (const SeenRequest& request : server.requests()) {
    const std::string id = id_of(request);
    CHECK(id.size() == 34);  // 128 bits in hexadecimal, in quotes
    ids.insert(id);
  }
  CHECK(ids.size() == 100);
  (void)client.metrics();
  (void)client.transfer_leader("n");
  for (size_t i = 100; i < 102; ++i) CHECK(id_of(server.requests()[i]).empty());
}

TEST_CASE("so has everything else that writes keys, and each piece of a range") {
  ScriptedServer server([](const SeenRequest& request) {
    if (request.method == "DELETE") {
      const bool more = request.headers.at("idempotency-key").find(".1") == std::string::npos;
      return json_reply(200, more ? R"({"deleted":10000,"more":true})" : R"({"deleted":3})");
    }
    return json_reply(200, R"({"succeeded":true,"results":[{"status":200,"replayed":true}]})");
  });
  Client client = connect({server.url()});
  Txn txn;
  txn.then_ops = {Operation::put("a", "1")};
  REQUIRE(client.txn(txn));
  REQUIRE(client.txn(txn, "of-txn"));
  const auto batch = client.batch(txn.then_ops, "of-batch");
  REQUIRE(batch);
  CHECK(batch->results[0].replayed);
  REQUIRE(client.batch(txn.then_ops));
  DeleteRangeOptions range;
  range.request_id = "of-range";
  const auto deleted = client.delete_range(KeyRange::all(), range);
  REQUIRE(deleted);
  CHECK(deleted->deleted == 10'003);
  REQUIRE(client.delete_range(KeyRange::all()));
  const auto requests = server.requests();
  REQUIRE(requests.size() == 8);
  CHECK(id_of(requests[0]).size() == 34);
  CHECK(id_of(requests[1]) == R"("of-txn")");
  CHECK(id_of(requests[2]) == R"("of-batch")");
  CHECK(id_of(requests[3]).size() == 34);
  CHECK(id_of(requests[3]) != id_of(requests[0]));
  CHECK(id_of(requests[4]) == R"("of-range.0")");
  CHECK(id_of(requests[5]) == R"("of-range.1")");
  CHECK(id_of(requests[6]).size() == 36);
  CHECK(id_of(requests[6]).substr(0, 34) == id_of(requests[7]).substr(0, 34));
  range.request_id.assign(101, 'x');
  CHECK(client.delete_range(KeyRange::all(), range).error().kind == ErrorKind::kInvalidArgument);
  // What only reads has none.
  txn.then_ops = {Operation::get("a")};
  REQUIRE(client.txn(txn, "id"));
  REQUIRE(client.batch(txn.then_ops, "id"));
  for (size_t i = 8; i < 10; ++i) CHECK(id_of(server.requests()[i]).empty());
}

constexpr const char* kBatchDone =
    R"({"results":[{"status":200,"op":"put"},{"status":200,"op":"put"}],"revision":5})";
// The second operation found no leader, or nobody knows.
std::string batch_half_done(const char* code, const char* committed) {
  return R"({"results":[{"status":200,"op":"put"},{"status":503,"op":"put","error":{"code":")" +
         std::string(code) + R"(","message":"m","retryable":true,"committed":")" + committed +
         R"("}}],"revision":5})";
}

TEST_CASE("a batch is repeated until all of it is done") {
  std::atomic<int> calls = 0;
  ScriptedServer server([&](const SeenRequest&) {
    switch (++calls) {
      case 1:
        return dropped();
      case 2:
        return json_reply(207, batch_half_done("unreachable", "no"));
      case 3:
        return json_reply(207, batch_half_done("timeout", "unknown"));
      default:
        return json_reply(200, kBatchDone);
    }
  });
  Client client = connect({server.url()});
  const std::vector<Operation> puts = {Operation::put("a", "1"), Operation::put("b", "1")};
  const auto batch = client.batch(puts);
  REQUIRE(batch);
  CHECK(batch->failed == 0);
  CHECK(calls == 4);
  for (const SeenRequest& request : server.requests())
    CHECK(id_of(request) == id_of(server.requests()[0]));
}

TEST_CASE("what a batch could not do within its time is said for each operation") {
  for (const bool earlier_attempt : {false, true}) {
    std::atomic<int> calls = 0;
    ScriptedServer server([&](const SeenRequest&) {
      if (++calls == 1 && earlier_attempt) return dropped();
      if (calls <= 2) return json_reply(207, batch_half_done("busy", "no"));
      return error_reply(400, "invalid", false, "no");
    });
    Client client = connect({server.url()}, 400);
    const auto batch = client.batch({Operation::put("a", "1"), Operation::put("b", "1")});
    REQUIRE(batch);
    CHECK(batch->failed == 1);
    CHECK_FALSE(batch->results[0].error);
    // An attempt whose answer did not come, or that came to something else, may have done it.
    CHECK(batch->results[1].error->kind == ErrorKind::kUnknownOutcome);
  }
  // Without an id there is one attempt, and what it says counts.
  std::atomic<int> calls = 0;
  ScriptedServer server([&](const SeenRequest&) {
    ++calls;
    return json_reply(207, batch_half_done("busy", "no"));
  });
  ClientOptions options;
  options.servers = {server.url()};
  options.request_ids = false;
  auto client = Client::create(options);
  const auto batch = client->batch({Operation::put("a", "1"), Operation::put("b", "1")});
  REQUIRE(batch);
  CHECK(calls == 1);
  CHECK(batch->results[1].error->kind == ErrorKind::kNoLeader);
}

TEST_CASE("a given id is sent as it is, in quotes; what no header can carry is refused") {
  ScriptedServer server([](const SeenRequest&) { return replayed(); });
  Client client = connect({server.url()});
  const auto put = client.put("k", "v", {}, {}, "my\"id\\");
  REQUIRE(put);
  CHECK(put->info.replayed);
  CHECK(id_of(server.requests()[0]) == R"("my\"id\\")");
  for (const std::string& bad : {std::string("a b"), std::string("\n"), std::string(129, 'x')}) {
    const auto refused = client.del("k", {}, bad);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == ErrorKind::kInvalidArgument);
  }
  CHECK(server.requests().size() == 1);
  ClientOptions options;
  options.servers = {server.url()};
  options.request_ids = false;
  auto plain = Client::create(options);
  REQUIRE(plain->put("k", "v"));
  CHECK(id_of(server.requests()[1]).empty());
  REQUIRE(plain->put("k", "v", {}, {}, "given"));
  CHECK(id_of(server.requests()[2]) == R"("given")");
}

TEST_CASE("an unknown outcome is repeated elsewhere, under the same id, until it is known") {
  ScriptedServer good([](const SeenRequest&) { return replayed(); });
  for (const Reply& first : {dropped(), hung(), error_reply(504, "indeterminate", true, "unknown"),
                             error_reply(504, "indeterminate", false, "unknown"),
                             Reply{503, "no document", {}, Reply::Action::kAnswer}}) {
    ScriptedServer bad([&](const SeenRequest&) { return first; });
    const size_t before = good.requests().size();
    Client client = connect({bad.url(), dead_url(), good.url()}, 3000);
    const auto put = client.put("k", "v");
    REQUIRE(put);
    CHECK(put->info.replayed);
    REQUIRE(good.requests().size() == before + 1);
    REQUIRE(bad.requests().size() == 1);
    CHECK(id_of(good.requests()[before]) == id_of(bad.requests()[0]));
  }
}

TEST_CASE("one server that comes back is asked again and again") {
  std::atomic<int> calls = 0;
  ScriptedServer server([&](const SeenRequest&) { return ++calls < 4 ? dropped() : done(); });
  Client client = connect({server.url()});
  CHECK(client.del("k"));
  CHECK(calls == 4);
}

TEST_CASE("when no attempt brings an answer the outcome stays unknown") {
  ScriptedServer server([](const SeenRequest&) { return dropped(); });
  Client client = connect({server.url()}, 300);
  const auto result = client.put("k", "v");
  REQUIRE_FALSE(result);
  CHECK(result.error().kind == ErrorKind::kUnknownOutcome);
  CHECK(result.error().code == "connection_lost");
  CHECK(server.requests().size() > 1);
}

TEST_CASE("the cluster's judgement of one attempt is that of all; a server's refusal is not") {
  struct Case {
    Reply second;
    ErrorKind kind;
  };
  const Case cases[] = {
      {error_reply(412, "precondition_failed", false, "no"), ErrorKind::kConditionFailed},
      {error_reply(422, "idempotency_mismatch", false, "no"), ErrorKind::kRefused},
      {error_reply(413, "too_large", false, "no"), ErrorKind::kUnknownOutcome},
      {error_reply(507, "no_space", false, "no"), ErrorKind::kUnknownOutcome},
  };
  for (const Case& c : cases) {
    CAPTURE(c.second.status);
    std::atomic<int> calls = 0;
    ScriptedServer server([&](const SeenRequest&) { return ++calls == 1 ? dropped() : c.second; });
    Client client = connect({server.url()});
    const auto result = client.put("k", "v", Condition{7, false});
    REQUIRE_FALSE(result);
    CHECK(result.error().kind == c.kind);
    CHECK(calls == 2);
  }
}

TEST_CASE("a large value waits for its answer, a small one goes to the next server in time") {
  ScriptedServer silent([](const SeenRequest&) { return hung(); });
  ScriptedServer good([](const SeenRequest&) { return done(); });
  Client small = connect({silent.url(), good.url()}, 2000);
  CHECK(small.put("k", "v"));
  Client large = connect({silent.url(), good.url()}, 200);
  const auto result = large.put("k", std::string((1 << 20) + 1, 'x'));
  REQUIRE_FALSE(result);
  CHECK(result.error().kind == ErrorKind::kUnknownOutcome);
  CHECK(good.requests().size() == 1);
}

TEST_CASE("ids are checked and quoted") {
  CHECK(is_request_id("!~"));
  CHECK_FALSE(is_request_id(""));
  CHECK_FALSE(is_request_id("a b"));
  CHECK_FALSE(is_request_id("\x7f"));
  CHECK_FALSE(is_request_id("\xc3\xa4"));
  CHECK(is_request_id(std::string(128, 'x')));
  CHECK_FALSE(is_request_id(std::string(129, 'x')));
  CHECK(quoted_string(R"(a"b\c)") == R"("a\"b\\c")");
}

}  // namespace
}  // namespace kvstore::client
