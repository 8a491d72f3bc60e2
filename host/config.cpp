#include "host/config.hpp"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "host/config_fields.hpp"
#include "host/json_check.hpp"
#include "host/log_levels.hpp"

namespace kvstore::host {

// Generated from config/schema.json by CMakeLists.txt.
extern const char kConfigSchemaText[];

std::string_view config_schema() {
  return kConfigSchemaText;
}

namespace {

const JsonSchema& schema() {
  static const JsonSchema* const parsed =
      new JsonSchema(JsonSchema::parse(kConfigSchemaText).value());
  return *parsed;
}

Status bad(const std::string& source, const std::string& what) {
  return Status(Code::kInvalid, source + ": " + what);
}

// ---- reading

template <typename Section>
void read_section(const Json& document, const char* key, Section read) {
  auto it = document.find(key);
  if (it == document.end()) return;
  read([&it](const char* name, auto& member) {
    auto value = it->find(name);
    if (value != it->end()) value->get_to(member);
  });
}

void read_plugin(const Json& document, const char* key, PluginChoice* out) {
  auto it = document.find(key);
  if (it == document.end()) return;
  out->plugin = it->at("plugin").get<std::string>();
  out->options_json = it->value("options", Json::object()).dump();
}

// `document` matches the schema.
Config read_config(const Json& document) {
  Config c;
  top_fields(
      [&](const char* name, auto& member) {
        auto value = document.find(name);
        if (value != document.end()) value->get_to(member);
      },
      c);
  read_plugin(document, "log", &c.log);
  read_plugin(document, "state", &c.state);
  read_plugin(document, "transport", &c.transport);
  if (auto apis = document.find("apis"); apis != document.end()) {
    c.apis.clear();
    for (const Json& one : *apis) {
      ApiChoice api;
      api_fields(
          [&](const char* name, auto& member) {
            auto value = one.find(name);
            if (value != one.end()) value->get_to(member);
          },
          api);
      api.options_json = one.value("options", Json::object()).dump();
      c.apis.push_back(std::move(api));
    }
  }
  read_section(document, "raft", [&](auto visit) { raft_fields(visit, c.raft); });
  read_section(document, "state_sync", [&](auto visit) { state_sync_fields(visit, c.state_sync); });
  read_section(document, "limits", [&](auto visit) { limits_fields(visit, c.limits); });
  read_section(document, "snapshot", [&](auto visit) { snapshot_fields(visit, c.snapshot); });
  read_section(document, "history", [&](auto visit) { history_fields(visit, c.history); });
  return c;
}

// ---- what a schema cannot say

// "storage-leveldb" of "/opt/x/storage-leveldb.so".
std::string base_name(const std::string& plugin) {
  std::string name = plugin.substr(plugin.rfind('/') + 1);
  if (name.size() > 3 && name.ends_with(".so")) name.resize(name.size() - 3);
  return name;
}

Status check_address(const std::string& pointer, const std::string& text) {
  Result<HostPort> parsed = parse_address(text);
  return parsed ? Status() : bad(pointer, parsed.status().message());
}

bool is_wildcard(const std::string& host) {
  return host == "0.0.0.0" || host == "::";
}

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

Status check_advertised(const std::string& pointer, const std::string& text) {
  if (Status status = check_address(pointer, text); !status) return status;
  HostPort address = parse_address(text).value();
  if (is_wildcard(address.host) || address.port == 0) {
    return bad(pointer,
               '"' + text + "\" is nothing that others can connect to; name a host and a port");
  }
  return Status();
}

Status check_reachable(const Config& c) {
  if (c.advertise_address.empty() && is_wildcard(parse_address(c.bind_address).value().host)) {
    return bad("/bind_address", '"' + c.bind_address +
                                    "\" listens on every address; say with advertise_address which "
                                    "one other nodes are to use");
  }
  return Status();
}

// What concerns one key alone and a schema cannot say.
Status check_each(const Config& c) {
  if (Status s = check_address("/bind_address", c.bind_address); !s) return s;
  if (!c.advertise_address.empty()) {
    if (Status s = check_advertised("/advertise_address", c.advertise_address); !s) return s;
  }
  for (size_t i = 0; i < c.peers.size(); ++i) {
    if (Status s = check_advertised("/peers/" + std::to_string(i), c.peers[i]); !s) return s;
  }
  for (size_t i = 0; i < c.apis.size(); ++i) {
    const std::string pointer = "/apis/" + std::to_string(i);
    if (Status s = check_address(pointer + "/listen", c.apis[i].listen); !s) return s;
    if (c.apis[i].advertise.empty()) continue;
    if (Status s = check_advertised(pointer + "/advertise", c.apis[i].advertise); !s) return s;
  }
  Result<LogLevels> levels = parse_log_levels(c.log_level);
  return levels ? Status() : bad("/log_level", levels.status().message());
}

Status check_apis(const Config& c) {
  std::set<std::string> names;
  std::set<std::string> listeners{c.bind_address};
  for (size_t i = 0; i < c.apis.size(); ++i) {
    const ApiChoice& api = c.apis[i];
    const std::string pointer = "/apis/" + std::to_string(i);
    if (parse_address(api.listen).value().port != 0 && !listeners.insert(api.listen).second) {
      return bad(pointer + "/listen",
                 '"' + api.listen + "\" is in use already; choose another port");
    }
    if (!names.insert(api.name).second) {
      return bad(pointer + "/name",
                 "two front ends are called \"" + api.name + "\"; give each a name of its own");
    }
  }
  return Status();
}

Status check_raft(const Config& c) {
  if (c.raft.election_timeout_ms < 2 * c.raft.heartbeat_ms) {
    return bad("/raft/election_timeout_ms",
               std::to_string(c.raft.election_timeout_ms) + " is less than two heartbeats of " +
                   std::to_string(c.raft.heartbeat_ms) + " ms; raise it or lower heartbeat_ms");
  }
  if (c.raft.inflight_bytes_max < c.raft.append_message_bytes_max) {
    return bad("/raft/inflight_bytes_max", "is less than append_message_bytes_max; raise it");
  }
  if (c.raft.lane_queue_bytes_max < c.raft.append_message_bytes_max) {
    return bad("/raft/lane_queue_bytes_max", "is less than append_message_bytes_max; raise it");
  }
  return Status();
}

// What concerns several keys: checked once all sources are known.
Status check_together(const Config& c) {
  if (Status s = check_reachable(c); !s) return s;
  if (Status s = check_apis(c); !s) return s;
  return check_raft(c);
}

void fill_names(Config* c) {
  for (ApiChoice& api : c->apis) {
    if (api.name.empty()) api.name = base_name(api.plugin);
  }
}

void add_warnings(Config* c) {
  for (const ApiChoice& api : c->apis) {
    if (!is_loopback(parse_address(api.listen).value().host)) {
      c->warnings.push_back("front end " + api.name + " listens on " + api.listen +
                            " without TLS and authentication: anyone who can reach it can read and "
                            "change everything");
    }
  }
}

// ---- one source

// Keys that are spoken for but do not work yet, and the shorthand for log and state.
Status expand(Json* document, const std::string& source) {
  for (const char* reserved : {"tls", "auth"}) {
    if (document->contains(reserved)) {
      return bad(source, std::string("/") + reserved + ": is not available yet; remove it");
    }
  }
  auto storage = document->find("storage");
  if (storage == document->end()) return Status();
  for (const char* role : {"log", "state"}) {
    if (document->contains(role)) {
      return bad(source, std::string("/storage: stands for log and state, but ") + role +
                             " is there too; keep one of them");
    }
  }
  Json both = std::move(*storage);
  document->erase("storage");
  (*document)["log"] = both;
  (*document)["state"] = std::move(both);
  return Status();
}

// A pointer and message of the schema ("/raft: ...") behind its source.
Status check_document(const Json& document, const std::string& source) {
  Status status = schema().check(document, "");
  if (!status) return bad(source, status.message());
  return Status();
}

// Checks a document that may still lack what other sources give.
Status check_part(Json document, const std::string& source) {
  if (document.is_object() && !document.contains("node_id")) document["node_id"] = "unnamed";
  if (Status status = check_document(document, source); !status) return status;
  Status each = check_each(read_config(document));
  return each ? Status() : bad(source, each.message());
}

// The value at a dotted path, made on the way; numbers lead into arrays.
Result<Json*> locate(Json* at, const std::string& path) {
  std::istringstream steps(path);
  std::string step;
  while (std::getline(steps, step, '.')) {
    if (step.empty()) return Status(Code::kInvalid, "the key has an empty part");
    if (at->is_array()) {
      size_t index = 0;
      auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
      if (error != std::errc() || end != step.data() + step.size() || index > at->size()) {
        return Status(Code::kInvalid, "\"" + step + "\" is no position 0.." +
                                          std::to_string(at->size()) + " in a list");
      }
      if (index == at->size()) at->push_back(Json::object());
      at = &(*at)[index];
    } else if (at->is_object() || at->is_null()) {
      at = &(*at)[step];
    } else {
      return Status(Code::kInvalid, "\"" + step + "\" is below a key that is no object");
    }
  }
  return at;
}

Json default_apis() {
  return Json::array({{{"plugin", "api-http"}, {"listen", "127.0.0.1:8081"}}});
}

// Sets one value; a role or list that is only partly given starts from its default.
Status assign(Json* document, const std::string& path, const Json& value) {
  const std::string top = path.substr(0, path.find('.'));
  if (!document->contains(top) && path != top) {
    if (top == "apis") (*document)[top] = default_apis();
    if (top == "peers") (*document)[top] = Json::array();
    if (top == "log" || top == "state") (*document)[top] = {{"plugin", "storage-leveldb"}};
    if (top == "transport") (*document)[top] = {{"plugin", "transport-thrift"}};
  }
  Result<Json*> at = locate(document, path);
  if (!at) return at.status();
  **at = value;
  return Status();
}

// A copy of the document with one value set; "storage.x" sets log and state.
Result<Json> with_value(Json document, const std::string& path, const Json& value) {
  const std::string top = path.substr(0, path.find('.'));
  if (top == "tls" || top == "auth")
    return Status(Code::kInvalid, "is not available yet; remove it");
  if (top != "storage") {
    Status status = assign(&document, path, value);
    if (!status) return status;
    return document;
  }
  for (const char* role : {"log", "state"}) {
    Status status = assign(&document, role + path.substr(top.size()), value);
    if (!status) return status;
  }
  return document;
}

}  // namespace

struct ConfigBuilder::Document {
  Json json = Json::object();
  std::map<std::string, std::string> sources;  // where each top-level key was last set

