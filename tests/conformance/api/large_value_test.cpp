// Goal: values up to 64 MiB go up and down in pieces, byte for byte, and no byte more is taken.
// Method: raw, chunked and JSON bodies around the limits; the engine checks sizes and order.
#include <nlohmann/json.hpp>

#include "fixture.hpp"

using namespace kvstore;
using namespace kvstore::conformance;
using nlohmann::json;

namespace {

constexpr size_t kMiB = 1 << 20;
constexpr size_t kLimit = 64 * kMiB;
constexpr const char* kJson = "Content-Type: application/json\r\n";

std::string pattern(size_t bytes) {
  std::string out(bytes, '\0');
  uint32_t x = 2463534242u;
  for (char& c : out) {
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    c = static_cast<char>(x);
  }
  return out;
}

std::string base64(const std::string& in) {
  static const char kAlphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((in.size() + 2) / 3 * 4);
  for (size_t i = 0; i < in.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; ++j) {
      bits = bits << 8 | (i + j < in.size() ? static_cast<uint8_t>(in[i + j]) : 0u);
    }
    for (size_t j = 0; j < 4; ++j) {
      out.push_back(i + j > in.size() ? '=' : kAlphabet[bits >> (18 - 6 * j) & 63]);
    }
  }
  return out;
}

std::string chunked(const std::string& body, size_t chunk) {
  std::string out;
  for (size_t i = 0; i < body.size(); i += chunk) {
    const std::string piece = body.substr(i, chunk);
    char size[32];
    std::snprintf(size, sizeof size, "%zx;x=y\r\n", piece.size());
    out.append(size).append(piece).append("\r\n");
  }
  return out.append("0\r\nTrailer: t\r\n\r\n");
}

Answer put_chunked(const ApiFixture& f, const std::string& body, size_t chunk,
                   const std::string& headers = "") {
  const std::string text =
      "PUT /api/v1/kv/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n" + headers + "\r\n" +
      chunked(body, chunk);
  return HttpClient(f.port).exchange(text);
}

// Large strings are compared for equality only: a failure must not print them.
bool same(const std::string& a, const std::string& b) {
  return a == b;
}

}  // namespace

