// Goal: the command line accepts what data-model.md lists, in any place, and explains everything
// else. Method: parses argument lists; nothing is sent.
#include "options.hpp"

#include <cstdlib>
#include <sstream>

#include <doctest/doctest.h>

#include "cli_fixture.hpp"

namespace kvstore::cli {
namespace {

using std::chrono::milliseconds;

struct Parse {
  explicit Parse(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "kvstore-client");
    std::vector<const char*> argv;
    for (const auto& argument : arguments) argv.push_back(argument.c_str());
    std::ostringstream out_stream, err_stream;
    auto parsed = parse_options(static_cast<int>(argv.size()), argv.data(), out_stream, err_stream);
    out = out_stream.str();
    err = err_stream.str();
    if (auto* parsed_options = std::get_if<Options>(&parsed)) {
      options = *parsed_options;
      accepted = true;
    } else {
      code = std::get<int>(parsed);
    }
  }

  bool accepted = false;
  int code = -1;
  Options options;
  std::string out, err;
};

TEST_CASE("defaults") {
  const Parse p({"health"});
  REQUIRE(p.accepted);
  CHECK(p.options.command == Command::kHealth);
  CHECK(p.options.servers == std::vector<std::string>{"http://127.0.0.1:8081"});
  CHECK(p.options.timeout == milliseconds(5000));
  CHECK(p.options.format == Format::kTable);
  CHECK(p.options.title() == "health");
}

TEST_CASE("options of the program stand before or after the command") {
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"--server", "a:1,b:2", "--format", "json", "--timeout", "2s", "put", "k", "v"},
           {"put", "k", "v", "--server", "a:1,b:2", "--format=json", "--timeout=2s"},
           {"put", "--server=a:1,b:2", "k", "--format", "json", "v", "--timeout", "2000ms"}}) {
    const Parse p(arguments);
    CAPTURE(p.err);
    REQUIRE(p.accepted);
    CHECK(p.options.command == Command::kPut);
    CHECK(p.options.key == "k");
    CHECK(p.options.value == "v");
    CHECK(p.options.servers == std::vector<std::string>{"a:1", "b:2"});
    CHECK(p.options.format == Format::kJson);
    CHECK(p.options.timeout == milliseconds(2000));
  }
}

