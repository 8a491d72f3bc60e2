// Entity tags: the mod_revision of a key in quotes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvstore::http {

std::string etag_of(uint64_t mod_revision);

// The value of an If-Match or If-None-Match header.
struct EntityTags {
  bool any = false;                 // *
  bool weak = false;                // one of them was W/"..."
  std::vector<uint64_t> revisions;  // "12", also 12 without quotes
  bool contains(uint64_t revision) const;
};

// Nothing when it is neither * nor a list of tags that this server could have given.
std::optional<EntityTags> parse_entity_tags(std::string_view header);

}  // namespace kvstore::http
