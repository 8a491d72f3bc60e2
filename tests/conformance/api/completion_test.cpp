// Goal: every outcome of the engine becomes exactly one answer with the right status and shape.
// Method: the scripted engine gives each status, at once and by completion, to writes and reads.
#include <nlohmann/json.hpp>

#include "fixture.hpp"

using namespace kvstore;
using namespace kvstore::conformance;
using nlohmann::json;

namespace {

struct Row {
  kvs_status status;
  int http;
  const char* code;
  bool retryable;
};
constexpr Row kRows[] = {
    {KVS_E_INVALID, 400, "invalid", false},
    {KVS_E_UNSUPPORTED, 501, "unsupported", false},
    {KVS_E_INCOMPATIBLE, 500, "incompatible", false},
    {KVS_E_NOT_FOUND, 404, "not_found", false},
    {KVS_E_COMPACTED, 410, "compacted", false},
    {KVS_E_CONFLICT, 409, "conflict", false},
    {KVS_E_NOT_LEADER, 421, "not_leader", true},
    {KVS_E_BUSY, 429, "busy", true},
    {KVS_E_TIMEOUT, 503, "timeout", true},
    {KVS_E_UNREACHABLE, 503, "unreachable", true},
    {KVS_E_INDETERMINATE, 504, "indeterminate", false},
    {KVS_E_CANCELLED, 503, "cancelled", true},
    {KVS_E_CLOSED, 503, "closed", true},
    {KVS_E_NO_MEMORY, 500, "no_memory", false},
    {KVS_E_NO_SPACE, 507, "no_space", false},
    {KVS_E_IO, 500, "io", false},
    {KVS_E_CORRUPT, 500, "corrupt", false},
    {KVS_E_INTERNAL, 500, "internal", false},
};

void check_error(const Answer& answer, const Row& row) {
  CAPTURE(row.code);
  CHECK(answer.status == row.http);
  CHECK(answer.header("content-type") == "application/json");
  const json document = json::parse(answer.body, nullptr, false);
  REQUIRE(document.is_object());
  CHECK(document.size() == 1);
  const json& error = document["error"];
  CHECK(error["code"] == row.code);
  CHECK(error["message"] == "what happened");
  CHECK(error["retryable"] == row.retryable);
  CHECK(error["committed"] == (row.status == KVS_E_INDETERMINATE ? "unknown" : "no"));
  const bool wait = row.http == 429 || row.http == 503;
  CHECK(answer.headers.count("retry-after") == (wait ? 1 : 0));
}

}  // namespace

TEST_CASE("every status, refused at once") {
  ApiFixture f;
  HttpClient client(f.port);
  for (const Row& row : kRows) {
    Scripted refused;
    refused.at_once = row.status;
    refused.message = "what happened";
    f.engine.script(refused);
    check_error(client.request("PUT", "/api/v1/kv/k", "v"), row);
    f.engine.script(refused);
    check_error(client.request("GET", "/api/v1/kv/k"), row);
  }
  // Nothing was taken, so nothing is left to complete (but for the plugin's own question).
  ApiFixture::eventually([&] { return f.engine.held() == 0; });
}

TEST_CASE("one completion each: every status as a result") {
  ApiFixture f;
  HttpClient client(f.port);
  for (const Row& row : kRows) {
    Scripted failed;
    failed.status = row.status;
    failed.message = "what happened";
    f.engine.script(failed);
    check_error(client.request("PUT", "/api/v1/kv/k", "v"), row);
    f.engine.script(failed);
    check_error(client.request("GET", "/api/v1/kv/k"), row);
    f.engine.script(failed);
    check_error(client.request("DELETE", "/api/v1/kv/k"), row);
  }
  CHECK(client.request("PUT", "/api/v1/kv/k", "v").status == 200);
}

TEST_CASE("a timeout after the write was proposed is unknown, whatever its status says") {
  ApiFixture f;
  Scripted failed;
  failed.status = KVS_E_TIMEOUT;
  failed.committed = KVS_COMMITTED_UNKNOWN;
  f.engine.script(failed);
  const Answer answer = f.fetch("PUT", "/api/v1/kv/k", "v");
  CHECK(answer.status == 504);
  const json error = json::parse(answer.body)["error"];
  CHECK(error["code"] == "timeout");
  CHECK(error["committed"] == "unknown");
  CHECK(error["retryable"] == false);
}

