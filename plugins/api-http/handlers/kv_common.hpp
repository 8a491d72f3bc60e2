// What the key-value handlers share.
#pragma once

#include <string>
#include <string_view>

#include "context.hpp"

namespace kvstore::http {

// The key that the path names; throws ApiError(400) for an empty, malformed or oversize one.
std::string key_of(const Context& context, const Request& request);

// The id under which a write takes effect once, from Idempotency-Key; empty: none.  Goes into
// kvs_call::request_id, which borrows it until the call returned.  Throws ApiError(400).
std::string request_id_of(const Request& request);

// A range of one key, borrowed.
kvs_range one_key(std::string_view key);

// True when the value is not in the item and must be read with value_read().
inline bool value_is_apart(const kvs_item& item) {
  return item.value.len == 0 && item.value_bytes != 0;
}

// Appends `,"create_revision":...,"mod_revision":...,"version":...` and, if there is one, the
// lease or the key's own TTL.
void append_versions(const kvs_item& item, std::string* out);

// Appends the item as a JSON object.  A value that is not in the item is given as null with its
// size in "value_bytes"; without `with_value` there is no "value".
void append_item(const kvs_item& item, bool with_value, std::string* out);
// The same without braces.
void append_item_members(const kvs_item& item, bool with_value, std::string* out);

// Ids of leases are 1..this.
inline constexpr uint64_t kLeaseIdMax = (uint64_t{1} << 53) - 1;

// Fills revision and term, and says in Idempotency-Replayed when the answer is an earlier one.
void describe(const kvs_result& result, Response* response);
// Those headers alone, for an answer that is an error.
std::string replayed_header(const kvs_result& result);
std::string replayed_header(bool shortened);

// The document of a control verb as the answer.
Response document_response(const kvs_result& result);

}  // namespace kvstore::http
