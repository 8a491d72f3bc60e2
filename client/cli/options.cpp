#include "options.hpp"

#include <algorithm>
#include <charconv>

#include "exit_code.hpp"
#include "options_parser.hpp"

namespace kvstore::cli {
namespace {

constexpr const char* kExitCodes =
    "Exit codes: 0 done, 1 not found or condition failed, 2 usage, 3 unreachable or no leader,\n"
    "4 outcome unknown, 5 refused.";

struct CommandName {
  Command command;
  const char* name;
};
constexpr CommandName kNames[] = {
    {Command::kPut, "put"},
    {Command::kGet, "get"},
    {Command::kList, "list"},
    {Command::kDelete, "delete"},
    {Command::kWatch, "watch"},
    {Command::kTxn, "txn"},
    {Command::kClusterStatus, "cluster-status"},
    {Command::kHealth, "health"},
    {Command::kMemberAdd, "member add"},
    {Command::kMemberRemove, "member remove"},
    {Command::kMemberList, "member list"},
    {Command::kMemberPromote, "member promote"},
    {Command::kLeaseGrant, "lease grant"},
    {Command::kLeaseKeepAlive, "lease keepalive"},
    {Command::kLeaseGet, "lease get"},
    {Command::kLeaseList, "lease list"},
    {Command::kLeaseRevoke, "lease revoke"},
    {Command::kTransferLeader, "transfer-leader"},
    {Command::kCompact, "compact"},
    {Command::kSnapshotSave, "snapshot save"},
    {Command::kSnapshotStatus, "snapshot status"},
    {Command::kSnapshotRestore, "snapshot restore"},
    {Command::kMetrics, "metrics"},
    {Command::kBench, "bench"},
    {Command::kCompletion, "completion"},
};

void add_read_options(CLI::App& app, Parsed& parsed) {
  add_consistency(app, parsed);
  app.add_option(
         "--max-staleness", parsed.max_staleness,
         "With --consistency stale: refuse what may be older, 1ms to 1h; no bound if absent")
      ->type_name("DURATION");
  app.add_option("--min-revision", parsed.options.read.min_revision,
                 "Wait until the node has applied this revision; 0: any")
      ->check(check_whole_number)
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--revision", parsed.options.read.revision,
                 "As it was at this revision; 0: the newest")
      ->check(check_whole_number)
      ->type_name("N")
      ->capture_default_str();
}

void add_if_revision(CLI::App& app, Parsed& parsed) {
  app.add_option("--if-revision", parsed.options.condition.mod_revision,
                 "Only if the key's current mod_revision is this one")
      ->check(check_whole_number)
      ->type_name("N");
}

void add_request_id(CLI::App& app, Parsed& parsed) {
  CLI::Option* id =
      app.add_option("--request-id", parsed.options.request_id,
                     "The write takes effect once, however often it is sent with this id; 1 to 128 "
                     "characters of visible ASCII; a random one if absent")
          ->type_name("ID");
  app.add_flag_callback(
         "--no-request-id", [&parsed] { parsed.options.request_ids = false; },
         "Send no id: a write whose answer is lost is not sent again")
      ->excludes(id);
}

void add_key(CLI::App& app, Parsed& parsed) {
  app.add_option("KEY", parsed.options.key, "The key")->required()->type_name("");
}

void add_key_commands(CLI::App& app, Parsed& parsed) {
  Options& options = parsed.options;
  CLI::App& put = add_command(app, parsed, Command::kPut, "put", "Store a value under a key");
  add_key(put, parsed);
  parsed.value_option = put.add_option("VALUE", options.value, "The value; - reads standard input");
  parsed.value_option->type_name("");
  put.add_option("--file", options.file, "Read the value from this file; - reads standard input")
      ->excludes(parsed.value_option)
      ->type_name("PATH");
  add_if_revision(put, parsed);
  put.add_flag("--if-absent", options.condition.absent, "Only if the key does not exist");
  add_lifetime(put, parsed);
  add_request_id(put, parsed);

  CLI::App& get = add_command(app, parsed, Command::kGet, "get", "Print the value of a key");
  add_key(get, parsed);
  get.add_flag("--raw", options.raw, "Print the bytes as they are, without a newline");
  get.add_option("--output", options.output, "Write the bytes to this file")->type_name("FILE");
  add_read_options(get, parsed);

  CLI::App& list = add_command(app, parsed, Command::kList, "list", "List keys in byte order");
  list.add_option("--prefix", options.list.prefix, "Only keys that begin so");
  CLI::Option* limit = list.add_option("--limit", options.list.limit, "At most this many; 0: all")
                           ->check(check_whole_number)
                           ->type_name("N")
                           ->capture_default_str();
  list.add_flag("--all", options.all,
                "All of one revision, each printed as it comes, whole values included")
      ->excludes(limit);
  list.add_flag("--reverse", options.list.reverse, "From the last key to the first");
  list.add_flag("--keys-only", options.list.keys_only, "Keys without their values");
  add_read_options(list, parsed);

  CLI::App& del =
      add_command(app, parsed, Command::kDelete, "delete", "Delete a key, or many keys");
  parsed.delete_key_option = del.add_option("KEY", options.key, "The key");
  parsed.delete_key_option->type_name("");
  parsed.delete_prefix_option =
      del.add_option("--prefix", options.prefix, "Every key that begins so, piece by piece");
  del.add_flag("--all", options.all, "Every key there is, piece by piece");
  add_if_revision(del, parsed);
  add_request_id(del, parsed);

  CLI::App& txn = add_command(app, parsed, Command::kTxn, "txn",
                              "Run a transaction: compares, and one of two lists of operations");
  txn.add_option("FILE", options.file, "The JSON document of POST /txn; - reads standard input")
      ->required()
      ->type_name("PATH");
  add_request_id(txn, parsed);
}

// What `delete` is to delete: exactly one of the three.
std::string check_delete(const Parsed& parsed) {
  const bool key = parsed.delete_key_option->count() != 0;
  const bool prefix = parsed.delete_prefix_option->count() != 0;
  if (key + prefix + parsed.options.all != 1) {
    return "delete: exactly one of KEY, --prefix and --all is required";
  }
  if (prefix && parsed.options.prefix.empty()) {
    return "delete: --prefix is empty, which is every key; --all is for that";
  }
  if (!key && parsed.options.condition.mod_revision) return "delete: --if-revision needs a KEY";
  return {};
}

void add_watch_command(CLI::App& app, Parsed& parsed) {
  client::WatchOptions& watch = parsed.options.watch;
  CLI::App& command = add_command(app, parsed, Command::kWatch, "watch",
                                  "Print changes as they happen, until interrupted");
  CLI::Option* key = command.add_option("KEY", parsed.options.key, "This key alone");
  key->type_name("");
  command.add_option("--prefix", watch.prefix, "Keys that begin so; without KEY and this, all")
      ->excludes(key);
  command
      .add_option("--from-revision", watch.from_revision,
                  "The first revision wanted; 0: from now on")
      ->check(check_whole_number)
      ->type_name("N")
      ->capture_default_str();
  command.add_flag("--prev", watch.with_prev, "Also print what was replaced or deleted");
  command.add_option("--count", parsed.options.count, "End after this many changes; 0: go on")
      ->check(check_whole_number)
      ->type_name("N")
      ->capture_default_str();
}

void add_cluster_commands(CLI::App& app, Parsed& parsed) {
  Options& options = parsed.options;
  add_command(app, parsed, Command::kClusterStatus, "cluster-status",
              "Show the leader, the members and how far they are");
  add_command(app, parsed, Command::kHealth, "health", "Show whether the node can serve");
  const auto add_name = [&](CLI::App& command) {
    command.add_option("NAME", options.node_id, "The node's name (its --node-id)")
        ->required()
        ->type_name("");
  };

  CLI::App* member = app.add_subcommand("member", "Add, remove or list members");
  member->fallthrough()->require_subcommand(1);
  CLI::App& add = add_command(*member, parsed, Command::kMemberAdd, "add", "Admit a node");
  add_name(add);
  add.add_option("ADDRESS", options.address, "Its Raft address, HOST:PORT")
      ->required()
      ->type_name("");
  add.add_flag("--learner", options.learner, "Keep it without a vote");
  CLI::App& remove =
      add_command(*member, parsed, Command::kMemberRemove, "remove", "Remove a node for good");
  add_name(remove);
  remove.add_flag("--force", options.force, "Even if the rest may lose its quorum");
  add_command(*member, parsed, Command::kMemberList, "list", "List the members");
  add_name(add_command(*member, parsed, Command::kMemberPromote, "promote",
                       "Give a learner a vote once it has caught up"));

  add_name(add_command(app, parsed, Command::kTransferLeader, "transfer-leader",
                       "Hand leadership over to a member"));
  CLI::App& compact =
      add_command(app, parsed, Command::kCompact, "compact", "Give up old revisions");
  parsed.revision_option = compact.add_option("--revision", options.revision,
                                              "The oldest one to keep readable; the newest if "
                                              "absent");
  parsed.revision_option->check(check_whole_number)->type_name("N");
  add_command(app, parsed, Command::kMetrics, "metrics", "Print the node's Prometheus metrics");
}

void add_completion_command(CLI::App& app, Parsed& parsed) {
  CLI::App& completion = add_command(app, parsed, Command::kCompletion, "completion",
                                     "Print a script that completes this program's arguments");
  completion.add_option("SHELL", parsed.shell, "bash or zsh")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}))
      ->type_name("");
  completion.footer(
      "bash: source <(kvstore-client completion bash)\n"
      "zsh:  source <(kvstore-client completion zsh), after compinit");
}