TEST_CASE("forward=false goes down as a flag, and 421 names the leader") {
  ApiFixture f;
  Scripted elsewhere;
  elsewhere.status = KVS_E_NOT_LEADER;
  elsewhere.leader_name = "node2";
  elsewhere.leader_api_address = "10.0.0.2:8081";
  f.engine.script(elsewhere);
  const Answer answer = f.fetch("PUT", "/api/v1/kv/k?forward=false", "v");
  CHECK(answer.status == 421);
  const json error = json::parse(answer.body)["error"];
  CHECK(error["leader"]["node_id"] == "node2");
  CHECK(error["leader"]["api_address"] == "10.0.0.2:8081");
  CHECK(f.engine.last_call().flags == KVS_CALL_NO_FORWARD);
  f.fetch("PUT", "/api/v1/kv/k", "v");
  CHECK(f.engine.last_call().flags == 0);
}

TEST_CASE("timeout= becomes a deadline; without it the engine's own holds") {
  ApiFixture f;
  f.fetch("PUT", "/api/v1/kv/k", "v");
  CHECK(f.engine.last_call().deadline_ns == 0);
  const uint64_t before = f.host.raw()->now_ns(f.host.raw());
  f.fetch("PUT", "/api/v1/kv/k?timeout=20m", "v");
  const uint64_t deadline = f.engine.last_call().deadline_ns;
  CHECK(deadline >= before + 1200ull * 1'000'000'000);
  CHECK(f.fetch("PUT", "/api/v1/kv/k?timeout=0", "v").status == 400);
  CHECK(f.fetch("PUT", "/api/v1/kv/k?timeout=soon", "v").status == 400);
}

TEST_CASE("json.code of a result is the error's code") {
  ApiFixture f;
  Scripted refused;
  refused.status = KVS_E_CONFLICT;
  refused.message = "the name belongs to another node";
  refused.json = R"({"code":"name_taken","holder":"x"})";
  f.engine.set_control("cluster.remove", refused);
  const Answer answer = f.fetch("DELETE", "/api/v1/cluster/nodes/n");
  CHECK(answer.status == 409);
  CHECK(json::parse(answer.body)["error"]["code"] == "name_taken");
}

TEST_CASE("answers carry revision, term and node, and are counted") {
  ApiFixture f;
  f.fetch("PUT", "/api/v1/kv/k", "v");
  // The node's name is asked for by the first answer and known soon after.
  ApiFixture::eventually(
      [&] { return f.fetch("GET", "/livez").header("x-kvstore-node") == "node-x"; });
  const Answer answer = f.fetch("GET", "/api/v1/kv/k");
  CHECK(answer.header("x-kvstore-revision") == "2");
  CHECK(answer.header("x-kvstore-term") == "7");
  CHECK(answer.header("x-kvstore-node") == "node-x");
  CHECK(!answer.header("date").empty());
  // Also where the engine was not asked, or said nothing of it.
  for (const char* path : {"/api/v1/kv/k?colour=red", "/nothing", "/api/v1/kv/none", "/livez"}) {
    const Answer other = f.fetch("GET", path);
    CAPTURE(path);
    CHECK(other.header("x-kvstore-revision") == "2");
    CHECK(other.header("x-kvstore-term") == "7");
    CHECK(other.header("x-kvstore-node") == "node-x");
  }
  HttpClient client(f.port);
  const Answer unchanged = client.request("HEAD", "/api/v1/kv/k", "", "If-None-Match: \"2\"\r\n");
  CHECK(unchanged.status == 304);
  CHECK(unchanged.header("etag") == "\"2\"");
  CHECK(unchanged.header("x-kvstore-revision") == "2");
  ApiFixture::eventually([&] {
    return f.host.metric(
               "kvstore_http_requests_total{api=\"http-test\",route=\"kv_put\","
               "code=\"200\"}") == 1;
  });
  CHECK(f.host.metric("kvstore_http_request_seconds{api=\"http-test\",route=\"kv_put\"}") == 1);
}