  void note(const Json& keys, const std::string& source) {
    for (const auto& [key, unused] : keys.items()) sources[key] = source;
  }
  // The source of "/key/...: message".
  std::string source_of(const std::string& message) const {
    size_t end = message.find_first_of("/:", 1);
    auto it = sources.find(message.substr(1, end - 1));
    return it == sources.end() ? "defaults" : it->second;
  }
};

ConfigBuilder::ConfigBuilder() : document_(new Document) {}
ConfigBuilder::~ConfigBuilder() {
  delete document_;
}

Status ConfigBuilder::add_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    Code code = errno == ENOENT ? Code::kNotFound : Code::kIo;
    return Status(code, path + ": cannot be read: " + std::strerror(errno));
  }
  std::ostringstream text;
  text << in.rdbuf();
  if (in.bad() || !text) return Status(Code::kIo, path + ": cannot be read; is it a file?");
  return add_text(path, text.str());
}

Status ConfigBuilder::add_text(const std::string& source, std::string_view json) {
  Result<Json> parsed = parse_json(json);
  if (!parsed) return bad(source, parsed.status().message());
  if (!parsed->is_object()) return bad(source, "/: must be a JSON object { ... }");
  if (Status status = expand(&*parsed, source); !status) return status;
  if (Status status = check_part(*parsed, source); !status) return status;
  document_->json.merge_patch(*parsed);
  document_->note(*parsed, source);
  return Status();
}

