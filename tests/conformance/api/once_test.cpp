// Goal: batches and deletes of ranges take effect once under an Idempotency-Key, though they are
// several transactions: a repetition does what is missing and answers what was done; another
// request under the key does nothing.
// Method: the scripted engine remembers request ids as a host does; attempts fail at chosen pieces,
// before or after their effect, and are repeated.
#include <nlohmann/json.hpp>

#include "fixture.hpp"

using namespace kvstore;
using namespace kvstore::conformance;
using nlohmann::json;

namespace {

constexpr const char* kHeaders = "Content-Type: application/json\r\nIdempotency-Key: key\r\n";
constexpr const char* kKey = "Idempotency-Key: key\r\n";

json parsed(const Answer& answer) {
  json document = json::parse(answer.body, nullptr, false);
  REQUIRE(!document.is_discarded());
  return document;
}

Answer post(const ApiFixture& f, const std::string& operations) {
  return f.fetch("POST", "/api/v1/batch", R"({"operations": [)" + operations + "]}", kHeaders);
}

Answer erase(const ApiFixture& f, const std::string& query) {
  return f.fetch("DELETE", "/api/v1/kv?" + query, "", kKey);
}

std::string put(const std::string& key, const std::string& value = "v") {
  return R"({"op": "put", "key": ")" + key + R"(", "text": ")" + value + "\"}";
}

std::string puts(int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += (i == 0 ? "" : ",") + put("k" + std::to_string(i));
  return out;
}

void fill(ApiFixture& f, const std::string& prefix, int count) {
  for (int i = 0; i < count; ++i) f.engine.put(prefix + std::to_string(i), "v");
}

Scripted failure(kvs_status status, uint32_t committed = KVS_COMMITTED_NO) {
  Scripted answer;
  answer.status = status;
  answer.committed = committed;
  answer.message = "what happened";
  return answer;
}

// Done, but nobody hears of it.
Scripted lost() {
  Scripted answer = failure(KVS_E_INDETERMINATE, KVS_COMMITTED_UNKNOWN);
  answer.lost = true;
  return answer;
}

Scripted by_store() {
  Scripted answer;
  answer.by_store = true;
  return answer;
}

bool is_replay(const Answer& answer) {
  return answer.headers.count("idempotency-replayed") != 0;
}

uint64_t version_of(const ApiFixture& f, const std::string& key) {
  const Answer answer = f.fetch("GET", "/api/v1/kv/" + key);
  return answer.status == 200 ? parsed(answer)["version"].get<uint64_t>() : 0;
}

void check_mismatch(const Answer& answer) {
  CHECK(answer.status == 422);
  const json error = parsed(answer)["error"];
  CHECK(error["code"] == "idempotency_mismatch");
  CHECK(error["committed"] == "no");
  CHECK(error["retryable"] == false);
}

}  // namespace

TEST_CASE("a batch of one transaction has the key itself, and takes one") {
  ApiFixture f;
  f.engine.remember_requests();
  const std::string body = put("a") + "," + put("b") + R"(, {"op": "get", "key": "a"})";
  const Answer first = post(f, body);
  CHECK(first.status == 200);
  CHECK_FALSE(is_replay(first));
  CHECK(f.engine.last_request_id() == "key");
  CHECK(f.engine.txn_calls() == 1);
  const Answer again = post(f, body);
  CHECK(again.status == 200);
  CHECK(is_replay(again));
  const json before = parsed(first)["results"], after = parsed(again)["results"];
  for (const int i : {0, 1}) {
    CHECK(before[i] == json({{"status", 200}, {"op", "put"}, {"mod_revision", 2}}));
    CHECK(after[i] ==
          json({{"status", 200}, {"replayed", true}, {"op", "put"}, {"mod_revision", 2}}));
  }
  CHECK(after[2] == before[2]);
  CHECK(version_of(f, "a") == 1);
}

TEST_CASE("a condition that did not hold then does not hold for the repetition") {
  ApiFixture f;
  f.engine.remember_requests();
  f.engine.put("a", "old");
  const std::string body = R"({"op": "put", "key": "a", "text": "v", "if_absent": true})";
  const Answer first = post(f, body);
  CHECK(first.status == 207);
  f.fetch("DELETE", "/api/v1/kv/a");
  const Answer again = post(f, body);
  CHECK(again.status == 207);
  CHECK(is_replay(again));
  const json result = parsed(again)["results"][0];
  CHECK(result["status"] == 412);
  CHECK(result["replayed"] == true);
  CHECK(result["current_revision"] == parsed(first)["results"][0]["current_revision"]);
  CHECK(!f.engine.has("a"));
}

