// Goal: the encodings and checksums that every format builds on are exact, and malformed input is
// refused. Method: known values, round trips at the edges, and every truncation.
#include "base/codec.hpp"

#include <limits>
#include <string>

#include <doctest/doctest.h>

#include "base/bytes.hpp"
#include "base/crc32c.hpp"
#include "base/status.hpp"

using namespace kvstore;

TEST_CASE("crc32c agrees with RFC 3720, B.4") {
  CHECK(crc32c(0, std::string(32, '\0')) == 0x8a9136aau);
  CHECK(crc32c(0, std::string(32, '\xff')) == 0x62a8ab43u);
  CHECK(crc32c(0, "123456789") == 0xe3069283u);
  CHECK(crc32c(crc32c(0, "1234"), "56789") == crc32c(0, "123456789"));
}

TEST_CASE("numbers and bytes come back as they were written") {
  std::string out;
  Encoder e(&out);
  e.u8(200);
  e.u32(0xdeadbeef);
  e.u64(std::numeric_limits<uint64_t>::max());
  for (uint64_t v : {uint64_t{0}, uint64_t{127}, uint64_t{128}, uint64_t{1} << 63, ~uint64_t{0}}) {
    e.varint(v);
  }
  e.bytes(std::string("a\0b", 3));
  Decoder d(out);
  CHECK(d.u8() == 200);
  CHECK(d.u32() == 0xdeadbeef);
  CHECK(d.u64() == std::numeric_limits<uint64_t>::max());
  for (uint64_t v : {uint64_t{0}, uint64_t{127}, uint64_t{128}, uint64_t{1} << 63, ~uint64_t{0}}) {
    CHECK(d.varint() == v);
  }
  CHECK(d.bytes() == Bytes("a\0b", 3));
  CHECK(d.done());
}

TEST_CASE("every truncation fails and stays failed") {
  std::string out;
  Encoder e(&out);
  e.u32(7);
  e.varint(300);
  e.bytes("value");
  for (size_t n = 0; n < out.size(); ++n) {
    Decoder d(Bytes(out).substr(0, n));
    d.u32();
    d.varint();
    d.bytes();
    CHECK_FALSE(d.ok());
    CHECK(d.u8() == 0);
    CHECK_FALSE(d.ok());
  }
}

TEST_CASE("a varint that does not fit 64 bits is refused") {
  Decoder eleven(Bytes("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
  eleven.varint();
  CHECK_FALSE(eleven.ok());
  Decoder too_big(Bytes("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"));
  too_big.varint();
  CHECK_FALSE(too_big.ok());
}

TEST_CASE("a count never promises more elements than the input can hold") {
  std::string out;
  Encoder e(&out);
  e.varint(1'000'000'000);
  e.raw("abcdefgh");
  Decoder d(out);
  CHECK(d.count(4) == 0);
  CHECK_FALSE(d.ok());
}

TEST_CASE("big-endian keys sort as numbers do") {
  std::string small;
  std::string large;
  append_be64(&small, 255);
  append_be64(&large, 256);
  CHECK(small < large);
  CHECK(read_be64(large.data()) == 256);
}

TEST_CASE("a slice keeps its owner alive") {
  SharedBytes part;
  {
    SharedBytes whole(std::string("hello world"));
    part = whole.slice(6, 5);
  }
  CHECK(part.view() == "world");
}

TEST_CASE("a status names its code") {
  CHECK(Status(Code::kNotLeader, "node2 leads").to_string() == "not_leader: node2 leads");
  CHECK(Status::ok().to_string() == "ok");
  Result<int> r = Status(Code::kNotFound);
  CHECK_FALSE(r.is_ok());
  CHECK(r.status().code() == Code::kNotFound);
}
