// JSON documents of the HTTP API to and from the library's types.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <kvstore/client/types.hpp>
#include <kvstore/client/watch.hpp>

#include "json.hpp"

namespace kvstore::client {

struct ListPage {
  std::vector<Item> items;
  std::string cursor;  // empty: this is the last page
};

// Empty when it is no item.
std::optional<Item> item_of(const Json& object);

// Empty when the text is no such document.
std::optional<Item> parse_item(const std::string& text);
std::optional<ListPage> parse_page(const std::string& text);
std::optional<ClusterStatus> parse_status(const std::string& text);
// A lease, and a page of leases.
std::optional<Lease> parse_lease(const std::string& text);
struct LeasePage {
  std::vector<Lease> leases;
  bool more = false;
};
std::optional<LeasePage> parse_leases(const std::string& text);
std::optional<AddResult> parse_add(const std::string& text);
std::optional<Health> parse_health(const std::string& text);

// A line of a watch, of the type "put" or "delete".
std::optional<Change> read_change(const Json& line);

// `json` when it is an object, otherwise empty.
std::optional<Json> parse_object(const std::string& text);

}  // namespace kvstore::client