TEST_CASE("another batch under the key does nothing, however it is divided") {
  const std::string batches[] = {
      put("a"),
      put("a", "other"),
      put("a") + "," + put("b"),
      put("b") + "," + put("a"),
      put("a") + R"(, {"op": "get", "key": "a"})",
      R"({"op": "put", "key": "a", "text": "v", "prev": true})",
      R"({"op": "put", "key": "a", "text": "v", "ttl": "5m"})",
      R"({"op": "put", "key": "a", "text": "v", "if_absent": true})",
      R"({"op": "delete", "key": "a"})",
      put("a") + "," + put("a"),
      puts(200),
      puts(201),
  };
  for (const std::string& first : batches) {
    ApiFixture f;
    f.engine.remember_requests();
    CHECK(post(f, first).status == 200);
    const uint64_t revision = parsed(post(f, first))["revision"];
    for (const std::string& other : batches) {
      if (other == first) continue;
      check_mismatch(post(f, other));
    }
    check_mismatch(f.fetch("PUT", "/api/v1/kv/a", "v", kKey));
    check_mismatch(erase(f, "prefix=a"));
    CHECK(f.fetch("GET", "/api/v1/kv?limit=1").header("x-kvstore-revision") ==
          std::to_string(revision));
  }
}

TEST_CASE("a repetition does what is missing and answers what was done") {
  ApiFixture f;
  f.engine.remember_requests();
  f.engine.script(by_store());                  // the claim
  f.engine.script(by_store());                  // 128 operations
  f.engine.script(lost());                      // 128
  f.engine.script(failure(KVS_E_UNREACHABLE));  // 44
  const json first = parsed(post(f, puts(300)));
  CHECK(first["succeeded"] == 128);
  CHECK(first["results"][128]["status"] == 504);
  CHECK(first["results"][128]["error"]["committed"] == "unknown");
  CHECK(first["results"][128]["error"]["retryable"] == true);
  CHECK(first["results"][299]["status"] == 503);
  const Answer answer = post(f, puts(300));
  CHECK(answer.status == 200);
  CHECK_FALSE(is_replay(answer));  // not all of it
  const json second = parsed(answer);
  CHECK(second["results"][0]["mod_revision"] == first["results"][0]["mod_revision"]);
  CHECK(second["results"][0]["replayed"] == true);
  CHECK(second["results"][128]["replayed"] == true);
  CHECK(second["results"][299].contains("replayed") == false);
  for (const int i : {0, 127, 128, 255, 256, 299}) {
    CHECK(version_of(f, "k" + std::to_string(i)) == 1);
  }
  CHECK(is_replay(post(f, puts(300))));
  // A claim that fails leaves everything undone.
  f.engine.script(failure(KVS_E_BUSY));
  const uint64_t calls = f.engine.txn_calls();
  CHECK(f.fetch("POST", "/api/v1/batch", R"({"operations": [)" + puts(200) + "]}",
                "Content-Type: application/json\r\nIdempotency-Key: another\r\n")
            .status == 429);
  CHECK(f.engine.txn_calls() == calls + 1);
}

TEST_CASE("every node divides a batch in the same way") {
  std::map<std::string, std::string> asked;
  for (const char* config : {"{}", R"({"max_txn_operations": 2})"}) {
    ApiFixture f(config);
    f.engine.remember_requests();
    CHECK(post(f, puts(300)).status == 200);
    CHECK(f.engine.remembered_requests().size() == 4);
    if (asked.empty()) asked = f.engine.remembered_requests();
    CHECK(f.engine.remembered_requests() == asked);
  }
  CHECK(asked.count("key") == 1);
  for (const auto& [id, text] : asked) {
    CHECK(id.size() <= 64);
    CHECK((id == "key" || id[0] == '\x01'));  // no client's key
  }
}

TEST_CASE("a transaction that was divided stays divided") {
  ApiFixture f;
  f.engine.remember_requests();
  const std::string body = put("a") + "," + put("b") + R"(, {"op": "delete", "key": "c"})";
  f.engine.script(failure(KVS_E_NO_SPACE));  // of all three
  f.engine.script(by_store());               // given up
  f.engine.script(failure(KVS_E_NO_SPACE));  // then one by one
  f.engine.script(by_store());
  f.engine.script(lost());
  const json first = parsed(post(f, body))["results"];
  CHECK(first[0]["status"] == 507);
  CHECK(first[1]["status"] == 200);
  CHECK(first[2]["status"] == 504);
  // Now all three would fit: those that were done are not done again.
  f.engine.put("c", "put after it was deleted");
  const json second = parsed(post(f, body))["results"];
  CHECK(second[0]["status"] == 200);
  CHECK(second[1]["mod_revision"] == first[1]["mod_revision"]);
  CHECK(second[1]["replayed"] == true);
  CHECK(second[2]["deleted"] == 0);
  CHECK(version_of(f, "a") == 1);
  CHECK(version_of(f, "b") == 1);
  CHECK(f.engine.has("c"));
  check_mismatch(post(f, put("a") + "," + put("b")));
}

