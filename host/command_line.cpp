#include "host/command_line.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>

#include <CLI/CLI.hpp>

#include "host/json_check.hpp"

namespace kvstore::host {
namespace {

// A flag with a value that sets one key of the configuration, if any.
struct Flag {
  const char* name;         // "--node-id"
  const char* environment;  // "KVSTORE_NODE_ID"
  const char* key;          // of the configuration; nullptr: handled by itself
  const char* type;         // shown in the help
  const char* help;
};

constexpr Flag kFlags[] = {
    {"--node-id", "KVSTORE_NODE_ID", "node_id", "NAME", "Name of this node, unique in the cluster"},
    {"--bind-address", "KVSTORE_BIND_ADDRESS", "bind_address", "HOST:PORT",
     "Address for other nodes (default 127.0.0.1:7001)"},
    {"--advertise-address", "KVSTORE_ADVERTISE_ADDRESS", "advertise_address", "HOST:PORT",
     "Address that other nodes are told (default: the bind address)"},
    {"--http-port", "KVSTORE_HTTP_PORT", nullptr, "PORT",
     "Port of the HTTP API (default 8081, on 127.0.0.1)"},
    {"--grpc-port", "KVSTORE_GRPC_PORT", nullptr, "PORT", "Port of the gRPC API (needs a plugin)"},
    {"--data-dir", "KVSTORE_DATA_DIR", "data_dir", "DIR",
     "Directory of this node's data (default data/NAME)"},
    {"--peers", "KVSTORE_PEERS", nullptr, "HOST:PORT,...", "Nodes to ask for admission"},
    {"--config", "KVSTORE_CONFIG", nullptr, "FILE", "Configuration file (JSON)"},
    {"--log-level", "KVSTORE_LOG_LEVEL", "log_level", "LIST",
     "trace, debug, info, warn, error or off, and module=level: info,raft=debug"},
    {"--plugin-dir", "KVSTORE_PLUGIN_DIR", "plugin_dir", "DIR",
     "Directory of the plugins (default ../lib/kvstore/plugins beside the program)"},
};

struct Switch {
  const char* name;
  const char* environment;
  const char* help;
};

constexpr Switch kBootstrap = {"--bootstrap", "KVSTORE_BOOTSTRAP",
                               "Make a new cluster of this node; from the snapshot that "
                               "'kvstore-client snapshot restore' placed in the data directory, if "
                               "there is one"};
constexpr Switch kCheckConfig = {"--check-config", "KVSTORE_CHECK_CONFIG",
                                 "Check configuration and plugins, then exit"};
constexpr Switch kPrintConfig = {"--print-config", "KVSTORE_PRINT_CONFIG",
                                 "Print the whole configuration, then exit"};
constexpr Switch kListPlugins = {"--list-plugins", "KVSTORE_LIST_PLUGINS",
                                 "List the plugins in the plugin directory, then exit"};

// What was given, with the name under which errors mention it.
struct Given {
  std::string source;
  std::string value;
};

// What the command line and the environment say, before the configuration.
class Collected {
 public:
  explicit Collected(const Environment& environment) : environment_(environment) {}

  std::optional<Given> value(CLI::App& app, const Flag& flag) const {
    if (const CLI::Option* option = app.get_option(flag.name); option->count() > 0) {
      return Given{flag.name, option->results().back()};
    }
    return from_environment(flag.environment);
  }

  Result<bool> is_on(CLI::App& app, const Switch& s) const {
    if (const CLI::Option* option = app.get_option(s.name); option->count() > 0) {
      return truth({s.name, option->results().back()});
    }
    std::optional<Given> given = from_environment(s.environment);
    return given ? truth(*given) : Result<bool>(false);
  }

  std::optional<Given> from_environment(const char* name) const {
    const char* value = environment_(name);
    if (value == nullptr || *value == '\0') return std::nullopt;
    return Given{name, value};
  }

 private:
  static Result<bool> truth(const Given& given) {
    if (given.value == "true" || given.value == "1") return true;
    if (given.value == "false" || given.value == "0") return false;
    return Status(Code::kInvalid,
                  given.source + ": must be true or false, is \"" + given.value + '"');
  }

