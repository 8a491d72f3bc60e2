// Percent-encoding in paths and queries.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvstore::http {

// Decodes exactly once; every byte may result, NUL too.  False at a '%' without two hex digits.
bool percent_decode(std::string_view in, std::string* out);

using QueryPairs = std::vector<std::pair<std::string, std::string>>;

// Splits "a=1&b=x%20y" (without the '?'); '+' stands for a space, a name without '=' has an empty
// value.  False at a malformed escape.
bool parse_query(std::string_view query, QueryPairs* out);

}  // namespace kvstore::http
