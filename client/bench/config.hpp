// What a load test does, as data.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <kvstore/client/types.hpp>

#include "lib/endpoint.hpp"

namespace kvstore::bench {

enum class Operation : uint8_t { kPut, kGet, kDelete, kList };
inline constexpr size_t kOperationCount = 4;
inline constexpr std::array<const char*, kOperationCount> kOperationNames = {"put", "get", "delete",
                                                                             "list"};

// Which of the keys the next operation takes.
enum class Distribution : uint8_t { kSequential, kUniform, kZipfian };

struct Config {
  std::vector<client::Endpoint> servers;  // at least one; connections are dealt out in turn
  size_t connections = 16;                // 1..10,000, each with at most one request under way
  double rate = 0;                        // requests a second, evenly spaced; 0: closed loop
  std::chrono::nanoseconds warmup{0};     // at the beginning, not measured
  std::chrono::nanoseconds duration{0};   // measured; unused with `count`
  uint64_t count = 0;                     // measured requests; 0: by duration
  std::chrono::nanoseconds timeout{0};    // of one request, and of connecting

  std::string prefix = "bench/";
  uint64_t keys = 10'000;  // 1..1,000,000,000 different ones
  Distribution distribution = Distribution::kUniform;
  double theta = 0.99;  // skew of kZipfian, above 0, at most 10
  uint64_t value_bytes_min = 256, value_bytes_max = 256;
  std::array<uint32_t, kOperationCount> percent{0, 100, 0, 0};  // by Operation; 100 together
  uint64_t batch = 1;         // puts of one request, at most `keys`; above 1 they go to /batch
  uint64_t list_limit = 100;  // keys of one list
  client::Consistency consistency = client::Consistency::kLinearizable;
  bool request_ids = false;  // puts, deletes and batches carry a random Idempotency-Key
  uint64_t seed = 1;
};

}  // namespace kvstore::bench