  const Environment& environment_;
};

const Flag& flag(const std::string& name) {
  return *std::find_if(std::begin(kFlags), std::end(kFlags),
                       [&](const Flag& f) { return name == f.name; });
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    size_t end = std::min(text.find(separator, begin), text.size());
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// Text as JSON.  What is no UTF-8 stays as it is, for ConfigBuilder::set() to refuse.
std::string json_string(const std::string& text) {
  return is_utf8(text) ? Json(text).dump() : text;
}

void declare(CLI::App& app) {
  for (const Flag& f : kFlags) {
    const std::string help = std::string(f.help) + " [" + f.environment + ']';
    app.add_option(f.name, help)->type_name(f.type)->expected(1);
  }
  const std::string set_help =
      "Any key of the configuration, repeatable: --set raft.heartbeat_ms=50 [KVSTORE_SET, "
      "separated "
      "by ';']";
  app.add_option("--set", set_help)
      ->type_name("KEY.PATH=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  for (const Switch& s : {kBootstrap, kCheckConfig, kPrintConfig, kListPlugins}) {
    const std::string help = std::string(s.help) + " [" + s.environment + ']';
    app.add_flag(s.name, help);
  }
  app.footer(
      "Flags win over the environment, the environment over the file, the file over defaults.\n"
      "All keys of the file are described in config/README.md.\n\n"
      "A cluster of one:  kvstore-server --node-id node1 --bootstrap");
}

Result<uint16_t> parse_port(const Given& given) {
  const std::string& text = given.value;
  bool digits =
      !text.empty() && text.size() <= 5 && text.find_first_not_of("0123456789") == text.npos;
  unsigned long port = digits ? std::stoul(text) : 65536;
  if (port > 65535) {
    return Status(Code::kInvalid,
                  given.source + ": must be a port of 0..65535, is \"" + text + '"');
  }
  return static_cast<uint16_t>(port);
}

Status apply_sets(CLI::App& app, const Collected& collected, ConfigBuilder* builder) {
  std::vector<Given> all;
  if (const CLI::Option* option = app.get_option("--set"); option->count() > 0) {
    for (const std::string& one : option->results()) all.push_back({"--set", one});
  } else if (auto given = collected.from_environment("KVSTORE_SET")) {
    for (const std::string& one : split(given->value, ';')) all.push_back({given->source, one});
  }
  for (const Given& one : all) {
    size_t equals = one.value.find('=');
    if (equals == 0 || equals == one.value.npos) {
      return Status(Code::kInvalid, one.source + ": \"" + one.value +
                                        "\" is not KEY.PATH=VALUE, e.g. raft.heartbeat_ms=50");
    }
    const std::string key = one.value.substr(0, equals);
    Status status = builder->set(one.source + ' ' + key, key, one.value.substr(equals + 1));
    if (!status) return status;
  }
  return Status();
}

Status apply_flags(CLI::App& app, const Collected& collected, ConfigBuilder* builder) {
  for (const Flag& f : kFlags) {
    if (f.key == nullptr) continue;
    if (auto given = collected.value(app, f)) {
      Status status = builder->set(given->source, f.key, json_string(given->value));
      if (!status) return status;
    }
  }
  if (auto given = collected.value(app, flag("--peers"))) {
    const std::string list =
        is_utf8(given->value) ? Json(split(given->value, ',')).dump() : given->value;
    Status status = builder->set(given->source, "peers", list);
    if (!status) return status;
  }
  if (auto given = collected.value(app, flag("--http-port"))) {
    Result<uint16_t> port = parse_port(*given);
    if (!port) return port.status();
    Status status = builder->set_http_port(given->source, *port);
    if (!status) return status;
  }
  Result<bool> bootstrap = collected.is_on(app, kBootstrap);
  if (!bootstrap) return bootstrap.status();
  return *bootstrap ? builder->set(kBootstrap.name, "bootstrap", "true") : Status();
}

// The action asked for; with several, the first in this order.
Result<Action> chosen_action(CLI::App& app, const Collected& collected) {
  const std::pair<Switch, Action> actions[] = {{kListPlugins, Action::kListPlugins},
                                               {kPrintConfig, Action::kPrintConfig},
                                               {kCheckConfig, Action::kCheckConfig}};
  for (const auto& [s, action] : actions) {
    Result<bool> on = collected.is_on(app, s);
    if (!on) return on.status();
    if (*on) return action;
  }
  return Action::kRun;
}

Result<CommandLine> build(CLI::App& app, const Environment& environment,
                          const std::string& program_dir) {
  Collected collected(environment);
  if (auto given = collected.value(app, flag("--grpc-port"))) {
    return Status(Code::kInvalid, given->source +
                                      ": there is no gRPC front end: the plugin api-grpc does not "
                                      "exist yet; use --http-port");
  }
  CommandLine out;
  Result<Action> action = chosen_action(app, collected);
  if (!action) return action.status();
  out.action = *action;

  ConfigBuilder builder;
  if (auto file = collected.value(app, flag("--config"))) {
    Status status = builder.add_file(file->value);
    if (!status) return Status(status.code(), file->source + ": " + status.message());
    out.config_prefix = file->source + ": " + file->value + ": ";
  }
  if (Status status = apply_sets(app, collected, &builder); !status) return status;
  if (Status status = apply_flags(app, collected, &builder); !status) return status;
  if (out.action == Action::kListPlugins) {
    // Needs no node: a name only completes the configuration.
    Status status = builder.set("--list-plugins", "node_id", "\"unnamed\"");
    if (!status) return status;
  }
  Result<Config> config = builder.finish(program_dir);
  if (!config) return config.status();
  out.config = *config;
  return out;
}

}  // namespace

Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments,
                                       const Environment& environment,
                                       const std::string& program_dir, const std::string& version) {
  CLI::App app("kvstore-server: one node of a replicated key-value store", "kvstore-server");
  app.set_version_flag("--version", "kvstore-server " + version);
  app.set_help_flag("--help,-h", "Print this help, then exit");
  declare(app);
  // CLI11 takes the arguments from the back.
  std::vector<std::string> reversed(arguments.rbegin(),
                                    arguments.rend() - (arguments.empty() ? 0 : 1));
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    return CommandLine{Action::kExit, {}, app.help(), {}};
  } catch (const CLI::CallForVersion&) {
    return CommandLine{Action::kExit, {}, "kvstore-server " + version + '\n', {}};
  } catch (const CLI::ParseError& e) {
    std::string message = e.what();
    std::replace(message.begin(), message.end(), '\n', ' ');
    return Status(Code::kInvalid, message + "; see kvstore-server --help");
  }
  return build(app, environment, program_dir);
}

std::string program_directory() {
  std::error_code error;
  std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "." : self.parent_path().string();
}

}  // namespace kvstore::host
