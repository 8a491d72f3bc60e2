#include "json_out.hpp"

#include "lib/text.hpp"

namespace kvstore::cli {

void add_key(Json& object, std::string_view key) {
  if (is_utf8(key)) {
    object["key"] = key;
  } else {
    object["key_base64"] = client::base64_encode(key);
  }
}

Json item_document(const client::Item& item, bool with_value) {
  Json out = Json::object();
  add_key(out, item.key);
  if (with_value && item.value_omitted) {
    out["value"] = nullptr;
    out["value_bytes"] = item.value_bytes;
  } else if (with_value) {
    out["value"] = client::base64_encode(item.value);
  }
  out["create_revision"] = item.create_revision;
  out["mod_revision"] = item.mod_revision;
  out["version"] = item.version;
  if (item.lease != 0) out["lease"] = item.lease;
  if (item.ttl.count() != 0) out["ttl_ms"] = item.ttl.count();
  return out;
}

}  // namespace kvstore::cli
