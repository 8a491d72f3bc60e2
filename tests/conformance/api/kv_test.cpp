// Goal: single keys over HTTP behave as data-model.md says.
// Method: requests against the scripted engine's store, headers and bodies compared exactly.
#include <nlohmann/json.hpp>

#include "fixture.hpp"

using namespace kvstore;
using namespace kvstore::conformance;
using nlohmann::json;

namespace {

constexpr const char* kJson = "Content-Type: application/json\r\n";

json parsed(const Answer& answer) {
  json document = json::parse(answer.body, nullptr, false);
  REQUIRE(!document.is_discarded());
  return document;
}

}  // namespace

TEST_CASE("PUT and GET as JSON, with revisions and versions") {
  ApiFixture f;
  Answer answer = f.fetch("PUT", "/api/v1/kv/mykey",
                          R"({"key": "mykey", "value": "SGVsbG8sIFdvcmxkIQ=="})", kJson);
  CHECK(answer.status == 200);
  CHECK(answer.header("etag") == "\"2\"");
  CHECK(parsed(answer) == json({{"key", "mykey"},
                                {"revision", 2},
                                {"create_revision", 2},
                                {"mod_revision", 2},
                                {"version", 1}}));
  CHECK(f.engine.value_of("mykey") == "Hello, World!");

  answer = f.fetch("PUT", "/api/v1/kv/mykey", R"({"value": "YQ=="})",
                   "Content-Type: application/json; charset=utf-8\r\n");
  CHECK(parsed(answer)["version"] == 2);
  CHECK(parsed(answer)["create_revision"] == 2);

  answer = f.fetch("GET", "/api/v1/kv/mykey");
  CHECK(answer.status == 200);
  CHECK(answer.header("etag") == "\"3\"");
  CHECK(answer.header("content-type") == "application/json");
  CHECK(parsed(answer) == json({{"key", "mykey"},
                                {"value", "YQ=="},
                                {"create_revision", 2},
                                {"mod_revision", 3},
                                {"version", 2}}));
}

TEST_CASE("raw bodies and raw answers") {
  ApiFixture f;
  const std::string bytes("\0\xff raw \r\n", 9);
  CHECK(f.fetch("PUT", "/api/v1/kv/k", bytes).status == 200);
  CHECK(f.fetch("PUT", "/api/v1/kv/form", "a=b",
                "Content-Type: application/x-www-form-urlencoded\r\n")
            .status == 200);
  Answer answer = f.fetch("GET", "/api/v1/kv/k?raw=true");
  CHECK(answer.body == bytes);
  CHECK(answer.header("content-type") == "application/octet-stream");
  CHECK(answer.header("etag") == "\"2\"");
  CHECK(f.fetch("GET", "/api/v1/kv/k", "", "Accept: application/octet-stream\r\n").body == bytes);
  CHECK(f.fetch("GET", "/api/v1/kv/form?raw=true").body == "a=b");
}

TEST_CASE("an empty value is a value") {
  ApiFixture f;
  CHECK(f.fetch("PUT", "/api/v1/kv/k", "").status == 200);
  CHECK(parsed(f.fetch("GET", "/api/v1/kv/k"))["value"] == "");
  CHECK(f.fetch("PUT", "/api/v1/kv/k", R"({"value": ""})", kJson).status == 200);
}

TEST_CASE("HEAD has the fields of GET and no body") {
  ApiFixture f;
  f.engine.put("k", "value");
  HttpClient client(f.port);
  const Answer head = client.request("HEAD", "/api/v1/kv/k?raw=true");
  CHECK(head.status == 200);
  CHECK(head.header("content-length") == "5");
  CHECK(head.header("etag") == "\"2\"");
  // The next answer begins where it should: nothing was sent behind the header.
  CHECK(client.request("GET", "/api/v1/kv/k?raw=true").body == "value");
  CHECK(client.request("HEAD", "/api/v1/kv/none").status == 404);
}

TEST_CASE("a missing key is 404") {
  ApiFixture f;
  const Answer answer = f.fetch("GET", "/api/v1/kv/none");
  CHECK(answer.status == 404);
  CHECK(parsed(answer)["error"]["code"] == "not_found");
  CHECK(parsed(answer)["error"]["committed"] == "no");
}

