// Goal: there are never more requests than places, and one that comes back for a place gets the
// next that is given back.  Method: by hand, and many threads that come and go while one waits.
#include "places.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

using namespace kvstore::http;

TEST_CASE("as many as there are, and given back by whoever holds them") {
  Places places(2);
  REQUIRE(places.enter());
  Place first(&places);
  {
    REQUIRE(places.enter());
    const Place second(&places);
    CHECK_FALSE(places.enter());
    CHECK_FALSE(places.enter_wanted());
  }
  REQUIRE(places.enter());
  Place third(&places);
  first = std::move(third);  // which has the one of before now
  CHECK(places.used() == 2);
  first.give_back();
  CHECK_FALSE(first);
  first.give_back();
  CHECK(places.used() == 1);
}

TEST_CASE("free places are kept for those who want them") {
  Places places(2);
  int told = 0;
  places.set_on_free([&] { ++told; });
  REQUIRE(places.enter());
  REQUIRE(places.enter());
  places.leave();
  CHECK(told == 0);
  places.want(1);
  CHECK_FALSE(places.enter());
  places.leave();
  CHECK(told == 1);
  CHECK(places.enter());
  CHECK_FALSE(places.enter());
  CHECK(places.enter_wanted());
  places.want(0);
  CHECK(places.used() == 2);
}

TEST_CASE("whoever waits for a place among many that come and go always gets one") {
  constexpr uint64_t kPlaces = 3;
  Places places(kPlaces);
  std::mutex mutex;
  std::condition_variable free;
  uint64_t told = 0;
  places.set_on_free([&] {
    std::lock_guard lock(mutex);
    ++told;
    free.notify_all();
  });
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> inside{0}, most{0};
  const auto visit = [&] {
    const uint64_t now = ++inside;
    for (uint64_t seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
    }
    std::this_thread::yield();
    --inside;
    places.leave();
  };
  std::vector<std::thread> crowd;
  for (int i = 0; i < 4; ++i) {
    crowd.emplace_back([&] {
      while (!stop.load()) {
        if (places.enter()) visit();
      }
    });
  }
  for (int i = 0; i < 2000; ++i) {
    uint64_t seen = 0;
    {
      std::lock_guard lock(mutex);
      seen = told;
    }
    places.want(1);
    while (!places.enter_wanted()) {
      std::unique_lock lock(mutex);
      free.wait(lock, [&] { return told != seen; });
      seen = told;
    }
    places.want(0);
    visit();
  }
  stop.store(true);
  for (std::thread& one : crowd) one.join();
  CHECK(most <= kPlaces);
  CHECK(places.used() == 0);
}
