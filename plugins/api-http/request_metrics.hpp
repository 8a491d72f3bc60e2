// Counts and latencies of requests, given to the host's metrics.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include <kvstore/sdk/host.hpp>

#include "router.hpp"

namespace kvstore::http {

// kvstore_http_requests_total{api,route,code="200"} and
// kvstore_http_request_seconds{api,route}, from the end of the header to the last byte of the
// answer; kvstore_http_errors_total{api,error="not_leader"}.  A status or an error has a series
// once it was answered.  Of requests that wait without a
// thread: kvstore_http_parked_requests{api}, its bound ..._limit, and kvstore_http_parked_total.
// Without the host's metrics extension nothing is counted.  [any-thread]
class RequestMetrics {
 public:
  RequestMetrics(const sdk::Host& host, const Router& router, std::string_view instance_name,
                 uint64_t parked_max);
  // route NULL: a request that no route took.  error_code: the answer's, empty when it is no error.
  void count(const Route* route, int http_status, const std::string& error_code,
             uint64_t elapsed_ns);
  // A request begins to wait without a thread, and ends to.
  void parked();
  void unparked();

 private:
  static constexpr int kStatusMin = 200, kStatusMax = 599;
  struct Series {
    std::string labels;
    std::array<std::atomic<uint64_t>, kStatusMax - kStatusMin + 1> requests{};  // 0: not made yet
    uint64_t seconds = 0;
  };
  void make_parked_series(const std::string& instance_name, uint64_t parked_max);
  void make_series(std::string_view route, const std::string& instance_name, Series* series) const;
  void count_error(const std::string& code);
  uint64_t requests_of(Series& series, int http_status);

  const kvs_metrics* metrics_;
  uint64_t parked_now_ = 0, parked_total_ = 0;  // handles
  std::map<std::string_view, Series> by_name_;
  std::map<const Route*, Series*> by_route_;
  std::string instance_;                    // as a label's value
  std::map<std::string, uint64_t> errors_;  // by code
  std::mutex mutex_;                        // of errors_, and while a series is made
};

}  // namespace kvstore::http