void add_program_options(CLI::App& app, Parsed& parsed) {
  app.set_version_flag("--version", std::string(kProgram) + " " + KVS_VERSION);
  app.set_help_flag("--help,-h", "Print this help");
  app.add_option("--server", parsed.servers, "Servers to try, separated by commas")
      ->envname("KVSTORE_SERVER")
      ->type_name("URL[,URL]")
      ->capture_default_str();
  app.add_option("--protocol", parsed.protocol, "http; grpc needs a plugin")
      ->check(CLI::IsMember({"http", "grpc"}))
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--format", parsed.format, "table for people, json for programs")
      ->check(CLI::IsMember({"json", "table"}))
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--timeout", parsed.timeout, "Time for everything, such as 500ms, 2s or 1m")
      ->type_name("DURATION")
      ->capture_default_str();
}

std::vector<std::string> split_servers(const std::string& text) {
  std::vector<std::string> out;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    if (comma > begin) out.push_back(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return out;
}

// Converts what the parser took as text.  Empty: done; otherwise the usage error.
std::string convert(Parsed& parsed) {
  Options& options = parsed.options;
  if (parsed.protocol == "grpc") {
    return "--protocol grpc needs the plugin api-grpc, which does not exist yet; use http";
  }
  options.format = parsed.format == "json" ? Format::kJson : Format::kTable;
  options.servers = split_servers(parsed.servers);
  const auto timeout = parse_duration(parsed.timeout);
  if (!timeout) {
    return "--timeout: '" + parsed.timeout + "' is no duration from 1ms to 1h, such as 500ms or 2s";
  }
  options.timeout = *timeout;
  if (parsed.consistency == "lease") options.read.consistency = client::Consistency::kLease;
  if (parsed.consistency == "stale") options.read.consistency = client::Consistency::kStale;
  if (options.command == Command::kBench) return convert_bench(parsed);
  if (std::string problem = convert_lease(parsed); !problem.empty()) return problem;
  if (std::string problem = check_snapshot(options); !problem.empty()) return problem;
  if (options.command == Command::kDelete) return check_delete(parsed);
  if (parsed.revision_option->count() != 0 && options.revision == 0) {
    return "compact: --revision must be a positive number";
  }
  if (options.command == Command::kPut && parsed.value_option->count() == 0) {
    if (options.file.empty()) return "put: VALUE or --file is required";
    options.value.clear();
  } else if (options.command == Command::kPut && options.value == "-") {
    options.file = "-";
  }
  if (!parsed.max_staleness.empty()) {
    const auto staleness = parse_duration(parsed.max_staleness);
    if (!staleness) {
      return "--max-staleness: '" + parsed.max_staleness +
             "' is no duration from 1ms to 1h, such as 500ms or 2s";
    }
    if (parsed.consistency != "stale") return "--max-staleness needs --consistency stale";
    options.read.max_staleness = *staleness;
  }
  options.list.read = options.read;
  if (options.command == Command::kList && options.all) options.list.limit = 0;
  if (options.raw && (options.format == Format::kJson || !options.output.empty())) {
    return "get: --raw excludes --format json and --output";
  }
  return {};
}

// "member add", as far as the arguments name a command.
std::string command_of(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  if (chosen.empty()) return {};
  const std::string below = command_of(*chosen.front());
  return chosen.front()->get_name() + (below.empty() ? "" : " " + below);
}

}  // namespace

