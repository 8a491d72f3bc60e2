// Goal: every operation of a batch has its own outcome, and the batch takes few transactions.
// Method: requests against the scripted engine's store, with failures at chosen calls.
#include <nlohmann/json.hpp>

#include "fixture.hpp"

using namespace kvstore;
using namespace kvstore::conformance;
using nlohmann::json;

namespace {

constexpr const char* kJson = "Content-Type: application/json\r\n";

Answer post(const ApiFixture& f, const std::string& operations, const std::string& query = "") {
  return f.fetch("POST", "/api/v1/batch" + query, R"({"operations": [)" + operations + "]}", kJson);
}

json parsed(const Answer& answer) {
  json document = json::parse(answer.body, nullptr, false);
  REQUIRE(!document.is_discarded());
  return document;
}

std::string put(const std::string& key, const std::string& more = "") {
  return R"({"op": "put", "key": ")" + key + R"(", "text": "v")" + more + "}";
}

Scripted failure(kvs_status status, uint32_t committed = KVS_COMMITTED_NO) {
  Scripted answer;
  answer.status = status;
  answer.committed = committed;
  answer.message = "what happened";
  return answer;
}

Scripted by_store() {
  Scripted answer;
  answer.by_store = true;
  return answer;
}

}  // namespace

TEST_CASE("each operation has its status, in the order of the list") {
  ApiFixture f;
  f.engine.put("old", "o");
  const Answer answer = post(f, put("a") + R"(,
      {"op": "get", "key": "a"}, {"op": "get", "key": "none"},
      {"op": "delete", "key": "old", "prev": true}, {"op": "delete", "key": "gone"},)" +
                                    put("b", R"(, "if_absent": true)") + "," +
                                    put("old", R"(, "if_mod_revision": 1)"));
  CHECK(answer.status == 207);
  const json document = parsed(answer);
  CHECK(document["succeeded"] == 5);
  CHECK(document["failed"] == 2);
  const json& results = document["results"];
  REQUIRE(results.size() == 7);
  // "a" and "gone" share a transaction.
  CHECK(results[0] == json({{"status", 200}, {"op", "put"}, {"mod_revision", 3}}));
  CHECK(results[1]["item"]["value"] == "dg==");
  CHECK(results[2]["status"] == 404);
  CHECK(results[2]["error"]["code"] == "not_found");
  CHECK(results[3]["deleted"] == 1);
  CHECK(results[3]["prev"]["value"] == "bw==");
  CHECK(results[4] == json({{"status", 200}, {"op", "delete"}, {"deleted", 0}}));
  CHECK(results[5]["status"] == 200);
  CHECK(results[6]["status"] == 412);
  CHECK(results[6]["error"] == json({{"code", "precondition_failed"},
                                     {"message", "the key does not exist"},
                                     {"retryable", false},
                                     {"committed", "no"}}));
  CHECK(results[6]["current_revision"] == 0);
  CHECK(document["revision"] == 5);
  CHECK(answer.header("x-kvstore-revision") == "5");
}

TEST_CASE("operations on one key take effect in their order") {
  ApiFixture f;
  const json results = parsed(post(f, put("k") + R"(, {"op": "delete", "key": "k"},
      {"op": "get", "key": "k"},)" + put("k", R"(, "if_absent": true)") +
                                          "," + put("k", R"(, "if_absent": true)") +
                                          R"(, {"op": "get", "key": "k"})"))["results"];
  CHECK(results[1]["deleted"] == 1);
  CHECK(results[2]["status"] == 404);
  CHECK(results[3]["status"] == 200);
  CHECK(results[4]["status"] == 412);
  CHECK(results[4]["current_revision"] == results[3]["mod_revision"]);
  CHECK(results[5]["item"]["mod_revision"] == results[3]["mod_revision"]);
}

TEST_CASE("a thousand puts are eight transactions, and reads none") {
  ApiFixture f;
  std::string puts, gets;
  for (int i = 0; i < 1000; ++i) {
    puts += (i == 0 ? "" : ",") + put("k" + std::to_string(i));
    gets += (i == 0 ? "" : ",") + (R"({"op": "get", "key": "k)" + std::to_string(i) + "\"}");
  }
  CHECK(post(f, puts).status == 200);
  CHECK(f.engine.txn_calls() == 8);
  const Answer answer = post(f, gets);
  CHECK(answer.status == 200);
  CHECK(parsed(answer)["succeeded"] == 1000);
  CHECK(f.engine.txn_calls() == 8);
}

TEST_CASE("many conditions are carried out, a bounded number at a time") {
  ApiFixture f;
  std::string puts;
  for (int i = 0; i < 300; ++i) {
    puts += (i == 0 ? "" : ",") + put("k" + std::to_string(i), R"(, "if_absent": true)");
  }
  f.engine.hold();
  HttpClient client(f.port);
  const std::string body = R"({"operations": [)" + puts + "]}";
  client.send(request_text("POST", "/api/v1/batch", body, kJson));
  ApiFixture::eventually([&] { return f.engine.txn_calls() == 64; });
  CHECK(f.engine.txn_calls() == 64);
  f.engine.release();
  const Answer answer = client.receive();
  CHECK(answer.status == 200);
  CHECK(f.engine.txn_calls() == 300);
}

