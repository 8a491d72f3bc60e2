// What goes into and comes out of Client::watch().
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <kvstore/client/types.hpp>

namespace kvstore::client {

struct WatchOptions {
  std::string key;     // this key alone; empty: the prefix
  std::string prefix;  // empty: every key
  // The first revision wanted; 0: what comes from now on.  One that does not exist yet is waited
  // for.
  uint64_t from_revision = 0;
  bool with_prev = false;  // deliver what was replaced or deleted, too
  // How long to go on looking for a server after the last sign of life of one, 1 ms or more.  The
  // first server is looked for within the timeout of the client's options.
  std::chrono::milliseconds patience{60'000};
  // A server that says nothing for so long is given up for another, 1 ms or more: longer than the
  // servers' watch_heartbeat_ms.
  std::chrono::milliseconds silence{45'000};
  // Told now and then how far everything was delivered.
  std::function<void(uint64_t revision)> on_progress;
};

enum class ChangeKind { kPut, kDelete };

struct Change {
  ChangeKind kind = ChangeKind::kPut;
  uint64_t revision = 0;
  Item item;                 // after a delete the key alone; values above 1 MiB are left out
  std::optional<Item> prev;  // with_prev: before the change; empty: there was nothing
  bool more = false;         // further changes of the same revision follow
};

// false ends the watch.
using ChangeSink = std::function<bool(const Change& change)>;

struct WatchEnd {
  // Everything up to it was delivered: go on from the next one.
  uint64_t revision = 0;
  uint64_t connections = 0;  // how many it took
};

}  // namespace kvstore::client
