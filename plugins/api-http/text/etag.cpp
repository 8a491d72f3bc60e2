#include "text/etag.hpp"

#include <algorithm>

#include "text/json_text.hpp"
#include "text/scalar.hpp"

namespace kvstore::http {
namespace {

constexpr size_t kTagsMax = 16;

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

}  // namespace

std::string etag_of(uint64_t mod_revision) {
  std::string tag(1, '"');
  append_number(mod_revision, &tag);
  tag.push_back('"');
  return tag;
}

bool EntityTags::contains(uint64_t revision) const {
  return any || std::find(revisions.begin(), revisions.end(), revision) != revisions.end();
}

std::optional<EntityTags> parse_entity_tags(std::string_view header) {
  EntityTags tags;
  header = trim(header);
  if (header == "*") {
    tags.any = true;
    return tags;
  }
  while (true) {
    const size_t comma = header.find(',');
    std::string_view tag = trim(header.substr(0, comma));
    if (tag.substr(0, 2) == "W/") {
      tags.weak = true;
      tag.remove_prefix(2);
    }
    if (tag.size() >= 2 && tag.front() == '"' && tag.back() == '"') {
      tag = tag.substr(1, tag.size() - 2);
    }
    const auto revision = parse_unsigned(tag);
    if (!revision || tags.revisions.size() == kTagsMax) return std::nullopt;
    tags.revisions.push_back(*revision);
    if (comma == std::string_view::npos) return tags;
    header.remove_prefix(comma + 1);
  }
}

}  // namespace kvstore::http
