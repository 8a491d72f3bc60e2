// Goal: the calls on many keys send the documents that the API expects and read its answers.
// Method: a scripted server records the requests and gives the answers of the README.
#include <atomic>

#include <kvstore/client/client.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "scripted_server.hpp"

namespace kvstore::client {
namespace {

using nlohmann::json;
using test::error_reply;
using test::json_reply;
using test::Reply;
using test::ScriptedServer;
using test::SeenRequest;

Client connect(const ScriptedServer& server, bool request_ids = true) {
  ClientOptions options;
  options.servers = {server.url()};
  options.request_ids = request_ids;
  options.timeout = std::chrono::milliseconds(500);
  auto client = Client::create(options);
  REQUIRE(client);
  return std::move(*client);
}

TEST_CASE("a transaction as a document, and its answer as results") {
  ScriptedServer server([](const SeenRequest&) {
    Reply reply = json_reply(
        200,
        R"({"succeeded":true,"revision":9,"results":[{"op":"put","mod_revision":9,"prev":{"key":"a",)"
        R"("value":"MQ==","mod_revision":3}},{"op":"delete","deleted":2,"prev":[{"key":"x"},)"
        R"({"key_base64":"/w=="}]},{"op":"get","item":null},{"op":"range","items":[{"key":"r",)"
        R"("value":null,"value_bytes":7}],"count":1,"more":true},{"op":"range","count":12}]})");
    reply.headers["X-Kvstore-Node"] = "n2";
    return reply;
  });
  Client client = connect(server);
  Txn txn;
  txn.compares = {Compare::mod_revision("k\xff", 7),
                  Compare::value_of("v", "1", Compare::Op::kLess),
                  Compare::existence(KeyRange::of_prefix("p"), false)};
  txn.then_ops = {Operation::put("a", "2"), Operation::del(KeyRange::between("x", "")),
                  Operation::get("n"), Operation::get_range(KeyRange::all()),
                  Operation::get_range(KeyRange::between("a", "b"))};
  txn.then_ops[0].prev = true;
  txn.then_ops[1].limit = 5;
  txn.then_ops[3].reverse = true;
  txn.then_ops[4].count_only = true;
  const auto result = client.txn(txn);
  REQUIRE(result);
  CHECK(result->succeeded);
  CHECK(result->revision == 9);
  CHECK(result->info.node == "n2");
  REQUIRE(result->results.size() == 5);
  CHECK(result->results[0].mod_revision == 9);
  CHECK(result->results[0].items.at(0).value == "1");
  CHECK(result->results[1].count == 2);
  CHECK(result->results[1].items.at(1).key == "\xff");
  CHECK(result->results[2].items.empty());
  CHECK(result->results[3].more);
  CHECK(result->results[3].items.at(0).value_omitted);
  CHECK(result->results[4].count == 12);
  const auto requests = server.requests();
  REQUIRE(requests.size() == 1);
  CHECK(requests[0].method == "POST");
  CHECK(requests[0].path == "/api/v1/txn");
  CHECK(requests[0].headers.at("content-type") == "application/json");
  CHECK(json::parse(requests[0].body) == json::parse(R"({
      "compares": [{"key_base64": "a/8=", "target": "mod_revision", "op": "=", "value": 7},
                   {"key_base64": "dg==", "target": "value", "op": "<", "value": "MQ=="},
                   {"prefix_base64": "cA==", "target": "exists", "op": "=", "value": false}],
      "then": [{"op": "put", "key_base64": "YQ==", "value": "Mg==", "prev": true},
               {"op": "delete", "start_base64": "eA==", "limit": 5},
               {"op": "get", "key_base64": "bg=="},
               {"op": "range", "all": true, "reverse": true},
               {"op": "range", "start_base64": "YQ==", "end_base64": "Yg==", "count_only": true}],
      "else": []})"));
}

TEST_CASE("a transaction that writes is repeated under one id when its answer is lost") {
  std::atomic<int> calls = 0;
  ScriptedServer server([&](const SeenRequest&) {
    if (++calls < 3) return Reply{200, "", {}, Reply::Action::kDrop};
    Reply reply = json_reply(200, R"({"succeeded":true,"revision":4,"results":[]})");
    reply.headers["Idempotency-Replayed"] = "true";
    return reply;
  });
  Client client = connect(server);
  Txn txn;
  txn.then_ops = {Operation::put("a", "1")};
  const auto result = client.txn(txn);
  REQUIRE(result);
  CHECK(result->info.replayed);
  const auto requests = server.requests();
  REQUIRE(requests.size() == 3);
  const std::string id = requests[0].headers.at("idempotency-key");
  CHECK(id.size() == 34);
  for (const SeenRequest& request : requests) CHECK(request.headers.at("idempotency-key") == id);
  // One's own id, and none where nothing is written.
  REQUIRE(client.txn(txn, "mine"));
  txn.then_ops = {Operation::get("a")};
  REQUIRE(client.txn(txn, "mine"));
  CHECK(client.txn_json(R"({"then": [{"op": "put"}]})", "no\n").error().kind ==
        ErrorKind::kInvalidArgument);
  const auto all = server.requests();
  REQUIRE(all.size() == 5);
  CHECK(all[3].headers.at("idempotency-key") == "\"mine\"");
  CHECK(all[4].headers.count("idempotency-key") == 0);
}

TEST_CASE("a transaction without an id that writes is never repeated; a read is") {
  std::atomic<int> calls = 0;
  ScriptedServer server([&](const SeenRequest&) {
    ++calls;
    return Reply{200, "", {}, Reply::Action::kDrop};
  });
  Client client = connect(server, false);
  Txn txn;
  txn.else_ops = {Operation::put("a", "1")};
  CHECK(client.txn(txn).error().kind == ErrorKind::kUnknownOutcome);
  CHECK(calls == 1);
  txn.else_ops = {Operation::get("a"), Operation::get_range(KeyRange::all())};
  CHECK(client.txn(txn).error().kind == ErrorKind::kUnreachable);
  CHECK(calls > 2);
  // What is no transaction is taken for one that writes.
  calls = 0;
  CHECK(client.txn_json("nonsense").error().kind == ErrorKind::kUnknownOutcome);
  CHECK(calls == 1);
}

TEST_CASE("a batch has an outcome for each operation") {
  ScriptedServer server([](const SeenRequest&) {
    return json_reply(
        207,
        R"({"results":[{"status":200,"op":"put","mod_revision":5},{"status":412,"op":"put","error":)"
        R"({"code":"precondition_failed","message":"m","retryable":false,"committed":"no"},)"
        R"("current_revision":4},{"status":504,"op":"delete","error":{"code":"timeout",)"
        R"("message":"m","retryable":false,"committed":"unknown"}},{"status":404,"op":"get",)"
        R"("error":{"code":"not_found","message":"m","retryable":false,"committed":"no"}}],)"
        R"("succeeded":1,"failed":3,"revision":5})");
  });
  Client client = connect(server);
  std::vector<Operation> operations = {Operation::put("a", "1"), Operation::put("b", "1"),
                                       Operation::del("c"), Operation::get("d")};
  operations[1].condition.absent = true;
  operations[2].condition.mod_revision = 3;
  operations[0].lifetime.lease = 7;
  operations[1].lifetime.ttl = std::chrono::milliseconds(1500);
  const auto result = client.batch(operations);
  REQUIRE(result);
  CHECK(result->failed == 3);
  CHECK(result->revision == 5);
  CHECK(!result->results[0].error);
  CHECK(result->results[1].error->kind == ErrorKind::kConditionFailed);
  CHECK(result->results[1].error->current_revision == 4);
  CHECK(result->results[2].error->kind == ErrorKind::kUnknownOutcome);
  CHECK(result->results[3].error->kind == ErrorKind::kNotFound);
  CHECK(json::parse(server.requests()[0].body) == json::parse(R"({"operations": [
      {"op": "put", "key_base64": "YQ==", "value": "MQ==", "lease": 7},
      {"op": "put", "key_base64": "Yg==", "value": "MQ==", "ttl": "1500ms", "if_absent": true},
      {"op": "delete", "key_base64": "Yw==", "if_mod_revision": 3},
      {"op": "get", "key_base64": "ZA=="}]})"));
  // An answer for another number of operations is none.
  operations.pop_back();
  CHECK(client.batch(operations).error().kind == ErrorKind::kMalformedAnswer);
}

TEST_CASE("puts of transactions and batches may have a lifetime") {
  ScriptedServer server([](const SeenRequest& request) {
    return request.path == "/api/v1/txn"
               ? json_reply(200, R"({"succeeded":true,"revision":1,"results":[]})")
               : json_reply(200, R"({"results":[{"status":200},{"status":200}],"revision":1})");
  });
  Client client = connect(server);
  Lifetime leased, timed;
  leased.lease = 77;
  timed.ttl = std::chrono::milliseconds(1500);
  const std::vector<Operation> puts = {Operation::put("a", "1", leased),
                                       Operation::put("b", "1", timed)};
  Txn txn;
  txn.then_ops = puts;
  REQUIRE(client.txn(txn));
  REQUIRE(client.batch(puts));
  const json expected = json::parse(R"([
      {"op": "put", "key_base64": "YQ==", "value": "MQ==", "lease": 77},
      {"op": "put", "key_base64": "Yg==", "value": "MQ==", "ttl": "1500ms"}])");
  CHECK(json::parse(server.requests()[0].body)["then"] == expected);
  CHECK(json::parse(server.requests()[1].body)["operations"] == expected);
}

