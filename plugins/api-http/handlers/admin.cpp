// Maintenance.
#include "context.hpp"
#include "handlers/json_body.hpp"
#include "handlers/kv_common.hpp"
#include "handlers/routes.hpp"

namespace kvstore::http {
namespace {

// Every member reads its whole state.
constexpr uint64_t kDefaultHashMs = 60'000;

void handle_hash(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {});
  const uint64_t timeout_ms = params.duration_ms("timeout").value_or(kDefaultHashMs);
  context.engine->control(
      exchange, make_call(context, request, params, timeout_ms), "admin.hash", "{}",
      [exchange](const kvs_result& result) { exchange->respond(document_response(result)); });
}

// Gives up history: {"revision": N}.
void handle_compact(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {});
  const nlohmann::json document = parse_document(request, {"revision"});
  const auto revision = document.find("revision");
  if (revision == document.end()) throw bad_request("revision: missing");
  if (!revision->is_number_unsigned() || *revision == 0) {
    throw bad_request("revision: must be a positive integer");
  }
  context.engine->control(
      exchange, make_call(context, request, params), "admin.compact", document.dump(),
      [exchange](const kvs_result& result) { exchange->respond(document_response(result)); });
}

}  // namespace

void add_admin_routes(Router* router) {
  Route compact{Method::kPost, "/api/v1/admin/compact", RouteClass::kWaiting, "admin_compact",
                handle_compact};
  compact.body_bytes_max = kDocumentBytesMax;
  compact.check_head = check_is_json;
  router->add(compact);
  router->add(
      {Method::kGet, "/api/v1/admin/hash", RouteClass::kWaiting, "admin_hash", handle_hash});
}

}  // namespace kvstore::http
