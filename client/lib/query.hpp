// Queries that several calls make.
#pragma once

#include <string>

#include <kvstore/client/types.hpp>

namespace kvstore::client {

inline std::string read_query(const ReadOptions& options) {
  std::string query;
  if (options.consistency == Consistency::kLease) query += "&consistency=lease";
  if (options.consistency == Consistency::kStale) query += "&consistency=stale";
  if (options.max_staleness) {
    query += "&max_staleness=" + std::to_string(options.max_staleness->count()) + "ms";
  }
  if (options.min_revision != 0) query += "&min_revision=" + std::to_string(options.min_revision);
  if (options.revision != 0) query += "&revision=" + std::to_string(options.revision);
  return query;
}

// "&a=1&b=2" becomes "?a=1&b=2".
inline std::string with_query(const std::string& target, std::string query) {
  if (query.empty()) return target;
  query.front() = '?';
  return target + query;
}

}  // namespace kvstore::client
