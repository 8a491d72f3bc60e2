// Goal: flags win over environment over file over defaults, and mistakes are answered with one
// line. Method: parse_command_line with a made-up environment and files in a temporary directory.
#include "host/command_line.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include <doctest/doctest.h>

#include "support/temp_dir.hpp"

using namespace kvstore;
using host::Action;
using host::CommandLine;

namespace {

struct Fixture {
  std::string file(const std::string& json) {
    std::string path = directory.path() + "/a.json";
    std::ofstream(path) << json;
    return path;
  }
  Result<CommandLine> parse(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "kvstore-server");
    auto lookup = [this](const char* name) -> const char* {
      auto it = environment.find(name);
      return it == environment.end() ? nullptr : it->second.c_str();
    };
    return host::parse_command_line(arguments, lookup, "/opt/bin", "0.1.0");
  }
  std::string fault(std::vector<std::string> arguments) {
    Status status = parse(std::move(arguments)).status();
    CHECK(status.message().find('\n') == std::string::npos);
    return status.message();
  }

  test::TempDir directory;
  std::map<std::string, std::string> environment;
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "flags alone are enough") {
  CommandLine line = parse({"--node-id", "node1", "--bind-address=127.0.0.1:7100", "--http-port",
                            "8100", "--data-dir", "/d", "--bootstrap", "--peers",
                            "127.0.0.1:7101,127.0.0.1:7102", "--log-level", "info,raft=debug",
                            "--plugin-dir", "/p", "--advertise-address", "10.0.0.1:7100"})
                         .value();
  CHECK(line.action == Action::kRun);
  const host::Config& c = line.config;
  CHECK(c.node_id == "node1");
  CHECK(c.bind_address == "127.0.0.1:7100");
  CHECK(c.advertise_address == "10.0.0.1:7100");
  CHECK(c.apis[0].listen == "127.0.0.1:8100");
  CHECK(c.data_dir == "/d");
  CHECK(c.bootstrap);
  CHECK(c.peers == std::vector<std::string>{"127.0.0.1:7101", "127.0.0.1:7102"});
  CHECK(c.log_level == "info,raft=debug");
  CHECK(c.plugin_dir == "/p");
  CHECK(parse({"--node-id", "x"}).value().config.plugin_dir == "/opt/lib/kvstore/plugins");
}

TEST_CASE_FIXTURE(Fixture, "flags over environment over file over defaults") {
  std::string path = file(R"({"node_id": "file", "cluster_name": "file",
                              "raft": {"heartbeat_ms": 11, "disk_stall_ms": 111}})");
  CHECK(parse({"--config", path}).value().config.node_id == "file");
  CHECK(parse({"--config", path}).value().config_prefix == "--config: " + path + ": ");
  CHECK(parse({"--node-id", "x"}).value().config_prefix.empty());
  environment["KVSTORE_CONFIG"] = path;
  environment["KVSTORE_NODE_ID"] = "environment";
  environment["KVSTORE_SET"] = "raft.heartbeat_ms=22;cluster_name=environment";
  environment["KVSTORE_BOOTSTRAP"] = "1";
  environment["KVSTORE_PEERS"] = "127.0.0.1:1";
  host::Config c = parse({}).value().config;
  CHECK(c.node_id == "environment");
  CHECK(c.cluster_name == "environment");
  CHECK(c.raft.heartbeat_ms == 22);
  CHECK(c.raft.disk_stall_ms == 111);
  CHECK(c.bootstrap);
  CHECK(c.peers.size() == 1);
  c = parse({"--node-id", "flag", "--set", "raft.heartbeat_ms=33", "--set", "limits.readers_max=7",
             "--bootstrap=false"})
          .value()
          .config;
  CHECK(c.node_id == "flag");
  CHECK(c.cluster_name == "file");  // --set replaces KVSTORE_SET as a whole
  CHECK(c.raft.heartbeat_ms == 33);
  CHECK(c.limits.readers_max == 7);
  CHECK(!c.bootstrap);
}