TEST_CASE("a transaction that another attempt did meanwhile is not divided") {
  ApiFixture f;
  f.engine.remember_requests();
  CHECK(post(f, puts(3)).status == 200);
  f.engine.script(failure(KVS_E_NO_SPACE));
  const Answer again = post(f, puts(3));
  CHECK(again.status == 200);
  CHECK(is_replay(again));
  CHECK(version_of(f, "k1") == 1);
  // When not even that can be found out, a repetition does.
  f.engine.script(failure(KVS_E_NO_SPACE));
  f.engine.script(failure(KVS_E_UNREACHABLE));
  const json error = parsed(post(f, puts(3)))["results"][0]["error"];
  CHECK(error["code"] == "unreachable");
  CHECK(error["retryable"] == true);
}

TEST_CASE("what follows on the same key waits for what is missing") {
  ApiFixture f;
  f.engine.remember_requests();
  const std::string body = put("a", "1") + "," + put("a", "2") + "," + put("b");
  f.engine.script(by_store());                  // the claim
  f.engine.script(failure(KVS_E_UNREACHABLE));  // "1" of a, with b
  const json first = parsed(post(f, body))["results"];
  CHECK(f.engine.txn_calls() == 2);
  CHECK(first[0]["status"] == 503);
  CHECK(first[1]["error"]["code"] == "timeout");
  CHECK(first[1]["error"]["committed"] == "no");
  CHECK(first[1]["error"]["retryable"] == true);
  CHECK(post(f, body).status == 200);
  CHECK(f.engine.value_of("a") == "2");
  CHECK(version_of(f, "a") == 2);
}

TEST_CASE("a range is deleted once, also when the answer is lost") {
  for (const char* query : {"prefix=p%2F", "prefix=p%2F&atomic=true", "prefix=p%2F&limit=5"}) {
    ApiFixture f;
    f.engine.remember_requests();
    CAPTURE(query);
    fill(f, "p/", 3);
    f.engine.script(lost());
    const Answer unknown = erase(f, query);
    CHECK(unknown.status == 504);
    CHECK(parsed(unknown)["error"]["retryable"] == true);
    f.engine.put("p/new", "v");
    const Answer again = erase(f, query);
    CHECK(is_replay(again));
    CHECK(parsed(again) ==
          json({{"deleted", 3}, {"more", false}, {"transactions", 1}, {"revision", 5}}));
    CHECK(f.engine.has("p/new"));
    CHECK(f.engine.txn_calls() == 2);
    for (const char* other : {"prefix=p", "prefix=p%2F&limit=10000", "prefix=p%2F&limit=4",
                              "start=p%2F", "start=p%2F&end=p0&limit=7", "all=true"}) {
      check_mismatch(erase(f, other));
    }
    CHECK(f.engine.has("p/new"));
  }
}

TEST_CASE("a delete in pieces goes on where it ended, and no further than to its end") {
  ApiFixture f;
  f.engine.remember_requests();
  fill(f, "p/", 25'000);
  f.engine.script(by_store());
  f.engine.script(lost());
  const json error = parsed(erase(f, "prefix=p%2F"))["error"];
  CHECK(error["code"] == "incomplete");
  CHECK(error["deleted"] == 10'000);
  f.engine.script(by_store());
  f.engine.script(by_store());
  f.engine.script(lost());  // the last piece
  CHECK(parsed(erase(f, "prefix=p%2F"))["error"]["deleted"] == 20'000);
  fill(f, "p/", 10);
  for (int i = 0; i < 2; ++i) {
    const Answer answer = erase(f, "prefix=p%2F");
    CHECK(is_replay(answer));
    CHECK(parsed(answer)["deleted"] == 25'000);
    CHECK(parsed(answer)["transactions"] == 3);
    CHECK(f.engine.has("p/0"));
  }
}

TEST_CASE("pieces that shrank keep their size") {
  ApiFixture f;
  f.engine.remember_requests();
  fill(f, "p/", 3000);
  f.engine.script(failure(KVS_E_INVALID));  // 10,000 keys are too many bytes
  f.engine.script(by_store());              // given up
  f.engine.script(by_store());              // 1,250
  f.engine.script(by_store());              // 1,250
  f.engine.script(lost());                  // 500
  CHECK(parsed(erase(f, "prefix=p%2F"))["error"]["deleted"] == 2500);
  // What is there now would go in one transaction.
  fill(f, "p/", 7);
  const Answer again = erase(f, "prefix=p%2F");
  CHECK(is_replay(again));
  CHECK(parsed(again)["deleted"] == 3000);
  CHECK(f.engine.has("p/0"));
  check_mismatch(erase(f, "prefix=p"));
  // A second piece that another attempt did while this one was told that it is too large.
  f.engine.script(by_store());
  f.engine.script(by_store());
  f.engine.script(by_store());
  f.engine.script(failure(KVS_E_INVALID));
  CHECK(parsed(erase(f, "prefix=p%2F"))["deleted"] == 3000);
  CHECK(f.engine.has("p/0"));
}

TEST_CASE("reads alone leave the key to others") {
  ApiFixture f;
  f.engine.remember_requests();
  CHECK(post(f, R"({"op": "get", "key": "a"})").status == 207);
  CHECK(f.engine.txn_calls() == 0);
  CHECK(post(f, put("a")).status == 200);
}
