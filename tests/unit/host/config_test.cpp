// Goal: a configuration is merged from its sources, checked, and refused with one line that names
// source, place, fault and remedy. Method: small documents through ConfigBuilder; messages are
// compared as a whole.
#include "host/config.hpp"

#include <string>

#include <doctest/doctest.h>
using namespace kvstore;
using host::Config;
using host::ConfigBuilder;

namespace {

// The message for a file called a.json.
std::string fault(const std::string& json) {
  ConfigBuilder builder;
  Status status = builder.add_text("a.json", json);
  if (status) status = builder.finish("/opt/bin").status();
  CHECK(status.code() != Code::kInternal);
  CHECK(status.message().find('\n') == std::string::npos);
  return status.message();
}

// The message for a setting on top of {"node_id": "n"}.
std::string set_fault(const std::string& path, const std::string& value) {
  ConfigBuilder builder;
  REQUIRE(builder.add_text("a.json", R"({"node_id": "n"})"));
  Status status = builder.set("--set", path, value);
  if (status) status = builder.finish("/opt/bin").status();
  return status.message();
}

Config with(const std::string& path, const std::string& value) {
  ConfigBuilder builder;
  REQUIRE(builder.add_text("a.json", R"({"node_id": "n"})"));
  Status status = builder.set("--set", path, value);
  INFO(status.to_string());
  REQUIRE(status);
  return builder.finish("/opt/bin").value();
}

}  // namespace

TEST_CASE("a name is enough; the rest has defaults") {
  ConfigBuilder builder;
  REQUIRE(builder.add_text("a.json", R"({"node_id": "node7"})"));
  Config c = builder.finish("/opt/bin").value();
  CHECK(c.data_dir == "data/node7");
  CHECK(c.plugin_dir == "/opt/lib/kvstore/plugins");
  CHECK(c.log.plugin == "storage-leveldb");
  REQUIRE(c.apis.size() == 1);
  CHECK(c.apis[0].name == "api-http");
  CHECK(c.apis[0].listen == "127.0.0.1:8081");
  CHECK(c.warnings.empty());
  CHECK(
      fault("{}") ==
      "/node_id: this node has no name; add --node-id NAME, or \"node_id\" in the file given with "
      "--config");
}

TEST_CASE("later sources win, key by key") {
  ConfigBuilder builder;
  REQUIRE(builder.add_text("a.json", R"({"node_id": "n", "raft": {"heartbeat_ms": 50,
    "disk_stall_ms": 900}, "storage": {"plugin": "storage-sqlite", "options": {"x": 1}}})"));
  REQUIRE(builder.set("--set", "raft.heartbeat_ms", "60"));
  REQUIRE(builder.set("--set", "storage.options.y", "[2]"));
  REQUIRE(builder.set("--set", "state.plugin", "storage-leveldb"));
  REQUIRE(builder.set("--set", "bootstrap", "true"));
  Config c = builder.finish("/opt/bin").value();
  CHECK(c.raft.heartbeat_ms == 60);
  CHECK(c.raft.disk_stall_ms == 900);
  CHECK(c.log.plugin == "storage-sqlite");
  CHECK(c.log.options_json == R"({"x":1,"y":[2]})");
  CHECK(c.state.plugin == "storage-leveldb");
  CHECK(c.state.options_json == R"({"x":1,"y":[2]})");
  CHECK(c.bootstrap);
}

TEST_CASE("settings reach into roles and lists that the file does not mention") {
  CHECK(with("log.options.a", "1").log.plugin == "storage-leveldb");
  CHECK(with("log.options.a", "1").log.options_json == R"({"a":1})");
  CHECK(with("transport.options.a", "x").transport.options_json == R"({"a":"x"})");
  CHECK(with("apis.0.listen", "127.0.0.1:99").apis[0].listen == "127.0.0.1:99");
  CHECK(with("apis", "[]").apis.empty());
  CHECK(with("peers.0", "10.0.0.1:7001").peers == std::vector<std::string>{"10.0.0.1:7001"});
  CHECK(with("node_id", "123").node_id == "123");  // looks like a number
  CHECK(set_fault("apis.3.listen", "x") ==
        "--set: apis.3.listen: \"3\" is no position 0..1 in a list");
  CHECK(set_fault("node_id.x", "1") == "--set: node_id.x: \"x\" is below a key that is no object");
  CHECK(set_fault("raft..x", "1") == "--set: raft..x: the key has an empty part");
  CHECK(set_fault("raft.heartbeat_ms", "soon") ==
        "--set: /raft/heartbeat_ms: must be an integer 10..10000, is a string \"soon\"");
  CHECK(set_fault("auth.token", "x") == "--set: auth.token: is not available yet; remove it");
}

