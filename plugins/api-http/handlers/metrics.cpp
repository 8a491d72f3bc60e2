// Metrics in the Prometheus text format, as the host gives them.
#include "context.hpp"
#include "handlers/routes.hpp"

namespace kvstore::http {
namespace {

void handle_metrics(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {});
  // Collecting may take locks and walk many series: not inside the handler.
  exchange->post([&context, exchange] {
    guarded(context.host(), *exchange, [&] {
      Response response;
      response.content_type = "text/plain; version=0.0.4; charset=utf-8";
      response.body = context.engine->metrics();
      exchange->respond(std::move(response));
    });
  });
}

}  // namespace

void add_metrics_routes(Router* router) {
  for (const std::string_view path : {"/metrics", "/api/v1/metrics"}) {
    router->add({Method::kGet, path, RouteClass::kProbe, "metrics", handle_metrics});
  }
}

}  // namespace kvstore::http
