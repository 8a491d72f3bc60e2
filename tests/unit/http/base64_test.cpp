// Goal: base64 is exact and strict, however its input is cut.
// Method: RFC 4648's vectors, round trips over all lengths and cuts, a list of what is refused.
#include "text/base64.hpp"

#include <random>

#include <doctest/doctest.h>

using namespace kvstore::http;

namespace {

std::string encode(std::string_view in) {
  std::string out;
  base64_append(in, &out);
  return out;
}

bool decode(std::string_view in, std::string* out) {
  Base64Decoder decoder;
  return decoder.feed(in, out) && decoder.finish();
}

std::string random_bytes(size_t n) {
  std::mt19937 random(static_cast<uint32_t>(n));
  std::string bytes(n, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

}  // namespace

TEST_CASE("RFC 4648 vectors") {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : vectors) {
    CHECK(encode(plain) == encoded);
    std::string out;
    CHECK(decode(encoded, &out));
    CHECK(out == plain);
    CHECK(base64_length(std::string_view(plain).size()) == std::string_view(encoded).size());
  }
}

TEST_CASE("round trip of every length, and of more than one block") {
  for (size_t n = 0; n < 300; ++n) {
    const std::string bytes = random_bytes(n);
    std::string out;
    CHECK(decode(encode(bytes), &out));
    CHECK(out == bytes);
  }
  const std::string bytes = random_bytes(100'001);
  std::string out;
  CHECK(decode(encode(bytes), &out));
  CHECK(out == bytes);
}

TEST_CASE("decoding does not depend on how the input is cut") {
  const std::string bytes = random_bytes(101);
  const std::string text = encode(bytes);
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    Base64Decoder decoder;
    std::string out;
    CHECK(decoder.feed(std::string_view(text).substr(0, cut), &out));
    CHECK(decoder.feed(std::string_view(text).substr(cut), &out));
    CHECK(decoder.finish());
    CHECK(out == bytes);
  }
}

TEST_CASE("encoding in pieces of three") {
  const std::string bytes = random_bytes(1000);
  std::string out;
  base64_append(std::string_view(bytes).substr(0, 999), &out);
  base64_append(std::string_view(bytes).substr(999), &out);
  CHECK(out == encode(bytes));
}

TEST_CASE("what is not canonical is refused") {
  for (const char* bad : {"Zg", "Zg=", "Z", "=", "====", "Zg===", "Zg==Zg==", "Zh==", "Zm9=",
                          "Zm 9v", "Zm9v\n", "Zm-v", "Zm_v", "Z=g=", "Zm9v=", "\xff"}) {
    std::string out;
    CAPTURE(bad);
    CHECK(!decode(bad, &out));
  }
}

TEST_CASE("take() stops before the first byte that does not belong there") {
  for (size_t n = 0; n < 40; ++n) {
    const std::string text = encode(random_bytes(n * 3));
    Base64Decoder decoder;
    std::string out;
    CHECK(decoder.take(text + "\"AAAA", &out) == text.size());
    CHECK(out.size() == n * 3);
  }
}

TEST_CASE("the URL alphabet") {
  for (size_t n = 0; n < 60; ++n) {
    const std::string bytes = random_bytes(n);
    const std::string text = base64url_encode(bytes);
    CHECK(text.find_first_of("+/=") == std::string::npos);
    std::string out;
    CHECK(base64url_decode(text, &out));
    CHECK(out == bytes);
  }
  std::string out;
  CHECK(!base64url_decode("Zg==", &out));
  CHECK(!base64url_decode("a", &out));
  CHECK(!base64url_decode("+/+/", &out));
}
