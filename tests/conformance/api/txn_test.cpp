// Goal: a transaction over HTTP does what its document says and answers as the README says.
// Method: requests against the scripted engine's store; whole answers are compared.
#include <nlohmann/json.hpp>

#include "fixture.hpp"

using namespace kvstore;
using namespace kvstore::conformance;
using nlohmann::json;

namespace {

constexpr const char* kJson = "Content-Type: application/json\r\n";

Answer post(const ApiFixture& f, const std::string& body, const std::string& query = "") {
  return f.fetch("POST", "/api/v1/txn" + query, body, kJson);
}

json parsed(const Answer& answer) {
  json document = json::parse(answer.body, nullptr, false);
  REQUIRE(!document.is_discarded());
  return document;
}

json item(const char* key, const char* value, int create, int mod, int version) {
  return {{"key", key},
          {"value", value},
          {"create_revision", create},
          {"mod_revision", mod},
          {"version", version}};
}

}  // namespace

TEST_CASE("both branches, with their results") {
  ApiFixture f;
  const std::string lock = R"({
      "compares": [{"key": "lock", "target": "exists", "value": false}],
      "then": [{"op": "put", "key": "lock", "text": "me", "prev": true},
               {"op": "put", "key": "n", "value": "MQ=="}],
      "else": [{"op": "get", "key": "lock"}, {"op": "get", "key": "none"}]})";
  Answer answer = post(f, lock);
  CHECK(answer.status == 200);
  CHECK(answer.header("content-type") == "application/json");
  CHECK(answer.header("x-kvstore-revision") == "2");
  CHECK(parsed(answer) == json({{"succeeded", true},
                                {"revision", 2},
                                {"results",
                                 {{{"op", "put"}, {"mod_revision", 2}, {"prev", nullptr}},
                                  {{"op", "put"}, {"mod_revision", 2}}}}}));
  CHECK(f.engine.value_of("lock") == "me");
  answer = post(f, lock);
  CHECK(answer.status == 200);
  CHECK(parsed(answer) == json({{"succeeded", false},
                                {"revision", 2},
                                {"results",
                                 {{{"op", "get"}, {"item", item("lock", "bWU=", 2, 2, 1)}},
                                  {{"op", "get"}, {"item", nullptr}}}}}));
}

TEST_CASE("ranges: items, counts, limits, directions, deletes") {
  ApiFixture f;
  for (const char* key : {"p/1", "p/2", "p/3", "q"}) f.engine.put(key, key);
  const json answer = parsed(post(f, R"({"then": [
      {"op": "range", "prefix": "p/", "limit": 2, "keys_only": true},
      {"op": "range", "prefix": "p/", "limit": 3, "keys_only": true, "reverse": true},
      {"op": "range", "count_only": true},
      {"op": "range", "start": "p/2", "end": "p/3"},
      {"op": "delete", "prefix": "p/", "limit": 2, "prev": true, "keys_only": true},
      {"op": "delete", "key": "q", "prev": true},
      {"op": "delete", "key": "none", "prev": true},
      {"op": "delete", "all": true}]})"));
  const json& results = answer["results"];
  CHECK(answer["revision"] == 6);
  CHECK(results[0]["count"] == 2);
  CHECK(results[0]["more"] == true);
  CHECK(results[0]["items"].size() == 2);
  CHECK(results[0]["items"][0] ==
        json({{"key", "p/1"}, {"create_revision", 2}, {"mod_revision", 2}, {"version", 1}}));
  CHECK(results[1]["more"] == false);
  CHECK(results[1]["items"][0]["key"] == "p/3");
  CHECK(results[2] == json({{"op", "range"}, {"count", 4}}));
  CHECK(results[3] == json({{"op", "range"},
                            {"items", json::array({item("p/2", "cC8y", 3, 3, 1)})},
                            {"count", 1},
                            {"more", false}}));
  CHECK(results[4]["deleted"] == 2);
  CHECK(results[4]["prev"].size() == 2);
  CHECK(results[5] ==
        json({{"op", "delete"}, {"deleted", 1}, {"prev", item("q", "cQ==", 5, 5, 1)}}));
  CHECK(results[6] == json({{"op", "delete"}, {"deleted", 0}, {"prev", nullptr}}));
  CHECK(results[7] == json({{"op", "delete"}, {"deleted", 1}}));
  CHECK(!f.engine.has("p/3"));
}

TEST_CASE("keys of any bytes, and values that stand apart") {
  ApiFixture f;
  f.engine.put("\xff", std::string(2 << 20, 'x'));
  const json result =
      parsed(post(f, R"({"then": [{"op": "get", "key_base64": "/w=="}]})"))["results"][0]["item"];
  CHECK(result["key_base64"] == "/w==");
  CHECK(result["value"].is_null());
  CHECK(result["value_bytes"] == 2 << 20);
}

