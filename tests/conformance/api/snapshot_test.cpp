// Goal: a snapshot is handed on byte by byte, or its connection is cut; what prevents it has a
// status. Method: the scripted engine gives known bytes in pieces, or fails at a known place.
#include <nlohmann/json.hpp>

#include "fixture.hpp"

using namespace kvstore;
using namespace kvstore::conformance;
using nlohmann::json;

namespace {

constexpr const char* kPath = "/api/v1/admin/snapshot";

std::string bytes_of(size_t count) {
  std::string out(count, '\0');
  for (size_t i = 0; i < count; ++i) out[i] = static_cast<char>(i * 31 + i / 251);
  return out;
}

std::string code_of(const Answer& answer) {
  return json::parse(answer.body)["error"]["code"];
}

}  // namespace

TEST_CASE("a download gives every byte, after a linearizable read") {
  ApiFixture f;
  f.engine.put("k", "v");
  for (const size_t piece : {size_t{1'000}, size_t{300'000}, size_t{10'000'000}}) {
    CAPTURE(piece);
    const std::string bytes = bytes_of(3'000'001);
    f.engine.set_snapshot(bytes, piece);
    const Answer answer = f.fetch("GET", kPath);
    REQUIRE(answer.status == 200);
    CHECK(answer.complete);
    CHECK((answer.body == bytes));
    CHECK(answer.header("content-type") == "application/octet-stream");
    CHECK(answer.header("content-disposition") == "attachment; filename=\"kvstore-2.snapshot\"");
    CHECK(answer.header("cache-control") == "no-store");
    CHECK(answer.header("x-kvstore-revision") == "2");
    CHECK(answer.header("x-kvstore-node") == "node-x");
    CHECK(answer.header("transfer-encoding") == "chunked");
  }
  CHECK(f.engine.data_calls() == 3);  // one read each
  CHECK(f.engine.open_readers() == 0);
  HttpClient client(f.port);
  const Answer head = client.exchange(request_text("HEAD", kPath, {}, {}), /*head_only=*/true);
  CHECK(head.status == 200);
  CHECK(head.body.empty());
}

TEST_CASE("a failure midway cuts the connection") {
  ApiFixture f;
  for (const kvs_status end : {KVS_E_CANCELLED, KVS_E_CORRUPT}) {
    f.engine.set_snapshot(bytes_of(700'000), 100'000, end);
    const Answer answer = f.fetch("GET", kPath);
    CHECK(answer.status == 200);
    CHECK_FALSE(answer.complete);
    ApiFixture::eventually([&] { return f.engine.open_blobs() == 0; });
  }
}

TEST_CASE("what prevents a download is said before it begins") {
  ApiFixture f;
  f.engine.refuse_snapshot(KVS_E_BUSY);
  Answer answer = f.fetch("GET", kPath);
  CHECK(answer.status == 429);
  CHECK(code_of(answer) == "busy");
  f.engine.set_snapshot("", 1, KVS_E_UNREACHABLE);
  answer = f.fetch("GET", kPath);
  CHECK(answer.status == 503);
  CHECK(code_of(answer) == "unreachable");
  CHECK(answer.header("content-disposition").empty());
  Scripted no_leader;
  no_leader.status = KVS_E_UNREACHABLE;
  f.engine.script(no_leader);
  CHECK(f.fetch("GET", kPath).status == 503);
  CHECK(f.fetch("GET", std::string(kPath) + "?revision=1").status == 400);
  CHECK(f.fetch("GET", std::string(kPath) + "?consistency=perfect").status == 400);
  const Answer wrong = f.fetch("PUT", kPath, "x");
  CHECK(wrong.status == 405);
  CHECK(wrong.header("allow").find("POST") != std::string::npos);
}

TEST_CASE("a client that goes away, and a server that stops, leave no snapshot open") {
  ApiFixture f;
  f.engine.set_snapshot(bytes_of(64 << 20), 1 << 20);
  HttpClient client(f.port);
  REQUIRE(client.send(request_text("GET", kPath, {}, {})));
  CHECK(client.receive_head().status == 200);
  CHECK(f.engine.open_blobs() == 1);
  client.reset();
  ApiFixture::eventually([&] { return f.engine.open_blobs() == 0; });
  HttpClient other(f.port);
  REQUIRE(other.send(request_text("GET", kPath, {}, {})));
  CHECK(other.receive_head().status == 200);
  f.stop();  // the fixture looks for what is open
}

TEST_CASE("taking a snapshot is a verb of the asked node") {
  ApiFixture f;
  Scripted done;
  done.json = R"({"index":9,"term":2,"revision":7,"first_index":10})";
  f.engine.set_control("admin.snapshot", done);
  for (int i = 0; i < 2; ++i) {
    const Answer answer = f.fetch("POST", kPath);
    CHECK(answer.status == 200);
    CHECK(json::parse(answer.body)["first_index"] == 10);
  }
  done.status = KVS_E_TIMEOUT;
  done.json.clear();
  f.engine.set_control("admin.snapshot", done);
  CHECK(f.fetch("POST", std::string(kPath) + "?timeout=1s").status == 503);
  CHECK(f.fetch("POST", std::string(kPath) + "?timeout=0").status == 400);
}
