// Goal: a running node gives its state away as one consistent file while writes go on, within its
// bounds, and ends cleanly.
// Method: real servers over the engine's table; files are read back by the reader of files.
#include <atomic>
#include <map>

#include <doctest/doctest.h>

#include "kv/reader.hpp"
#include "server_fixture.hpp"
#include "support/memory_store.hpp"
#include "wire/snapshot_file.hpp"

namespace kvstore::test {
namespace {

struct File {
  Status status;
  wire::SnapshotFileHeader header;
  MemoryStore store;
  uint64_t keys = 0;
};

void read_into(const std::string& bytes, File* out) {
  MemoryData data;
  wire::SnapshotFileReader reader([&](std::span<const wire::SnapshotPair> pairs) {
    for (const auto& pair : pairs) data.spaces[pair.space].emplace(pair.key, pair.value);
    return Status();
  });
  out->status = reader.feed(bytes);
  if (out->status) out->status = reader.finish();
  if (reader.header() != nullptr) out->header = *reader.header();
  out->keys = reader.keys();
  out->store.replace(data);
}

std::string value_in(File& file, const std::string& key) {
  auto view = file.store.open_view();
  std::string out = "(absent)";
  (void)kv::read_item(**view, 0, key, [&](const kv::ItemView& item) {
    out = item.value;
    return true;
  });
  return out;
}

struct Fixture {
  TestServer node{"solo"};
  void start() {
    node.options.bootstrap = true;
    REQUIRE(node.start().is_ok());
  }
  void put(const std::string& key, const std::string& value) {
    REQUIRE(node.put(key, value, 20'000).wait().status == KVS_OK);
  }
};

TEST_CASE_FIXTURE(Fixture, "a snapshot is a file with everything that was acknowledged") {
  start();
  for (int i = 0; i < 50; ++i) put("k" + std::to_string(i), std::string(10'000, 'v'));
  put("k0", "new");
  for (const uint64_t piece : {uint64_t{1'000}, uint64_t{1} << 20}) {
    const TestServer::Blob blob = node.snapshot(piece);
    CHECK(blob.status == KVS_E_END);
    File file;
    read_into(blob.bytes, &file);
    REQUIRE_MESSAGE(file.status.is_ok(), file.status.to_string());
    CHECK(file.header.node_name == "solo");
    CHECK(file.header.revision == 51);
    CHECK(file.header.last.index.value >= 51);
    CHECK(file.header.created_ms > 1'600'000'000'000);
    REQUIRE(file.header.members.size() == 1);
    CHECK(file.header.members[0].voter);
    CHECK(file.keys == 50);
    CHECK(value_in(file, "k0") == "new");
    CHECK(value_in(file, "k49") == std::string(10'000, 'v'));
  }
}

TEST_CASE_FIXTURE(Fixture, "a snapshot shows one moment while writes go on") {
  start();
  put("count", "0");
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int i = 1; !stop; ++i) (void)node.put("count", std::to_string(i), 20'000).wait();
  });
  uint64_t last = 0;
  for (int i = 0; i < 20; ++i) {
    File file;
    read_into(node.snapshot(100).bytes, &file);
    REQUIRE(file.status.is_ok());
    // The value and the revision were written together.
    CHECK(value_in(file, "count") == std::to_string(file.header.revision - 1));
    CHECK(file.header.revision >= last);
    last = file.header.revision;
  }
  stop = true;
  writer.join();
}

TEST_CASE_FIXTURE(Fixture, "snapshots are counted until they are closed, and only they are given") {
  node.options.limits.blobs_max = 2;
  start();
  put("k", "v");
  kvs_blob* first = nullptr;
  kvs_blob* second = nullptr;
  kvs_blob* third = nullptr;
  CHECK(node.open_blob(&first) == KVS_OK);
  CHECK(node.open_blob(&second) == KVS_OK);
  std::string message;
  CHECK(node.open_blob(&third, &message) == KVS_E_BUSY);
  CHECK(message.find("downloads_max") != std::string::npos);
  CHECK(node.read_blob(first, 0).status == KVS_E_INVALID);
  CHECK(node.read_blob(first, 10).status == KVS_E_END);
  CHECK(node.read_blob(first, 10).status == KVS_E_END);  // again and again
  CHECK(node.open_blob(&third) == KVS_E_BUSY);
  node.engine()->blob_close(first);
  CHECK(node.open_blob(&third) == KVS_OK);
  node.engine()->blob_close(third);
  node.engine()->blob_close(second);
  kvs_call call{};
  call.struct_size = sizeof call;
  CHECK(node.engine()->blob_open(node.engine()->ctx, &call, "log", &third, nullptr) ==
        KVS_E_UNSUPPORTED);
}

TEST_CASE_FIXTURE(Fixture, "a download that stands still ends, one that goes on does not") {
  node.options.limits.blob_idle_ms_max = 2'000;
  start();
  for (int i = 0; i < 20; ++i) put("k" + std::to_string(i), std::string(100, 'v'));
  kvs_blob* blob = nullptr;
  REQUIRE(node.open_blob(&blob) == KVS_OK);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(2'500);
  while (std::chrono::steady_clock::now() < end) {
    CHECK(node.read_blob(blob, 1, 1).status == KVS_OK);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(2'100));
  const TestServer::Blob late = node.read_blob(blob, 100);
  CHECK(late.status == KVS_E_CANCELLED);
  CHECK(late.message.find("download_idle_ms") != std::string::npos);
  CHECK(node.read_blob(blob, 100).status == KVS_E_CANCELLED);
  node.engine()->blob_close(blob);
}

TEST_CASE_FIXTURE(Fixture, "a node without a state of a cluster has nothing to give") {
  REQUIRE(node.start().is_ok());  // waits for an admission
  const TestServer::Blob blob = node.snapshot();
  CHECK(blob.status == KVS_E_UNREACHABLE);
  CHECK(blob.bytes.empty());
}

TEST_CASE_FIXTURE(Fixture, "the verb makes the state durable and the log short") {
  node.options.node.sync_interval_ms = 3'600'000;
  start();
  for (int i = 0; i < 30; ++i) put("k", std::to_string(i));
  const Answer taken = node.control("admin.snapshot", "{}", 20'000).wait();
  REQUIRE(taken.status == KVS_OK);
  CHECK(taken.json.find("\"revision\":30") != std::string::npos);
  const Answer status = node.control("cluster.status", "{}", 20'000).wait();
  CHECK(status.json.find("\"first_index\":1,") == std::string::npos);
  put("k", "after");
  CHECK(node.get("k") == "after");
}

}  // namespace
}  // namespace kvstore::test
