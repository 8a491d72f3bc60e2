// Every resource of the API adds its routes by one function; all of them are called in
// all_routes().  A new route is one more file with its own add_..._routes.
#pragma once

#include "router.hpp"

namespace kvstore::http {

void add_kv_read_routes(Router* router);
void add_kv_write_routes(Router* router);
void add_kv_list_routes(Router* router);
void add_watch_routes(Router* router);
void add_lease_routes(Router* router);
void add_kv_range_routes(Router* router);
void add_txn_routes(Router* router);
void add_batch_routes(Router* router);
void add_cluster_routes(Router* router);
void add_health_routes(Router* router);
void add_metrics_routes(Router* router);
void add_admin_routes(Router* router);
void add_snapshot_routes(Router* router);
void add_openapi_routes(Router* router);

Router all_routes();

}  // namespace kvstore::http
