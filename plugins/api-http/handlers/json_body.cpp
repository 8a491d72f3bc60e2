#include "handlers/json_body.hpp"

#include <algorithm>

#include "text/json_text.hpp"

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

void check_is_json(const Context&, const Request& request) {
  if (request.header("Content-Type").empty() || request.is_json()) return;
  throw ApiError(415, "unsupported_media_type", "the body must be application/json");
}

}  // namespace kvstore::http