Status ConfigBuilder::set(const std::string& source, const std::string& path,
                          std::string_view value) {
  Json text = std::string(value);
  if (!is_utf8(path) || !is_utf8(std::string(value))) return bad(source, "is not valid UTF-8");
  Json parsed = Json::parse(value, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded() || parsed == text) parsed = text;
  Result<Json> changed = with_value(document_->json, path, parsed);
  if (!changed) return bad(source, path + ": " + changed.status().message());
  Status status = check_part(*changed, source);
  if (!status && !parsed.is_string()) {
    // A name like 123 may look like a number.
    Result<Json> as_text = with_value(document_->json, path, text);
    if (as_text && check_part(*as_text, source)) {
      changed = std::move(as_text);
      status = Status();
    }
  }
  if (!status) return status;
  document_->json = std::move(*changed);
  document_->sources[path.substr(0, path.find('.'))] = source;
  return Status();
}

Status ConfigBuilder::set_http_port(const std::string& source, uint16_t port) {
  Json apis = document_->json.value("apis", default_apis());
  size_t i = 0;
  while (i < apis.size() && base_name(apis[i]["plugin"].get<std::string>()) != "api-http") ++i;
  std::string host = "127.0.0.1";
  if (i < apis.size()) {
    host = parse_address(apis[i]["listen"].get<std::string>()).value().host;
    if (host.find(':') != host.npos) host = '[' + host + ']';
  } else {
    apis.push_back({{"plugin", "api-http"}});
  }
  apis[i]["listen"] = host + ':' + std::to_string(port);
  return set(source, "apis", apis.dump());
}

