// The API's own description, from the fragments in openapi/.
#include "openapi.hpp"

#include <nlohmann/json.hpp>

#include "context.hpp"
#include "handlers/routes.hpp"

namespace kvstore::http {

// Made by CMake: the texts of openapi/*.json, base.json first.
extern const std::string_view kOpenapiFragments[];
extern const size_t kOpenapiFragmentCount;

namespace {

using nlohmann::ordered_json;

// An operation's id is unique in the document.
void rename_operations(ordered_json* path) {
  for (auto& [name, operation] : path->items()) {
    if (operation.is_object() && operation.contains("operationId"))
      operation["operationId"] = operation["operationId"].get<std::string>() + "AtRoot";
  }
}

void add_paths(const ordered_json& fragment, ordered_json* paths) {
  for (const auto& [name, item] : fragment.at("paths").items()) {
    ordered_json path = item;
    const std::string also_at = path.value("x-kvstore-also-at", "");
    path.erase("x-kvstore-also-at");
    (*paths)[name] = path;
    if (also_at.empty()) continue;
    rename_operations(&path);
    (*paths)[also_at] = std::move(path);
  }
}

std::string build() {
  ordered_json document = ordered_json::parse(kOpenapiFragments[0]);
  for (size_t i = 1; i < kOpenapiFragmentCount; ++i)
    add_paths(ordered_json::parse(kOpenapiFragments[i]), &document["paths"]);
  return document.dump() + "\n";
}

void handle_openapi(Context&, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {});
  Response response;
  response.body = openapi_document();
  exchange->respond(std::move(response));
}

}  // namespace

const std::string& openapi_document() {
  static const std::string document = build();
  return document;
}

void add_openapi_routes(Router* router) {
  router->add(
      {Method::kGet, "/api/v1/openapi.json", RouteClass::kProbe, "openapi", handle_openapi});
}

}  // namespace kvstore::http
