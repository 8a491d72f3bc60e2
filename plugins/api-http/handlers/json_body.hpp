// Request bodies that are small JSON documents.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "context.hpp"

namespace kvstore::http {

inline constexpr uint64_t kDocumentBytesMax = 64 << 10;

// The request's body as an object whose fields are all known; throws ApiError.
nlohmann::json parse_document(const Request& request,
                              std::initializer_list<std::string_view> known);

// A field that holds a duration, as in queries: text such as "250ms", or a number of seconds.
// In milliseconds, at most kTtlMaxMs; throws ApiError naming the field.
uint64_t duration_field_ms(const nlohmann::json& field, const std::string& name);
// A field that holds the id of a lease, 1..2^53-1.
uint64_t lease_field(const nlohmann::json& field, const std::string& name);

// For Route::check_head: 415 for a content type that is not JSON.
void check_is_json(const Context& context, const Request& request);

}  // namespace kvstore::http
