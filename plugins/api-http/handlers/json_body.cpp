#include "handlers/json_body.hpp"

#include <algorithm>

#include "handlers/kv_common.hpp"
#include "text/json_text.hpp"
#include "text/scalar.hpp"

namespace kvstore::http {

using nlohmann::json;

json parse_document(const Request& request, std::initializer_list<std::string_view> known) {
  json document;
  try {
    document = json::parse(request.body);
  } catch (const json::parse_error& e) {
    throw bad_request("the body is not valid JSON (at byte " + std::to_string(e.byte) + ")");
  }
  if (!document.is_object()) throw bad_request("the body must be a JSON object");
  for (const auto& [name, value] : document.items()) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      throw bad_request("unknown field \"" + to_utf8(name) + "\"");
    }
  }
  return document;
}

uint64_t duration_field_ms(const json& field, const std::string& name) {
  std::optional<uint64_t> ms;
  if (field.is_string()) ms = parse_duration_ms(field.get<std::string>(), kTtlMaxMs);
  if (field.is_number()) ms = parse_duration_ms(field.dump(), kTtlMaxMs);
  if (ms) return *ms;
  throw bad_request(name +
                    ": must be a duration such as \"250ms\" or \"10s\", or seconds, at most " +
                    std::to_string(kTtlMaxMs / kDurationMaxMs) + " days");
}

uint64_t lease_field(const json& field, const std::string& name) {
  if (field.is_number_unsigned() && field != 0 && field <= kLeaseIdMax) return field;
  throw bad_request(name + ": must be an integer in 1.." + std::to_string(kLeaseIdMax));
}

void check_is_json(const Context&, const Request& request) {
  if (request.header("Content-Type").empty() || request.is_json()) return;
  throw ApiError(415, "unsupported_media_type", "the body must be application/json");
}

}  // namespace kvstore::http
