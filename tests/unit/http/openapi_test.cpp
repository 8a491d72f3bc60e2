// Goal: the API's description names every route with its method and nothing else.
// Method: the document's paths are compared with the router's; whatever stands on one side alone is
// named.  What the parameters do is compared with a running server in
// tests/cluster/openapi_test.cpp.
#include "openapi.hpp"

#include <algorithm>
#include <set>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "handlers/routes.hpp"

namespace kvstore::http {
namespace {

using nlohmann::json;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

// "GET /api/v1/kv/*" of each route.
std::set<std::string> routed() {
  std::set<std::string> out;
  const Router router = all_routes();
  for (const Route& route : router.routes())
    out.insert(lower(method_name(route.method)) + " " + std::string(route.pattern));
  return out;
}

// "/a/{b}" as "/a/*", and "/a/{b}/c" too: a route is open from its first parameter on.
std::string as_pattern(const std::string& path) {
  const size_t open = path.find('{');
  return open == std::string::npos ? path : path.substr(0, open) + "*";
}

std::set<std::string> documented(const json& document) {
  std::set<std::string> out;
  for (const auto& [path, item] : document["paths"].items()) {
    for (const auto& [method, operation] : item.items()) {
      if (method == "parameters") continue;
      out.insert(method + " " + as_pattern(path));
    }
  }
  return out;
}

std::string missing(const std::set<std::string>& in, const std::set<std::string>& from) {
  std::string out;
  for (const std::string& one : from) {
    if (in.count(one) == 0) out += one + "\n";
  }
  return out;
}

TEST_CASE("every route is described, and everything described is a route") {
  const json document = json::parse(openapi_document());
  CHECK(missing(documented(document), routed()) == "");
  CHECK(missing(routed(), documented(document)) == "");
  CHECK(documented(document).size() > 15);
}

TEST_CASE("every operation has its own id, a summary, answers and known references") {
  const json document = json::parse(openapi_document());
  std::set<std::string> ids;
  for (const auto& [path, item] : document["paths"].items()) {
    for (const auto& [method, operation] : item.items()) {
      if (method == "parameters") continue;
      CAPTURE(path);
      CHECK(ids.insert(operation["operationId"]).second);
      CHECK_FALSE(operation["summary"].get<std::string>().empty());
      CHECK(operation["responses"].contains("200"));
      CHECK(operation["responses"].contains("400"));
    }
  }
  const std::string text = document.dump();
  for (size_t at = 0; (at = text.find("\"$ref\":\"#", at)) != std::string::npos; ++at) {
    const size_t begin = at + std::string("\"$ref\":\"#").size();
    const std::string pointer = text.substr(begin, text.find('"', begin) - begin);
    CAPTURE(pointer);
    CHECK(document.contains(json::json_pointer(pointer)));
  }
}

}  // namespace
}  // namespace kvstore::http
