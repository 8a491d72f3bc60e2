// A server's base URL, taken apart and checked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <kvstore/client/result.hpp>

namespace kvstore::client {

struct Endpoint {
  std::string host;
  uint16_t port = 0;

  // "http://host:port", for messages.
  std::string url() const;

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// Accepts "http://host:port", "host:port" and IPv6 hosts in brackets, with an optional "/" at the
// end. Errors: kInvalidArgument, naming `text` and what is wrong with it.
Result<Endpoint> parse_endpoint(std::string_view text);

}  // namespace kvstore::client