TEST_CASE("options of nested commands may follow them too") {
  const Parse p({"member", "add", "node4", "127.0.0.1:7004", "--learner", "--timeout", "1m"});
  CAPTURE(p.err);
  REQUIRE(p.accepted);
  CHECK(p.options.command == Command::kMemberAdd);
  CHECK(p.options.node_id == "node4");
  CHECK(p.options.address == "127.0.0.1:7004");
  CHECK(p.options.learner);
  CHECK(p.options.timeout == milliseconds(60'000));
  CHECK(p.options.title() == "member add node4");
}

TEST_CASE("every command parses") {
  CHECK(Parse({"get", "k", "--raw", "--consistency", "stale"}).options.read.consistency ==
        client::Consistency::kStale);
  CHECK(Parse({"get", "k", "--output", "f"}).options.output == "f");
  const Parse list(
      {"list", "--prefix", "p/", "--limit", "0", "--keys-only", "--consistency=lease"});
  REQUIRE(list.accepted);
  CHECK(list.options.list.prefix == "p/");
  CHECK(list.options.list.limit == 0);
  CHECK(list.options.list.keys_only);
  CHECK(list.options.list.read.consistency == client::Consistency::kLease);
  CHECK(Parse({"delete", "k", "--if-revision", "5"}).options.condition.mod_revision == 5u);
  CHECK(Parse({"put", "k", "v", "--if-absent"}).options.condition.absent);
  CHECK(Parse({"cluster-status"}).options.command == Command::kClusterStatus);
  CHECK(Parse({"member", "remove", "n", "--force"}).options.force);
  CHECK(Parse({"member", "list"}).options.command == Command::kMemberList);
  CHECK(Parse({"transfer-leader", "n"}).options.command == Command::kTransferLeader);
  CHECK(Parse({"metrics"}).options.command == Command::kMetrics);
  CHECK(Parse({"txn", "-"}).options.file == "-");
  CHECK(Parse({"txn", "f.json"}).options.command == Command::kTxn);
  CHECK(Parse({"delete", "--prefix", "p/"}).options.prefix == "p/");
  CHECK(Parse({"delete", "--prefix", "p/"}).options.title() == "delete p/");
  CHECK(Parse({"delete", "--all"}).options.all);
  CHECK(Parse({"get", "k", "--revision", "7"}).options.read.revision == 7);
  CHECK(Parse({"list", "--revision", "7"}).options.list.read.revision == 7);
  CHECK(Parse({"compact"}).options.revision == 0);
  CHECK(Parse({"compact", "--revision", "7"}).options.revision == 7);
  CHECK(Parse({"bench", "--batch", "100"}).options.bench.batch == 100);
}

TEST_CASE("deleting names a key, a prefix, or everything, and only one of them") {
  for (const auto& arguments :
       std::vector<std::vector<std::string>>{{"delete"},
                                             {"delete", "k", "--prefix", "p"},
                                             {"delete", "k", "--all"},
                                             {"delete", "--prefix", "p", "--all"},
                                             {"delete", "--prefix", ""},
                                             {"delete", "--all", "--if-revision", "5"},
                                             {"txn"},
                                             {"compact", "--revision", "0"},
                                             {"compact", "--revision", "x"},
                                             {"bench", "--batch", "0"},
                                             {"bench", "--batch", "1001"},
                                             {"bench", "--batch", "11", "--keys", "10"}}) {
    const Parse p(arguments);
    CAPTURE(arguments.back());
    CHECK_FALSE(p.accepted);
    CHECK(p.code == 2);
    CHECK(!p.err.empty());
  }
}

TEST_CASE("leases and TTLs") {
  CHECK(Parse({"put", "k", "v", "--ttl", "8760h"}).options.lifetime.ttl ==
        std::chrono::hours(8760));
  CHECK(Parse({"put", "k", "v", "--ttl", "100ms"}).options.lifetime.ttl == milliseconds(100));
  CHECK(Parse({"put", "k", "v", "--lease", "7"}).options.lifetime.lease == 7);
  const Parse grant({"lease", "grant", "10s", "--id", "9007199254740991"});
  REQUIRE(grant.accepted);
  CHECK(grant.options.command == Command::kLeaseGrant);
  CHECK(grant.options.lifetime.ttl == milliseconds(10'000));
  CHECK(grant.options.lease_id == 9007199254740991);
  const Parse keep({"lease", "keepalive", "7"});
  CHECK(keep.options.command == Command::kLeaseKeepAlive);
  CHECK(keep.options.lease_id == 7);
  CHECK(keep.options.title() == "lease keepalive 7");
  CHECK(Parse({"lease", "get", "7"}).options.command == Command::kLeaseGet);
  CHECK(Parse({"lease", "list"}).options.command == Command::kLeaseList);
  CHECK(Parse({"lease", "revoke", "7"}).options.command == Command::kLeaseRevoke);
  for (const auto& wrong :
       std::vector<std::vector<std::string>>{{"put", "k", "v", "--ttl", "99ms"},
                                             {"put", "k", "v", "--ttl", "8761h"},
                                             {"put", "k", "v", "--ttl", "1s", "--lease", "7"},
                                             {"put", "k", "v", "--lease", "0"},
                                             {"put", "k", "v", "--lease", "9007199254740992"},
                                             {"put", "k", "v", "--lease", "-1"},
                                             {"delete", "k", "--ttl", "1s"},
                                             {"lease"},
                                             {"lease", "grant"},
                                             {"lease", "grant", "soon"},
                                             {"lease", "keepalive"},
                                             {"lease", "get", "x"},
                                             {"lease", "revoke", "99999999999999999999"}}) {
    CAPTURE(wrong);
    const Parse p(wrong);
    CHECK_FALSE(p.accepted);
    CHECK(p.code == 2);
    CHECK_FALSE(p.err.empty());
  }
}

TEST_CASE("values that look special are taken literally") {
  for (const char* value : {"", "[1,2]", "{\"a\": 1}", "a,b", "a b", "%%", "true", "x=y"}) {
    CAPTURE(value);
    const Parse p({"put", "k", value});
    CHECK(p.accepted);
    CHECK(p.options.value == value);
    CHECK(p.options.file.empty());
  }
  const Parse dashes({"put", "--if-absent", "--", "--key", "--value"});
  CAPTURE(dashes.err);
  REQUIRE(dashes.accepted);
  CHECK(dashes.options.key == "--key");
  CHECK(dashes.options.value == "--value");
}

TEST_CASE("a dash is standard input") {
  CHECK(Parse({"put", "k", "-"}).options.file == "-");
  CHECK(Parse({"put", "k", "--file", "-"}).options.file == "-");
}

TEST_CASE("usage errors end with 2 and one line that names what is wrong") {
  struct Case {
    std::vector<std::string> arguments;
    std::string text;
  };
  const Case cases[] = {
      {{}, "subcommand"},
      {{"frobnicate"}, "frobnicate"},
      {{"get"}, "KEY"},
      {{"put", "k"}, "VALUE or --file"},
      {{"put", "k", "v", "--file", "f"}, "--file"},
      {{"put", "k", "v", "extra"}, "extra"},
      {{"get", "k", "--limit", "3"}, "--limit"},
      {{"list", "--limit", "-1"}, "--limit"},
      {{"list", "--limit", "many"}, "--limit"},
      {{"delete", "k", "--if-revision", "x"}, "--if-revision"},
      {{"get", "k", "--consistency", "best"}, "--consistency"},
      {{"get", "k", "--raw", "--format", "json"}, "--raw"},
      {{"get", "k", "--raw", "--output", "f"}, "--raw"},
      {{"health", "--format", "xml"}, "--format"},
      {{"health", "--timeout", "soon"}, "--timeout: 'soon'"},
      {{"health", "--timeout", "2h"}, "--timeout"},
      {{"health", "--protocol", "grpc"}, "api-grpc"},
      {{"member"}, "subcommand"},
      {{"member", "add", "n"}, "ADDRESS"},
      {{"member", "promote"}, "NAME"},
      {{"get", "k", "--max-staleness", "2s"}, "--max-staleness needs --consistency stale"},
      {{"get", "k", "--consistency", "stale", "--max-staleness", "0"}, "--max-staleness: '0'"},
      {{"get", "k", "--min-revision", "-1"}, "--min-revision"},
      {{"completion"}, "SHELL"},
      {{"completion", "fish"}, "fish"},
      {{"bench", "--connections", "0"}, "bench: --connections: '0' is no whole number from 1 to"},
      {{"bench", "--connections", "10001"}, "--connections"},
      {{"bench", "--rate", "-1"}, "--rate: '-1' is no number from 0 to 10000000"},
      {{"bench", "--rate", "nan"}, "--rate"},
      {{"bench", "--duration", "0"}, "--duration: '0' is no duration from 1ms"},
      {{"bench", "--warmup", "1d"}, "--warmup"},
      {{"bench", "--duration", "1s", "--count", "5"}, "--count"},
      {{"bench", "--keys", "0"}, "--keys"},
      {{"bench", "--theta", "0"}, "--theta"},
      {{"bench", "--distribution", "normal"}, "--distribution"},
      {{"bench", "--value-bytes", "9..3"}, "--value-bytes: '9..3' is no size"},
      {{"bench", "--value-bytes", "67108865"}, "--value-bytes"},
      {{"bench", "--value-bytes", ""}, "--value-bytes"},
      {{"bench", "--mix", "put=50"}, "--mix"},
      {{"bench", "--mix", "put=50,put=50"}, "--mix"},
      {{"bench", "--mix", "put=50,scan=50"}, "--mix: 'put=50,scan=50' is no list"},
      {{"bench", "--mix", "put=100,"}, "--mix"},
      {{"bench", "--list-limit", "1001"}, "--list-limit"},
      {{"bench", "--seed", "x"}, "--seed"},
      {{"bench", "--max-errors", "101"}, "--max-errors"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    const Parse p(c.arguments);
    CHECK_FALSE(p.accepted);
    CHECK(p.code == 2);
    CHECK(p.out.empty());
    CHECK(p.err.rfind("kvstore-client: ", 0) == 0);
    CHECK(p.err.find(c.text) != std::string::npos);
  }
}

TEST_CASE("the options of bench") {
  const Parse defaults({"bench"});
  REQUIRE(defaults.accepted);
  const bench::Config& plain = defaults.options.bench;
  CHECK(plain.connections == 16);
  CHECK(plain.rate == 0);
  CHECK(plain.duration == std::chrono::seconds(10));
  CHECK(plain.warmup == std::chrono::seconds(1));
  CHECK(plain.count == 0);
  CHECK(plain.percent == std::array<uint32_t, 4>{0, 100, 0, 0});
  CHECK(plain.distribution == bench::Distribution::kUniform);
  const Parse p({"bench", "--mix", "list=5,put=20,get=75", "--value-bytes", "1..4096", "--rate",
                 "1500.5", "--warmup", "0", "--count", "7", "--distribution", "zipfian",
                 "--consistency", "stale", "--max-errors", "0.5", "--preload"});
  CAPTURE(p.err);
  REQUIRE(p.accepted);
  const bench::Config& config = p.options.bench;
  CHECK(config.percent == std::array<uint32_t, 4>{20, 75, 0, 5});
  CHECK(config.value_bytes_min == 1);
  CHECK(config.value_bytes_max == 4096);
  CHECK(config.rate == 1500.5);
  CHECK(config.warmup.count() == 0);
  CHECK(config.count == 7);
  CHECK(config.distribution == bench::Distribution::kZipfian);
  CHECK(p.options.read.consistency == client::Consistency::kStale);
  CHECK(p.options.max_error_percent == 0.5);
  CHECK(p.options.preload);
}

TEST_CASE("help and version go to standard output with 0") {
  const Parse help({"--help"});
  CHECK(help.code == 0);
  CHECK(help.out.find("cluster-status") != std::string::npos);
  CHECK(help.out.find("Exit codes") != std::string::npos);
  CHECK(help.err.empty());
  const Parse sub({"put", "--help"});
  CHECK(sub.code == 0);
  CHECK(sub.out.find("--if-absent") != std::string::npos);
  const Parse version({"--version"});
  CHECK(version.code == 0);
  CHECK(version.out.rfind("kvstore-client ", 0) == 0);
}

TEST_CASE("the environment gives the servers, the command line wins") {
  ::setenv("KVSTORE_SERVER", "e:1,e:2", 1);
  CHECK(Parse({"health"}).options.servers == std::vector<std::string>{"e:1", "e:2"});
  CHECK(Parse({"health", "--server", "c:3"}).options.servers == std::vector<std::string>{"c:3"});
  ::unsetenv("KVSTORE_SERVER");
}

TEST_CASE("durations") {
  CHECK(parse_duration("500ms") == milliseconds(500));
  CHECK(parse_duration("2s") == milliseconds(2000));
  CHECK(parse_duration("2") == milliseconds(2000));
  CHECK(parse_duration("5m") == milliseconds(300'000));
  CHECK(parse_duration("1h") == milliseconds(3'600'000));
  for (const char* text : {"", "0", "0ms", "-1s", "1.5s", "s", "1d", "61m", "3600001ms", "1 s",
                           "99999999999999999999s"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration(text));
  }
}

TEST_CASE("wrong server URLs are usage errors") {
  const auto result = test::run_cli({"health", "--server", "https://a:1"});
  CHECK(result.code == 2);
  CHECK(result.err.find("https is not supported") != std::string::npos);
  CHECK(test::run_cli({"health", "--server", ","}).code == 2);
}

}  // namespace
}  // namespace kvstore::cli