TEST_CASE("sizes around one part, raw, chunked and JSON") {
  ApiFixture f;
  for (const size_t bytes : {kMiB - 1, kMiB, kMiB + 1, 2 * kMiB, 2 * kMiB + 1, 3 * kMiB - 1}) {
    CAPTURE(bytes);
    const std::string value = pattern(bytes);
    CHECK(f.fetch("PUT", "/api/v1/kv/k", value).status == 200);
    CHECK(same(f.engine.value_of("k"), value));
    if (bytes > kMiB) CHECK(f.engine.last_upload_total() == bytes);

    f.engine.put("k", "");
    CHECK(put_chunked(f, value, 100'003).status == 200);
    CHECK(same(f.engine.value_of("k"), value));

    f.engine.put("k", "");
    const std::string document = "{\"key\":\"k\", \"value\":\"" + base64(value) + "\"}";
    CHECK(f.fetch("PUT", "/api/v1/kv/k", document, kJson).status == 200);
    CHECK(same(f.engine.value_of("k"), value));

    CHECK(same(f.fetch("GET", "/api/v1/kv/k?raw=true").body, value));
    CHECK(same(json::parse(f.fetch("GET", "/api/v1/kv/k").body)["value"].get<std::string>(),
               base64(value)));
  }
}

TEST_CASE("exactly 64 MiB passes, raw and JSON, up and down") {
  ApiFixture f;
  const std::string value = pattern(kLimit);
  CHECK(f.fetch("PUT", "/api/v1/kv/k", value).status == 200);
  CHECK(same(f.engine.value_of("k"), value));
  Answer answer = f.fetch("GET", "/api/v1/kv/k?raw=true");
  CHECK(answer.header("content-length") == std::to_string(kLimit));
  CHECK(same(answer.body, value));
  f.engine.put("k", "");
  const std::string document = "{\"value\":\"" + base64(value) + "\"}";
  CHECK(f.fetch("PUT", "/api/v1/kv/k", document, kJson).status == 200);
  CHECK(same(f.engine.value_of("k"), value));
  answer = f.fetch("GET", "/api/v1/kv/k");
  CHECK(answer.complete);
  const std::string head = "{\"key\":\"k\",\"value\":\"";
  CHECK(answer.body.compare(0, head.size(), head) == 0);
  const size_t rest = document.size() - 12;
  CHECK(answer.body.compare(head.size(), rest, document, 10, rest) == 0);
}

TEST_CASE("64 MiB + 1 is 413 naming the limit, and the client sees it") {
  ApiFixture f;
  const std::string value = pattern(kLimit + 1);
  const auto check = [](const Answer& answer) {
    CHECK(answer.status == 413);
    CHECK(answer.complete);
    const std::string message = json::parse(answer.body)["error"]["message"];
    CHECK(message.find("67108864") != std::string::npos);
  };
  SUBCASE("raw, by Content-Length: nothing is uploaded") {
    check(f.fetch("PUT", "/api/v1/kv/k", value));
    CHECK(f.engine.data_calls() == 0);
  }
  SUBCASE("raw, chunked: while counting") {
    check(put_chunked(f, value, kMiB));
  }
  SUBCASE("JSON") {
    check(f.fetch("PUT", "/api/v1/kv/k", "{\"value\":\"" + base64(value) + "\"}", kJson));
  }
  CHECK(!f.engine.has("k"));
}

TEST_CASE("with Expect: 100-continue the 413 comes before the body") {
  ApiFixture f;
  HttpClient client(f.port);
  client.send("PUT /api/v1/kv/k HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: " +
              std::to_string(kLimit + 1) + "\r\n\r\n");
  CHECK(client.receive().status == 413);
  CHECK(client.closed());
}

TEST_CASE("with Expect: 100-continue the body is asked for") {
  ApiFixture f;
  const std::string value = pattern(2 * kMiB);
  HttpClient client(f.port);
  client.send("PUT /api/v1/kv/k HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: " +
              std::to_string(value.size()) + "\r\n\r\n");
  std::thread sender([&] { client.send(value); });
  CHECK(client.receive().status == 200);  // receive() skips the 100
  sender.join();
  CHECK(same(f.engine.value_of("k"), value));
}

TEST_CASE("a lower limit holds for small bodies too") {
  ApiFixture f(R"({"max_value_bytes": 10})");
  CHECK(f.fetch("PUT", "/api/v1/kv/k", "0123456789").status == 200);
  CHECK(f.fetch("PUT", "/api/v1/kv/k", "0123456789a").status == 413);
  CHECK(f.fetch("PUT", "/api/v1/kv/k", R"({"value":"MDEyMzQ1Njc4OWE="})", kJson).status == 413);
  CHECK(put_chunked(f, "0123456789a", 3).status == 413);
}

TEST_CASE("a large JSON body is judged like a small one") {
  ApiFixture f;
  const std::string big = base64(pattern(3 * kMiB));
  const auto put = [&](const std::string& document) {
    const Answer answer = f.fetch("PUT", "/api/v1/kv/k", document, kJson);
    if (answer.status == 200) return std::string();
    CHECK(answer.status == 400);
    return json::parse(answer.body)["error"]["message"].get<std::string>();
  };
  CHECK(put("{\"value\":\"" + big + "\",\"key\":\"other\"}").find("key: differs") == 0);
  CHECK(put("{\"value\":\"" + big + "\"").find("ends too early") != std::string::npos);
  CHECK(put("{\"value\":\"" + big + "!\"}").find("base64") != std::string::npos);
  CHECK(put("{\"value\":\"" + big + "\"} x").find("after the end") != std::string::npos);
  CHECK(put("{\"value\":\"" + big + "\", \"key\" : \"k\" }") == "");
  // Much text around a small value is no large value.
  CHECK(put("{\"value\":\"YQ==\"" + std::string(2 * kMiB, ' ') + "}") == "");
  CHECK(f.engine.value_of("k") == "a");
}

TEST_CASE("a part that fails ends the request, and the upload is closed") {
  ApiFixture f;
  const std::string value = pattern(5 * kMiB);
  Scripted busy;
  busy.at_once = KVS_E_BUSY;
  f.engine.script(busy);
  CHECK(f.fetch("PUT", "/api/v1/kv/k", value).status == 429);
  Scripted full;
  full.status = KVS_E_NO_SPACE;
  f.engine.script({});
  f.engine.script(full);
  CHECK(f.fetch("PUT", "/api/v1/kv/k", value).status == 507);
  ApiFixture::eventually([&] { return f.engine.open_uploads() == 0; });
  CHECK(!f.engine.has("k"));
}

TEST_CASE("a slow engine holds the client back: memory stays bounded") {
  ApiFixture f;
  const std::string value = pattern(kLimit);
  f.engine.hold();
  HttpClient client(f.port);
  client.send("PUT /api/v1/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(kLimit) +
              "\r\n\r\n");
  std::thread sender([&] { client.send(value); });
  ApiFixture::eventually([&] { return f.engine.held() == 1; });
  // One part is under way; the next one is not offered before it is done.
  CHECK(f.engine.upload_bytes() == kMiB);
  f.engine.release();
  sender.join();
  CHECK(client.receive().status == 200);
  CHECK(same(f.engine.value_of("k"), value));
}

TEST_CASE("a client that goes away in the middle of an upload leaves nothing") {
  ApiFixture f;
  {
    const std::string part = pattern(3 * kMiB);
    HttpClient client(f.port);
    client.send("PUT /api/v1/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n");
    client.send(part);
    ApiFixture::eventually([&] { return f.engine.upload_bytes() >= 2 * kMiB; });
  }
  ApiFixture::eventually([&] { return f.engine.open_uploads() == 0; });
  CHECK(!f.engine.has("k"));
  CHECK(f.engine.txn_calls() == 0);
}

TEST_CASE("a client that goes away in the middle of a download frees the reader") {
  ApiFixture f;
  f.engine.put("k", pattern(kLimit));
  {
    HttpClient client(f.port);
    client.send("GET /api/v1/kv/k HTTP/1.1\r\nHost: h\r\n\r\n");
    ApiFixture::eventually([&] { return f.engine.open_readers() == 1; });
  }
  ApiFixture::eventually([&] { return f.engine.open_readers() == 0; });
}

TEST_CASE("HEAD of a large value tells its length without reading it") {
  ApiFixture f;
  f.engine.put("k", pattern(3 * kMiB));
  HttpClient client(f.port);
  CHECK(client.request("HEAD", "/api/v1/kv/k?raw=true").header("content-length") ==
        std::to_string(3 * kMiB));
  CHECK(client.request("GET", "/livez").status == 200);
}
