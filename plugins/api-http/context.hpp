// What handlers work with besides the request.
#pragma once

#include <atomic>
#include <memory>

#include "engine.hpp"
#include "exchange.hpp"
#include "options.hpp"
#include "params.hpp"

namespace kvstore::http {

// One per started server; outlives every handler.
struct Context {
  std::shared_ptr<Engine> engine;
  const Config& config;
  std::atomic<uint32_t> sync_waiters{0};  // requests for health that wait for this node to catch up

  const sdk::Host& host() const { return engine->host(); }
};

// The call that carries a request's deadline, flags and credentials.  Borrows from the request.
// deadline_ms: what to use when the request names none; 0: the configured default.
kvs_call make_call(const Context& context, const Request& request, const Params& params,
                   uint64_t deadline_ms = 0);

}  // namespace kvstore::http
