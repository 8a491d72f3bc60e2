#include "codec.hpp"

#include <algorithm>

#include "text.hpp"

namespace kvstore::client {
namespace {

// Of a number that may be anything.
std::chrono::milliseconds duration_of(const Json& object, const char* field) {
  constexpr uint64_t kMax = uint64_t{100} * 365 * 24 * 60 * 60 * 1000;
  return std::chrono::milliseconds(std::min(get_number(object, field), kMax));
}

std::optional<std::string> key_of(const Json& object) {
  if (const Json* plain = find_field(object, "key"); plain != nullptr && plain->is_string()) {
    return plain->get<std::string>();
  }
  const Json* encoded = find_field(object, "key_base64");
  if (encoded == nullptr || !encoded->is_string()) return std::nullopt;
  return base64_decode(encoded->get_ref<const std::string&>());
}

Member member_of(const Json& object) {
  Member member;
  member.node_id = get_string(object, "node_id");
  member.address = get_string(object, "address");
  member.role = get_string(object, "role");
  member.state = get_string(object, "state");
  member.is_leader = get_bool(object, "is_leader");
  member.reported = find_field(object, "healthy") != nullptr;
  member.healthy = get_bool(object, "healthy");
  member.match_index = get_number(object, "match_index");
  member.lag = get_number(object, "lag");
  const Json* plugins = find_array(object, "plugins");
  if (plugins == nullptr) return member;
  for (const Json& plugin : *plugins) {
    if (!plugin.is_object()) continue;
    member.plugins.push_back(
        {get_string(plugin, "role"), get_string(plugin, "id"), get_string(plugin, "version")});
  }
  return member;
}

}  // namespace

std::optional<Item> item_of(const Json& object) {
  auto key = key_of(object);
  if (!key) return std::nullopt;
  Item item;
  item.key = std::move(*key);
  const Json* value = find_field(object, "value");
  if (value == nullptr || value->is_null()) {
    item.value_omitted = true;
    item.value_bytes = get_number(object, "value_bytes");
  } else {
    auto bytes =
        value->is_string() ? base64_decode(value->get_ref<const std::string&>()) : std::nullopt;
    if (!bytes) return std::nullopt;
    item.value = std::move(*bytes);
    item.value_bytes = item.value.size();
  }
  item.create_revision = get_number(object, "create_revision");
  item.mod_revision = get_number(object, "mod_revision");
  item.version = get_number(object, "version");
  item.lease = get_number(object, "lease");
  item.ttl = duration_of(object, "ttl_ms");
  return item;
}

namespace {

std::optional<Lease> lease_of(const Json& object) {
  Lease lease;
  lease.id = get_number(object, "id");
  if (lease.id == 0) return std::nullopt;
  lease.ttl = duration_of(object, "ttl_ms");
  lease.remaining = duration_of(object, "remaining_ms");
  lease.more_keys = get_bool(object, "more_keys");
  const Json* keys = find_array(object, "keys");
  if (keys == nullptr) return lease;
  for (const Json& entry : *keys) {
    auto key = entry.is_object() ? key_of(entry) : std::nullopt;
    if (!key) return std::nullopt;
    lease.keys.push_back(std::move(*key));
  }
  return lease;
}

}  // namespace

std::optional<Change> read_change(const Json& line) {
  Change change;
  change.kind = get_string(line, "type") == "put" ? ChangeKind::kPut : ChangeKind::kDelete;
  change.revision = get_number(line, "revision");
  change.more = get_bool(line, "more");
  if (change.revision == 0) return std::nullopt;
  if (change.kind == ChangeKind::kPut) {
    auto item = item_of(line);
    if (!item) return std::nullopt;
    change.item = std::move(*item);
  } else {
    auto key = key_of(line);
    if (!key) return std::nullopt;
    change.item.key = std::move(*key);
    change.item.mod_revision = change.revision;
  }
  if (const Json* prev = find_object(line, "prev")) {
    change.prev = item_of(*prev);
    if (!change.prev) return std::nullopt;
  }
  return change;
}

std::optional<Json> parse_object(const std::string& text) {
  Json document = Json::parse(text, nullptr, false);
  if (!document.is_object()) return std::nullopt;
  return document;
}

std::optional<Item> parse_item(const std::string& text) {
  const auto document = parse_object(text);
  return document ? item_of(*document) : std::nullopt;
}

std::optional<ListPage> parse_page(const std::string& text) {
  const auto document = parse_object(text);
  if (!document) return std::nullopt;
  const Json* items = find_array(*document, "items");
  if (items == nullptr) return std::nullopt;
  ListPage page;
  page.cursor = get_string(*document, "cursor");
  page.items.reserve(items->size());
  for (const Json& object : *items) {
    auto item = object.is_object() ? item_of(object) : std::nullopt;
    if (!item) return std::nullopt;
    page.items.push_back(std::move(*item));
  }
  return page;
}

std::optional<ClusterStatus> parse_status(const std::string& text) {
  const auto document = parse_object(text);
  if (!document) return std::nullopt;
  ClusterStatus out;
  out.json = text;
  out.cluster_name = get_string(*document, "cluster_name");
  out.cluster_id = get_string(*document, "cluster_id");
  if (const Json* node = find_object(*document, "node")) {
    out.node_id = get_string(*node, "node_id");
    out.role = get_string(*node, "role");
  }
  if (const Json* leader = find_object(*document, "leader")) {
    out.leader = get_string(*leader, "node_id");
    out.leader_api_address = get_string(*leader, "api_address");
  }
  out.term = get_number(*document, "term");
  out.commit_index = get_number(*document, "commit_index");
  out.applied_index = get_number(*document, "applied_index");
  out.first_index = get_number(*document, "first_index");
  out.last_index = get_number(*document, "last_index");
  out.revision = get_number(*document, "revision");
  out.source = get_string(*document, "source");
  const Json* members = find_array(*document, "members");
  if (members == nullptr) return std::nullopt;
  for (const Json& object : *members) {
    if (object.is_object()) out.members.push_back(member_of(object));
  }
  return out;
}

std::optional<Lease> parse_lease(const std::string& text) {
  const auto document = parse_object(text);
  return document ? lease_of(*document) : std::nullopt;
}

std::optional<LeasePage> parse_leases(const std::string& text) {
  const auto document = parse_object(text);
  const Json* leases = document ? find_array(*document, "leases") : nullptr;
  if (leases == nullptr) return std::nullopt;
  LeasePage page;
  page.more = get_bool(*document, "more");
  for (const Json& object : *leases) {
    auto lease = object.is_object() ? lease_of(object) : std::nullopt;
    if (!lease) return std::nullopt;
    page.leases.push_back(std::move(*lease));
  }
  return page;
}

std::optional<AddResult> parse_add(const std::string& text) {
  const auto document = parse_object(text);
  if (!document) return std::nullopt;
  AddResult out;
  out.json = text;
  out.node_id = get_string(*document, "node_id");
  out.address = get_string(*document, "address");
  out.state = get_string(*document, "state");
  return out;
}

std::optional<Health> parse_health(const std::string& text) {
  const auto document = parse_object(text);
  if (!document) return std::nullopt;
  Health out;
  out.json = text;
  const std::string status = get_string(*document, "status");
  out.ok = status == "ok" || status == "degraded";
  out.degraded = status == "degraded";
  out.node_id = get_string(*document, "node_id");
  out.role = get_string(*document, "role");
  if (const Json* checks = find_object(*document, "checks")) {
    for (const auto& [name, check] : checks->items()) {
      if (!check.is_object()) continue;
      out.checks.push_back({name, get_bool(check, "ok"), get_string(check, "message")});
    }
  }
  return out;
}

}  // namespace kvstore::client
