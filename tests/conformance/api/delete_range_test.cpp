// Goal: DELETE of a range deletes what it names and nothing by mistake, whatever its size.
// Method: requests against the scripted engine's store; the engine's refusals at chosen pieces.
#include <nlohmann/json.hpp>

#include "fixture.hpp"

using namespace kvstore;
using namespace kvstore::conformance;
using nlohmann::json;

namespace {

json parsed(const Answer& answer) {
  json document = json::parse(answer.body, nullptr, false);
  REQUIRE(!document.is_discarded());
  return document;
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

Scripted by_store() {
  Scripted answer;
  answer.by_store = true;
  return answer;
}

}  // namespace

TEST_CASE("a range that fits is one transaction") {
  ApiFixture f;
  fill(f, "p/", 3);
  fill(f, "q/", 2);
  const Answer answer = f.fetch("DELETE", "/api/v1/kv?prefix=p%2F");
  CHECK(answer.status == 200);
  CHECK(parsed(answer) ==
        json({{"deleted", 3}, {"more", false}, {"transactions", 1}, {"revision", 7}}));
  CHECK(answer.header("x-kvstore-revision") == "7");
  CHECK(!f.engine.has("p/0"));
  CHECK(parsed(f.fetch("DELETE", "/api/v1/kv?prefix=p%2F")) ==
        json({{"deleted", 0}, {"more", false}, {"transactions", 0}, {"revision", 7}}));
  CHECK(parsed(f.fetch("DELETE", "/api/v1/kv?start=q%2F1&end=q%2F2"))["deleted"] == 1);
  CHECK(f.engine.has("q/0"));
  CHECK(parsed(f.fetch("DELETE", "/api/v1/kv?all=true"))["deleted"] == 1);
}

TEST_CASE("a larger one is deleted piece by piece") {
  ApiFixture f;
  fill(f, "p/", 20'001);
  const json answer = parsed(f.fetch("DELETE", "/api/v1/kv?prefix=p%2F"));
  CHECK(answer["deleted"] == 20'001);
  CHECK(answer["transactions"] == 3);
  CHECK(answer["more"] == false);
}

TEST_CASE("a limit is one transaction, and says whether there may be more") {
  ApiFixture f;
  fill(f, "p/", 5);
  json answer = parsed(f.fetch("DELETE", "/api/v1/kv?prefix=p%2F&limit=3"));
  CHECK(answer["deleted"] == 3);
  CHECK(answer["more"] == true);
  answer = parsed(f.fetch("DELETE", "/api/v1/kv?prefix=p%2F&limit=3"));
  CHECK(answer["deleted"] == 2);
  CHECK(answer["more"] == false);
  CHECK(f.engine.txn_calls() == 2);
}

TEST_CASE("a piece of too many bytes shrinks") {
  ApiFixture f;
  fill(f, "p/", 3000);
  f.engine.script(failure(KVS_E_INVALID));
  const json answer = parsed(f.fetch("DELETE", "/api/v1/kv?prefix=p%2F"));
  CHECK(answer["deleted"] == 3000);
  CHECK(answer["transactions"] == 3);  // 10,000 was refused; 1,250 at a time
  CHECK(f.engine.txn_calls() == 4);
  // What is refused for another reason is refused in the end.
  fill(f, "p/", 1);
  for (int i = 0; i < 10; ++i) f.engine.script(failure(KVS_E_INVALID));
  CHECK(f.fetch("DELETE", "/api/v1/kv?prefix=p%2F").status == 400);
}

TEST_CASE("atomic=true is all or nothing") {
  ApiFixture f;
  fill(f, "p/", 12'000);
  f.engine.script(failure(KVS_E_INVALID));
  Answer answer = f.fetch("DELETE", "/api/v1/kv?prefix=p%2F&atomic=true");
  CHECK(answer.status == 400);
  CHECK(parsed(answer)["error"]["message"] == "what happened");
  CHECK(f.engine.txn_calls() == 1);
  answer = f.fetch("DELETE", "/api/v1/kv?prefix=p%2F&atomic=true");
  CHECK(parsed(answer)["deleted"] == 12'000);
  CHECK(parsed(answer)["transactions"] == 1);
}

TEST_CASE("an end before the last key says how many are gone and that a repetition goes on") {
  ApiFixture f;
  fill(f, "p/", 25'000);
  f.engine.script(by_store());
  f.engine.script(failure(KVS_E_UNREACHABLE));
  Answer answer = f.fetch("DELETE", "/api/v1/kv?prefix=p%2F");
  CHECK(answer.status == 503);
  CHECK(answer.header("retry-after") == "1");
  json error = parsed(answer)["error"];
  CHECK(error["code"] == "incomplete");
  CHECK(error["deleted"] == 10'000);
  CHECK(error["committed"] == "partial");
  CHECK(error["retryable"] == true);
  CHECK(error["message"].get<std::string>().find("10000 keys are deleted") == 0);
  f.engine.script(by_store());
  f.engine.script(failure(KVS_E_INDETERMINATE, KVS_COMMITTED_UNKNOWN));
  error = parsed(f.fetch("DELETE", "/api/v1/kv?prefix=p%2F"))["error"];
  CHECK(error["message"].get<std::string>().find("at least 10000 keys") == 0);
  CHECK(parsed(f.fetch("DELETE", "/api/v1/kv?prefix=p%2F"))["deleted"] == 5000);
  // Nothing is gone: the plain error.
  f.engine.script(failure(KVS_E_INDETERMINATE, KVS_COMMITTED_UNKNOWN));
  answer = f.fetch("DELETE", "/api/v1/kv?prefix=p%2F");
  CHECK(answer.status == 504);
  CHECK(parsed(answer)["error"]["committed"] == "unknown");
}

TEST_CASE("the deadline ends it between pieces") {
  ApiFixture f;
  fill(f, "p/", 10'001);
  f.engine.hold();
  HttpClient client(f.port);
  client.send(request_text("DELETE", "/api/v1/kv?prefix=p%2F&timeout=50ms", "", ""));
  ApiFixture::eventually([&] { return f.engine.txn_calls() == 1; });
  const uint64_t deadline = f.engine.last_call().deadline_ns;
  ApiFixture::eventually([&] { return f.host.raw()->now_ns(f.host.raw()) > deadline; });
  f.engine.release();
  const json error = parsed(client.receive())["error"];
  CHECK(error["code"] == "incomplete");
  CHECK(error["deleted"] == 10'000);
  CHECK(f.engine.txn_calls() == 1);
}

TEST_CASE("nothing is deleted by mistake") {
  ApiFixture f;
  fill(f, "p/", 1);
  const std::pair<const char*, const char*> rows[] = {
      {"", "all=true"},
      {"?prefix=", "all=true"},
      {"?start=", "all=true"},
      {"?prefix=&all=false", "all=true"},
      {"?all=true&prefix=p", "excludes"},
      {"?all=true&end=p", "excludes"},
      {"?prefix=p&start=a", "prefix"},
      {"?prefix=p&limit=0", "limit"},
      {"?prefix=p&limit=10001", "10000"},
      {"?prefix=p&limit=5&atomic=true", "atomic"},
      {"?prefix=p&cursor=a", "cursor"},
      {"?prefix=p&prev=true", "prev"},
  };
  for (const auto& [query, named] : rows) {
    const Answer answer = f.fetch("DELETE", std::string("/api/v1/kv") + query);
    CAPTURE(query);
    CHECK(answer.status == 400);
    CHECK(parsed(answer)["error"]["message"].get<std::string>().find(named) != std::string::npos);
  }
  for (const char* header :
       {"If-Match: \"2\"\r\n", "If-None-Match: *\r\n", "Idempotency-Key: a b\r\n"}) {
    CHECK(f.fetch("DELETE", "/api/v1/kv?prefix=p", "", header).status == 400);
  }
  CHECK(f.engine.data_calls() == 0);
  const Answer wrong = f.fetch("PUT", "/api/v1/kv", "v");
  CHECK(wrong.status == 405);
  CHECK(wrong.header("allow") == "GET, HEAD, DELETE");
}
