// Goal: administrative requests become control verbs, their documents pass both ways.
// Method: scripted verbs; the verb and the JSON that reached the engine are compared.
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

// The last call of the verb; the node's name is asked for in between.
json last_document(const ApiFixture& f, const std::string& verb) {
  json document;
  for (const auto& call : f.engine.control_calls()) {
    if (call.verb == verb) document = json::parse(call.json);
  }
  return document;
}

size_t calls_of(const ApiFixture& f, const std::string& verb) {
  size_t n = 0;
  for (const auto& call : f.engine.control_calls()) n += call.verb == verb ? 1 : 0;
  return n;
}

}  // namespace

TEST_CASE("status passes through") {
  ApiFixture f;
  const Answer answer = f.fetch("GET", "/api/v1/cluster/status");
  CHECK(answer.status == 200);
  CHECK(json::parse(answer.body)["node"]["node_id"] == "node-x");
}

TEST_CASE("adding a node: 200 once it has its role, 202 before") {
  ApiFixture f;
  const std::string body = R"({"node_id": "node2", "address": "127.0.0.1:7002"})";
  f.engine.set_control("cluster.add", answer_with(R"({"node_id":"node2","state":"voter"})"));
  Answer answer = f.fetch("POST", "/api/v1/cluster/nodes", body, kJson);
  CHECK(answer.status == 200);
  CHECK(json::parse(answer.body)["state"] == "voter");
  CHECK(last_document(f, "cluster.add") == json({{"node_id", "node2"},
                                                 {"address", "127.0.0.1:7002"},
                                                 {"learner", false},
                                                 {"timeout_ms", 10000}}));
  // The call must not end before the wait does.
  CHECK(f.engine.last_call().deadline_ns > 0);

  f.engine.set_control("cluster.add", answer_with(R"({"state":"learner"})"));
  CHECK(f.fetch("POST", "/api/v1/cluster/nodes?timeout=2s", body, kJson).status == 202);
  CHECK(last_document(f, "cluster.add")["timeout_ms"] == 2000);
  const std::string learner = R"({"node_id": "n", "address": "a:1", "learner": true})";
  CHECK(f.fetch("POST", "/api/v1/cluster/nodes", learner, kJson).status == 200);
  CHECK(last_document(f, "cluster.add")["learner"] == true);
  f.engine.set_control("cluster.add", answer_with(R"({"state":"pending"})"));
  CHECK(f.fetch("POST", "/api/v1/cluster/nodes", learner).status == 202);
}

