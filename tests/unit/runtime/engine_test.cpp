// Goal: every call of the engine ends exactly once, within its limits and its deadline.
// Method: a server with real threads over in-memory plugins; completions land in futures, a second
// one aborts.  Nothing depends on how fast the machine is.
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "plugin/slice.hpp"
#include "server_fixture.hpp"

namespace kvstore::test {
namespace {

constexpr size_t kMiB = 1 << 20;

struct Fixture {
  TestServer node{"solo"};
  void start() {
    node.options.bootstrap = true;
    Status s = node.start();
    INFO(s.to_string());
    REQUIRE(s.is_ok());
  }
  kvs_upload* upload(uint64_t total) {
    kvs_upload* u = nullptr;
    REQUIRE(node.open_upload(total, &u) == KVS_OK);
    return u;
  }
  void close(kvs_upload* u) { node.engine()->upload_close(u); }
  // "k=" and what a get of k, then what a scan of everything delivers; "(compacted)".
  std::string seen_by(kvs_reader* reader) {
    std::string out;
    auto append = [](void* ctx, const kvs_item* it) noexcept -> kvs_status {
      auto* text = static_cast<std::string*>(ctx);
      if (!text->empty() && text->back() != ';') text->push_back(',');
      text->append(plugin::to_bytes(it->key)).append("=").append(plugin::to_bytes(it->value));
      return KVS_OK;
    };
    kvs_slice key = plugin::to_slice("k");
    kvs_range all{};
    all.kind = KVS_RANGE_ALL;
    kvs_status status = node.engine()->get(reader, &key, append, &out, nullptr);
    out.push_back(';');
    if (status == KVS_OK)
      status = node.engine()->scan(reader, &all, 0, 0, 1 << 20, append, &out, nullptr, nullptr);
    if (status == KVS_E_COMPACTED) return "(compacted)";
    return status == KVS_OK ? out : "(failed)";
  }
};

TEST_CASE_FIXTURE(Fixture, "transactions are applied and answered") {
  start();
  Answer first = node.put("k", "1", 20'000).wait();
  CHECK(first.status == KVS_OK);
  CHECK(first.committed == KVS_COMMITTED_YES);
  CHECK(first.succeeded == 1);
  CHECK(first.values.empty());
  CHECK(first.leader_name == "solo");
  Answer second = node.put("k", "2").wait();
  CHECK(second.revision == first.revision + 1);
  CHECK(second.values == std::vector<std::string>{"1"});
  CHECK(node.get("k") == "2");
  CHECK(node.get("absent").rfind("(", 0) == 0);
}

TEST_CASE_FIXTURE(Fixture, "what is malformed or too large is refused at once") {
  node.options.limits.key_bytes_max = 10;
  node.options.limits.txn_ops_max = 2;
  start();
  CHECK(node.put("", "v").wait().status == KVS_E_INVALID);
  CHECK(node.put(std::string(11, 'k'), "v").wait().status == KVS_E_INVALID);
  CHECK(node.put("k", std::string(kMiB + 1, 'v')).wait().status == KVS_E_INVALID);
  CHECK(node.put(std::string(10, 'k'), std::string(kMiB, 'v'), 20'000).wait().status == KVS_OK);
  kvs_op ops[3]{};
  for (kvs_op& op : ops) {
    op.kind = KVS_OP_GET;
    op.range.kind = KVS_RANGE_ALL;
  }
  kvs_txn t{};
  t.struct_size = sizeof t;
  t.then_ops = ops;
  t.then_count = 3;
  CHECK(node.txn(t).wait().status == KVS_E_INVALID);
  t.then_count = 1;
  ops[0].kind = 9;
  CHECK(node.txn(t).wait().status == KVS_E_UNSUPPORTED);
  ops[0].kind = KVS_OP_GET;
  ops[0].range.kind = 9;
  CHECK(node.txn(t).wait().status == KVS_E_UNSUPPORTED);
}

TEST_CASE_FIXTURE(Fixture, "reads: linearizable, stale, and at a revision to come") {
  start();
  Answer put = node.put("k", "v", 20'000).wait();
  REQUIRE(put.status == KVS_OK);

  kvs_read_options stale{};
  stale.struct_size = sizeof stale;
  stale.consistency = KVS_READ_STALE;
  stale.min_revision = put.revision;
  Pending at_once = node.open(stale);
  CHECK(at_once.has_ended());
  CHECK(at_once.wait().status == KVS_OK);
  REQUIRE(at_once.reader != nullptr);
  CHECK(node.engine()->read_revision(at_once.reader) >= put.revision);
  node.engine()->read_close(at_once.reader);

  // It waits for the write that makes the revision.
  stale.min_revision = put.revision + 1;
  Pending waiting = node.open(stale, 60'000);
  CHECK_FALSE(waiting.has_ended());
  REQUIRE(node.put("k", "w").wait().status == KVS_OK);
  CHECK(waiting.wait().status == KVS_OK);
  node.engine()->read_close(waiting.reader);

  stale.min_revision = put.revision + 100;
  CHECK(node.open(stale, 100).wait().status == KVS_E_TIMEOUT);
  kvs_read_options future = linearizable();
  future.min_revision = put.revision + 100;
  CHECK(node.open(future, 1'000).wait().status == KVS_E_TIMEOUT);

  // A single node knows that it leads: both are answered at once.
  kvs_read_options lease = linearizable();
  lease.consistency = KVS_READ_LEASE;
  stale.min_revision = 0;
  stale.max_staleness_ms = 1;
  for (const kvs_read_options& options : {lease, stale}) {
    Pending local = node.open(options);
    CHECK(local.has_ended());
    CHECK(local.wait().status == KVS_OK);
    node.engine()->read_close(local.reader);
  }
  kvs_read_options unknown = linearizable();
  unknown.consistency = 9;
  CHECK(node.open(unknown).wait().status == KVS_E_UNSUPPORTED);
}

TEST_CASE_FIXTURE(Fixture, "reads at old revisions, until they are compacted") {
  start();
  REQUIRE(node.put("k", "1", 20'000).wait().revision == 1);
  REQUIRE(node.put("k", "2").wait().revision == 2);
  REQUIRE(node.put("l", "3").wait().revision == 3);
  kvs_read_options past = linearizable();
  past.revision = 1;
  Pending first = node.open(past);
  REQUIRE(first.wait().status == KVS_OK);
  CHECK(node.engine()->read_revision(first.reader) == 1);
  CHECK(seen_by(first.reader) == "k=1;k=1");
  past.revision = 2;
  past.consistency = KVS_READ_STALE;
  Pending second = node.open(past);
  CHECK(second.has_ended());
  REQUIRE(second.wait().status == KVS_OK);
  Pending unused = node.open(past);
  REQUIRE(unused.wait().status == KVS_OK);
  CHECK(seen_by(second.reader) == "k=2;k=2");

  for (const uint32_t consistency : {KVS_READ_LINEARIZABLE, KVS_READ_STALE}) {
    past.consistency = consistency;
    past.revision = 4;
    Answer future = node.open(past).wait();
    CHECK(future.status == KVS_E_INVALID);
    CHECK(future.message == "revision 4 does not exist yet: the newest is 3");
  }
  REQUIRE(node.control("admin.compact", R"({"revision": 3})").wait().status == KVS_OK);
  for (const uint32_t consistency : {KVS_READ_LINEARIZABLE, KVS_READ_STALE}) {
    past.consistency = consistency;
    past.revision = 2;
    Answer gone = node.open(past).wait();
    CHECK(gone.status == KVS_E_COMPACTED);
    CHECK(gone.message == "revision 2 is compacted: the oldest is 3");
    if (consistency == KVS_READ_LINEARIZABLE) CHECK(gone.compacted_revision == 3);
    past.revision = 3;
    Pending newest = node.open(past);
    REQUIRE(newest.wait().status == KVS_OK);
    CHECK(seen_by(newest.reader) == "k=2;k=2,l=3");
    node.engine()->read_close(newest.reader);
  }
  // Those that had begun go on; one that had not finds its revision gone.
  CHECK(seen_by(second.reader) == "k=2;k=2");
  CHECK(seen_by(unused.reader) == "(compacted)");
  for (Pending* read : {&first, &second, &unused}) node.engine()->read_close(read->reader);
}

TEST_CASE_FIXTURE(Fixture, "a reader keeps its revision while writes go on") {
  start();
  REQUIRE(node.put("k", "old", 20'000).wait().status == KVS_OK);
  Pending pending = node.open(linearizable());
  REQUIRE(pending.wait().status == KVS_OK);
  uint64_t revision = node.engine()->read_revision(pending.reader);
  REQUIRE(node.put("k", "new").wait().status == KVS_OK);
  std::string seen;
  kvs_slice key = plugin::to_slice("k");
  kvs_error err{};
  err.struct_size = sizeof err;
  CHECK(node.engine()->get(
            pending.reader, &key,
            [](void* ctx, const kvs_item* it) noexcept -> kvs_status {
              *static_cast<std::string*>(ctx) = plugin::to_bytes(it->value);
              return KVS_OK;
            },
            &seen, &err) == KVS_OK);
  CHECK(seen == "old");
  CHECK(node.engine()->read_revision(pending.reader) == revision);
  node.engine()->read_close(pending.reader);
}

TEST_CASE_FIXTURE(Fixture, "uploads of an announced size") {
  start();
  std::string value(2 * kMiB + 5, 'x');
  value[kMiB] = 'y';
  kvs_upload* u = upload(value.size());
  // Chunks need not fit the parts; the value is invisible until a transaction names it.
  for (size_t at = 0; at < value.size(); at += 700'000) {
    CHECK_FALSE(node.put_upload("big", u).wait().status == KVS_OK);  // not complete
    REQUIRE(node.write_chunk(u, value.substr(at, 700'000)).wait().status == KVS_OK);
  }
  CHECK(node.get("big").rfind("(", 0) == 0);
  CHECK(node.put_upload("big", u).wait().status == KVS_OK);
  close(u);
  CHECK(node.get("big") == value);
}

TEST_CASE_FIXTURE(Fixture, "uploads of unknown size end with a short chunk") {
  start();
  for (size_t tail : {size_t{0}, size_t{1}, kMiB - 1}) {
    std::string value(kMiB + tail, 'z');
    kvs_upload* u = upload(0);
    REQUIRE(node.write_chunk(u, value.substr(0, kMiB)).wait().status == KVS_OK);
    REQUIRE(node.write_chunk(u, value.substr(kMiB)).wait().status == KVS_OK);
    CHECK(node.write_chunk(u, "more").wait().status == KVS_E_INVALID);
    CHECK(node.put_upload("big", u).wait().status == KVS_OK);
    close(u);
    CHECK(node.get("big") == value);
  }
}

TEST_CASE_FIXTURE(Fixture, "uploads keep to the limits") {
  node.options.limits.value_bytes_max = 3 * kMiB;
  node.options.limits.uploads_max = 2;
  start();
  kvs_upload* none = nullptr;
  CHECK(node.open_upload(3 * kMiB + 1, &none) == KVS_E_INVALID);
  kvs_upload* announced = upload(10);
  CHECK(node.write_chunk(announced, "12345678901").wait().status == KVS_E_INVALID);
  kvs_upload* open_ended = upload(0);
  CHECK(node.open_upload(1, &none) == KVS_E_BUSY);
  std::string chunk(kMiB, 'c');
  CHECK(node.write_chunk(open_ended, chunk + "c").wait().status == KVS_E_INVALID);
  for (int i = 0; i < 3; ++i) CHECK(node.write_chunk(open_ended, chunk).wait().status == KVS_OK);
  CHECK(node.write_chunk(open_ended, "c").wait().status == KVS_E_INVALID);
  close(announced);
  close(open_ended);
  kvs_upload* again = upload(1);  // the places are free again
  close(again);
}

TEST_CASE_FIXTURE(Fixture, "an upload closed without use leaves nothing behind") {
  start();
  kvs_upload* u = upload(0);
  REQUIRE(node.write_chunk(u, std::string(kMiB, 'p')).wait().status == KVS_OK);
  close(u);
  // The abort is the next command; a write behind it shows that it was applied.
  REQUIRE(node.put("k", "v").wait().status == KVS_OK);
  kvs_upload* next = upload(4);
  REQUIRE(node.write_chunk(next, "data").wait().status == KVS_OK);
  CHECK(node.put_upload("big", next).wait().status == KVS_OK);
  close(next);
  CHECK(node.get("big") == "data");
}

TEST_CASE_FIXTURE(Fixture, "a transaction under a request id takes effect once") {
  start();
  node.request_id = "id";
  Answer first = node.put("k", "v", 20'000).wait();
  REQUIRE(first.status == KVS_OK);
  CHECK(first.replayed == 0);
  Answer again = node.put("k", "v").wait();
  CHECK(again.status == KVS_OK);
  CHECK(again.committed == KVS_COMMITTED_YES);
  CHECK(again.replayed == KVS_REPLAYED);
  CHECK(again.revision == first.revision);
  Answer other = node.put("k", "w").wait();
  CHECK(other.status == KVS_E_CONFLICT);
  CHECK(other.committed == KVS_COMMITTED_NO);
  CHECK(node.get("k") == "v");
  // What a replay may leave out.
  node.request_id = "large";
  REQUIRE(node.put("l", std::string(5000, 'l')).wait().status == KVS_OK);
  node.request_id = "replaces";
  CHECK(node.put("l", "small").wait().values == std::vector<std::string>{std::string(5000, 'l')});
  again = node.put("l", "small").wait();
  CHECK(again.replayed == KVS_REPLAYED_SHORTENED);
  CHECK(again.values == std::vector<std::string>{""});
}

TEST_CASE_FIXTURE(Fixture, "a large value is the same request when its content is, cut as it may") {
  start();
  node.request_id = "id";
  const std::string value(kMiB + 500, 'x');
  auto put_large = [&](const std::string& bytes, size_t chunk) {
    kvs_upload* u = upload(bytes.size());
    for (size_t at = 0; at < bytes.size(); at += chunk)
      REQUIRE(node.write_chunk(u, bytes.substr(at, chunk)).wait().status == KVS_OK);
    Answer answer = node.put_upload("big", u).wait();
    close(u);
    return answer;
  };
  Answer first = put_large(value, kMiB);
  REQUIRE(first.status == KVS_OK);
  CHECK(first.replayed == 0);
  Answer again = put_large(value, 700'000);
  CHECK(again.status == KVS_OK);
  CHECK(again.replayed == KVS_REPLAYED);
  CHECK(again.revision == first.revision);
  std::string other = value;
  other.back() = 'y';
  CHECK(put_large(other, kMiB).status == KVS_E_CONFLICT);
  CHECK(node.get("big") == value);
}

TEST_CASE_FIXTURE(Fixture, "full queues answer BUSY and nothing was done") {
  node.options.limits.proposals_max = 0;
  node.options.limits.reads_max = 0;
  node.options.limits.readers_max = 0;
  start();
  CHECK(node.put("k", "v").wait().status == KVS_E_BUSY);
  CHECK(node.open(linearizable()).wait().status == KVS_E_BUSY);
  CHECK(node.control("health", "{}").wait().status == KVS_E_BUSY);
  kvs_read_options stale{};
  stale.struct_size = sizeof stale;
  stale.consistency = KVS_READ_STALE;
  CHECK(node.open(stale).wait().status == KVS_E_BUSY);
  kvs_upload* u = upload(4);
  CHECK(node.write_chunk(u, "data").wait().status == KVS_E_BUSY);
  CHECK(node.put_upload("k", u).wait().status == KVS_E_BUSY);
  close(u);
}

TEST_CASE_FIXTURE(Fixture, "a reader that is kept too long is ended") {
  node.options.limits.reader_age_ms_max = 20;
  start();
  REQUIRE(node.put("k", "v", 20'000).wait().status == KVS_OK);
  Pending pending = node.open(linearizable());
  REQUIRE(pending.wait().status == KVS_OK);
  CHECK(node.engine()->read_revision(pending.reader) > 0);
  kvs_slice key = plugin::to_slice("k");
  kvs_error err{};
  err.struct_size = sizeof err;
  auto get = [&] {
    return node.engine()->get(
        pending.reader, &key, [](void*, const kvs_item*) noexcept -> kvs_status { return KVS_OK; },
        nullptr, &err);
  };
  CHECK(eventually([&] { return get() == KVS_E_CANCELLED; }));
  CHECK(std::string(err.message).find("reader_age_ms_max") != std::string::npos);
  node.engine()->read_close(pending.reader);
}

TEST_CASE_FIXTURE(Fixture, "readers are counted until they are closed") {
  node.options.limits.readers_max = 1;
  start();
  REQUIRE(node.put("k", "v", 20'000).wait().status == KVS_OK);
  Pending first = node.open(linearizable());
  REQUIRE(first.wait().status == KVS_OK);
  Pending second = node.open(linearizable());
  CHECK(second.wait().status == KVS_E_BUSY);
  CHECK(second.reader == nullptr);
  node.engine()->read_close(first.reader);
  Pending third = node.open(linearizable());
  CHECK(third.wait().status == KVS_OK);
  node.engine()->read_close(third.reader);
}

TEST_CASE_FIXTURE(Fixture, "control verbs, metrics, and what this version does not have") {
  start();
  REQUIRE(node.put("k", "v", 20'000).wait().status == KVS_OK);
  Answer status = node.control("cluster.status", "{}").wait();
  REQUIRE(status.status == KVS_OK);
  nlohmann::json json = nlohmann::json::parse(status.json);
  CHECK(json["cluster_name"] == "test");
  CHECK(json["node"]["node_id"] == "solo");
  CHECK(json["node"]["version"] == "test");
  CHECK(json["node"]["plugins"].size() == 4);
  CHECK(json["members"].size() == 1);
  CHECK(node.control("no.such", "{}").wait().status == KVS_E_UNSUPPORTED);
  std::string text;
  CHECK(node.engine()->metrics(
            node.engine()->ctx,
            [](void* ctx, const kvs_slice* s) noexcept -> kvs_status {
              *static_cast<std::string*>(ctx) += plugin::to_bytes(*s);
              return KVS_OK;
            },
            &text) == KVS_OK);
  CHECK(text == "figures");
}

TEST_CASE_FIXTURE(Fixture, "without a cluster, calls end at their deadlines with a definite no") {
  REQUIRE(node.start().is_ok());  // waits for an admission
  Pending write = node.put("k", "v", 200);
  Pending read = node.open(linearizable(), 200);
  Pending add = node.control("cluster.add", R"({"node_id":"x","address":"x:1"})", 200);
  Answer a = write.wait();
  CHECK(a.status == KVS_E_UNREACHABLE);
  CHECK(a.committed == KVS_COMMITTED_NO);
  CHECK(read.wait().status == KVS_E_UNREACHABLE);
  CHECK(add.wait().status == KVS_E_UNREACHABLE);
  CHECK(node.put("k", "v", 0, KVS_CALL_NO_FORWARD).wait().status == KVS_E_NOT_LEADER);
}

TEST_CASE_FIXTURE(Fixture, "stop ends everything that is pending") {
  node.options.drain_ms = 100;
  REQUIRE(node.start().is_ok());
  std::vector<Pending> all;
  for (int i = 0; i < 50; ++i) {
    all.push_back(node.put("k", "v", 600'000));
    all.push_back(node.open(linearizable(), 600'000));
    all.push_back(node.control("cluster.add", R"({"node_id":"x","address":"x:1"})", 600'000));
  }
  node.stop();
  for (Pending& pending : all) {
    REQUIRE(pending.has_ended());
    Answer a = pending.wait();
    CHECK(a.status != KVS_OK);
    CHECK(a.committed == KVS_COMMITTED_NO);
  }
}

}  // namespace
}  // namespace kvstore::test
