// Goal: whoever asks for the hash at an index gets it, or hears that it will not come.
// Method: hashes and callers in every order.
#include "node/state_hashes.hpp"

#include "table_testing.hpp"

namespace kvstore::node {
namespace {

kv::StateHash hash_at(uint64_t index) {
  return {1, index, 5, 9, 0xabcd};
}

TEST_CASE("a hash that is known or comes answers") {
  Ends ends;
  StateHashes hashes;
  hashes.wait(10, make_control(&ends, 100));
  hashes.add(hash_at(9));
  CHECK(ends.controls.empty());
  hashes.add(hash_at(10));
  hashes.wait(9, make_control(&ends, 100));
  REQUIRE(ends.controls.size() == 2);
  CHECK(ends.controls[0].code == Code::kOk);
  CHECK(ends.controls[0].json ==
        R"({"index":10,"term":1,"revision":5,"pairs":9,"hash":"000000000000abcd"})");
  CHECK(ends.controls[1].code == Code::kOk);
}

TEST_CASE("one that was passed over or forgotten will not come") {
  Ends ends;
  StateHashes hashes;
  hashes.wait(5, make_control(&ends, 100));
  hashes.add(hash_at(6));
  REQUIRE(ends.controls.size() == 1);
  CHECK(ends.controls[0].code == Code::kNotFound);
  for (uint64_t i = 7; i < 7 + StateHashes::kKept; ++i) hashes.add(hash_at(i));
  hashes.wait(6, make_control(&ends, 100));
  REQUIRE(ends.controls.size() == 2);
  CHECK(ends.controls[1].code == Code::kNotFound);
}

TEST_CASE("waiting ends at the deadline, at the bound and with the node") {
  Ends ends;
  {
    StateHashes hashes;
    hashes.wait(5, make_control(&ends, 100));
    hashes.expire(99);
    CHECK(ends.controls.empty());
    hashes.expire(100);
    REQUIRE(ends.controls.size() == 1);
    CHECK(ends.controls[0].code == Code::kTimeout);
    for (size_t i = 0; i < StateHashes::kWaitersMax; ++i) {
      hashes.wait(5, make_control(&ends, 200));
    }
    CHECK(ends.controls.size() == 1);
    hashes.wait(5, make_control(&ends, 200));
    REQUIRE(ends.controls.size() == 2);
    CHECK(ends.controls[1].code == Code::kBusy);
  }
  CHECK(ends.controls.size() == 2 + StateHashes::kWaitersMax);
  CHECK(ends.controls.back().code == Code::kCancelled);
}

}  // namespace
}  // namespace kvstore::node