TEST_CASE("the http port goes to the first api-http, which is added when there is none") {
  ConfigBuilder builder;
  REQUIRE(builder.add_text("a.json", R"({"node_id": "n", "apis": [
    {"plugin": "/x/other.so", "listen": "127.0.0.1:1"},
    {"plugin": "/x/api-http.so", "listen": "[::1]:2"}]})"));
  REQUIRE(builder.set_http_port("--http-port", 9000));
  Config c = builder.finish("/opt/bin").value();
  CHECK(c.apis[0].listen == "127.0.0.1:1");
  CHECK(c.apis[1].listen == "[::1]:9000");
  CHECK(c.apis[1].name == "api-http");

  ConfigBuilder none;
  REQUIRE(none.add_text("a.json", R"({"node_id": "n", "apis": []})"));
  REQUIRE(none.set_http_port("--http-port", 9000));
  CHECK(none.finish("/opt/bin").value().apis[0].listen == "127.0.0.1:9000");
}

TEST_CASE("what is not JSON is located") {
  CHECK(fault("{\n  \"node_id\": nope\n}").find("a.json: line 2, column ") == 0);
  CHECK(fault("{\n  \"node_id\": nope\n}").find("not valid JSON") != std::string::npos);
  CHECK(fault("").find("a.json: line 1, column 1: not valid JSON") == 0);
  CHECK(fault("[]") == "a.json: /: must be a JSON object { ... }");
}

TEST_CASE("wrong keys, types and values name place and remedy") {
  CHECK(fault(R"({"node_idd": "n"})") ==
        "a.json: /: unknown key \"node_idd\"; did you mean \"node_id\"?");
  CHECK(fault(R"({"node_id": "n", "raft": {"hartbeat_ms": 1}})") ==
        "a.json: /raft: unknown key \"hartbeat_ms\"; did you mean \"heartbeat_ms\"?");
  CHECK(fault(R"({"node_id": "n", "state_sync": {"zzzzzzzzz": 1}})") ==
        "a.json: /state_sync: unknown key \"zzzzzzzzz\"; remove it, or use one of: bytes, "
        "interval_ms");
  CHECK(fault(R"({"node_id": 5})") == "a.json: /node_id: must be a string, is an integer 5");
  CHECK(fault(R"({"node_id": "n", "raft": []})") ==
        "a.json: /raft: must be an object, is an array []");
  CHECK(fault(R"({"node_id": "n", "raft": {"heartbeat_ms": 5}})") ==
        "a.json: /raft/heartbeat_ms: must be 10..10000, is 5");
  CHECK(fault(R"({"node_id": "n", "raft": {"heartbeat_ms": 50.5}})") ==
        "a.json: /raft/heartbeat_ms: must be an integer 10..10000, is a number 50.5");
  CHECK(fault(R"({"node_id": "n", "log": {"options": {}}})") ==
        "a.json: /log: the key \"plugin\" is missing; add it");
  CHECK(fault(R"({"node_id": "n", "apis": [{"plugin": "x", "listen": "127.0.0.1:1"},
                                           {"plugin": "x"}]})") ==
        "a.json: /apis/1: the key \"listen\" is missing; add it");
  CHECK(fault(R"({"node_id": "no spaces"})") ==
        "a.json: /node_id: is \"no spaces\", which does not have the form "
        "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$");
  CHECK(fault(R"({"node_id": "n", "log_level": "loud"})")
            .find("a.json: /log_level: \"loud\" is no log level; write trace") == 0);
}

TEST_CASE("reserved keys and the storage shorthand") {
  CHECK(fault(R"({"node_id": "n", "tls": {}})") == "a.json: /tls: is not available yet; remove it");
  CHECK(fault(R"({"node_id": "n", "auth": {}})") ==
        "a.json: /auth: is not available yet; remove it");
  CHECK(fault(R"({"node_id": "n", "storage": {"plugin": "x"}, "state": {"plugin": "y"}})") ==
        "a.json: /storage: stands for log and state, but state is there too; keep one of them");
}

