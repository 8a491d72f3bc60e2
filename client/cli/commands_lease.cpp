// lease grant, keepalive, get, list, revoke.
#include "commands.hpp"
#include "display.hpp"
#include "exit_code.hpp"
#include "json_out.hpp"

namespace kvstore::cli {
namespace {

std::string milliseconds(std::chrono::milliseconds time) {
  return std::to_string(time.count()) + "ms";
}

Json to_document(const client::Lease& lease) {
  return {
      {"id", lease.id}, {"ttl_ms", lease.ttl.count()}, {"remaining_ms", lease.remaining.count()}};
}

// What a grant and a keep-alive say alike.
int print_lease(const Options& options, const client::Result<client::Lease>& lease, Io& io) {
  if (!lease) return fail(options, io, lease.error());
  if (options.format == Format::kJson) {
    print_json({{"id", lease->id}, {"ttl_ms", lease->ttl.count()}}, io.out);
  } else {
    io.out << "OK lease " << lease->id << " ttl " << milliseconds(lease->ttl) << '\n';
  }
  return kExitDone;
}

}  // namespace

int run_lease_grant(const Options& options, client::Client& client, Io& io) {
  return print_lease(options, client.grant_lease(options.lifetime.ttl, options.lease_id), io);
}

int run_lease_keepalive(const Options& options, client::Client& client, Io& io) {
  return print_lease(options, client.keep_alive(options.lease_id), io);
}

int run_lease_get(const Options& options, client::Client& client, Io& io) {
  const auto lease = client.get_lease(options.lease_id);
  if (!lease) return fail(options, io, lease.error());
  if (options.format == Format::kJson) {
    Json document = to_document(*lease);
    document["keys"] = Json::array();
    for (const std::string& key : lease->keys) {
      Json entry = Json::object();
      add_key(entry, key);
      document["keys"].push_back(std::move(entry));
    }
    document["more_keys"] = lease->more_keys;
    print_json(document, io.out);
    return kExitDone;
  }
  io.out << "lease " << lease->id << " ttl " << milliseconds(lease->ttl) << " remaining "
         << milliseconds(lease->remaining) << '\n';
  for (const std::string& key : lease->keys) io.out << "  " << escape(key) << '\n';
  if (lease->more_keys) io.err << "there are more keys\n";
  return kExitDone;
}

int run_lease_list(const Options& options, client::Client& client, Io& io) {
  const auto list = client.list_leases();
  if (!list) return fail(options, io, list.error());
  if (options.format == Format::kJson) {
    Json leases = Json::array();
    for (const client::Lease& lease : list->leases) leases.push_back(to_document(lease));
    print_json({{"leases", std::move(leases)}}, io.out);
    return kExitDone;
  }
  Table table({"LEASE", "TTL", "REMAINING"});
  for (const client::Lease& lease : list->leases) {
    table.add({{std::to_string(lease.id), Colour::kStrong},
               {milliseconds(lease.ttl)},
               {milliseconds(lease.remaining)}});
  }
  if (list->leases.empty())
    io.err << "no leases\n";
  else
    table.print(io.out, io.colours);
  return kExitDone;
}

int run_lease_revoke(const Options& options, client::Client& client, Io& io) {
  const auto revoked = client.revoke_lease(options.lease_id);
  if (!revoked) return fail(options, io, revoked.error());
  if (options.format == Format::kJson) {
    print_json({{"id", options.lease_id}, {"revoked", true}, {"deleted", revoked->deleted}},
               io.out);
  } else {
    io.out << "OK lease " << options.lease_id << " revoked, keys deleted: " << revoked->deleted
           << '\n';
  }
  return kExitDone;
}

}  // namespace kvstore::cli