TEST_CASE_FIXTURE(Fixture, "actions") {
  CHECK(parse({"--node-id", "n", "--check-config"}).value().action == Action::kCheckConfig);
  CHECK(parse({"--node-id", "n", "--print-config"}).value().action == Action::kPrintConfig);
  CHECK(parse({"--list-plugins", "--plugin-dir", "/p"}).value().action == Action::kListPlugins);
  CHECK(parse({"--list-plugins", "--plugin-dir", "/p"}).value().config.plugin_dir == "/p");
  CommandLine version = parse({"--version"}).value();
  CHECK(version.action == Action::kExit);
  CHECK(version.output == "kvstore-server 0.1.0\n");
  CommandLine help = parse({"--help"}).value();
  CHECK(help.action == Action::kExit);
  for (const char* text :
       {"--node-id", "--bind-address", "--advertise-address", "--http-port", "--grpc-port",
        "--data-dir", "--bootstrap", "--peers", "--config", "--set", "--check-config",
        "--print-config", "--list-plugins", "--log-level", "--plugin-dir", "--version",
        "KVSTORE_NODE_ID", "KVSTORE_BOOTSTRAP", "KVSTORE_SET"}) {
    CAPTURE(text);
    CHECK(help.output.find(text) != std::string::npos);
  }
}

TEST_CASE_FIXTURE(Fixture, "mistakes") {
  CHECK(fault({}).find("/node_id: this node has no name; add --node-id NAME") == 0);
  CHECK(fault({"--node-id", "n", "--grpc-port", "9"}) ==
        "--grpc-port: there is no gRPC front end: the plugin api-grpc does not exist yet; use "
        "--http-port");
  CHECK(fault({"--nodeid", "n"}).find("--nodeid") != std::string::npos);
  CHECK(fault({"--nodeid", "n"}).find("see kvstore-server --help") != std::string::npos);
  CHECK(fault({"--node-id"}).find("--node-id") != std::string::npos);
  CHECK(fault({"--node-id", "a", "--node-id", "b"}).find("--node-id") != std::string::npos);
  CHECK(fault({"extra", "--node-id", "n"}).find("extra") != std::string::npos);
  CHECK(fault({"--node-id", "n", "--http-port", "80x"}) ==
        "--http-port: must be a port of 0..65535, is \"80x\"");
  CHECK(fault({"--node-id", "n", "--http-port", "65536"}) ==
        "--http-port: must be a port of 0..65535, is \"65536\"");
  CHECK(fault({"--node-id", "n", "--bind-address", "x"}).find("--bind-address: /bind_address: ") ==
        0);
  CHECK(fault({"--node-id", "n", "--set", "raft.heartbeat_ms"}) ==
        "--set: \"raft.heartbeat_ms\" is not KEY.PATH=VALUE, e.g. raft.heartbeat_ms=50");
  CHECK(
      fault({"--node-id", "n", "--set", "raft.heartbeatms=5"}) ==
      "--set raft.heartbeatms: /raft: unknown key \"heartbeatms\"; did you mean \"heartbeat_ms\"?");
  CHECK(fault({"--config", "/nowhere.json"}) ==
        "--config: /nowhere.json: cannot be read: No such file or directory");
  for (const char* flag : {"--data-dir", "--peers", "--log-level"}) {
    CHECK(fault({"--node-id", "n", flag, "a:1,\xe2:2"}) ==
          std::string(flag) + ": is not valid UTF-8");
  }
  CHECK(fault({"--node-id", "n", "--set", "log.options={\"a\": \"\xff\"}"}) ==
        "--set log.options: is not valid UTF-8");
  environment["KVSTORE_BOOTSTRAP"] = "yes";
  CHECK(fault({"--node-id", "n"}) == "KVSTORE_BOOTSTRAP: must be true or false, is \"yes\"");
  environment.clear();
  environment["KVSTORE_HTTP_PORT"] = "http";
  CHECK(fault({"--node-id", "n"}).find("KVSTORE_HTTP_PORT: must be a port") == 0);
}