TEST_CASE("a bad document never reaches the engine") {
  ApiFixture f;
  const std::pair<const char*, const char*> rows[] = {
      {R"({"node_id": "n"})", "address"},
      {R"({"address": "a:1"})", "node_id"},
      {R"({"node_id": "", "address": "a:1"})", "node_id"},
      {R"({"node_id": 5, "address": "a:1"})", "node_id"},
      {R"({"node_id": "n", "address": "a:1", "learner": 1})", "learner"},
      {R"({"node_id": "n", "address": "a:1", "weight": 1})", "weight"},
      {R"({"node_id": "n")", "JSON"},
      {R"(["n"])", "object"},
      {"", "JSON"},
  };
  for (const auto& [body, named] : rows) {
    const Answer answer = f.fetch("POST", "/api/v1/cluster/nodes", body, kJson);
    CAPTURE(body);
    CHECK(answer.status == 400);
    CHECK(json::parse(answer.body)["error"]["message"].get<std::string>().find(named) !=
          std::string::npos);
  }
  CHECK(f.fetch("POST", "/api/v1/cluster/nodes", "a=b",
                "Content-Type: application/x-www-form-urlencoded\r\n")
            .status == 415);
  CHECK(f.fetch("POST", "/api/v1/cluster/nodes", std::string(100'000, ' '), kJson).status == 413);
  CHECK(calls_of(f, "cluster.add") == 0);
}

TEST_CASE("removing a node") {
  ApiFixture f;
  f.engine.set_control("cluster.remove", answer_with(R"({"removed":true})"));
  CHECK(f.fetch("DELETE", "/api/v1/cluster/nodes/node%203?force=true").status == 200);
  CHECK(last_document(f, "cluster.remove") == json({{"node_id", "node 3"}, {"force", true}}));
  f.fetch("DELETE", "/api/v1/cluster/nodes/x");
  CHECK(last_document(f, "cluster.remove")["force"] == false);
  CHECK(f.fetch("DELETE", "/api/v1/cluster/nodes/").status == 400);
  CHECK(f.fetch("DELETE", "/api/v1/cluster/nodes/%ff").status == 400);
  CHECK(calls_of(f, "cluster.remove") == 2);
}

TEST_CASE("handing leadership over") {
  ApiFixture f;
  f.engine.set_control("cluster.transfer", answer_with(R"({"node_id":"node2"})"));
  CHECK(f.fetch("POST", "/api/v1/cluster/leader", R"({"node_id":"node2"})", kJson).status == 200);
  CHECK(last_document(f, "cluster.transfer") == json({{"node_id", "node2"}}));
}

TEST_CASE("health: 200 or 503, with the reasons either way, at each of its paths") {
  ApiFixture f;
  const char* ok = R"({"status":"ok","checks":{}})";
  const char* bad = R"({"status":"unavailable","checks":{"leader":{"ok":false,"message":"none"}}})";
  for (const char* path : {"/health", "/api/v1/health", "/readyz"}) {
    f.engine.set_control("health", answer_with(ok));
    Answer answer = f.fetch("GET", path);
    CHECK(answer.status == 200);
    CHECK(json::parse(answer.body)["status"] == "ok");
    f.engine.set_control("health", answer_with(bad, KVS_E_UNREACHABLE));
    answer = f.fetch("GET", path);
    CHECK(answer.status == 503);
    CHECK(json::parse(answer.body)["checks"]["leader"]["message"] == "none");
    CHECK(f.fetch("HEAD", path).status == 503);
  }
  f.engine.set_control("health", answer_with("", KVS_E_CANCELLED));
  CHECK(f.fetch("GET", "/health").status == 503);
}

constexpr const char* kMixed =
    R"({"status":"unavailable","node_id":"n","checks":{"leader":{"ok":false,"message":"none"},)"
    R"("disk":{"ok":true,"message":"fine"},"space":{"ok":false,"message":"low","required":false}}})";

TEST_CASE("readyz: verbose, exclude and one path per check") {
  ApiFixture f;
  f.engine.set_control("health", answer_with(kMixed, KVS_E_UNREACHABLE));
  const auto ready = [&](const std::string& query) {
    const Answer answer = f.fetch("GET", "/readyz" + query);
    json document = json::parse(answer.body);
    document["http"] = answer.status;
    return document;
  };
  json brief = ready("");
  CHECK(brief["http"] == 503);
  CHECK(brief["checks"].size() == 2);  // those that fail
  CHECK(ready("?verbose")["checks"].size() == 3);
  CHECK(ready("?verbose=true")["checks"]["disk"]["ok"] == true);
  json without = ready("?exclude=leader&verbose");
  CHECK(without["http"] == 200);
  CHECK(without["status"] == "degraded");
  CHECK(without["checks"].size() == 2);
  CHECK(ready("?exclude=leader,space")["status"] == "ok");
  CHECK(ready("?exclude=nothing")["error"]["message"].get<std::string>().find("leader, disk") !=
        std::string::npos);
  CHECK(ready("/disk")["http"] == 200);
  CHECK(ready("/disk")["checks"].size() == 1);
  CHECK(ready("/leader")["http"] == 503);
  CHECK(ready("/space")["http"] == 503);  // asked for by name
  CHECK(ready("/nothing")["error"]["code"] == "unknown_check");
  CHECK(f.fetch("GET", "/api/v1/readyz/nothing").status == 404);
}

TEST_CASE("readyz?sync waits until the node has caught up") {
  ApiFixture f;
  f.engine.set_control("health", answer_with(R"({"status":"ok","checks":{}})"));
  CHECK(f.fetch("GET", "/readyz?sync").status == 200);
  CHECK(f.engine.readers_opened() == 1);
  CHECK(f.engine.open_readers() == 0);
  Scripted behind;
  behind.status = KVS_E_TIMEOUT;
  behind.message = "this node did not catch up in time";
  f.engine.script(behind);
  const Answer late = f.fetch("GET", "/readyz?sync&timeout=50ms");
  CHECK(late.status == 503);
  CHECK(json::parse(late.body)["error"]["code"] == "timeout");
  CHECK(f.fetch("GET", "/readyz?sync&timeout=0").status == 400);
}

TEST_CASE("livez says only that the process answers") {
  ApiFixture f;
  f.engine.set_control("health", answer_with(kMixed, KVS_E_UNREACHABLE));
  for (const char* path : {"/livez", "/api/v1/livez", "/livez?verbose", "/livez/process"})
    CHECK(f.fetch("GET", path).status == 200);
  CHECK(json::parse(f.fetch("GET", "/livez?verbose").body)["checks"]["process"]["ok"] == true);
  CHECK(f.fetch("GET", "/livez/leader").status == 404);
  CHECK(f.fetch("GET", "/livez?sync").status == 400);
}

TEST_CASE("compaction takes one positive revision") {
  ApiFixture f;
  f.engine.set_control("admin.compact", answer_with(R"({"compacted_revision":7,"more":false})"));
  Answer answer = f.fetch("POST", "/api/v1/admin/compact", R"({"revision": 7})", kJson);
  CHECK(answer.status == 200);
  CHECK(json::parse(answer.body)["compacted_revision"] == 7);
  CHECK(last_document(f, "admin.compact") == json({{"revision", 7}}));
  for (const char* body :
       {"", "7", "{}", R"({"revision": 0})", R"({"revision": -1})", R"({"revision": "7"})",
        R"({"revision": 1.5})", R"({"revision": 7, "now": true})"})
    CHECK(f.fetch("POST", "/api/v1/admin/compact", body, kJson).status == 400);
  CHECK(calls_of(f, "admin.compact") == 1);
  CHECK(f.fetch("POST", "/api/v1/admin/compact", "{}", "Content-Type: text/plain\r\n").status ==
        415);
  f.engine.set_control("admin.compact",
                       answer_with(R"({"code":"future_revision"})", KVS_E_INVALID));
  answer = f.fetch("POST", "/api/v1/admin/compact", R"({"revision": 8})", kJson);
  CHECK(answer.status == 400);
  CHECK(json::parse(answer.body)["error"]["code"] == "future_revision");
}

TEST_CASE("metrics are Prometheus text") {
  ApiFixture f;
  for (const char* path : {"/metrics", "/api/v1/metrics"}) {
    const Answer answer = f.fetch("GET", path);
    CHECK(answer.status == 200);
    CHECK(answer.header("content-type") == "text/plain; version=0.0.4; charset=utf-8");
    CHECK(answer.body == "# TYPE fake_total counter\nfake_total 1\n");
  }
}

TEST_CASE("administrative requests are limited apart from data") {
  ApiFixture f(R"({"threads": 64, "max_waiting_requests": 2})");
  f.engine.hold();
  HttpClient a(f.port), b(f.port);
  for (HttpClient* client : {&a, &b}) {
    client->send("GET /api/v1/cluster/status HTTP/1.1\r\nHost: h\r\n\r\n");
  }
  ApiFixture::eventually([&] { return calls_of(f, "cluster.status") >= 2; });
  CHECK(f.fetch("GET", "/api/v1/cluster/status").status == 429);
  f.engine.release();
  CHECK(a.receive().status == 200);
  CHECK(b.receive().status == 200);
  CHECK(f.fetch("PUT", "/api/v1/kv/k", "v").status == 200);
}
