#include "plugin/checked_state.hpp"

namespace kvstore::plugin {

kvs_status open_state(const kvs_state_api* table, const kvs_host* host,
                      const kvs_storage_options& options, const ProxyOptions&, OpenedState* out,
                      kvs_error* err) {
  out->table = table;
  return table->open(host, &options, &out->state, err);
}

}  // namespace kvstore::plugin
