// The range that the query of GET /kv and DELETE /kv names.
#pragma once

#include "context.hpp"
#include "text/key_range.hpp"

namespace kvstore::http {

// From prefix, or start and end; every key without them.  Throws ApiError(400).
KeyRange parse_range(const Context& context, const Params& params);

}  // namespace kvstore::http
