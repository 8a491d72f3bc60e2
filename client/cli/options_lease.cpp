// The command line of leases and TTLs.
#include "options_parser.hpp"

namespace kvstore::cli {
namespace {

constexpr std::chrono::hours kTtlMax(365 * 24);

// What the server takes for an id.
std::string check_lease_id(const std::string& text) {
  if (std::string problem = check_whole_number(text); !problem.empty()) return problem;
  constexpr uint64_t kMax = (uint64_t{1} << 53) - 1;
  const bool in_range = text.size() <= 16 && std::stoull(text) >= 1 && std::stoull(text) <= kMax;
  return in_range ? "" : "'" + text + "' is not in 1.." + std::to_string(kMax);
}

}  // namespace

void add_lifetime(CLI::App& app, Parsed& parsed) {
  CLI::Option* ttl =
      app.add_option("--ttl", parsed.ttl, "Delete the key after this time, 100ms to 8760h")
          ->type_name("DURATION");
  app.add_option("--lease", parsed.options.lifetime.lease, "Delete the key with this lease")
      ->check(check_lease_id)
      ->excludes(ttl)
      ->type_name("ID");
}

void add_lease_commands(CLI::App& app, Parsed& parsed) {
  Options& options = parsed.options;
  CLI::App* lease = app.add_subcommand("lease", "Grant, keep alive, show or revoke leases");
  lease->fallthrough()->require_subcommand(1);
  const auto add_id = [&](CLI::App& command) {
    command.add_option("ID", options.lease_id, "The lease")
        ->required()
        ->check(check_lease_id)
        ->type_name("");
  };
  CLI::App& grant = add_command(*lease, parsed, Command::kLeaseGrant, "grant", "Make a lease");
  grant.add_option("TTL", parsed.ttl, "How long it lives without a keepalive, 100ms to 8760h")
      ->required()
      ->type_name("");
  grant.add_option("--id", options.lease_id, "Its id; the server chooses one if absent")
      ->check(check_lease_id)
      ->type_name("ID");
  add_id(add_command(*lease, parsed, Command::kLeaseKeepAlive, "keepalive",
                     "Give a lease its full time again"));
  add_id(add_command(*lease, parsed, Command::kLeaseGet, "get", "Show a lease and its keys"));
  add_command(*lease, parsed, Command::kLeaseList, "list", "List all leases");
  add_id(add_command(*lease, parsed, Command::kLeaseRevoke, "revoke",
                     "End a lease and delete its keys"));
}

std::string convert_lease(Parsed& parsed) {
  if (parsed.ttl.empty()) return {};
  const auto ttl = parse_duration(parsed.ttl, kTtlMax);
  if (!ttl || *ttl < std::chrono::milliseconds(100)) {
    const bool grant = parsed.options.command == Command::kLeaseGrant;
    return std::string(grant ? "TTL" : "--ttl") + ": '" + parsed.ttl +
           "' is no duration from 100ms to 8760h, such as 500ms or 10s";
  }
  parsed.options.lifetime.ttl = *ttl;
  return {};
}

}  // namespace kvstore::cli
