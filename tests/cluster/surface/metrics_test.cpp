// Goal: the table of metrics in the documentation is what nodes export.
// Method: three nodes work for a moment; the families that all of them show, with their types, are
// compared with the table, in both directions.
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>

#include <doctest/doctest.h>

#include "support/cluster.hpp"

namespace kvstore::test {
namespace {

std::set<std::string> matches(const std::string& text, const char* pattern) {
  std::set<std::string> found;
  const std::regex regex(pattern);
  for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it)
    found.insert((*it)[1].str() + " " + (*it)[2].str());
  return found;
}

std::set<std::string> documented() {
  std::ifstream in(std::string(KVS_SOURCE_DIR) + "/host/METRICS.md");
  REQUIRE(in.good());
  std::ostringstream text;
  text << in.rdbuf();
  return matches(text.str(), R"(\n\| `([a-z_]+)` \| (gauge|counter|histogram) \|)");
}

std::string only_in(const std::set<std::string>& a, const std::set<std::string>& b) {
  std::string out;
  for (const std::string& one : a) {
    if (b.count(one) == 0) out += one + "\n";
  }
  return out;
}

}  // namespace

TEST_CASE("metrics-are-documented") {
  Cluster cluster("metrics");
  cluster.boot(3);
  for (int i = 0; i < 20; ++i) cluster.put("k" + std::to_string(i), "v");
  (void)cluster[0].http("GET", "/api/v1/kv/nothing");
  std::set<std::string> exported;
  for (size_t i = 0; i < cluster.size(); ++i) {
    const std::string text = cluster[i].http("GET", "/metrics").body;
    exported.merge(matches(text, R"(# TYPE ([a-z_]+) ([a-z]+)\n)"));
    CHECK(contains(text, R"(kvstore_http_requests_total{api="api-http",code="200",route=)"));
  }
  CHECK(only_in(exported, documented()) == "");
  CHECK(only_in(documented(), exported) == "");
  const std::string asked = cluster[0].http("GET", "/metrics").body;
  CHECK(contains(asked, R"(kvstore_http_errors_total{api="api-http",error="not_found"} 1)"));
  CHECK(contains(asked, R"(kvstore_http_requests_open{api="api-http",class="data"} 0)"));
  CHECK(contains(asked, R"(kvstore_http_connections{api="api-http"} )"));
  cluster.wait_until("the size of the log", [&] {
    const std::regex size(R"(kvstore_storage_bytes\{part="log"\} [1-9])");
    return std::regex_search(cluster[0].http("GET", "/metrics").body, size);
  });
  // What the leader knows of its peers, by their names.
  const std::string text = cluster.leader().http("GET", "/metrics").body;
  CHECK(contains(text, R"(node_id="node)"));
  cluster.wait_until("the leader shows both peers", [&] {
    const std::string now = cluster.leader().http("GET", "/metrics").body;
    const std::regex active(R"(kvstore_peer_active\{[^}]*\} 1\n)");
    return std::distance(std::sregex_iterator(now.begin(), now.end(), active),
                         std::sregex_iterator()) == 2;
  });
}

}  // namespace kvstore::test
