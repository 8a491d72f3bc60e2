#include "plugin/checked_log.hpp"

namespace kvstore::plugin {

kvs_status open_log(const kvs_log_api* table, const kvs_host* host,
                    const kvs_storage_options& options, const ProxyOptions&, OpenedLog* out,
                    kvs_error* err) {
  out->table = table;
  return table->open(host, &options, &out->log, err);
}

}  // namespace kvstore::plugin
