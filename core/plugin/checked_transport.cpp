#include "plugin/checked_transport.hpp"

namespace kvstore::plugin {

kvs_status open_transport(const kvs_transport_api* table, const kvs_host* host,
                          const kvs_transport_options& options, const ProxyOptions&,
                          OpenedTransport* out, kvs_error* err) {
  out->table = table;
  return table->open(host, &options, &out->transport, err);
}

}  // namespace kvstore::plugin
