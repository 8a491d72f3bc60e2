// Goal: a bulk stream arrives whole or is ended on both sides, at the receiver's pace.  Method:
// senders and sinks that are slow, refuse, fail, give up or vanish.
#include <atomic>
#include <thread>

#include <kvstore/sdk/slice.hpp>

#include <doctest/doctest.h>

#include "node.hpp"

namespace kvstore::conformance {
namespace {

constexpr uint32_t kLong = 60'000;

kvs_status open_stream(Node& from, kvs_node_id to, const std::string& header, uint64_t total,
                       kvs_tx_stream** out, uint32_t timeout_ms = kLong) {
  kvs_slice h = sdk::slice(header);
  kvs_error err = new_error();
  return api().stream_open(from.raw(), to, &h, total, timeout_ms, out, &err);
}

kvs_status write(kvs_tx_stream* st, const std::string& chunk, uint32_t timeout_ms = kLong) {
  kvs_slice c = sdk::slice(chunk);
  kvs_error err = new_error();
  return api().stream_write(st, &c, timeout_ms, &err);
}

int ends(const Received& r) {
  return r.finished.load() + r.aborted.load();
}

}  // namespace

TEST_CASE("header, total and every byte arrive; finish is told the receiver's verdict") {
  Pair pair;
  kvs_tx_stream* st = nullptr;
  const std::string header("meta\0data", 9);
  REQUIRE(open_stream(pair.a, 2, header, 1234567, &st) == KVS_OK);
  uint64_t bytes = 0;
  uint64_t checksum = 0;
  for (size_t size :
       {size_t{1}, size_t{0}, size_t{100}, size_t{4096}, size_t{1} << 20, size_t{77}}) {
    std::string chunk(size, '\0');
    for (size_t i = 0; i < size; ++i) chunk[i] = static_cast<char>(i + size);
    for (char c : chunk) checksum = checksum * 31 + static_cast<unsigned char>(c);
    bytes += size;
    REQUIRE(write(st, chunk) == KVS_OK);
  }
  REQUIRE(api().stream_finish(st, kLong, nullptr) == KVS_OK);
  auto r = pair.b.streams().at(0);
  CHECK(r->header == header);
  CHECK(r->from == 1);
  CHECK(r->total == 1234567);
  CHECK(r->bytes == bytes);
  CHECK(r->checksum == checksum);
  CHECK(r->finished == 1);
  CHECK(r->aborted == 0);
}

TEST_CASE("64 MiB into a slow sink: the sender is never far ahead") {
  Pair pair;
  const uint64_t chunk_bytes = 256 << 10;
  const uint64_t total = 64 << 20;
  std::atomic<uint64_t> written{0};
  std::atomic<uint64_t> furthest{0};
  pair.b.accept_stream = [&](Received& r) {
    r.on_write = [&](const std::string&) -> kvs_status {
      if ((r.bytes / chunk_bytes) % 32 == 0)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      furthest.store(
          std::max(furthest.load(), written.load() - std::min(written.load(), r.bytes.load())));
      return KVS_OK;
    };
    return KVS_OK;
  };
  kvs_tx_stream* st = nullptr;
  REQUIRE(open_stream(pair.a, 2, "h", total, &st) == KVS_OK);
  const std::string chunk(chunk_bytes, 'c');
  while (written < total) {
    REQUIRE(write(st, chunk) == KVS_OK);
    written += chunk_bytes;
  }
  CHECK(api().stream_finish(st, kLong, nullptr) == KVS_OK);
  CHECK(pair.b.streams().at(0)->bytes == total);
  CHECK(furthest <= 4 << 20);
}

TEST_CASE("the lanes go on while a sink holds a stream") {
  Pair pair;
  std::atomic<bool> hold{true};
  pair.b.accept_stream = [&](Received& r) {
    r.on_write = [&](const std::string&) -> kvs_status {
      while (hold.load()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return KVS_OK;
    };
    return KVS_OK;
  };
  kvs_tx_stream* st = nullptr;
  REQUIRE(open_stream(pair.a, 2, "h", 0, &st) == KVS_OK);
  std::thread writer([&] { CHECK(write(st, std::string(1 << 20, 'x')) == KVS_OK); });
  for (uint32_t lane = 0; lane < KVS_LANE_COUNT; ++lane) {
    CHECK(pair.a.send(2, lane, "beat") == KVS_OK);
    CHECK(pair.b.wait([&] { return pair.b.received_count(1, lane) == 1; }));
  }
  hold.store(false);
  writer.join();
  CHECK(api().stream_finish(st, kLong, nullptr) == KVS_OK);
}

TEST_CASE("the receiving host refuses the stream: its status comes back, and no sink is called") {
  Pair pair;
  pair.b.accept_stream = [](Received&) { return KVS_E_NO_SPACE; };
  kvs_tx_stream* st = nullptr;
  CHECK(open_stream(pair.a, 2, "h", 0, &st) == KVS_E_NO_SPACE);
  CHECK(st == nullptr);
  CHECK(pair.b.streams().empty());
}

TEST_CASE("the sink fails a write: the writer learns the status, the sink is aborted once") {
  Pair pair;
  pair.b.accept_stream = [](Received& r) {
    r.on_write = [&r](const std::string&) { return r.bytes >= 3000 ? KVS_E_CONFLICT : KVS_OK; };
    return KVS_OK;
  };
  kvs_tx_stream* st = nullptr;
  REQUIRE(open_stream(pair.a, 2, "h", 0, &st) == KVS_OK);
  kvs_status s = KVS_OK;
  for (int i = 0; i < 100 && s == KVS_OK; ++i) s = write(st, std::string(1000, 'x'));
  CHECK(s == KVS_E_CONFLICT);
  CHECK(write(st, "more") != KVS_OK);
  CHECK(api().stream_finish(st, kLong, nullptr) != KVS_OK);
  auto r = pair.b.streams().at(0);
  CHECK(pair.b.wait([&] { return ends(*r) == 1; }));
  CHECK(r->aborted == 1);
}

TEST_CASE("the sink fails the finish: the status comes back and nothing is aborted") {
  Pair pair;
  pair.b.accept_stream = [](Received& r) {
    r.on_finish = [] { return KVS_E_CORRUPT; };
    return KVS_OK;
  };
  kvs_tx_stream* st = nullptr;
  REQUIRE(open_stream(pair.a, 2, "h", 0, &st) == KVS_OK);
  CHECK(write(st, "x") == KVS_OK);
  CHECK(api().stream_finish(st, kLong, nullptr) == KVS_E_CORRUPT);
  auto r = pair.b.streams().at(0);
  CHECK(r->finished == 1);
  CHECK(r->aborted == 0);
}

TEST_CASE("the sender aborts: the sink is aborted once") {
  Pair pair;
  kvs_tx_stream* st = nullptr;
  REQUIRE(open_stream(pair.a, 2, "h", 0, &st) == KVS_OK);
  CHECK(write(st, "some") == KVS_OK);
  api().stream_abort(st);
  auto r = pair.b.streams().at(0);
  CHECK(pair.b.wait([&] { return ends(*r) == 1; }));
  CHECK(r->aborted == 1);
  CHECK(r->why == KVS_E_CANCELLED);
}

TEST_CASE(
    "a sink that does not return: TIMEOUT for the writer, and the sink is aborted when it does") {
  Pair pair;
  std::atomic<bool> hold{true};
  pair.b.accept_stream = [&](Received& r) {
    r.on_write = [&](const std::string&) -> kvs_status {
      while (hold.load()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return KVS_OK;
    };
    return KVS_OK;
  };
  kvs_tx_stream* st = nullptr;
  REQUIRE(open_stream(pair.a, 2, "h", 0, &st) == KVS_OK);
  CHECK(write(st, "x", 50) == KVS_E_TIMEOUT);
  CHECK(write(st, "y", kLong) == KVS_E_TIMEOUT);  // a failed stream stays failed
  api().stream_abort(st);
  auto r = pair.b.streams().at(0);
  CHECK(ends(*r) == 0);
  hold.store(false);
  CHECK(pair.b.wait([&] { return ends(*r) == 1; }));
  CHECK(r->aborted == 1);
}

TEST_CASE("stop of the sender ends a write that waits; the handle must still be given back") {
  Pair pair;
  std::atomic<bool> hold{true};
  std::atomic<bool> inside{false};
  pair.b.accept_stream = [&](Received& r) {
    r.on_write = [&](const std::string&) -> kvs_status {
      inside.store(true);
      while (hold.load()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return KVS_OK;
    };
    return KVS_OK;
  };
  kvs_tx_stream* st = nullptr;
  REQUIRE(open_stream(pair.a, 2, "h", 0, &st) == KVS_OK);
  std::thread writer([&] {
    CHECK(write(st, "x") == KVS_E_CLOSED);
    hold.store(false);
    CHECK(api().stream_finish(st, kLong, nullptr) == KVS_E_CLOSED);
  });
  CHECK(pair.b.wait([&] { return inside.load(); }));
  pair.a.stop();
  writer.join();
  auto r = pair.b.streams().at(0);
  CHECK(pair.b.wait([&] { return ends(*r) == 1; }));
}

TEST_CASE("stop of the receiver aborts its sinks before it returns") {
  Pair pair;
  kvs_tx_stream* st = nullptr;
  REQUIRE(open_stream(pair.a, 2, "h", 0, &st) == KVS_OK);
  CHECK(write(st, "x") == KVS_OK);
  pair.b.stop();
  CHECK(pair.b.streams().at(0)->aborted == 1);
  CHECK(write(st, "y") != KVS_OK);
  api().stream_abort(st);
  CHECK(ends(*pair.b.streams().at(0)) == 1);
  CHECK(pair.b.late_callbacks() == 0);
}

TEST_CASE("an unknown or unreachable peer has no streams") {
  Node a({.id = 1});
  kvs_tx_stream* st = nullptr;
  CHECK(open_stream(a, 9, "h", 0, &st) == KVS_E_UNREACHABLE);
  a.set_peer(2, "127.0.0.1:1");
  CHECK(open_stream(a, 2, "h", 0, &st) == KVS_E_UNREACHABLE);
  CHECK(st == nullptr);
}

TEST_CASE("a header of 4 KiB passes, a larger one is INVALID") {
  Pair pair;
  kvs_tx_stream* st = nullptr;
  CHECK(open_stream(pair.a, 2, std::string(4097, 'h'), 0, &st) == KVS_E_INVALID);
  REQUIRE(open_stream(pair.a, 2, std::string(4096, 'h'), 0, &st) == KVS_OK);
  CHECK(pair.b.streams().at(0)->header.size() == 4096);
  api().stream_abort(st);
}

TEST_CASE("a refused hello refuses the stream") {
  Node a({.id = 1});
  Node b({.id = 2}, false);
  b.judge = [](const kvs_hello&, std::string*) -> kvs_status { return KVS_E_INCOMPATIBLE; };
  b.start();
  a.set_peer(b);
  kvs_tx_stream* st = nullptr;
  CHECK(open_stream(a, 2, "h", 0, &st) == KVS_E_INCOMPATIBLE);
  CHECK(b.streams().empty());
}

TEST_CASE("streams in both directions at once") {
  Pair pair;
  auto run = [](Node& from, kvs_node_id to) {
    kvs_tx_stream* st = nullptr;
    REQUIRE(open_stream(from, to, "h", 0, &st) == KVS_OK);
    for (int i = 0; i < 50; ++i) CHECK(write(st, std::string(100'000, 'b')) == KVS_OK);
    CHECK(api().stream_finish(st, kLong, nullptr) == KVS_OK);
  };
  std::thread back([&] { run(pair.b, 1); });
  run(pair.a, 2);
  back.join();
  CHECK(pair.a.streams().at(0)->bytes == 5'000'000);
  CHECK(pair.b.streams().at(0)->bytes == 5'000'000);
}

}  // namespace kvstore::conformance
