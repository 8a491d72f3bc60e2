// Maintenance.
#include "context.hpp"
#include "handlers/kv_common.hpp"
#include "handlers/routes.hpp"

namespace kvstore::http {
namespace {

// Every member reads its whole state.
constexpr uint64_t kDefaultHashMs = 60'000;

void handle_hash(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {});
  context.engine->control(
      exchange, make_call(context, request, params, kDefaultHashMs), "admin.hash", "{}",
      [exchange](const kvs_result& result) { exchange->respond(document_response(result)); });
}

}  // namespace

void add_admin_routes(Router* router) {
  router->add(
      {Method::kGet, "/api/v1/admin/hash", RouteClass::kWaiting, "admin_hash", handle_hash});
}

}  // namespace kvstore::http
