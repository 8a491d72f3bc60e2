// Goal: a directory that was found damaged says so, why, and what to do.
// Method: a temporary directory, marked and not.
#include "node/runtime/damage_mark.hpp"

#include <doctest/doctest.h>

#include "server_fixture.hpp"

namespace kvstore::node::runtime {

TEST_CASE("a marked directory is not trusted") {
  test::TempDir dir;
  CHECK(check_not_damaged(dir.path()).is_ok());
  mark_damaged(dir.path(), Status(Code::kCorrupt, "log.read: entry 7: wrong checksum"));
  Status refused = check_not_damaged(dir.path());
  CHECK(refused.code() == Code::kCorrupt);
  CHECK(refused.message().find("entry 7: wrong checksum") != std::string::npos);
  CHECK(refused.message().find("empty " + dir.path()) != std::string::npos);
}

TEST_CASE("a disk that is gone cannot be marked, and nothing else happens") {
  mark_damaged("/nowhere/at/all", Status(Code::kCorrupt, "x"));
  CHECK(check_not_damaged("/nowhere/at/all").is_ok());
}

}  // namespace kvstore::node::runtime
