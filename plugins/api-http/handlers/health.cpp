// Health: whether this node can serve, and whether it lives at all.
#include "context.hpp"
#include "handlers/kv_common.hpp"
#include "handlers/routes.hpp"

namespace kvstore::http {
namespace {

// The verb's document goes out whether the node is healthy or not: its reasons are the answer.
void answer_health(const ExchangePtr& exchange, const kvs_result& result) {
  if (result.status != KVS_OK && result.json.len == 0) throw error_from_result(result);
  Response response;
  describe(result, &response);
  response.body.assign(sdk::view(result.json)).push_back('\n');
  if (result.status != KVS_OK) {
    const ApiError error = error_from_result(result);
    response.status = error.http_status;
    if (error.retry_after_s != 0) {
      response.set_header("Retry-After", std::to_string(error.retry_after_s));
    }
  }
  exchange->respond(std::move(response));
}

void handle_health(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {});
  context.engine->control_any(
      exchange, make_call(context, request, params), "health", "{}",
      [exchange](const kvs_result& result) { answer_health(exchange, result); });
}

// Says only that this process answers.
void handle_live(Context&, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {});
  Response response;
  response.body = "{\"status\":\"ok\"}\n";
  exchange->respond(std::move(response));
}

}  // namespace

void add_health_routes(Router* router) {
  for (const std::string_view path : {"/health", "/api/v1/health", "/readyz", "/api/v1/readyz"}) {
    router->add({Method::kGet, path, RouteClass::kProbe, "health", handle_health});
  }
  for (const std::string_view path : {"/livez", "/api/v1/livez"}) {
    router->add({Method::kGet, path, RouteClass::kProbe, "livez", handle_live});
  }
}

}  // namespace kvstore::http