TEST_CASE("every target and operator reaches the engine") {
  ApiFixture f;
  f.engine.put("k", "m");
  const auto succeeds = [&](const std::string& compare) {
    const json answer = parsed(post(f, R"({"compares": [{"key": "k", )" + compare +
                                           R"(}], "then": [{"op": "get", "key": "k"}]})"));
    return answer["succeeded"].get<bool>();
  };
  CHECK(succeeds(R"("target": "value", "text": "m")"));
  CHECK(succeeds(R"("target": "value", "op": "<", "text": "n")"));
  CHECK(!succeeds(R"("target": "value", "op": ">", "value": "bQ==")"));
  CHECK(succeeds(R"("target": "mod_revision", "value": 2)"));
  CHECK(!succeeds(R"("target": "mod_revision", "op": "!=", "value": 2)"));
  CHECK(succeeds(R"("target": "create_revision", "op": "<", "value": 3)"));
  CHECK(succeeds(R"("target": "version", "op": ">", "value": 0)"));
  CHECK(succeeds(R"("target": "lease", "value": 0)"));
  CHECK(succeeds(R"("target": "exists")"));
  CHECK(!succeeds(R"("target": "exists", "value": false)"));
}

TEST_CASE("a bad transaction never reaches the engine") {
  ApiFixture f(R"({"max_txn_operations": 2})");
  struct Row {
    std::string body, headers, query;
    int status;
    const char* code;
    const char* named;
  };
  const std::string good = R"({"then": [{"op": "get", "key": "k"}]})";
  const Row rows[] = {
      {R"({"then": [{"op": "put", "key": "k", "value": 7}]})", kJson, "", 400, "invalid",
       "then[0].value"},
      {R"({"then": [{"op": "get", "key": "k"}], "else": [{"op": "get", "key": ""}]})", kJson, "",
       400, "invalid", "else[0].key"},
      {R"({"then": [{"op": "get", "key": ")" + std::string(4097, 'k') + R"("}]})", kJson, "", 400,
       "key_too_large", "then[0].key"},
      {R"({"then": [{"op": "get", "key": "k"},{"op": "get", "key": "k"},
                    {"op": "get", "key": "k"}]})",
       kJson, "", 400, "invalid", "more than 2"},
      {R"({"then": [{"op": "put", "key": "k", "text": ")" + std::string(1048577, 'v') + R"("}]})",
       kJson, "", 413, "too_large", "then[0].text"},
      {std::string(3 << 20, ' '), kJson, "", 413, "too_large", "2097152"},
      {"", kJson, "", 400, "invalid", "JSON"},
      {good, "Content-Type: text/plain\r\n", "", 415, "unsupported_media_type", "json"},
      {good, std::string(kJson) + "Idempotency-Key: a b\r\n", "", 400, "invalid", "Idempotency"},
      {good, kJson, "?colour=red", 400, "invalid", "colour"},
  };
  for (const Row& row : rows) {
    const Answer answer = f.fetch("POST", "/api/v1/txn" + row.query, row.body, row.headers);
    CAPTURE(row.body.substr(0, 80));
    CHECK(answer.status == row.status);
    const json error = parsed(answer)["error"];
    CHECK(error["code"] == row.code);
    CHECK(error["committed"] == "no");
    CHECK(error["message"].get<std::string>().find(row.named) != std::string::npos);
  }
  CHECK(f.engine.data_calls() == 0);
  const Answer get = f.fetch("GET", "/api/v1/txn");
  CHECK(get.status == 405);
  CHECK(get.header("allow") == "POST");
}

TEST_CASE("timeout, forward and outcomes are those of every write") {
  ApiFixture f;
  const std::string body = R"({"then": [{"op": "put", "key": "k", "text": "v"}],
                               "else": [{"op": "get", "key": "k"}]})";
  CHECK(post(f, body, "?forward=false&timeout=20m").status == 200);
  CHECK(f.engine.last_call().flags == KVS_CALL_NO_FORWARD);
  CHECK(f.engine.last_call().deadline_ns > 0);
  Scripted unknown;
  unknown.status = KVS_E_TIMEOUT;
  unknown.committed = KVS_COMMITTED_UNKNOWN;
  f.engine.script(unknown);
  const Answer answer = post(f, body);
  CHECK(answer.status == 504);
  CHECK(parsed(answer)["error"]["committed"] == "unknown");
  // What the engine gives without being asked for is a fault of the server.
  f.engine.script({});
  CHECK(post(f, body).status == 500);
}

TEST_CASE("a body of exactly the limit is taken, also in chunks") {
  ApiFixture f;
  std::string body = R"({"then": [{"op": "get", "key": "k"}]})";
  body.resize(2 << 20, ' ');
  CHECK(post(f, body).status == 200);
  HttpClient client(f.port);
  const std::string head =
      "POST /api/v1/txn HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  CHECK(client.exchange(head + "200000\r\n" + body + "\r\n0\r\n\r\n").status == 200);
  CHECK(client.exchange(head + "200001\r\n" + body + " \r\n0\r\n\r\n").status == 413);
}
