#include "handlers/range_params.hpp"

namespace kvstore::http {

KeyRange parse_range(const Context& context, const Params& params) {
  const std::string* prefix = params.text("prefix");
  const std::string* start = params.text("start");
  const std::string* end = params.text("end");
  for (const std::string* key : {prefix, start, end}) {
    if (key != nullptr && key->size() > context.config.max_key_bytes) {
      throw ApiError(400, "key_too_large",
                     "prefix, start and end are limited to " +
                         std::to_string(context.config.max_key_bytes) + " bytes (max_key_bytes)");
    }
  }
  if (prefix != nullptr && (start != nullptr || end != nullptr)) {
    throw bad_request("parameter \"prefix\" excludes \"start\" and \"end\"");
  }
  KeyRange range = KeyRange::of_prefix(prefix == nullptr ? std::string() : *prefix);
  if (start != nullptr) range.lower = *start;
  if (end != nullptr && !end->empty()) range.upper = *end;
  return range;
}

}  // namespace kvstore::http
