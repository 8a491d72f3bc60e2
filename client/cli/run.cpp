#include "commands.hpp"
#include "display.hpp"
#include "exit_code.hpp"
#include "json_out.hpp"
#include "lib/request_id.hpp"

namespace kvstore::cli {
namespace {

int dispatch(const Options& options, client::Client& client, Io& io) {
  switch (options.command) {
    case Command::kPut:
      return run_put(options, client, io);
    case Command::kGet:
      return run_get(options, client, io);
    case Command::kList:
      return run_list(options, client, io);
    case Command::kDelete:
      return run_delete(options, client, io);
    case Command::kWatch:
      return run_watch(options, client, io);
    case Command::kTxn:
      return run_txn(options, client, io);
    case Command::kClusterStatus:
      return run_cluster_status(options, client, io);
    case Command::kHealth:
      return run_health(options, client, io);
    case Command::kMemberAdd:
      return run_member_add(options, client, io);
    case Command::kMemberRemove:
      return run_member_remove(options, client, io);
    case Command::kMemberList:
      return run_member_list(options, client, io);
    case Command::kMemberPromote:
      return run_member_promote(options, client, io);
    case Command::kLeaseGrant:
      return run_lease_grant(options, client, io);
    case Command::kLeaseKeepAlive:
      return run_lease_keepalive(options, client, io);
    case Command::kLeaseGet:
      return run_lease_get(options, client, io);
    case Command::kLeaseList:
      return run_lease_list(options, client, io);
    case Command::kLeaseRevoke:
      return run_lease_revoke(options, client, io);
    case Command::kTransferLeader:
      return run_transfer_leader(options, client, io);
    case Command::kCompact:
      return run_compact(options, client, io);
    case Command::kMetrics:
      return run_metrics(options, client, io);
    case Command::kBench:
      return run_bench(options, io);
    case Command::kCompletion:
      break;  // done by the parser, which knows what there is to complete
  }
  return kExitUsage;
}

}  // namespace

int fail(const Options& options, Io& io, const client::Error& error) {
  const bool unknown_id =
      error.kind == client::ErrorKind::kUnknownOutcome && !options.request_id.empty();
  if (options.format == Format::kJson) {
    Json document = {{"code", error.code}, {"message", error.message}};
    if (error.http_status != 0) document["http_status"] = error.http_status;
    if (error.current_revision != 0) document["current_revision"] = error.current_revision;
    if (unknown_id) document["request_id"] = options.request_id;
    print_json({{"error", std::move(document)}}, io.out);
  }
  io.err << "kvstore-client: " << escape(options.title()) << ": " << escape(error.message) << '\n';
  if (unknown_id) {
    io.err << "To be sure, run it again with --request-id " << escape(options.request_id) << '\n';
  }
  return exit_code(error.kind);
}

int fail_locally(const Options& options, Io& io, const std::string& message) {
  return fail(options, io, {client::ErrorKind::kCancelled, "local_failure", message});
}

int print_json_text(const Options& options, Io& io, const std::string& text) {
  const Json document = Json::parse(text, nullptr, false);
  if (document.is_discarded()) {
    return fail(options, io,
                {client::ErrorKind::kMalformedAnswer, "malformed_answer", "the answer is no JSON"});
  }
  print_json(document, io.out);
  return kExitDone;
}

int run(int argc, const char* const* argv, Io& io) {
  auto parsed = parse_options(argc, argv, io.out, io.err);
  if (const int* code = std::get_if<int>(&parsed)) return *code;
  Options& options = std::get<Options>(parsed);
  const bool is_write = options.command == Command::kPut || options.command == Command::kDelete ||
                        options.command == Command::kTxn;
  if (is_write && options.request_ids && options.request_id.empty()) {
    options.request_id = client::random_request_id();
  }
  client::ClientOptions client_options;
  client_options.servers = options.servers;
  client_options.timeout = options.timeout;
  client_options.request_ids = options.request_ids;
  auto client = client::Client::create(client_options);
  if (!client) return fail(options, io, client.error());
  const int code = dispatch(options, *client, io);
  io.out.flush();
  // A full disk behind standard output must not look like success.
  if (!io.out) {
    io.err << "kvstore-client: standard output cannot be written\n";
    return kExitRefused;
  }
  return code;
}

}  // namespace kvstore::cli
