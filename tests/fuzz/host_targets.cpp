// What the operator writes: configuration and command line of the daemon.
#include <fstream>
#include <iterator>

#include "host/command_line.hpp"
#include "host/config.hpp"
#include "target.hpp"

namespace kvstore::fuzz {
namespace {

constexpr const char* kProgramDir = "/usr/bin";

Result<host::Config> config_of(Bytes json) {
  host::ConfigBuilder builder;
  if (Status s = builder.add_text("fuzz", json); !s) return s;
  return builder.finish(kProgramDir);
}

// What is accepted is shown as a document that is accepted and means the same.
void assert_prints(const host::Config& config) {
  const std::string text = host::to_json(config);
  const auto again = config_of(text);
  KVS_ASSERT(again.is_ok());
  KVS_ASSERT(host::to_json(*again) == text);
}

void run_config(Bytes input) {
  const auto config = config_of(input);
  if (!config) return assert_says_why(config.status());
  assert_prints(*config);
}

void seed_config(Seeds* out) {
  out->push_back(R"({"node_id": "n1"})");
  out->push_back(host::to_json(*config_of(R"({"node_id": "n1"})")));
  out->push_back(R"({"node_id": "n2", "peers": ["a:1", "[::1]:2"], "storage": {"plugin":
    "storage-sqlite", "options": {"cache_bytes": 1048576}}, "limits": {"request_timeout_ms": 100},
    "apis": [{"plugin": "api-http", "listen": ":0", "options": {}}], "bootstrap": true})");
}

// Lines "path=value", each as --set gives it.
void run_config_set(Bytes input) {
  host::ConfigBuilder builder;
  while (!input.empty()) {
    const Bytes line = input.substr(0, input.find('\n'));
    input.remove_prefix(std::min(input.size(), line.size() + 1));
    const size_t equals = std::min(line.find('='), line.size());
    const Bytes value = equals == line.size() ? Bytes() : line.substr(equals + 1);
    const Status s = builder.set("--set", std::string(line.substr(0, equals)), value);
    if (!s) return assert_says_why(s);
  }
  const auto config = builder.finish(kProgramDir);
  if (!config) return assert_says_why(config.status());
  assert_prints(*config);
}

void seed_config_set(Seeds* out) {
  out->push_back("node_id=n1\nraft.heartbeat_ms=50\nraft.election_timeout_ms=400");
  out->push_back("node_id=\"n1\"\napis.0.listen=127.0.0.1:0\nlog.options={\"bloom_bits\":8}");
  out->push_back("node_id=n\npeers=[\"a:1\"]\nlog_level=debug\nstorage.plugin=storage-sqlite");
}

void run_host_address(Bytes input) {
  const auto address = host::parse_address(input);
  if (!address) return assert_says_why(address.status());
  const std::string host =
      address->host.find(':') == std::string::npos ? address->host : "[" + address->host + "]";
  const auto again = host::parse_address(host + ":" + std::to_string(address->port));
  KVS_ASSERT(again.is_ok());
  KVS_ASSERT(again->host == address->host && again->port == address->port);
}

void seed_host_address(Seeds* out) {
  *out = {"127.0.0.1:7001", "[::1]:65535", "node-1.example.org:1", "[fe80::1%eth0]:80"};
}

// One argument per line.
void run_daemon_command_line(Bytes input) {
  if (input.find("config") != Bytes::npos) return;  // would read a file of any name
  std::vector<std::string> arguments{"kvstore-server"};
  while (!input.empty()) {
    const Bytes line = input.substr(0, input.find('\n'));
    arguments.emplace_back(line.substr(0, line.find('\0')));
    input.remove_prefix(std::min(input.size(), line.size() + 1));
  }
  const auto parsed = host::parse_command_line(
      arguments, [](const char*) -> const char* { return nullptr; }, kProgramDir, "0");
  if (!parsed) return assert_says_why(parsed.status());
  if (parsed->action == host::Action::kRun) assert_prints(parsed->config);
}

void seed_daemon_command_line(Seeds* out) {
  out->push_back("--node-id\nn1\n--bind-address\n127.0.0.1:7001\n--http-port\n8081\n--bootstrap");
  out->push_back("--node-id=n2\n--peers\na:1,b:2\n--set\nraft.heartbeat_ms=70\n--data-dir\nd");
  out->push_back("--version");
  out->push_back("--help");
  out->push_back("--grpc-port\n1");
}

constexpr Target kTargets[] = {
    {"config", run_config, seed_config},
    {"config_set", run_config_set, seed_config_set},
    {"host_address", run_host_address, seed_host_address},
    {"daemon_command_line", run_daemon_command_line, seed_daemon_command_line},
};

}  // namespace

std::span<const Target> host_targets() {
  return kTargets;
}

}  // namespace kvstore::fuzz
