// Goal: schema, C++ defaults, README table and examples of config/ say the same.
// Method: the files themselves are read and compared key by key.
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "host/config.hpp"

using namespace kvstore;
using Json = nlohmann::json;

namespace {

const std::string kDir = KVS_CONFIG_DIR;

std::string read(const std::string& name) {
  std::ifstream in(kDir + '/' + name);
  REQUIRE(in);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// Key, with "." and "[]", to its schema.
void flatten(const Json& properties, const std::string& prefix, std::map<std::string, Json>* out) {
  for (const auto& [key, schema] : properties.items()) {
    if (schema.contains("properties")) {
      flatten(schema["properties"], prefix + key + '.', out);
      continue;
    }
    (*out)[prefix + key] = schema;
    if (schema.contains("items") && schema["items"].contains("properties")) {
      flatten(schema["items"]["properties"], prefix + key + "[].", out);
    }
  }
}

std::map<std::string, Json> schema_keys() {
  std::map<std::string, Json> keys;
  flatten(Json::parse(read("schema.json"))["properties"], "", &keys);
  return keys;
}

struct Row {
  std::string type, fallback, range, meaning;
};

std::string trim(std::string s) {
  s.erase(0, s.find_first_not_of(" `"));
  s.erase(s.find_last_not_of(" `") + 1);
  return s;
}

// The rows of the table of keys.
std::map<std::string, Row> readme_rows() {
  std::istringstream text(read("README.md"));
  std::map<std::string, Row> rows;
  bool in_table = false;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with("| key | type |")) in_table = true;
    if (!in_table || !line.starts_with("| `")) continue;
    std::istringstream cells(line.substr(1));
    std::vector<std::string> cell;
    for (std::string one; std::getline(cells, one, '|');) cell.push_back(trim(one));
    REQUIRE(cell.size() >= 5);
    rows[cell[0]] = {cell[1], cell[2], cell[3], cell[4]};
  }
  return rows;
}

}  // namespace

TEST_CASE("the embedded schema is the published one") {
  CHECK(Json::parse(host::config_schema()) == Json::parse(read("schema.json")));
}

TEST_CASE("the README describes every key of the schema as it is, and no other") {
  std::map<std::string, Row> rows = readme_rows();
  for (const auto& [key, schema] : schema_keys()) {
    CAPTURE(key);
    REQUIRE(rows.count(key) == 1);
    const Row& row = rows[key];
    CHECK(row.type == schema["type"].get<std::string>());
    CHECK(row.meaning == schema["description"].get<std::string>());
    if (schema.contains("default")) {
      CHECK(Json::parse(row.fallback) == schema["default"]);
    } else {
      CHECK(row.fallback.empty());
    }
    if (schema.contains("minimum")) {
      CHECK(row.range == schema["minimum"].dump() + ".." + schema["maximum"].dump());
    }
    rows.erase(key);
  }
  for (const auto& [key, unused] : rows) FAIL_CHECK("README has a key that is none: " << key);
}

TEST_CASE("the defaults of the schema are those of the program") {
  Json actual = Json::parse(host::to_json(host::Config()));
  for (const auto& [key, schema] : schema_keys()) {
    if (!schema.contains("default")) continue;
    if (key.find("[]") != key.npos || key.starts_with("storage.")) continue;
    CAPTURE(key);
    std::string pointer = '/' + key;
    for (char& c : pointer) c = c == '.' ? '/' : c;
    const Json& value = actual.at(Json::json_pointer(pointer));
    if (key == "apis") {
      REQUIRE(value.size() == schema["default"].size());
      CHECK(value[0]["plugin"] == schema["default"][0]["plugin"]);
      CHECK(value[0]["listen"] == schema["default"][0]["listen"]);
    } else {
      CHECK(value == schema["default"]);
    }
  }
}

TEST_CASE("what --print-config shows can be read back and is the same") {
  host::ConfigBuilder builder;
  REQUIRE(builder.add_file(kDir + "/mixed-engine.json"));
  std::string printed = host::to_json(builder.finish("/opt/bin").value());
  host::ConfigBuilder again;
  Status status = again.add_text("printed", printed);
  INFO(status.to_string());
  REQUIRE(status);
  CHECK(host::to_json(again.finish("/elsewhere/bin").value()) == printed);
  // Every key of the schema is in it, but for the shorthand.
  Json shown = Json::parse(printed);
  for (const auto& [key, unused] : schema_keys()) {
    if (key.find("[]") != key.npos || key.starts_with("storage.")) continue;
    CAPTURE(key);
    std::string pointer = '/' + key;
    for (char& c : pointer) c = c == '.' ? '/' : c;
    CHECK(shown.contains(Json::json_pointer(pointer)));
  }
}

TEST_CASE("the examples are valid") {
  for (const char* name :
       {"single.json", "node1.json", "node2.json", "node3.json", "mixed-engine.json"}) {
    CAPTURE(name);
    host::ConfigBuilder builder;
    Status status = builder.add_file(kDir + '/' + name);
    INFO(status.to_string());
    REQUIRE(status);
    Result<host::Config> config = builder.finish("/opt/bin");
    REQUIRE(config);
    CHECK(config->warnings.empty());
  }
}
