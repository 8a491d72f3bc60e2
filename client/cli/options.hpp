// The command line of kvstore-client as data.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <kvstore/client/types.hpp>
#include <kvstore/client/watch.hpp>

#include "bench/config.hpp"

namespace kvstore::cli {

enum class Command {
  kPut,
  kGet,
  kList,
  kDelete,
  kWatch,
  kTxn,
  kClusterStatus,
  kHealth,
  kMemberAdd,
  kMemberRemove,
  kMemberList,
  kMemberPromote,
  kLeaseGrant,
  kLeaseKeepAlive,
  kLeaseGet,
  kLeaseList,
  kLeaseRevoke,
  kTransferLeader,
  kCompact,
  kMetrics,
  kBench,
  kCompletion,
};

enum class Format { kTable, kJson };

struct Options {
  Command command = Command::kHealth;
  // Of every command.
  std::vector<std::string> servers;
  std::chrono::milliseconds timeout{5000};
  Format format = Format::kTable;
  // Of some commands; the parser lets only those through that fit the command.
  std::string key;
  std::string value;  // "-": standard input
  std::string file;   // put, txn: read from here; "-": standard input
  bool raw = false;
  std::string output;
  client::ListOptions list;
  client::WatchOptions watch;
  uint64_t count = 0;  // watch: end after this many changes; 0: go on
  client::Condition condition;
  client::Lifetime lifetime;  // of put; lease grant: its ttl
  uint64_t lease_id = 0;      // of lease; grant: 0 lets the server choose
  std::string prefix;         // delete: all keys that begin so
  bool all = false;           // list: as a stream; delete: every key
  uint64_t revision = 0;      // compact; 0: the newest
  client::ReadOptions read;
  std::string request_id;  // put, delete, txn: what the write is recognised by; empty: a random one
  bool request_ids = true;  // false: none
  std::string node_id;
  std::string address;
  bool learner = false;
  bool force = false;
  // Of bench: servers, timeout and consistency stand above.
  bench::Config bench;
  bool preload = false;
  double max_error_percent = 1;

  // "put mykey", for messages.
  std::string title() const;
};

// "500ms", "2s", "5m", "1h", or a number of seconds; from 1 ms to `max`.  Empty: no such duration.
std::optional<std::chrono::milliseconds> parse_duration(
    std::string_view text, std::chrono::milliseconds max = std::chrono::hours(1));

// Options, or the exit code of a program that has said all there is to say: 0 after --help,
// --version and `completion` on `out`, 2 after a usage error on `err`.
std::variant<Options, int> parse_options(int argc, const char* const* argv, std::ostream& out,
                                         std::ostream& err);

}  // namespace kvstore::cli
