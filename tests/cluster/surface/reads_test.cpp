// Goal: reads that a client asks for by name are answered, or refused with the reason, by real
// nodes. Method: leases are on; a follower is asked with and without its leader.
#include <doctest/doctest.h>

#include "support/cluster.hpp"

namespace kvstore::test {
namespace {

std::string get(const Node& node, const std::string& query) {
  const HttpAnswer answer = node.http("GET", "/api/v1/kv/k?raw=true&" + query);
  return answer.status == 200 ? answer.body
                              : std::to_string(answer.status) + " " + answer.body.substr(0, 60);
}

double metric(const Node& node, const std::string& name) {
  const std::string text = node.http("GET", "/metrics").body;
  const size_t at = text.find("\n" + name + " ");
  return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
}

}  // namespace

TEST_CASE("reads-by-name") {
  Cluster cluster("reads-by-name");
  for (int i = 0; i < 3; ++i) {
    Node& node = cluster.make_node();
    node.set("raft.lease_reads=true");
  }
  cluster.boot();
  cluster.put("k", "v");
  Node& leader = cluster.leader();
  for (size_t i = 0; i < cluster.size(); ++i) {
    Node& node = cluster[i];
    CAPTURE(node.name());
    cluster.wait_until("a fresh state",
                       [&] { return get(node, "consistency=stale&max_staleness=5s") == "v"; });
    CHECK(get(node, "consistency=lease") == "v");
    CHECK(get(node, "consistency=linearizable&min_revision=1") == "v");
    const HttpAnswer never =
        node.http("GET", "/api/v1/kv/k?min_revision=1000&consistency=stale&timeout=200ms");
    CHECK(never.status == 503);
    CHECK(contains(never.body, "revision_not_reached"));
  }
  cluster.wait_until("a lease", [&] { return metric(leader, "kvstore_raft_lease_held") == 1; });

  Node& follower = &cluster[0] == &leader ? cluster[1] : cluster[0];
  for (size_t i = 0; i < cluster.size(); ++i) {
    if (&cluster[i] != &follower) cluster[i].kill();
  }
  cluster.wait_until("an old state", [&] {
    return contains(get(follower, "consistency=stale&max_staleness=2s"), "too_stale");
  });
  CHECK(get(follower, "consistency=stale") == "v");
  CHECK(get(follower, "consistency=stale&max_staleness=10m") == "v");
  CHECK(get(follower, "consistency=lease&timeout=300ms").rfind("503", 0) == 0);
}

}  // namespace kvstore::test