std::string check_whole_number(const std::string& text) {
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  return digits ? "" : "'" + text + "' is no whole number";
}

CLI::App& add_command(CLI::App& parent, Parsed& parsed, Command command, const std::string& name,
                      const std::string& description) {
  CLI::App* app = parent.add_subcommand(name, description);
  app->fallthrough();  // options of the program may follow the command
  app->callback([&parsed, command] { parsed.options.command = command; });
  return *app;
}

void add_consistency(CLI::App& app, Parsed& parsed) {
  app.add_option("--consistency", parsed.consistency,
                 "What reads see: linearizable every acknowledged write; lease the same while "
                 "clocks run alike; stale what the asked node has")
      ->check(CLI::IsMember({"linearizable", "lease", "stale"}))
      ->type_name("LEVEL")
      ->capture_default_str();
}

std::string Options::title() const {
  std::string out;
  for (const auto& [known, name] : kNames) {
    if (known == command) out = name;
  }
  std::string subject = !key.empty() ? key : !prefix.empty() ? prefix : node_id;
  if (lease_id != 0) subject = std::to_string(lease_id);
  return subject.empty() ? out : out + " " + subject;
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text,
                                                        std::chrono::milliseconds max) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  const std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  const auto max_ms = static_cast<uint64_t>(max.count());
  uint64_t scale = 0;
  if (unit == "ms") scale = 1;
  if (unit == "s" || unit.empty()) scale = 1000;
  if (unit == "m") scale = 60'000;
  if (unit == "h") scale = 3'600'000;
  if (scale == 0 || number == 0 || number > max_ms / scale) return std::nullopt;
  return std::chrono::milliseconds(number * scale);
}

