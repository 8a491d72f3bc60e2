// Goal: a request's head is understood in one way only.
// Method: heads with what they must be parsed to, and mutations that must not crash.
#include "front/request_head.hpp"

#include <random>

#include <doctest/doctest.h>

using namespace kvstore::http;

namespace {

int refusal_of(const std::string& head) {
  try {
    RequestHead parsed;
    parsed.parse(head);
    return 0;
  } catch (const ApiError& e) {
    CHECK(e.close);
    return e.http_status;
  }
}

}  // namespace

TEST_CASE("the end of a head") {
  size_t checked = 0;
  CHECK(find_head_end("", &checked) == 0);
  CHECK(find_head_end("GET / HTTP/1.1\r\nHost: h\r\n", &checked) == 0);
  const std::string head = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  CHECK(find_head_end(head + "body\n\n", &checked) == head.size());
  for (size_t n = 0; n < head.size(); ++n) {
    size_t from_start = 0;
    CHECK(find_head_end(head.substr(0, n), &from_start) == 0);
  }
  for (const char* bare : {"GET / HTTP/1.1\n", "\n", "GET / HTTP/1.1\r\nHost: h\n\r\n"}) {
    size_t from_start = 0;
    CHECK_THROWS_AS(find_head_end(bare, &from_start), ApiError);
  }
}

TEST_CASE("fields of a request") {
  RequestHead head;
  head.parse(
      "PUT /api/v1/kv/a%20b?x=1&y=2#frag HTTP/1.1\r\nHOST: h\r\ncontent-length: 12\r\n"
      "Expect: 100-Continue\r\nX-Empty:\r\n\r\n");
  CHECK(head.method() == Method::kPut);
  CHECK(head.path() == "/api/v1/kv/a%20b");
  CHECK(head.query() == "x=1&y=2");
  CHECK(head.content_length() == 12);
  CHECK(head.expects_continue());
  CHECK(head.keep_alive());
  CHECK(head.has_body());
  CHECK(head.find("Host") == "h");
  CHECK(head.find("x-empty") == "");
  CHECK(!head.find("X-None"));
  // Nothing of one request stays for the next one.
  head.parse("GET http://other:80 HTTP/1.0\r\n\r\n");
  CHECK(head.method() == Method::kGet);
  CHECK(head.path() == "/");
  CHECK(head.query() == "");
  CHECK(!head.content_length());
  CHECK(!head.expects_continue());
  CHECK(!head.keep_alive());
  CHECK(!head.find("Host"));
}

TEST_CASE("connection handling by version") {
  RequestHead head;
  head.parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n");
  CHECK(!head.keep_alive());
  head.parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
  CHECK(head.keep_alive());
  CHECK(!head.http_1_1());
}

TEST_CASE("unknown methods are for the router to refuse") {
  RequestHead head;
  head.parse("get / HTTP/1.1\r\nHost: h\r\n\r\n");
  CHECK(head.method() == Method::kOther);
}

TEST_CASE("refusals") {
  CHECK(refusal_of("GET / HTTP/1.1\r\nHost: h\r\n\r\n") == 0);
  CHECK(refusal_of("GET / HTTP/1.1\r\n\r\n") == 400);
  CHECK(refusal_of("GET / HTTP/1.2\r\nHost: h\r\n\r\n") == 505);
  CHECK(refusal_of("GET / HTTP/1.1 x\r\nHost: h\r\n\r\n") == 400);
  CHECK(refusal_of("GET /\tx HTTP/1.1\r\nHost: h\r\n\r\n") == 400);
  CHECK(refusal_of("GET / HTTP/1.1\r\nHost: h\r\nContent-Length : 5\r\n\r\n") == 400);
  CHECK(refusal_of("GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n") == 400);
  CHECK(refusal_of("GET / HTTP/1.1\r\nHost: h\r\nIf-Match: \"1\"\r\nIf-match: \"2\"\r\n\r\n") ==
        400);
  CHECK(refusal_of("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: "
                   "chunked\r\n\r\n") == 400);
}

TEST_CASE("mutated heads are parsed or refused, never worse") {
  std::mt19937 random(11);
  const std::string valid =
      "PUT /api/v1/kv/key?prev=true HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
      "Content-Length: 5\r\nIf-Match: \"12\"\r\n\r\n";
  RequestHead head;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = valid;
    for (uint32_t n = 1 + random() % 4; n > 0; --n) {
      const size_t at = random() % text.size();
      if (random() % 2 == 0) {
        text[at] = static_cast<char>(random());
      } else {
        text.erase(at, 1 + random() % 3);
      }
    }
    size_t checked = 0;
    try {
      const size_t end = find_head_end(text, &checked);
      if (end != 0) head.parse(std::string_view(text).substr(0, end));
    } catch (const ApiError& e) {
      CHECK(e.close);
    }
  }
}