TEST_CASE("a range is deleted in pieces, and an error says what is gone") {
  std::atomic<int> calls = 0;
  ScriptedServer server([&](const SeenRequest&) {
    ++calls;
    if (calls < 3) return json_reply(200, R"({"deleted":10000,"more":true})");
    return error_reply(507, "no_space", false, "no");
  });
  Client client = connect(server);
  uint64_t told = 0;
  DeleteRangeOptions options;
  options.on_progress = [&](uint64_t deleted) {
    told = deleted;
    return true;
  };
  const auto failed = client.delete_range(KeyRange::between("a&", "b"), options);
  REQUIRE_FALSE(failed);
  CHECK(told == 20'000);
  CHECK(failed.error().code == "no_space");
  CHECK(failed.error().message.find("20000 keys were deleted before") != std::string::npos);
  CHECK(server.requests()[0].query == "start=a%26&end=b&limit=10000");
  calls = 0;
  options.on_progress = [](uint64_t) { return false; };
  CHECK(client.delete_range(KeyRange::all(), options).error().kind == ErrorKind::kCancelled);
  CHECK(calls == 1);
  CHECK(client.delete_range(KeyRange::of_prefix("")).error().kind == ErrorKind::kInvalidArgument);
  CHECK(client.delete_range(KeyRange::between("", "")).error().kind == ErrorKind::kInvalidArgument);
  CHECK(calls == 1);
}

TEST_CASE("a range that is one key is that key alone") {
  ScriptedServer server(
      [](const SeenRequest&) { return json_reply(200, R"({"deleted":1,"more":false})"); });
  Client client = connect(server);
  REQUIRE(client.delete_range(KeyRange::of_key("k")));
  CHECK(server.requests()[0].query == "start=k&end=k%00&limit=10000");
}

TEST_CASE("answers that are none of this API") {
  for (const char* body :
       {"", "[]", "{}", R"({"results":{}})", R"({"results":[7]})",
        R"({"results":[{"op":"get","item":7}]})", R"({"results":[{"op":"range","items":[{}]}]})"}) {
    ScriptedServer server([&](const SeenRequest&) { return json_reply(200, body); });
    Client client = connect(server);
    Txn txn;
    txn.then_ops = {Operation::get("a")};
    CAPTURE(body);
    CHECK(client.txn(txn).error().kind == ErrorKind::kMalformedAnswer);
    CHECK(client.delete_range(KeyRange::all()).error().kind == ErrorKind::kMalformedAnswer);
  }
}

}  // namespace
}  // namespace kvstore::client
