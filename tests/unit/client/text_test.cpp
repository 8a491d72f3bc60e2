// Goal: URLs, percent-encoding and base64 as HTTP and the API define them.
// Method: tables of inputs and outputs, and a round trip of every byte.
#include "text.hpp"

#include <doctest/doctest.h>

#include "endpoint.hpp"

namespace kvstore::client {
namespace {

TEST_CASE("percent_encode leaves only unreserved characters") {
  CHECK(percent_encode("AZaz09-._~") == "AZaz09-._~");
  CHECK(percent_encode("a b/c?d#e&f=g+h%") == "a%20b%2Fc%3Fd%23e%26f%3Dg%2Bh%25");
  CHECK(percent_encode(std::string("\0\x80", 2)) == "%00%80");
  CHECK(percent_encode(".") == "%2E");
  CHECK(percent_encode("..") == "%2E%2E");
  CHECK(percent_encode(".a") == ".a");
}

TEST_CASE("base64 round trip of every byte and length") {
  std::string bytes;
  for (int i = 0; i < 256; ++i) {
    const auto decoded = base64_decode(base64_encode(bytes));
    REQUIRE(decoded);
    CHECK(*decoded == bytes);
    bytes.push_back(static_cast<char>(i * 37));
  }
  CHECK(base64_encode("Hello, World!") == "SGVsbG8sIFdvcmxkIQ==");
}

TEST_CASE("base64_decode refuses what is not canonical") {
  for (const char* text :
       {"A", "AA", "AAA", "A===", "AB==", "AAB=", "AA=A", "AA A", "====", "A_-A"}) {
    CAPTURE(text);
    CHECK_FALSE(base64_decode(text));
  }
}

TEST_CASE("endpoints") {
  const auto url_of = [](std::string_view text) {
    const auto endpoint = parse_endpoint(text);
    return endpoint ? endpoint->url() : "error: " + endpoint.error().message;
  };
  CHECK(url_of("http://127.0.0.1:8081") == "http://127.0.0.1:8081");
  CHECK(url_of("http://node-1.example:8081/") == "http://node-1.example:8081");
  CHECK(url_of("localhost:1") == "http://localhost:1");
  CHECK(url_of("http://[::1]:8081") == "http://[::1]:8081");
  CHECK(url_of("localhost") == "error: server 'localhost': the port is missing");
  CHECK(url_of("ftp://a:1") == "error: server 'ftp://a:1': expected http://HOST:PORT");
  for (const char* text : {"a:0", "a:65536", "a:", "a:1x", ":1", "http://", "a b:1", "a:1/path",
                           "[::1]", "user@a:1", ""}) {
    CAPTURE(text);
    CHECK_FALSE(parse_endpoint(text));
  }
}

TEST_CASE("header names are compared without regard to case") {
  CHECK(equal_ignoring_case("Content-Type", "content-TYPE"));
  CHECK_FALSE(equal_ignoring_case("a", "ab"));
}

}  // namespace
}  // namespace kvstore::client