TEST_CASE("an outcome that is not known is that of its own operations") {
  ApiFixture f;
  f.engine.script(failure(KVS_E_TIMEOUT, KVS_COMMITTED_UNKNOWN));
  f.engine.script(by_store());
  const json results = parsed(
      post(f, put("a") + "," + put("b") + "," + put("c", R"(, "if_absent": true)")))["results"];
  for (const int i : {0, 1}) {
    CHECK(results[i]["status"] == 504);
    CHECK(results[i]["error"]["code"] == "timeout");
    CHECK(results[i]["error"]["committed"] == "unknown");
    CHECK(results[i]["error"]["retryable"] == false);
  }
  CHECK(results[2]["status"] == 200);
}

TEST_CASE("a call that is refused is that of its own operations") {
  ApiFixture f;
  Scripted busy;
  busy.at_once = KVS_E_BUSY;
  busy.message = "too many writes are waiting";
  f.engine.script(busy);
  const json results =
      parsed(post(f, put("a") + "," + put("b", R"(, "if_absent": true)")))["results"];
  CHECK(results[0]["status"] == 429);
  CHECK(results[0]["error"]["retryable"] == true);
  CHECK(results[0]["error"]["committed"] == "no");
  CHECK(results[1]["status"] == 200);
}

TEST_CASE("what one operation is refused for is no fault of its neighbours") {
  ApiFixture f;
  f.engine.script(failure(KVS_E_NO_SPACE));  // the transaction of all three
  f.engine.script(failure(KVS_E_NO_SPACE));  // then one by one
  f.engine.script(by_store());
  f.engine.script(by_store());
  const Answer answer = post(f, put("a") + "," + put("b") + R"(, {"op": "delete", "key": "c"})");
  CHECK(answer.status == 207);
  const json results = parsed(answer)["results"];
  CHECK(results[0]["status"] == 507);
  CHECK(results[1]["status"] == 200);
  CHECK(results[2]["status"] == 200);
  CHECK(f.engine.txn_calls() == 4);
}

TEST_CASE("a read that fails leaves the writes as they are") {
  ApiFixture f;
  for (const bool at_once : {false, true}) {
    f.engine.script(by_store());
    Scripted failed;
    (at_once ? failed.at_once : failed.status) = KVS_E_UNREACHABLE;
    f.engine.script(failed);
    const json results = parsed(post(f, put("a") + R"(, {"op": "get", "key": "a"})"))["results"];
    CHECK(results[0]["status"] == 200);
    CHECK(results[1]["status"] == 503);
    CHECK(results[1]["error"]["code"] == "unreachable");
  }
}

TEST_CASE("what has not begun when the time is over is not done") {
  ApiFixture f;
  f.engine.hold();
  HttpClient client(f.port);
  const std::string body =
      R"({"operations": [)" + put("a") + "," + put("a") + R"(, {"op": "get", "key": "a"}]})";
  client.send(request_text("POST", "/api/v1/batch?timeout=50ms", body, kJson));
  ApiFixture::eventually([&] { return f.engine.txn_calls() == 1; });
  const uint64_t deadline = f.engine.last_call().deadline_ns;
  ApiFixture::eventually([&] { return f.host.raw()->now_ns(f.host.raw()) > deadline; });
  f.engine.release();
  const json results = parsed(client.receive())["results"];
  CHECK(results[0]["status"] == 200);
  for (const int i : {1, 2}) {
    CHECK(results[i]["status"] == 503);
    CHECK(results[i]["error"]["code"] == "timeout");
    CHECK(results[i]["error"]["committed"] == "no");
  }
  CHECK(f.engine.txn_calls() == 1);
}

TEST_CASE("an answer is bounded: values beyond are left out with their size") {
  ApiFixture f;
  std::string gets;
  for (int i = 0; i < 5; ++i) {
    const std::string key = "k" + std::to_string(i);
    f.engine.put(key, std::string(900'000, 'x'));
    gets += (i == 0 ? "" : ",") + (R"({"op": "get", "key": ")" + key + "\"}");
  }
  const json results = parsed(post(f, gets))["results"];
  for (int i = 0; i < 5; ++i) {
    const json& item = results[static_cast<size_t>(i)]["item"];
    CHECK(item["value"].is_null() == (i >= 3));
    if (i >= 3) CHECK(item["value_bytes"] == 900'000);
  }
}

TEST_CASE("a bad batch never reaches the engine") {
  ApiFixture f(R"({"max_batch_operations": 2})");
  const std::pair<std::string, const char*> rows[] = {
      {"", "operations"},
      {put("a") + "," + put("b") + "," + put("c"), "more than 2"},
      {put("a") + R"(, {"op": "get"})", "operations[1].key"},
      {R"({"op": "delete", "prefix": "a"})", "operations[0].key"},
  };
  for (const auto& [operations, named] : rows) {
    const Answer answer = post(f, operations);
    CAPTURE(operations);
    CHECK(answer.status == 400);
    CHECK(parsed(answer)["error"]["message"].get<std::string>().find(named) != std::string::npos);
  }
  CHECK(f.fetch("POST", "/api/v1/batch", std::string(5 << 20, ' '), kJson).status == 413);
  CHECK(f.fetch("POST", "/api/v1/batch", "{}", "Content-Type: text/plain\r\n").status == 415);
  CHECK(f.engine.data_calls() == 0);
}
