// Ids under which a write takes effect once (the header Idempotency-Key).
#pragma once

#include <string>
#include <string_view>

namespace kvstore::client {

// 128 random bits in hexadecimal.
std::string random_request_id();

// 1..128 characters of visible ASCII.
bool is_request_id(std::string_view text);

// In double quotes, as a string of HTTP's structured fields.
std::string quoted_string(std::string_view text);

}  // namespace kvstore::client