TEST_CASE("addresses") {
  CHECK(fault(R"({"node_id": "n", "bind_address": "7001"})")
            .find("a.json: /bind_address: \"7001\" is not host:port") == 0);
  CHECK(fault(R"({"node_id": "n", "bind_address": "0.0.0.0:7001"})") ==
        "a.json: /bind_address: \"0.0.0.0:7001\" listens on every address; say with "
        "advertise_address which one other nodes are to use");
  CHECK(
      fault(R"({"node_id": "n", "advertise_address": "0.0.0.0:7001"})") ==
      "a.json: /advertise_address: \"0.0.0.0:7001\" is nothing that others can connect to; name a "
      "host and a port");
  CHECK(fault(R"({"node_id": "n", "peers": ["a:1", "b:0"]})").find("a.json: /peers/1: ") == 0);
  CHECK(fault(R"({"node_id": "n", "apis": [{"plugin": "x", "listen": "nowhere"}]})")
            .find("a.json: /apis/0/listen: ") == 0);

  // The address to advertise may come from another source than the one to bind.
  ConfigBuilder builder;
  REQUIRE(builder.add_text("a.json", R"({"node_id": "n", "bind_address": "0.0.0.0:7001"})"));
  REQUIRE(builder.set("--advertise-address", "advertise_address", "10.0.0.1:7001"));
  CHECK(builder.finish("/opt/bin"));

  CHECK(host::parse_address("[::1]:80").value().host == "::1");
  CHECK(host::parse_address("db.example.com:65535").value().port == 65535);
  for (const char* bad : {"", ":", ":80", "a", "a:", "a:x", "a:65536", "a:-1", "::1:80", "[]:1",
                          "a b:1", "http://a:1", "[a[b]:1", "[a]b]:1"}) {
    CAPTURE(bad);
    CHECK(host::parse_address(bad).status().code() == Code::kInvalid);
  }
}

TEST_CASE("what keys mean together") {
  CHECK(fault(R"({"node_id": "n", "raft": {"heartbeat_ms": 400}})") ==
        "a.json: /raft/election_timeout_ms: 700 is less than two heartbeats of 400 ms; raise it or "
        "lower heartbeat_ms");
  CHECK(fault(R"({"node_id": "n", "apis": [{"plugin": "x", "listen": "127.0.0.1:1"},
                                           {"plugin": "x", "listen": "127.0.0.1:2"}]})") ==
        "a.json: /apis/1/name: two front ends are called \"x\"; give each a name of its own");
  CHECK(fault(R"({"node_id": "n", "apis": [{"plugin": "x", "listen": "127.0.0.1:7001"}]})") ==
        "a.json: /apis/0/listen: \"127.0.0.1:7001\" is in use already; choose another port");
  ConfigBuilder builder;
  REQUIRE(builder.add_text("a.json", R"({"node_id": "n"})"));
  REQUIRE(builder.set("KVSTORE_SET raft.heartbeat_ms", "raft.heartbeat_ms", "9999"));
  CHECK(
      builder.finish("/opt/bin").status().message().find("KVSTORE_SET raft.heartbeat_ms: /raft") ==
      0);
}

TEST_CASE("a front end off loopback is warned about") {
  Config c = with("apis.0.listen", "0.0.0.0:8081");
  REQUIRE(c.warnings.size() == 1);
  CHECK(c.warnings[0].find("front end api-http listens on 0.0.0.0:8081 without TLS") == 0);
  CHECK(with("apis.0.listen", "[::1]:8081").warnings.empty());
  CHECK(with("apis.0.listen", "localhost:8081").warnings.empty());
}

TEST_CASE("files that cannot be read") {
  ConfigBuilder builder;
  CHECK(builder.add_file("/nowhere/x.json").to_string() ==
        "not_found: /nowhere/x.json: cannot be read: No such file or directory");
  CHECK(builder.add_file("/tmp").code() == Code::kIo);
}

TEST_CASE("options of a plugin are checked against its schema") {
  const char* schema = R"({"type": "object", "properties": {
    "mode": {"enum": ["a", "b"]},
    "list": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}}}})";
  CHECK(host::validate_options(schema, R"({"mode": "a", "other": 1})", "x"));
  CHECK(host::validate_options(schema, "", "x"));
  CHECK(host::validate_options(schema, R"({"mode": "c"})", "x").message() ==
        "x/mode: must be one of [\"a\",\"b\"], is \"c\"");
  CHECK(host::validate_options(schema, R"({"list": [1, 12]})", "x").message() ==
        "x/list/1: must be 0..9, is 12");
  CHECK(host::validate_options("[", "{}", "x").code() == Code::kInternal);
  CHECK(host::validate_options(R"({"type": "bogus"})", "{}", "x").code() == Code::kInternal);
}
