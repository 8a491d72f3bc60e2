// The requests of a load test, as bytes ready to send.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "config.hpp"
#include "keys.hpp"

namespace kvstore::bench {

struct Request {
  Operation operation = Operation::kGet;
  std::string head;       // up to the empty line; a batch is whole here
  std::string_view body;  // of the workload; empty: none
};

class Workload {
 public:
  explicit Workload(const Config& config);

  // Replaces `out` by the next request, addressed to `host` ("127.0.0.1:8081").
  void next(const std::string& host, Request* out);

  // "bench/000000000042", so that the order of bytes is that of the indexes.
  std::string key(uint64_t index) const;

 private:
  Operation choose_operation();
  std::string_view choose_value();
  std::string batch_body();
  // The header that makes a write one that takes effect once, if the test is to have it.
  void append_request_id(std::string* headers);

  const Config config_;
  Random random_;
  std::mt19937_64 ids_;  // not from the seed: a further test must not repeat the requests of this
  KeyChooser chooser_;
  std::string encoded_prefix_, read_query_;
  std::string value_;
};

}  // namespace kvstore::bench
