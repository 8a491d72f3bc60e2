#include "results.hpp"

namespace kvstore::bench {

Histogram Results::total() const {
  Histogram all;
  for (const OperationResult& operation : operations) all.merge(operation.latency);
  return all;
}

uint64_t Results::answered() const {
  uint64_t count = 0;
  for (const OperationResult& operation : operations) count += operation.latency.count();
  return count;
}

uint64_t Results::error_count() const {
  uint64_t count = 0;
  for (const auto& [kind, errors_of_kind] : errors) count += errors_of_kind;
  return count;
}

double Results::error_share() const {
  const auto failed = static_cast<double>(error_count());
  return failed == 0 ? 0 : failed / (failed + static_cast<double>(answered()));
}

}  // namespace kvstore::bench
