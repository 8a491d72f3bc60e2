// kvstore-client as a function: parses, calls, prints.
#pragma once

#include <istream>
#include <ostream>

#include <kvstore/client/client.hpp>

#include "options.hpp"

namespace kvstore::cli {

// The outside world, so that tests can watch it.
struct Io {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool colours = false;   // `out` is a terminal that wants them
  bool progress = false;  // `err` is a terminal: long work may show how far it is
  bool out_is_terminal = false;
};

// The whole program; returns its exit code.
int run(int argc, const char* const* argv, Io& io);

// What the commands share: reports an error on `err`, and as a document on `out` in JSON format.
int fail(const Options& options, Io& io, const client::Error& error);
// The same for failures on this side, such as a file that cannot be read.
int fail_locally(const Options& options, Io& io, const std::string& message);
// Prints one JSON document; text that is no JSON is reported as a malformed answer.
int print_json_text(const Options& options, Io& io, const std::string& text);

int run_put(const Options& options, client::Client& client, Io& io);
int run_get(const Options& options, client::Client& client, Io& io);
int run_list(const Options& options, client::Client& client, Io& io);
int run_watch(const Options& options, client::Client& client, Io& io);
int run_delete(const Options& options, client::Client& client, Io& io);

int run_txn(const Options& options, client::Client& client, Io& io);

int run_lease_grant(const Options& options, client::Client& client, Io& io);
int run_lease_keepalive(const Options& options, client::Client& client, Io& io);
int run_lease_get(const Options& options, client::Client& client, Io& io);
int run_lease_list(const Options& options, client::Client& client, Io& io);
int run_lease_revoke(const Options& options, client::Client& client, Io& io);

int run_cluster_status(const Options& options, client::Client& client, Io& io);
int run_health(const Options& options, client::Client& client, Io& io);
int run_member_add(const Options& options, client::Client& client, Io& io);
int run_member_remove(const Options& options, client::Client& client, Io& io);
int run_member_list(const Options& options, client::Client& client, Io& io);
int run_member_promote(const Options& options, client::Client& client, Io& io);
int run_transfer_leader(const Options& options, client::Client& client, Io& io);
int run_compact(const Options& options, client::Client& client, Io& io);
int run_metrics(const Options& options, client::Client& client, Io& io);

int run_snapshot_save(const Options& options, client::Client& client, Io& io);
int run_snapshot_status(const Options& options, Io& io);
int run_snapshot_restore(const Options& options, Io& io);

int run_bench(const Options& options, Io& io);

}  // namespace kvstore::cli
