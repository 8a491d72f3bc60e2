// cluster-status, health, member, transfer-leader, compact, metrics.
#include "commands.hpp"
#include "display.hpp"
#include "exit_code.hpp"
#include "json_out.hpp"

namespace kvstore::cli {
namespace {

// What a member stores with: one name, or that of the log and that of the state.
std::string engine_of(const client::Member& member) {
  std::string log, state;
  for (const client::PluginUse& plugin : member.plugins) {
    std::string name = plugin.id;
    for (const std::string& prefix : {std::string("kvstore."), std::string("storage-")}) {
      if (name.rfind(prefix, 0) == 0) name.erase(0, prefix.size());
    }
    if (plugin.role == "log") log = name;
    if (plugin.role == "state") state = name;
  }
  if (log.empty() || log == state) return state.empty() ? "-" : state;
  return log + "+" + state;
}

void print_members(const client::ClusterStatus& status, Io& io) {
  Table table({"NAME", "ROLE", "ADDRESS", "ENGINE", "STATE", "MATCH", "LAG", "HEALTH"});
  for (const client::Member& member : status.members) {
    const Cell health = !member.reported ? Cell{"-"}
                        : member.healthy ? Cell{"ok", Colour::kGood}
                                         : Cell{"down", Colour::kBad};
    const std::string role = member.is_leader ? "leader" : escape(member.role);
    const bool has_state = !member.state.empty() && !member.is_leader;
    table.add({{escape(member.node_id), member.is_leader ? Colour::kStrong : Colour::kNone},
               {role},
               {escape(member.address)},
               {escape(engine_of(member))},
               {has_state ? escape(member.state) : "-"},
               {member.reported ? std::to_string(member.match_index) : "-"},
               {member.reported ? std::to_string(member.lag) : "-"},
               health});
  }
  table.print(io.out, io.colours);
}

void print_answer_document(const std::string& name, Json fields, Io& io) {
  Json document = {{"node_id", name}};
  document.update(fields);
  print_json(document, io.out);
}

int print_added(const Options& options, const client::AddResult& added, bool learner, Io& io) {
  if (options.format == Format::kJson) return print_json_text(options, io, added.json);
  io.out << "OK " << escape(options.node_id) << ' ' << escape(added.state);
  if (added.state == "pending") io.out << " (joins by itself once it runs)";
  if (added.state == "learner" && !learner) io.out << " (votes by itself once it has caught up)";
  io.out << '\n';
  return kExitDone;
}

}  // namespace

int run_cluster_status(const Options& options, client::Client& client, Io& io) {
  const auto status = client.status();
  if (!status) return fail(options, io, status.error());
  if (options.format == Format::kJson) return print_json_text(options, io, status->json);
  const auto line = [&](const char* title, const std::string& text) {
    io.out << paint({title, Colour::kStrong}, io.colours) << escape(text) << '\n';
  };
  line("cluster  ", status->cluster_name + " (" + status->cluster_id + ")");
  line("asked    ", status->node_id + " (" + status->role + ")");
  line("leader   ", status->leader.empty() ? "none" : status->leader);
  line("term     ", std::to_string(status->term));
  line("log      ", std::to_string(status->first_index) + ".." +
                        std::to_string(status->last_index) + ", committed " +
                        std::to_string(status->commit_index) + ", applied " +
                        std::to_string(status->applied_index));
  line("revision ", std::to_string(status->revision));
  io.out << '\n';
  print_members(*status, io);
  if (status->source == "local") {
    io.err << "the leader did not answer: how far the members are is unknown\n";
  }
  return kExitDone;
}

int run_health(const Options& options, client::Client& client, Io& io) {
  const auto health = client.health();
  if (!health) return fail(options, io, health.error());
  const int code = health->ok ? kExitDone : kExitNotFound;
  if (options.format == Format::kJson) {
    const int printed = print_json_text(options, io, health->json);
    return printed == kExitDone ? code : printed;
  }
  const Cell verdict = !health->ok        ? Cell{"unavailable", Colour::kBad}
                       : health->degraded ? Cell{"degraded", Colour::kBad}
                                          : Cell{"ok", Colour::kGood};
  io.out << escape(health->node_id) << " (" << escape(health->role)
         << "): " << paint(verdict, io.colours) << '\n';
  for (const client::HealthCheck& check : health->checks) {
    const Cell mark = check.ok ? Cell{"ok  ", Colour::kGood} : Cell{"FAIL", Colour::kBad};
    io.out << "  " << paint(mark, io.colours) << "  " << escape(check.name);
    if (!check.message.empty()) io.out << ": " << escape(check.message);
    io.out << '\n';
  }
  return code;
}

int run_member_add(const Options& options, client::Client& client, Io& io) {
  const auto added = client.add_member(options.node_id, options.address, options.learner);
  if (!added) return fail(options, io, added.error());
  return print_added(options, *added, options.learner, io);
}

int run_member_promote(const Options& options, client::Client& client, Io& io) {
  const auto promoted = client.promote_member(options.node_id);
  if (!promoted) return fail(options, io, promoted.error());
  return print_added(options, *promoted, false, io);
}

int run_member_remove(const Options& options, client::Client& client, Io& io) {
  const auto removed = client.remove_member(options.node_id, options.force);
  if (!removed) return fail(options, io, removed.error());
  if (options.format == Format::kJson) {
    print_answer_document(options.node_id, {{"removed", true}}, io);
  } else {
    io.out << "OK " << escape(options.node_id) << " removed\n";
  }
  return kExitDone;
}

int run_member_list(const Options& options, client::Client& client, Io& io) {
  const auto status = client.status();
  if (!status) return fail(options, io, status.error());
  if (options.format == Format::kTable) {
    print_members(*status, io);
    return kExitDone;
  }
  const Json document = Json::parse(status->json, nullptr, false);
  print_json({{"members", document["members"]}}, io.out);
  return kExitDone;
}

int run_transfer_leader(const Options& options, client::Client& client, Io& io) {
  const auto done = client.transfer_leader(options.node_id);
  if (!done) return fail(options, io, done.error());
  if (options.format == Format::kJson) {
    print_answer_document(options.node_id, {{"leader", true}}, io);
  } else {
    io.out << "OK " << escape(options.node_id) << " leads\n";
  }
  return kExitDone;
}

int run_compact(const Options& options, client::Client& client, Io& io) {
  uint64_t revision = options.revision;
  if (revision == 0) {
    const auto status = client.status();
    if (!status) return fail(options, io, status.error());
    revision = status->revision;
  }
  if (revision == 0) {
    return fail(options, io,
                {client::ErrorKind::kNotFound, "not_found", "the store has no revision yet"});
  }
  const auto done = client.compact(revision);
  if (!done) return fail(options, io, done.error());
  if (options.format == Format::kJson) return print_json_text(options, io, done->json);
  io.out << "OK revisions from " << done->compacted_revision << " on can be read\n";
  return kExitDone;
}

int run_metrics(const Options& options, client::Client& client, Io& io) {
  const auto text = client.metrics();
  if (!text) return fail(options, io, text.error());
  if (options.format == Format::kJson) {
    print_json({{"metrics", *text}}, io.out);
  } else {
    io.out << *text;
  }
  return kExitDone;
}

}  // namespace kvstore::cli
