// Goal: every path and method finds its route, or is told what would.
// Method: the real route table.
#include "router.hpp"

#include <doctest/doctest.h>

#include "handlers/routes.hpp"

using namespace kvstore::http;

TEST_CASE("routes of the API") {
  const Router router = all_routes();
  const auto name = [&](Method method, std::string_view path) -> std::string {
    const Router::Match match = router.match(method, path);
    return match.route == nullptr ? "-" : std::string(match.route->name);
  };
  CHECK(name(Method::kPut, "/api/v1/kv/k") == "kv_put");
  CHECK(name(Method::kGet, "/api/v1/kv/k") == "kv_get");
  CHECK(name(Method::kHead, "/api/v1/kv/k") == "kv_get");
  CHECK(name(Method::kDelete, "/api/v1/kv/a/b") == "kv_delete");
  CHECK(name(Method::kGet, "/api/v1/kv") == "kv_list");
  CHECK(name(Method::kGet, "/api/v1/kv/") == "kv_get");
  CHECK(name(Method::kPost, "/api/v1/cluster/nodes") == "cluster_add");
  CHECK(name(Method::kDelete, "/api/v1/cluster/nodes/n") == "cluster_remove");
  CHECK(name(Method::kPost, "/api/v1/cluster/leader") == "cluster_transfer");
  CHECK(name(Method::kGet, "/api/v1/cluster/status") == "cluster_status");
  for (const char* path : {"/health", "/api/v1/health"}) {
    CHECK(name(Method::kGet, path) == "health");
  }
  CHECK(name(Method::kGet, "/readyz") == "readyz");
  CHECK(name(Method::kGet, "/livez") == "livez");
  CHECK(name(Method::kGet, "/metrics") == "metrics");
  CHECK(name(Method::kGet, "/api/v1/metrics") == "metrics");
  CHECK(name(Method::kGet, "/api/v1/kvx") == "-");
  CHECK(name(Method::kOther, "/api/v1/kv") == "-");
}

TEST_CASE("the tail is what the pattern leaves open, untouched") {
  const Router router = all_routes();
  CHECK(router.match(Method::kPut, "/api/v1/kv/a%2F//../b").tail == "a%2F//../b");
  CHECK(router.match(Method::kPut, "/api/v1/kv/").tail == "");
}

TEST_CASE("a known path with another method is told which ones it has") {
  const Router router = all_routes();
  CHECK(router.match(Method::kPost, "/api/v1/kv/k").allow == "PUT, DELETE, GET, HEAD");
  CHECK(router.match(Method::kDelete, "/health").allow == "GET, HEAD");
  CHECK(router.match(Method::kGet, "/nothing").allow.empty());
}
