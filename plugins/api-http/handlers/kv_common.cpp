#include "handlers/kv_common.hpp"

#include "text/base64.hpp"
#include "text/idempotency_key.hpp"
#include "text/json_text.hpp"
#include "text/percent.hpp"

namespace kvstore::http {

std::string key_of(const Context& context, const Request& request) {
  std::string key;
  if (!percent_decode(request.tail, &key)) {
    throw bad_request("the key in the path has a malformed % escape");
  }
  if (key.empty()) throw bad_request("the key in the path is empty");
  if (key.size() > context.config.max_key_bytes) {
    throw ApiError(400, "key_too_large",
                   "the key has " + std::to_string(key.size()) + " bytes, the limit is " +
                       std::to_string(context.config.max_key_bytes) + " (max_key_bytes)");
  }
  return key;
}

std::string request_id_of(const Request& request) {
  const auto header = request.headers->find("Idempotency-Key");
  if (!header) return {};
  auto key = parse_idempotency_key(*header);
  if (!key) {
    throw bad_request("Idempotency-Key: must be 1 to " + std::to_string(kIdempotencyKeyBytesMax) +
                      " characters of visible ASCII, or a string in double quotes");
  }
  return std::move(*key);
}

kvs_range one_key(std::string_view key) {
  kvs_range range{};
  range.key = sdk::slice(key);
  range.kind = KVS_RANGE_KEY;
  return range;
}

void append_versions(const kvs_item& item, std::string* out) {
  out->append(",\"create_revision\":");
  append_number(item.create_revision, out);
  out->append(",\"mod_revision\":");
  append_number(item.mod_revision, out);
  out->append(",\"version\":");
  append_number(item.version, out);
  if (item.lease != 0) {
    out->append(",\"lease\":");
    append_number(item.lease, out);
  }
  if (item.ttl_ms != 0) {
    out->append(",\"ttl_ms\":");
    append_number(item.ttl_ms, out);
  }
}

void append_item(const kvs_item& item, bool with_value, std::string* out) {
  out->push_back('{');
  append_item_members(item, with_value, out);
  out->push_back('}');
}

void append_item_members(const kvs_item& item, bool with_value, std::string* out) {
  append_key(sdk::view(item.key), out);
  if (with_value && value_is_apart(item)) {
    out->append(",\"value\":null,\"value_bytes\":");
    append_number(item.value_bytes, out);
  } else if (with_value) {
    out->append(",\"value\":\"");
    base64_append(sdk::view(item.value), out);
    out->push_back('"');
  }
  append_versions(item, out);
}

void describe(const kvs_result& result, Response* response) {
  response->revision = result.revision;
  response->term = result.at.term;
  if (result.replayed != 0) response->headers.append(replayed_header(result));
}

std::string replayed_header(const kvs_result& result) {
  return replayed_header(result.replayed == KVS_REPLAYED_SHORTENED);
}

std::string replayed_header(bool shortened) {
  // What was too large to be kept is not in the body: that is told apart from there being nothing.
  return shortened ? "Idempotency-Replayed: true\r\nIdempotency-Shortened: true\r\n"
                   : "Idempotency-Replayed: true\r\n";
}

Response document_response(const kvs_result& result) {
  Response response;
  describe(result, &response);
  response.body.assign(sdk::view(result.json)).push_back('\n');
  return response;
}

}  // namespace kvstore::http
