// Goal: statuses and errors survive the way between ABI and core.  Method: direct calls.
#include "plugin/status.hpp"

#include <cstring>
#include <string>

#include <doctest/doctest.h>

#include "plugin/slice.hpp"

using namespace kvstore;

TEST_CASE("a number that is no status is an internal error and is named") {
  CHECK(plugin::to_code(KVS_E_BUSY) == Code::kBusy);
  CHECK(plugin::to_code(7) == Code::kInternal);
  Status status = plugin::CallError().status(7, "log.write");
  CHECK(status.code() == Code::kInternal);
  CHECK(status.message() == "log.write (status 7 is not in the ABI)");
}

TEST_CASE("a message that does not fit is cut between characters") {
  kvs_error err{};
  err.struct_size = sizeof err;
  std::string text(238, 'a');
  text += "\xc3\xa4\xc3\xa4";  // the first of them needs bytes 238 and 239
  CHECK(plugin::fill_error(&err, Status(Code::kIo, text)) == KVS_E_IO);
  CHECK(std::string(err.message) == std::string(238, 'a'));
  CHECK(err.code == KVS_E_IO);
}

TEST_CASE("an error is left alone when it is absent, too small or nothing went wrong") {
  CHECK(plugin::fill_error(nullptr, Status(Code::kIo, "x")) == KVS_E_IO);
  kvs_error err{};
  err.struct_size = 8;
  err.message[0] = 'y';
  CHECK(plugin::fill_error(&err, Status(Code::kIo, "x")) == KVS_E_IO);
  CHECK(err.message[0] == 'y');
  err.struct_size = sizeof err;
  CHECK(plugin::fill_error(&err, Status()) == KVS_OK);
  CHECK(err.message[0] == 'y');
}

TEST_CASE("an adopted buffer is released once, with its last copy") {
  static int released = 0;
  released = 0;
  uint8_t data[] = {'a', 'b'};
  kvs_buf buf{data, 2, data, [](void*) noexcept { ++released; }};
  SharedBytes bytes = plugin::adopt(buf);
  SharedBytes part = bytes.slice(1, 1);
  CHECK(bytes.view() == "ab");
  bytes = SharedBytes();
  CHECK(released == 0);
  CHECK(part.view() == "b");
  part = SharedBytes();
  CHECK(released == 1);
  buf.release = nullptr;
  CHECK(plugin::adopt(buf).view() == "ab");
}