Result<Config> ConfigBuilder::finish(const std::string& program_dir) const {
  if (!document_->json.contains("node_id")) {
    return Status(Code::kInvalid,
                  "/node_id: this node has no name; add --node-id NAME, or \"node_id\" in the file "
                  "given with --config");
  }
  Config config = read_config(document_->json);
  fill_names(&config);
  if (Status status = check_together(config); !status) {
    return bad(document_->source_of(status.message()), status.message());
  }
  if (config.data_dir.empty()) config.data_dir = "data/" + config.node_id;
  if (config.plugin_dir.empty()) {
    config.plugin_dir =
        (std::filesystem::path(program_dir) / "../lib/kvstore/plugins").lexically_normal();
  }
  add_warnings(&config);
  return config;
}

std::string to_json(const Config& config) {
  nlohmann::ordered_json out;
  auto writer = [](nlohmann::ordered_json& into) {
    return [&into](const char* name, const auto& member) { into[name] = member; };
  };
  auto plugin = [&out](const char* role, const PluginChoice& choice) {
    out[role]["plugin"] = choice.plugin;
    out[role]["options"] = nlohmann::ordered_json::parse(choice.options_json);
  };
  top_fields(writer(out), config);
  plugin("log", config.log);
  plugin("state", config.state);
  plugin("transport", config.transport);
  out["apis"] = nlohmann::ordered_json::array();
  for (const ApiChoice& api : config.apis) {
    nlohmann::ordered_json one;
    api_fields(writer(one), api);
    one["options"] = nlohmann::ordered_json::parse(api.options_json);
    out["apis"].push_back(std::move(one));
  }
  raft_fields(writer(out["raft"]), config.raft);
  state_sync_fields(writer(out["state_sync"]), config.state_sync);
  limits_fields(writer(out["limits"]), config.limits);
  snapshot_fields(writer(out["snapshot"]), config.snapshot);
  history_fields(writer(out["history"]), config.history);
  return out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

Status validate_options(std::string_view schema_text, std::string_view options_json,
                        const std::string& where) {
  Result<JsonSchema> parsed = JsonSchema::parse(schema_text);
  if (!parsed) return parsed.status();
  Result<Json> options = parse_json(options_json.empty() ? "{}" : options_json);
  if (!options) return bad(where, options.status().message());
  return parsed->check(*options, where);
}

Result<HostPort> parse_address(std::string_view text) {
  auto fail = [&] {
    return Status(Code::kInvalid, '"' + std::string(text) +
                                      "\" is not host:port with a port of 0..65535, e.g. "
                                      "127.0.0.1:7001 or [::1]:7001");
  };
  HostPort out;
  size_t colon = text.rfind(':');
  if (colon == text.npos || colon == 0) return fail();
  std::string_view host = text.substr(0, colon);
  std::string_view port = text.substr(colon + 1);
  if (host.front() == '[' && host.back() == ']' && host.size() > 2) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != host.npos) {
    return fail();
  }
  if (host.find_first_of(" \t/[]") != host.npos) return fail();
  auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (error != std::errc() || end != port.data() + port.size()) return fail();
  out.host = host;
  return out;
}

}  // namespace kvstore::host
