// Goal: leases and TTLs over HTTP: requests become verbs or operations with the right times,
// answers and errors pass back, and what is malformed reaches nobody. Method: scripted verbs, and a
// scripted store that keeps what a put asked for.
#include <nlohmann/json.hpp>

#include "fixture.hpp"

using namespace kvstore;
using namespace kvstore::conformance;
using nlohmann::json;

namespace {

constexpr const char* kJson = "Content-Type: application/json\r\n";

Scripted answer_with(const char* document, kvs_status status = KVS_OK) {
  Scripted answer;
  answer.status = status;
  answer.json = document;
  return answer;
}

json last_document(const ApiFixture& f, const std::string& verb) {
  json document;
  for (const auto& call : f.engine.control_calls()) {
    if (call.verb == verb) document = json::parse(call.json);
  }
  return document;
}

size_t lease_calls(const ApiFixture& f) {
  size_t n = 0;
  for (const auto& call : f.engine.control_calls()) n += call.verb.starts_with("lease.") ? 1 : 0;
  return n;
}

}  // namespace

TEST_CASE("a put carries its lease or its TTL, and the item shows it") {
  ApiFixture f;
  Answer answer = f.fetch("PUT", "/api/v1/kv/k?lease=7", "v");
  CHECK(answer.status == 200);
  CHECK(json::parse(answer.body)["lease"] == 7);
  answer = f.fetch("GET", "/api/v1/kv/k");
  CHECK(json::parse(answer.body)["lease"] == 7);
  CHECK_FALSE(json::parse(answer.body).contains("ttl_ms"));
  const std::pair<const char*, uint64_t> ttls[] = {
      {"250ms", 250}, {"2s", 2000}, {"3", 3000}, {"1.5s", 1500}, {"8760h", 31'536'000'000}};
  for (const auto& [ttl, ms] : ttls) {
    CAPTURE(ttl);
    answer = f.fetch("PUT", std::string("/api/v1/kv/k?ttl=") + ttl, "v");
    CHECK(answer.status == 200);
    CHECK(json::parse(answer.body)["ttl_ms"] == ms);
  }
  answer = f.fetch("GET", "/api/v1/kv?prefix=k");
  CHECK(json::parse(answer.body)["items"][0]["ttl_ms"] == 31'536'000'000);
}

TEST_CASE("large values have leases, too") {
  ApiFixture f;
  const Answer answer = f.fetch("PUT", "/api/v1/kv/big?lease=9", std::string(3 << 20, 'v'));
  CHECK(answer.status == 200);
  CHECK(json::parse(answer.body)["lease"] == 9);
}

TEST_CASE("a put under a lease that does not exist is 404 lease_not_found") {
  ApiFixture f;
  Scripted missing = answer_with(R"({"code":"lease_not_found"})", KVS_E_NOT_FOUND);
  missing.message = "there is no lease 7";
  f.engine.script(missing);
  const Answer answer = f.fetch("PUT", "/api/v1/kv/k?lease=7", "v");
  CHECK(answer.status == 404);
  const json error = json::parse(answer.body)["error"];
  CHECK(error["code"] == "lease_not_found");
  CHECK(error["message"] == "there is no lease 7");
  CHECK(error["committed"] == "no");
}

TEST_CASE("granting a lease") {
  ApiFixture f;
  f.engine.set_control("lease.grant", answer_with(R"({"id":7,"ttl_ms":10000})"));
  Answer answer = f.fetch("POST", "/api/v1/leases", R"({"ttl": "10s"})", kJson);
  CHECK(answer.status == 200);
  CHECK(json::parse(answer.body) == json({{"id", 7}, {"ttl_ms", 10000}}));
  CHECK(last_document(f, "lease.grant") == json({{"ttl_ms", 10000}}));
  f.fetch("POST", "/api/v1/leases", R"({"ttl": 1.5, "id": 9007199254740991})", kJson);
  CHECK(last_document(f, "lease.grant") == json({{"ttl_ms", 1500}, {"id", 9007199254740991}}));
  f.engine.set_control("lease.grant", answer_with(R"({"code":"lease_exists"})", KVS_E_CONFLICT));
  answer = f.fetch("POST", "/api/v1/leases", R"({"ttl": 60, "id": 7})", kJson);
  CHECK(answer.status == 409);
  CHECK(json::parse(answer.body)["error"]["code"] == "lease_exists");
}

TEST_CASE("keeping alive, looking at and revoking a lease") {
  ApiFixture f;
  f.engine.set_control("lease.keepalive", answer_with(R"({"id":7,"ttl_ms":10000})"));
  f.engine.set_control("lease.get", answer_with(R"({"id":7,"keys":[{"key":"a"}]})"));
  f.engine.set_control("lease.revoke", answer_with(R"({"id":7,"revoked":true,"deleted":3})"));
  f.engine.set_control("lease.list", answer_with(R"({"leases":[{"id":7}],"more":false})"));
  CHECK(f.fetch("POST", "/api/v1/leases/7/keepalive").status == 200);
  CHECK(last_document(f, "lease.keepalive") == json({{"id", 7}}));
  Answer answer = f.fetch("GET", "/api/v1/leases/7");
  CHECK(json::parse(answer.body)["keys"][0]["key"] == "a");
  CHECK(last_document(f, "lease.get") == json({{"id", 7}}));
  answer = f.fetch("DELETE", "/api/v1/leases/7");
  CHECK(json::parse(answer.body)["deleted"] == 3);
  CHECK(last_document(f, "lease.revoke") == json({{"id", 7}}));
  answer = f.fetch("GET", "/api/v1/leases?limit=5&after=6");
  CHECK(json::parse(answer.body)["leases"][0]["id"] == 7);
  CHECK(last_document(f, "lease.list") == json({{"limit", 5}, {"after", 6}}));
  f.engine.set_control("lease.keepalive",
                       answer_with(R"({"code":"lease_not_found"})", KVS_E_NOT_FOUND));
  answer = f.fetch("POST", "/api/v1/leases/7/keepalive");
  CHECK(answer.status == 404);
  CHECK(json::parse(answer.body)["error"]["code"] == "lease_not_found");
}

TEST_CASE("malformed requests for leases name what is wrong and reach nobody") {
  ApiFixture f;
  struct Row {
    const char *method, *target, *body;
    int status;
    const char* named;
  };
  const Row rows[] = {
      {"POST", "/api/v1/leases", "{}", 400, "ttl: missing"},
      {"POST", "/api/v1/leases", R"({"ttl": "soon"})", 400, "ttl"},
      {"POST", "/api/v1/leases", R"({"ttl": -5})", 400, "ttl"},
      {"POST", "/api/v1/leases", R"({"ttl": true})", 400, "ttl"},
      {"POST", "/api/v1/leases", R"({"ttl": "8761h"})", 400, "365 days"},
      {"POST", "/api/v1/leases", R"({"ttl": "10s", "id": 0})", 400, "id"},
      {"POST", "/api/v1/leases", R"({"ttl": "10s", "id": 9007199254740992})", 400, "id"},
      {"POST", "/api/v1/leases", R"({"ttl": "10s", "id": "7"})", 400, "id"},
      {"POST", "/api/v1/leases", R"({"ttl": "10s", "name": "x"})", 400, "name"},
      {"POST", "/api/v1/leases/0/keepalive", "", 400, "lease id"},
      {"POST", "/api/v1/leases/x/keepalive", "", 400, "lease id"},
      {"POST", "/api/v1/leases/7/renew", "", 404, "keepalive"},
      {"POST", "/api/v1/leases/7", "", 404, "keepalive"},
      {"GET", "/api/v1/leases/7/keepalive", "", 400, "lease id"},
      {"DELETE", "/api/v1/leases/9007199254740992", "", 400, "lease id"},
      {"GET", "/api/v1/leases?limit=1001", "", 400, "limit"},
      {"GET", "/api/v1/leases?after=-1", "", 400, "after"},
      {"PUT", "/api/v1/leases/7", "v", 405, "allows POST"},
      {"DELETE", "/api/v1/leases", "", 405, "allows POST"},
  };
  for (const Row& row : rows) {
    const Answer answer = f.fetch(row.method, row.target, row.body, *row.body == '{' ? kJson : "");
    CAPTURE(row.method);
    CAPTURE(row.target);
    CAPTURE(row.body);
    CHECK(answer.status == row.status);
    const std::string message = json::parse(answer.body)["error"]["message"];
    CAPTURE(message);
    CHECK(message.find(row.named) != std::string::npos);
  }
  CHECK(lease_calls(f) == 0);
}
