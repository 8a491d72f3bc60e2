// Goal: dashboard and alert rules ask for metrics that exist.
// Method: every name in deploy/ is looked up in the table of host/METRICS.md, which a test over
// real nodes compares with what they export; the dashboard must be JSON.
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

namespace kvstore::tidy {
namespace {

std::string read(const std::string& path) {
  std::ifstream in(std::string(KVS_SOURCE_DIR) + "/" + path);
  REQUIRE(in.good());
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::set<std::string> matches(const std::string& text, const char* pattern) {
  std::set<std::string> found;
  const std::regex regex(pattern);
  for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it)
    found.insert((*it)[1]);
  return found;
}

// Name and type of every row.
std::set<std::string> documented() {
  const std::string table = read("host/METRICS.md");
  std::set<std::string> names = matches(table, R"(\n\| `([a-z_]+)` \| (?:gauge|counter) \|)");
  for (const std::string& name : matches(table, R"(\n\| `([a-z_]+)` \| histogram \|)")) {
    for (const char* suffix : {"_bucket", "_sum", "_count"}) names.insert(name + suffix);
  }
  return names;
}

TEST_CASE("dashboard and alert rules name documented metrics alone") {
  const std::set<std::string> known = documented();
  REQUIRE(known.size() > 40);
  for (const char* file : {"deploy/grafana-dashboard.json", "deploy/alerts.yml"}) {
    const std::string text = read(file);
    const auto used = matches(text, R"(\b((?:kvstore|process)_[a-z_]+))");
    CHECK(used.size() > 10);
    for (const std::string& name : used) {
      CAPTURE(file);
      CAPTURE(name);
      CHECK(known.count(name) == 1);
    }
  }
}

TEST_CASE("the dashboard is JSON whose panels all ask for something and do not overlap in id") {
  const auto dashboard = nlohmann::json::parse(read("deploy/grafana-dashboard.json"));
  std::set<int> ids;
  for (const auto& panel : dashboard["panels"]) {
    CHECK(ids.insert(panel["id"].get<int>()).second);
    if (panel["type"] == "row") continue;
    CHECK_FALSE(panel["targets"].empty());
    for (const auto& target : panel["targets"])
      CHECK(target["expr"].get<std::string>().find("$instance") != std::string::npos);
  }
  CHECK(ids.size() > 20);
}

TEST_CASE("counters end in _total, nothing else does, and units are base units") {
  const std::string table = read("host/METRICS.md");
  for (const std::string& name : matches(table, R"(\n\| `([a-z_]+)` \| counter \|)"))
    CHECK(name.ends_with("_total"));
  for (const std::string& name : matches(table, R"(\n\| `([a-z_]+)` \| (?:gauge|histogram) \|)")) {
    CHECK_FALSE(name.ends_with("_total"));
    CHECK(name.find("_ms") == std::string::npos);
    CHECK(name.find("milli") == std::string::npos);
  }
}

}  // namespace
}  // namespace kvstore::tidy