std::variant<Options, int> parse_options(int argc, const char* const* argv, std::ostream& out,
                                         std::ostream& err) {
  CLI::App app("Talks to a kvstore cluster over HTTP.", kProgram);
  Parsed parsed;
  app.require_subcommand(1);
  app.footer(kExitCodes);
  add_program_options(app, parsed);
  add_key_commands(app, parsed);
  add_watch_command(app, parsed);
  add_lease_commands(app, parsed);
  add_cluster_commands(app, parsed);
  add_snapshot_commands(app, parsed);
  add_bench_command(app, parsed);
  add_completion_command(app, parsed);
  std::string problem;
  try {
    app.parse(argc, argv);
    problem = convert(parsed);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) {
      app.exit(e, out, err);
      return kExitDone;
    }
    const auto rest = app.remaining();
    const bool unknown_command = app.get_subcommands().empty() && !rest.empty();
    problem = unknown_command ? "unknown command or option '" + rest.front() + "'" : e.what();
  }
  if (problem.empty() && parsed.options.command == Command::kCompletion) {
    out << completion_script(app, parsed.shell);
    return kExitDone;
  }
  if (problem.empty()) return std::move(parsed.options);
  const std::string command = command_of(app);
  const bool is_named = command.empty() || problem.rfind(command + ":", 0) == 0;
  err << kProgram << ": " << (is_named ? "" : command + ": ") << problem << "\nTry '" << kProgram
      << (command.empty() ? "" : " ") << command << " --help'.\n";
  return kExitUsage;
}

}  // namespace kvstore::cli
