// Leases: JSON in, one control verb, JSON out.
#include <nlohmann/json.hpp>

#include "context.hpp"
#include "handlers/json_body.hpp"
#include "handlers/kv_common.hpp"
#include "handlers/routes.hpp"
#include "text/scalar.hpp"

namespace kvstore::http {
namespace {

using nlohmann::json;

constexpr std::string_view kKeepAlive = "/keepalive";
constexpr uint64_t kListMax = 1000;

void call_verb(Context& context, const Request& request, const Params& params,
               const ExchangePtr& exchange, const char* verb, const json& document) {
  context.engine->control(
      exchange, make_call(context, request, params), verb, document.dump(),
      [exchange](const kvs_result& result) { exchange->respond(document_response(result)); });
}

json id_document(std::string_view text) {
  const auto id = parse_unsigned(text);
  if (!id || *id == 0 || *id > kLeaseIdMax) {
    throw bad_request("the lease id in the path must be in 1.." + std::to_string(kLeaseIdMax));
  }
  return {{"id", *id}};
}

// {"ttl": "10s", "id"?: 7}
void handle_grant(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {});
  const json document = parse_document(request, {"ttl", "id"});
  const auto ttl = document.find("ttl");
  if (ttl == document.end()) throw bad_request("ttl: missing");
  json command = {{"ttl_ms", duration_field_ms(*ttl, "ttl")}};
  if (const auto id = document.find("id"); id != document.end()) {
    command["id"] = lease_field(*id, "id");
  }
  call_verb(context, request, params, exchange, "lease.grant", command);
}

// The only thing to post below a lease.
void handle_keep_alive(Context& context, const Request& request, const ExchangePtr& exchange) {
  if (!request.tail.ends_with(kKeepAlive)) {
    throw ApiError(404, "unknown_route", "only /leases/{id}/keepalive takes POST");
  }
  const Params params(request.query, {});
  const auto id = request.tail.substr(0, request.tail.size() - kKeepAlive.size());
  call_verb(context, request, params, exchange, "lease.keepalive", id_document(id));
}

void handle_get(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {});
  call_verb(context, request, params, exchange, "lease.get", id_document(request.tail));
}

void handle_list(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {"limit", "after"});
  const uint64_t limit = params.unsigned_integer("limit").value_or(kListMax);
  if (limit == 0 || limit > kListMax) {
    throw bad_request("parameter \"limit\" must be in 1.." + std::to_string(kListMax));
  }
  call_verb(context, request, params, exchange, "lease.list",
            {{"limit", limit}, {"after", params.unsigned_integer("after").value_or(0)}});
}

void handle_revoke(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {});
  call_verb(context, request, params, exchange, "lease.revoke", id_document(request.tail));
}

}  // namespace

void add_lease_routes(Router* router) {
  Route grant{Method::kPost, "/api/v1/leases", RouteClass::kData, "lease_grant", handle_grant};
  grant.body_bytes_max = kDocumentBytesMax;
  grant.check_head = check_is_json;
  router->add(grant);
  router->add({Method::kGet, "/api/v1/leases", RouteClass::kData, "lease_list", handle_list});
  router->add(
      {Method::kPost, "/api/v1/leases/*", RouteClass::kData, "lease_keepalive", handle_keep_alive});
  router->add({Method::kGet, "/api/v1/leases/*", RouteClass::kData, "lease_get", handle_get});
  router->add(
      {Method::kDelete, "/api/v1/leases/*", RouteClass::kData, "lease_revoke", handle_revoke});
}

}  // namespace kvstore::http
