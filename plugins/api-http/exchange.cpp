#include "exchange.hpp"

#include <strings.h>

namespace kvstore::http {
namespace {

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// "text/html; charset=x" -> "text/html"
std::string_view media_type(std::string_view value) {
  return trim(value.substr(0, value.find(';')));
}

}  // namespace

std::string_view method_name(Method method) {
  switch (method) {
    case Method::kGet:
      return "GET";
    case Method::kHead:
      return "HEAD";
    case Method::kPut:
      return "PUT";
    case Method::kPost:
      return "POST";
    case Method::kDelete:
      return "DELETE";
    case Method::kOther:
      break;
  }
  return "OTHER";
}

bool Request::is_json() const {
  return equal_ignoring_case(media_type(header("Content-Type")), "application/json");
}

bool Request::accepts(std::string_view type) const {
  std::string_view rest = header("Accept");
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    if (equal_ignoring_case(media_type(rest.substr(0, comma)), type)) return true;
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  }
  return false;
}

}  // namespace kvstore::http