TEST_CASE("DELETE says how many keys it deleted") {
  ApiFixture f;
  f.engine.put("k", "old");
  CHECK(parsed(f.fetch("DELETE", "/api/v1/kv/k?prev=true")) == json({{"key", "k"},
                                                                     {"deleted", 1},
                                                                     {"revision", 3},
                                                                     {"prev",
                                                                      {{"key", "k"},
                                                                       {"value", "b2xk"},
                                                                       {"create_revision", 2},
                                                                       {"mod_revision", 2},
                                                                       {"version", 1}}}}));
  const Answer again = f.fetch("DELETE", "/api/v1/kv/k");
  CHECK(again.status == 200);
  CHECK(parsed(again) == json({{"key", "k"}, {"deleted", 0}, {"revision", 3}}));
}

TEST_CASE("prev=true of PUT gives the item replaced, or null") {
  ApiFixture f;
  CHECK(parsed(f.fetch("PUT", "/api/v1/kv/k?prev=true", "one"))["prev"].is_null());
  CHECK(parsed(f.fetch("PUT", "/api/v1/kv/k?prev=true", "two"))["prev"]["value"] == "b25l");
  f.engine.put("big", std::string(2 << 20, 'x'));
  const json big = parsed(f.fetch("PUT", "/api/v1/kv/big?prev=true", "two"))["prev"];
  CHECK(big["value"].is_null());
  CHECK(big["value_bytes"] == 2 << 20);
}

TEST_CASE("conditional writes: 412 with the current ETag, or the write") {
  ApiFixture f;
  // Create only.
  CHECK(f.fetch("PUT", "/api/v1/kv/k", "1", "If-None-Match: *\r\n").status == 200);
  Answer refused = f.fetch("PUT", "/api/v1/kv/k", "2", "If-None-Match: *\r\n");
  CHECK(refused.status == 412);
  CHECK(refused.header("etag") == "\"2\"");
  CHECK(parsed(refused)["error"]["code"] == "precondition_failed");
  CHECK(f.engine.value_of("k") == "1");
  // Compare and swap.
  CHECK(f.fetch("PUT", "/api/v1/kv/k", "2", "If-Match: \"2\"\r\n").status == 200);
  refused = f.fetch("PUT", "/api/v1/kv/k", "3", "If-Match: \"2\"\r\n");
  CHECK(refused.status == 412);
  CHECK(refused.header("etag") == "\"3\"");
  CHECK(f.fetch("DELETE", "/api/v1/kv/k", "", "If-Match: \"2\"\r\n").status == 412);
  CHECK(f.engine.value_of("k") == "2");
  CHECK(f.fetch("DELETE", "/api/v1/kv/k", "", "If-Match: \"3\"\r\n").status == 200);
  // Must exist.
  refused = f.fetch("PUT", "/api/v1/kv/k", "4", "If-Match: *\r\n");
  CHECK(refused.status == 412);
  CHECK(refused.headers.count("etag") == 0);
  CHECK(f.fetch("PUT", "/api/v1/kv/k", "4", "If-Match: \"0\"\r\n").status == 412);
  CHECK(!f.engine.has("k"));
}

TEST_CASE("Idempotency-Key goes down with writes, of every size") {
  ApiFixture f;
  CHECK(f.fetch("PUT", "/api/v1/kv/k", "v").headers.count("idempotency-replayed") == 0);
  CHECK(f.engine.last_request_id() == "");
  f.fetch("PUT", "/api/v1/kv/k", "v", "Idempotency-Key: 8e03978e-40d5\r\n");
  CHECK(f.engine.last_request_id() == "8e03978e-40d5");
  f.fetch("DELETE", "/api/v1/kv/k", "", "Idempotency-Key: \"a \\\"b\\\\\"\r\n");
  CHECK(f.engine.last_request_id() == "a \"b\\");
  f.fetch("POST", "/api/v1/txn", R"({"then": [{"op": "delete", "key": "k"}]})",
          std::string(kJson) + "Idempotency-Key: of-txn\r\n");
  CHECK(f.engine.last_request_id() == "of-txn");
  // The plan of an upload moves while the body comes; a short id lies inside of it.
  for (const size_t bytes : {size_t{3} << 20, (size_t{1} << 20) + 1}) {
    const Answer large =
        f.fetch("PUT", "/api/v1/kv/k", std::string(bytes, 'x'), "Idempotency-Key: short\r\n");
    CHECK(large.status == 200);
    CHECK(f.engine.last_request_id() == "short");
  }
}

