// Which handler answers which method and path.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "exchange.hpp"

namespace kvstore::http {

struct Context;

// How many requests of a kind may be under way, and which metrics they count in.
enum class RouteClass : uint8_t {
  kData,     // key-value requests: limited, 429 beyond
  kWaiting,  // administrative requests that may take seconds: limited apart
  kProbe,    // health and metrics: always answered
  kWatch,    // streams, which hold no thread: limited by their number
};

struct Route {
  using Handler = void (*)(Context& context, const Request& request, const ExchangePtr& exchange);
  // Judges a request by its head alone, before the body is read; throws ApiError.
  using HeadCheck = void (*)(const Context& context, const Request& request);
  // Whether a request may have to wait for something, by its head.
  using WaitCheck = bool (*)(const Request& request);

  Method method;
  // An exact path; with "/*" at the end also every longer one, whose rest (possibly with slashes)
  // is Request::tail.
  std::string_view pattern;
  RouteClass route_class;
  std::string_view name;  // label in metrics
  Handler handler;
  uint64_t body_bytes_max = 0;  // 0: the request has no body
  bool streams_body = false;    // a longer body comes by Exchange::read_body
  HeadCheck check_head = nullptr;
  WaitCheck may_wait = nullptr;  // NULL: it may
};

class Router {
 public:
  void add(const Route& route);

  struct Match {
    const Route* route = nullptr;
    std::string_view tail;
    std::string allow;  // of a path that is known with other methods
  };
  // HEAD is served by a GET route unless it has its own.
  Match match(Method method, std::string_view path) const;

  const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

}  // namespace kvstore::http
