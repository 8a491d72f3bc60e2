// Request bodies that are small JSON documents.
#pragma once

#include <initializer_list>
#include <string_view>

#include <nlohmann/json.hpp>

#include "context.hpp"

namespace kvstore::http {

inline constexpr uint64_t kDocumentBytesMax = 64 << 10;

// The request's body as an object whose fields are all known; throws ApiError.
nlohmann::json parse_document(const Request& request,
                              std::initializer_list<std::string_view> known);

// For Route::check_head: 415 for a content type that is not JSON.
void check_is_json(const Context& context, const Request& request);

}  // namespace kvstore::http
