// The JSON documents that `--format json` prints.
#pragma once

#include <ostream>
#include <string_view>

#include <kvstore/client/types.hpp>

#include <nlohmann/json.hpp>

#include "display.hpp"

namespace kvstore::cli {

using Json = nlohmann::ordered_json;

// One document, indented, with a line end.  Bytes that are no UTF-8 are replaced: keys go by
// add_key.
inline void print_json(const Json& document, std::ostream& out) {
  out << document.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
}

// "key", or "key_base64" for a key that is no UTF-8.
void add_key(Json& object, std::string_view key);

// As the server's documents show it; "value" is base64.
Json item_document(const client::Item& item, bool with_value);

}  // namespace kvstore::cli
