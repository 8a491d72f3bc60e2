#include "endpoint.hpp"

#include <charconv>

namespace kvstore::client {
namespace {

Error invalid(std::string_view text, std::string_view why) {
  return {ErrorKind::kInvalidArgument, "invalid_argument",
          "server '" + std::string(text) + "': " + std::string(why)};
}

bool is_host_char(char c, bool bracketed) {
  const bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  return alnum || c == '.' || c == '-' || c == '_' || (bracketed && (c == ':' || c == '%'));
}

}  // namespace

std::string Endpoint::url() const {
  const bool v6 = host.find(':') != std::string::npos;
  return "http://" + (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  std::string_view rest = text;
  if (const auto scheme = rest.find("://"); scheme != std::string_view::npos) {
    if (rest.substr(0, scheme) == "https")
      return invalid(text, "https is not supported, use http://");
    if (rest.substr(0, scheme) != "http") return invalid(text, "expected http://HOST:PORT");
    rest.remove_prefix(scheme + 3);
  }
  if (!rest.empty() && rest.back() == '/') rest.remove_suffix(1);
  const bool bracketed = !rest.empty() && rest.front() == '[';
  std::string_view host, port;
  if (bracketed) {
    const auto end = rest.find("]:");
    if (end == std::string_view::npos) return invalid(text, "expected http://[ADDRESS]:PORT");
    host = rest.substr(1, end - 1);
    port = rest.substr(end + 2);
  } else {
    const auto colon = rest.find(':');
    if (colon == std::string_view::npos) return invalid(text, "the port is missing");
    host = rest.substr(0, colon);
    port = rest.substr(colon + 1);
  }
  if (host.empty() || host.size() > 253) return invalid(text, "the host is missing or too long");
  for (const char c : host) {
    if (!is_host_char(c, bracketed)) return invalid(text, "expected http://HOST:PORT");
  }
  uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size() || number == 0) {
    return invalid(text, "the port is not a number from 1 to 65535");
  }
  return Endpoint{std::string(host), number};
}

}  // namespace kvstore::client
