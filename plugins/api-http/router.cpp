#include "router.hpp"

#include <kvstore/sdk/guard.hpp>

namespace kvstore::http {
namespace {

// The part of the path that the pattern leaves open, or nothing when it does not match.
bool matches(std::string_view pattern, std::string_view path, std::string_view* tail) {
  if (pattern.ends_with("/*")) {
    const std::string_view head = pattern.substr(0, pattern.size() - 1);
    if (!path.starts_with(head)) return false;
    *tail = path.substr(head.size());
    return true;
  }
  *tail = {};
  return path == pattern;
}

bool serves(const Route& route, Method method) {
  return route.method == method || (route.method == Method::kGet && method == Method::kHead);
}

}  // namespace

void Router::add(const Route& route) {
  routes_.push_back(route);
}

Router::Match Router::match(Method method, std::string_view path) const {
  Match found;
  for (const Route& route : routes_) {
    std::string_view tail;
    if (!matches(route.pattern, path, &tail)) continue;
    if (serves(route, method)) return {&route, tail, {}};
    if (!found.allow.empty()) found.allow.append(", ");
    found.allow.append(method_name(route.method));
    if (route.method == Method::kGet) found.allow.append(", HEAD");
  }
  return found;
}

}  // namespace kvstore::http