TEST_CASE("a replayed answer says so, also when it is 412 or was too large to be kept") {
  ApiFixture f;
  f.engine.put("k", "old");
  Scripted again;
  again.replayed = KVS_REPLAYED;
  f.engine.script(again);
  const char* id = "Idempotency-Key: x\r\n";
  Answer answer = f.fetch("PUT", "/api/v1/kv/k", "v", id);
  CHECK(answer.status == 200);
  CHECK(answer.header("idempotency-replayed") == "true");
  CHECK(answer.headers.count("idempotency-shortened") == 0);
  f.engine.script(again);
  answer = f.fetch("PUT", "/api/v1/kv/k", "v", std::string(id) + "If-None-Match: *\r\n");
  CHECK(answer.status == 412);
  CHECK(answer.header("idempotency-replayed") == "true");
  again.replayed = KVS_REPLAYED_SHORTENED;
  f.engine.script(again);
  answer = f.fetch("DELETE", "/api/v1/kv/k", "", id);
  CHECK(answer.status == 200);
  CHECK(answer.header("idempotency-shortened") == "true");
}

TEST_CASE("under an id: 422 for another request, and an unknown outcome may be tried again") {
  ApiFixture f;
  Scripted mismatch;
  mismatch.status = KVS_E_CONFLICT;
  f.engine.script(mismatch);
  Answer answer = f.fetch("PUT", "/api/v1/kv/k", "v", "Idempotency-Key: x\r\n");
  CHECK(answer.status == 422);
  CHECK(parsed(answer)["error"]["code"] == "idempotency_mismatch");
  CHECK(parsed(answer)["error"]["retryable"] == false);
  CHECK(parsed(answer)["error"]["committed"] == "no");
  Scripted unknown;
  unknown.status = KVS_E_INDETERMINATE;
  unknown.committed = KVS_COMMITTED_UNKNOWN;
  for (const bool with_id : {true, false}) {
    f.engine.script(unknown);
    answer = f.fetch("DELETE", "/api/v1/kv/k", "", with_id ? "Idempotency-Key: x\r\n" : "");
    CHECK(answer.status == 504);
    CHECK(parsed(answer)["error"]["committed"] == "unknown");
    CHECK(parsed(answer)["error"]["retryable"] == with_id);
  }
}

TEST_CASE("conditional reads") {
  ApiFixture f;
  f.engine.put("k", "v");
  Answer answer = f.fetch("GET", "/api/v1/kv/k", "", "If-None-Match: \"2\"\r\n");
  CHECK(answer.status == 304);
  CHECK(answer.body.empty());
  CHECK(answer.header("etag") == "\"2\"");
  CHECK(f.fetch("GET", "/api/v1/kv/k", "", "If-None-Match: W/\"2\", \"9\"\r\n").status == 304);
  CHECK(f.fetch("GET", "/api/v1/kv/k", "", "If-None-Match: *\r\n").status == 304);
  CHECK(f.fetch("GET", "/api/v1/kv/k", "", "If-None-Match: \"3\"\r\n").status == 200);
  CHECK(f.fetch("GET", "/api/v1/kv/k", "", "If-Match: \"3\"\r\n").status == 412);
  CHECK(f.fetch("GET", "/api/v1/kv/none", "", "If-None-Match: *\r\n").status == 404);
}

