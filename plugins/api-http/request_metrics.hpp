// Counts and latencies of requests, given to the host's metrics.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include <kvstore/sdk/host.hpp>

#include "router.hpp"

namespace kvstore::http {

// kvstore_http_requests_total{api,route,code="2xx"} and
// kvstore_http_request_seconds{api,route}, from the end of the header to the last byte of the
// answer.  Without the host's metrics extension nothing is counted.  [any-thread]
class RequestMetrics {
 public:
  RequestMetrics(const sdk::Host& host, const Router& router, std::string_view instance_name);
  // route NULL: a request that no route took.
  void count(const Route* route, int http_status, uint64_t elapsed_ns);

 private:
  struct Series {
    std::array<uint64_t, 4> requests{};  // 2xx .. 5xx
    uint64_t seconds = 0;
  };
  Series make_series(std::string_view route, std::string_view instance_name) const;

  const kvs_metrics* metrics_;
  std::map<std::string_view, Series> by_name_;
  std::map<const Route*, const Series*> by_route_;
};

}  // namespace kvstore::http
