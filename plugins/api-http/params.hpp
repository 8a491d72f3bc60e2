// The query of a request, checked: every parameter is known, well-formed and given once.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "text/percent.hpp"
#include "text/scalar.hpp"

namespace kvstore::http {

// All functions throw ApiError(400) naming the parameter.
class Params {
 public:
  // `known`: the names that the route takes.  "timeout" and "forward" go with every route.
  Params(std::string_view query, std::initializer_list<std::string_view> known);

  const std::string* text(std::string_view name) const;  // NULL when absent
  bool boolean(std::string_view name, bool fallback) const;
  std::optional<uint64_t> unsigned_integer(std::string_view name) const;
  std::optional<uint64_t> duration_ms(std::string_view name,
                                      uint64_t max_ms = kDurationMaxMs) const;

 private:
  QueryPairs pairs_;
};

}  // namespace kvstore::http
