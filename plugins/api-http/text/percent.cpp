#include "text/percent.hpp"

#include <algorithm>

namespace kvstore::http {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool decode(std::string_view in, bool plus_is_space, std::string* out) {
  out->clear();
  out->reserve(in.size());
  for (size_t i = 0; i < in.size(); ++i) {
    if (in[i] == '+' && plus_is_space) {
      out->push_back(' ');
    } else if (in[i] != '%') {
      out->push_back(in[i]);
    } else {
      if (in.size() - i < 3) return false;
      const int high = hex_value(in[i + 1]), low = hex_value(in[i + 2]);
      if (high < 0 || low < 0) return false;
      out->push_back(static_cast<char>(high * 16 + low));
      i += 2;
    }
  }
  return true;
}

}  // namespace

bool percent_decode(std::string_view in, std::string* out) {
  return decode(in, false, out);
}

bool parse_query(std::string_view query, QueryPairs* out) {
  out->clear();
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), part.size() + 1));
    if (part.empty()) continue;
    const size_t equals = part.find('=');
    std::pair<std::string, std::string> pair;
    if (!decode(part.substr(0, equals), true, &pair.first)) return false;
    if (equals != std::string_view::npos && !decode(part.substr(equals + 1), true, &pair.second)) {
      return false;
    }
    out->push_back(std::move(pair));
  }
  return true;
}

}  // namespace kvstore::http