TEST_CASE("the key is the raw path, decoded once") {
  ApiFixture f;
  const auto put = [&](const char* path) {
    CHECK(f.fetch("PUT", std::string("/api/v1/kv/") + path, "v").status == 200);
  };
  put("a/b//c");
  CHECK(f.engine.has("a/b//c"));
  put("a/../b/./c");
  CHECK(f.engine.has("a/../b/./c"));
  put("x%2Fy%252F");
  CHECK(f.engine.has("x/y%2F"));
  put("%00");
  CHECK(f.engine.has(std::string(1, '\0')));
  put("a+b%20c");
  CHECK(f.engine.has("a+b c"));
  put("/");
  CHECK(f.engine.has("/"));
  put("%ff%FE");
  CHECK(f.engine.has("\xff\xfe"));
  CHECK(parsed(f.fetch("GET", "/api/v1/kv/%ff%fe"))["key_base64"] == "//4=");
  put("quote%22back%5Cnew%0Aline");
  CHECK(parsed(f.fetch("GET", "/api/v1/kv/quote%22back%5Cnew%0Aline"))["key"] ==
        "quote\"back\\new\nline");
}

TEST_CASE("consistency and its parameters reach the engine or are refused") {
  ApiFixture f;
  f.engine.put("k", "v");
  for (const char* query : {"consistency=linearizable", "consistency=lease", "consistency=stale",
                            "consistency=stale&max_staleness=250ms", "min_revision=2"}) {
    CHECK(f.fetch("GET", std::string("/api/v1/kv/k?") + query).status == 200);
  }
  for (const char* query : {"consistency=eventual", "max_staleness=1s", "min_revision=-1",
                            "consistency=stale&max_staleness=1y"}) {
    CHECK(f.fetch("GET", std::string("/api/v1/kv/k?") + query).status == 400);
  }
}

TEST_CASE("an old revision is asked for, refused when it is gone or not there yet") {
  ApiFixture f;
  f.engine.put("k", "v");
  for (const char* path : {"/api/v1/kv/k?revision=2", "/api/v1/kv?revision=2"}) {
    CHECK(f.fetch("GET", path).status == 200);
    CHECK(f.engine.last_revision() == 2);
    for (const bool at_once : {false, true}) {
      Scripted answer;
      (at_once ? answer.at_once : answer.status) = KVS_E_INVALID;
      answer.message = "revision 2 does not exist yet: the newest is 1";
      f.engine.script(answer);
      Answer refused = f.fetch("GET", path);
      CHECK(refused.status == 400);
      CHECK(parsed(refused)["error"]["code"] == "future_revision");
      (at_once ? answer.at_once : answer.status) = KVS_E_COMPACTED;
      answer.message = "revision 2 is compacted: the oldest is 7";
      f.engine.script(answer);
      refused = f.fetch("GET", path);
      CHECK(refused.status == 410);
      CHECK(parsed(refused)["error"]["code"] == "compacted");
      CHECK(parsed(refused)["error"]["message"] == "revision 2 is compacted: the oldest is 7");
    }
  }
  CHECK(f.fetch("GET", "/api/v1/kv/k").status == 200);
  CHECK(f.engine.last_revision() == 0);
}

TEST_CASE("a reader that is ready at once serves as well") {
  ApiFixture f;
  f.engine.set_readers_ready(true);
  f.engine.put("k", "v");
  HttpClient client(f.port);
  for (int i = 0; i < 20; ++i) {
    CHECK(client.request("GET", "/api/v1/kv/k?raw=true&consistency=stale").body == "v");
  }
}

