// Goal: whole servers form a cluster, replicate, send snapshots, fail over and stop in order.
// Method: three of them in this process over the loopback transport; the sanitizers watch the
// threads.
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "server_fixture.hpp"

namespace kvstore::test {
namespace {

struct Trio {
  TestServer a{"a"};
  TestServer b{"b"};
  TestServer c{"c"};
  std::vector<TestServer*> all{&a, &b, &c};

  void bootstrap() {
    a.options.bootstrap = true;
    REQUIRE(a.start().is_ok());
    REQUIRE(a.put("first", "1", 20'000).wait().status == KVS_OK);
  }
  void join(TestServer& node) {
    REQUIRE(node.start().is_ok());
    nlohmann::json arguments{{"node_id", node.name()},
                             {"address", node.server().raft_address()},
                             {"timeout_ms", 40'000}};
    Answer added = a.control("cluster.add", arguments.dump(), 60'000).wait();
    REQUIRE(added.status == KVS_OK);
    CHECK(nlohmann::json::parse(added.json)["state"] == "voter");
  }
  static nlohmann::json status(TestServer& node) {
    return nlohmann::json::parse(node.control("cluster.status", "{}", 20'000).wait().json);
  }
};

TEST_CASE_FIXTURE(Trio, "three servers replicate, and any of them takes any request") {
  bootstrap();
  join(b);
  join(c);
  std::vector<Pending> writes;
  for (int i = 0; i < 300; ++i) {
    writes.push_back(all[static_cast<size_t>(i) % 3]->put("k" + std::to_string(i), "v", 30'000));
  }
  for (Pending& write : writes) {
    Answer answer = write.wait();
    CHECK(answer.status == KVS_OK);
    CHECK(answer.committed == KVS_COMMITTED_YES);
  }
  for (TestServer* node : all) {
    CHECK(node->get("first") == "1");
    CHECK(node->get("k299") == "v");
  }
  Answer hint = b.put("k", "v", 20'000, KVS_CALL_NO_FORWARD).wait();
  if (hint.status == KVS_E_NOT_LEADER) CHECK(hint.leader_api_address.rfind("fake:", 0) == 0);
  CHECK(status(c)["members"].size() == 3);
}

TEST_CASE_FIXTURE(Trio, "the states of all members are compared while writes go on") {
  bootstrap();
  join(b);
  join(c);
  std::vector<Pending> writes;
  for (int i = 0; i < 200; ++i) {
    writes.push_back(a.put("k" + std::to_string(i), "v", 30'000));
    if (i != 100) continue;
    Answer answer = b.control("admin.hash", "{}", 30'000).wait();
    REQUIRE(answer.status == KVS_OK);
    nlohmann::json document = nlohmann::json::parse(answer.json);
    CHECK(document["agree"] == true);
    CHECK(document["complete"] == true);
    REQUIRE(document["members"].size() == 3);
    CHECK(document["members"][0]["hash"] == document["members"][2]["hash"]);
    CHECK(document["members"][0]["pairs"].get<uint64_t>() > 1);
  }
  for (Pending& write : writes) CHECK(write.wait().status == KVS_OK);
  // A member that does not answer is named.
  c.stop();
  REQUIRE(b.put("after", "1", 30'000).wait().status == KVS_OK);
  Answer answer = b.control("admin.hash", "{}", 5'000).wait();
  REQUIRE(answer.status == KVS_OK);
  nlohmann::json document = nlohmann::json::parse(answer.json);
  CHECK(document["agree"] == true);
  CHECK(document["complete"] == false);
  CHECK(document["members"][2].contains("error"));
}

TEST_CASE_FIXTURE(Trio, "an empty joiner of an old cluster installs a snapshot") {
  for (TestServer* node : all) {
    node->options.node.trailing_entries = 5;
    node->options.node.sync_interval_ms = 20;
  }
  bootstrap();
  for (int i = 0; i < 100; ++i) {
    REQUIRE(a.put("k" + std::to_string(i), std::to_string(i), 20'000).wait().status == KVS_OK);
  }
  kvs_upload* upload = nullptr;
  REQUIRE(a.open_upload(3 << 20, &upload) == KVS_OK);
  std::string chunk(1 << 20, 'b');
  for (int i = 0; i < 3; ++i) REQUIRE(a.write_chunk(upload, chunk).wait().status == KVS_OK);
  REQUIRE(a.put_upload("big", upload).wait().status == KVS_OK);
  a.engine()->upload_close(upload);
  REQUIRE(eventually([&] { return status(a)["first_index"].get<uint64_t>() > 50; }));
  join(b);
  CHECK(status(b)["first_index"].get<uint64_t>() > 50);
  CHECK(b.get("k99") == "99");
  CHECK(b.get("big") == chunk + chunk + chunk);
}

TEST_CASE_FIXTURE(Trio, "a stopping leader hands over, and the rest serve on") {
  bootstrap();
  join(b);
  join(c);
  REQUIRE(a.control("cluster.transfer", R"({"node_id":"a"})", 20'000).wait().status == KVS_OK);
  std::vector<Pending> writes;
  for (int i = 0; i < 50; ++i) writes.push_back(b.put("k" + std::to_string(i), "v", 30'000));
  a.stop();
  for (Pending& write : writes) {
    Answer answer = write.wait();
    bool known = answer.status == KVS_OK || answer.status == KVS_E_INDETERMINATE;
    CHECK(known);
  }
  CHECK(b.put("after", "1", 30'000).wait().status == KVS_OK);
  CHECK(c.get("after") == "1");
}

TEST_CASE_FIXTURE(Trio, "a server that cannot start says why and leaves nothing behind") {
  a.options.bind_address = "0.0.0.0:0";
  CHECK(a.start().code() == Code::kInvalid);
  a.options.bind_address = "a:0";
  a.options.bootstrap = true;
  REQUIRE(a.start().is_ok());
  // Its directory is taken, and a second bootstrap beside it is refused.
  b.options.data_dir = a.options.data_dir;
  CHECK(b.start().code() == Code::kBusy);
  b.stop();
  b.options.data_dir += "-b";
  b.options.bootstrap = true;
  b.options.node.peers = {a.server().raft_address()};
  b.options.bootstrap_wait_ms = 60'000;
  Status refused = b.start();
  CHECK(refused.code() == Code::kConflict);
  CHECK(refused.message().find("--bootstrap") != std::string::npos);
  a.stop();
  // The stores of the memory plugin do not outlive it: the directory knows, and does not start
  // anew.
  CHECK_FALSE(a.start().is_ok());
  a.options.name = "other";
  CHECK(a.start().code() == Code::kInvalid);
}

}  // namespace
}  // namespace kvstore::test
