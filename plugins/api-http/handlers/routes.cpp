#include "handlers/routes.hpp"

namespace kvstore::http {

Router all_routes() {
  Router router;
  add_kv_write_routes(&router);
  add_kv_read_routes(&router);
  add_kv_list_routes(&router);
  add_watch_routes(&router);
  add_lease_routes(&router);
  add_kv_range_routes(&router);
  add_txn_routes(&router);
  add_batch_routes(&router);
  add_cluster_routes(&router);
  add_health_routes(&router);
  add_metrics_routes(&router);
  add_admin_routes(&router);
  add_snapshot_routes(&router);
  add_openapi_routes(&router);
  return router;
}

}  // namespace kvstore::http