TEST_CASE("bad input never reaches the engine") {
  ApiFixture f;
  const std::string long_key(4097, 'k');
  struct Row {
    const char* method;
    std::string target, body, headers;
    const char* code;
    const char* named;  // what the message must name
  };
  const Row rows[] = {
      {"PUT", "/api/v1/kv/k", R"({"value": "a*b="})", kJson, "invalid", "base64"},
      {"PUT", "/api/v1/kv/k", R"({"value": "YQ"})", kJson, "invalid", "base64"},
      {"PUT", "/api/v1/kv/k", R"({"key": "other", "value": ""})", kJson, "invalid", "key"},
      {"PUT", "/api/v1/kv/k", R"({"value": "YQ==")", kJson, "invalid", "JSON"},
      {"PUT", "/api/v1/kv/k", "", kJson, "invalid", "empty"},
      {"PUT", "/api/v1/kv/k", "[]", kJson, "invalid", "object"},
      {"PUT", "/api/v1/kv/k", "{}", kJson, "invalid", "value: missing"},
      {"PUT", "/api/v1/kv/k", R"({"value": 5})", kJson, "invalid", "value"},
      {"PUT", "/api/v1/kv/k", R"({"value": "", "ttl": 5})", kJson, "invalid", "ttl"},
      {"PUT", "/api/v1/kv/", "v", "", "invalid", "empty"},
      {"GET", "/api/v1/kv/", "", "", "invalid", "empty"},
      {"PUT", "/api/v1/kv/a%2", "v", "", "invalid", "escape"},
      {"PUT", "/api/v1/kv/a%zz", "v", "", "invalid", "escape"},
      {"PUT", "/api/v1/kv/" + long_key, "v", "", "key_too_large", "4096"},
      {"GET", "/api/v1/kv/" + long_key, "", "", "key_too_large", "4096"},
      {"PUT", "/api/v1/kv/k?colour=red", "v", "", "invalid", "colour"},
      {"PUT", "/api/v1/kv/k?prev=maybe", "v", "", "invalid", "prev"},
      {"PUT", "/api/v1/kv/k?prev=1&prev=1", "v", "", "invalid", "prev"},
      {"PUT", "/api/v1/kv/k?ttl=soon", "v", "", "invalid", "ttl"},
      {"PUT", "/api/v1/kv/k?ttl=0", "v", "", "invalid", "ttl"},
      {"PUT", "/api/v1/kv/k?ttl=9000h", "v", "", "invalid", "8760h"},
      {"PUT", "/api/v1/kv/k?lease=0", "v", "", "invalid", "lease"},
      {"PUT", "/api/v1/kv/k?lease=9007199254740992", "v", "", "invalid", "9007199254740991"},
      {"PUT", "/api/v1/kv/k?lease=7&ttl=5s", "v", "", "invalid", "both"},
      {"GET", "/api/v1/kv/k?lease=7", "", "", "invalid", "lease"},
      {"GET", "/api/v1/kv/k?revision=0", "", "", "invalid", "revision"},
      {"GET", "/api/v1/kv?revision=-7", "", "", "invalid", "revision"},
      {"PUT", "/api/v1/kv/k?revision=7", "v", "", "invalid", "revision"},
      {"PUT", "/api/v1/kv/k", "v", "Idempotency-Key: \r\n", "invalid", "Idempotency-Key"},
      {"PUT", "/api/v1/kv/k", "v", "Idempotency-Key: a b\r\n", "invalid", "Idempotency-Key"},
      {"DELETE", "/api/v1/kv/k", "", "Idempotency-Key: \"open\r\n", "invalid", "Idempotency-Key"},
      {"PUT", "/api/v1/kv/k", "v", "Idempotency-Key: " + std::string(129, 'x') + "\r\n", "invalid",
       "Idempotency-Key"},
      {"PUT", "/api/v1/kv/k", "v", "If-Match: abc\r\n", "invalid", "If-Match"},
      {"PUT", "/api/v1/kv/k", "v", "If-Match: W/\"5\"\r\n", "invalid", "If-Match"},
      {"PUT", "/api/v1/kv/k", "v", "If-Match: \"5\", \"6\"\r\n", "unsupported", "If-Match"},
      {"GET", "/api/v1/kv/k", "body", "", "invalid", "body"},
      {"GET", "/api/v1/kv?limit=0", "", "", "invalid", "limit"},
      {"GET", "/api/v1/kv?limit=10001", "", "", "invalid", "10000"},
      {"GET", "/api/v1/kv?prefix=a&start=b", "", "", "invalid", "prefix"},
      {"GET", "/api/v1/kv?cursor=AAAA", "", "", "invalid_cursor", "cursor"},
  };
  HttpClient client(f.port);
  for (const Row& row : rows) {
    const Answer answer = client.request(row.method, row.target, row.body, row.headers);
    CAPTURE(row.target.substr(0, 60));
    CAPTURE(row.body);
    CHECK(answer.status == 400);
    const json error = parsed(answer)["error"];
    CHECK(error["code"] == row.code);
    CHECK(error["retryable"] == false);
    const std::string message = error["message"].get<std::string>();
    CAPTURE(message);
    CHECK(message.find(row.named) != std::string::npos);
  }
  CHECK(f.engine.data_calls() == 0);
}
