#include "plugin/checked_api.hpp"

namespace kvstore::plugin {

kvs_status open_api(const kvs_api_api* table, const kvs_host* host, const kvs_api_options& options,
                    const ProxyOptions&, OpenedApi* out, kvs_error* err) {
  out->table = table;
  return table->open(host, &options, &out->api, err);
}

}  // namespace kvstore::plugin
