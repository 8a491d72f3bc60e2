// Goal: the bounded queue keeps its bounds, its order, and loses nothing between threads.
// Method: the bounds reached one by one, then four producers against one consumer.
#include <chrono>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "base/bounded_queue.hpp"

using kvstore::BoundedQueue;

TEST_CASE("items and bytes are bounded; one large item passes alone") {
  BoundedQueue<int> items(2, 100);
  CHECK(items.push(1, 10));
  CHECK(items.push(2, 10));
  CHECK_FALSE(items.push(3, 10));
  BoundedQueue<int> bytes(10, 100);
  CHECK(bytes.push(1, 500));
  CHECK_FALSE(bytes.push(2, 1));
  CHECK(bytes.push_unbounded(3, 1));
  CHECK(bytes.bytes() == 501);
  CHECK(bytes.size() == 2);
}

TEST_CASE("a closed queue refuses, and gives out what it holds") {
  BoundedQueue<int> queue(10, 100);
  CHECK(queue.push(1, 1));
  queue.close();
  CHECK_FALSE(queue.push(2, 1));
  std::vector<int> out;
  CHECK(queue.drain(&out));
  CHECK(out == std::vector<int>{1});
  CHECK_FALSE(queue.drain(&out));
  CHECK(out.empty());
}

TEST_CASE("drain_for gives up without items and without closing") {
  BoundedQueue<int> queue(10, 100);
  std::vector<int> out{5};
  CHECK(queue.drain_for(&out, std::chrono::milliseconds(1)));
  CHECK(out.empty());
}

TEST_CASE("four producers, one consumer: everything arrives, each producer's items in order") {
  constexpr int kEach = 20'000;
  BoundedQueue<std::pair<int, int>> queue(1000, SIZE_MAX);
  std::vector<std::thread> producers;
  for (int p = 0; p < 4; ++p) {
    producers.emplace_back([&queue, p] {
      for (int i = 0; i < kEach; ++i) {
        while (!queue.push({p, i}, 1)) std::this_thread::yield();
      }
    });
  }
  std::vector<int> next(4, 0);
  std::vector<std::pair<int, int>> batch;
  int total = 0;
  bool ordered = true;
  while (total < 4 * kEach && queue.drain(&batch)) {
    for (auto [p, i] : batch) ordered = ordered && next[static_cast<size_t>(p)]++ == i;
    total += static_cast<int>(batch.size());
  }
  for (std::thread& t : producers) t.join();
  CHECK(total == 4 * kEach);
  CHECK(ordered);
}
