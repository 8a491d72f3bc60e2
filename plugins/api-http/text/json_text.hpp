// Writing JSON by hand for the small answers of the hot path.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvstore::http {

bool is_utf8(std::string_view text);

// Appends `text` as a JSON string with its quotes.  Precondition: is_utf8(text); see
// append_key for bytes that may be anything.
void append_json_string(std::string_view text, std::string* out);

void append_number(uint64_t n, std::string* out);

// Appends `"key":"..."`, or `"key_base64":"..."` when the bytes are not UTF-8.
void append_key(std::string_view key, std::string* out);

// `text` with everything that is not UTF-8 replaced by U+FFFD, for messages of unknown origin.
std::string to_utf8(std::string_view text);

}  // namespace kvstore::http
