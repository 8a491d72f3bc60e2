// Goal: a load test talks to real sockets as its configuration says, counts errors by kind and
// never as latency, and its report and exit code say so. Method: the whole program runs `bench`
// against scripted servers that answer, refuse, drop, hang or talk nonsense.
#include <algorithm>
#include <atomic>
#include <set>

#include <doctest/doctest.h>

#include "bench/runner.hpp"
#include "bench_report.hpp"
#include "cli_fixture.hpp"

namespace kvstore::cli {
namespace {

using test::error_reply;
using test::json_reply;
using test::Reply;
using test::run_cli;
using test::ScriptedServer;
using test::SeenRequest;

std::vector<std::string> bench_of(const std::string& servers, const std::string& count,
                                  std::vector<std::string> more = {}) {
  std::vector<std::string> out = {"bench", "--server", servers, "--count", count, "--warmup",
                                  "0",     "--format", "json",  "--keys",  "5"};
  const bool has_connections = std::find(more.begin(), more.end(), "--connections") != more.end();
  if (!has_connections) out.insert(out.end(), {"--connections", "2"});
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

Reply ok() {
  return json_reply(200, "value");
}

TEST_CASE("exactly as many requests as asked for, over all servers, on connections that stay") {
  ScriptedServer a([](const SeenRequest&) { return ok(); });
  ScriptedServer b([](const SeenRequest&) { return ok(); });
  const auto result = run_cli(
      bench_of(a.url() + "," + b.url(), "200", {"--mix", "put=50,get=50", "--prefix", "p/"}));
  CAPTURE(result.err);
  CHECK(result.code == 0);
  CHECK(result.err.empty());
  const auto document = result.document();
  CHECK(document["all"]["count"] == 200);
  CHECK(document["error_count"] == 0);
  CHECK(document["loop"] == "closed");
  const auto& operations = document["operations"];
  CHECK(operations.size() == 2);
  CHECK(operations["put"]["count"].get<int>() + operations["get"]["count"].get<int>() == 200);
  CHECK(operations["get"]["latency_us"]["p50"].get<double>() > 0);
  CHECK(a.requests().size() + b.requests().size() == 200);
  CHECK(a.requests().size() > 0);
  CHECK(b.requests().size() > 0);
  CHECK(a.connection_count() == 1);
  for (const SeenRequest& seen : a.requests()) {
    CHECK(seen.path.rfind("/api/v1/kv/p%2F00000000000", 0) == 0);
    CHECK(seen.body.size() == (seen.method == "PUT" ? 256 : 0));
  }
}

TEST_CASE("batches: preloading takes fewer requests, and a batch that fails in part is an error") {
  std::atomic<int> calls = 0;
  ScriptedServer server([&](const SeenRequest& request) {
    CHECK(request.path == "/api/v1/batch");
    return json_reply(++calls == 5 ? 207 : 200, "{}");
  });
  const auto result =
      run_cli(bench_of(server.url(), "4", {"--batch", "2", "--preload", "--mix", "put=100"}));
  CHECK(result.code == 1);
  CHECK(server.requests().size() == 7);  // 3 to write 5 keys, then 4
  const auto document = result.document();
  CHECK(document["batch"] == 2);
  CHECK(document["errors"] == nlohmann::json({{"http_207", 1}}));
  CHECK(document["operations"]["put"]["count"] == 3);
}

TEST_CASE("errors are counted by kind and have no latency") {
  std::atomic<int> calls = 0;
  ScriptedServer server([&](const SeenRequest&) {
    switch (calls++ % 4) {
      case 0:
        return error_reply(503, "busy", true, "no");
      case 1:
        return Reply{200, "", {}, Reply::Action::kDrop};
      case 2:
        return error_reply(404, "not_found", false, "no");
      default:
        return ok();
    }
  });
  const auto result = run_cli(bench_of(server.url(), "20", {"--connections", "1"}));
  CHECK(result.code == 1);
  CHECK(result.err == "kvstore-client: bench: more errors than --max-errors allows\n");
  const auto document = result.document();
  CHECK(document["errors"] == nlohmann::json({{"connection_lost", 5}, {"http_503", 5}}));
  CHECK(document["error_share"] == doctest::Approx(0.5));
  CHECK(document["all"]["count"] == 10);
  CHECK(document["operations"]["get"]["misses"] == 5);
  calls = 0;
  CHECK(run_cli(bench_of(server.url(), "20", {"--connections", "1", "--max-errors", "50"})).code ==
        0);
}

TEST_CASE("a server that says nothing costs timeouts") {
  ScriptedServer server([](const SeenRequest&) {
    return Reply{200, "", {}, Reply::Action::kHang};
  });
  const auto result = run_cli(bench_of(server.url(), "3", {"--timeout", "200ms"}));
  CHECK(result.code == 1);
  CHECK(result.err == "kvstore-client: bench: no request succeeded\n");
  CHECK(result.document()["errors"] == nlohmann::json({{"timeout", 3}}));
}

TEST_CASE("a body that is cut is no answer") {
  ScriptedServer server([](const SeenRequest&) {
    return Reply{200, std::string(1000, 'x'), {}, Reply::Action::kCutBody};
  });
  const auto document = run_cli(bench_of(server.url(), "2")).document();
  CHECK(document["errors"] == nlohmann::json({{"connection_lost", 2}}));
}

TEST_CASE("servers that end every connection are served all the same") {
  ScriptedServer server([](const SeenRequest&) {
    Reply reply = ok();
    reply.headers["Connection"] = "close";
    return reply;
  });
  const auto result = run_cli(bench_of(server.url(), "10"));
  CHECK(result.code == 0);
  CHECK(result.document()["error_count"] == 0);
  CHECK(server.connection_count() >= 10);
}

TEST_CASE("nobody there is unreachable, and a name that does not exist is named") {
  const auto dead = run_cli(bench_of(test::dead_url(), "3", {"--timeout", "200ms"}));
  CHECK(dead.code == 3);
  CHECK(dead.err == "kvstore-client: bench: no server could be reached\n");
  const auto unknown = run_cli(bench_of("no-such-host.invalid:1", "3"));
  CHECK(unknown.code == 3);
  CHECK(unknown.err.find("no-such-host.invalid") != std::string::npos);
}

TEST_CASE("preload writes every key once, in order, and is not measured") {
  ScriptedServer server([](const SeenRequest&) { return ok(); });
  const auto result =
      run_cli(bench_of(server.url(), "4", {"--preload", "--connections", "1", "--prefix", "q"}));
  CHECK(result.code == 0);
  CHECK(result.document()["all"]["count"] == 4);
  const auto seen = server.requests();
  REQUIRE(seen.size() == 9);
  for (size_t i = 0; i < 5; ++i) {
    CHECK(seen[i].method == "PUT");
    CHECK(seen[i].path == "/api/v1/kv/q00000000000" + std::to_string(i));
  }
  for (size_t i = 5; i < 9; ++i) CHECK(seen[i].method == "GET");
}

TEST_CASE("a preload that fails ends the test") {
  ScriptedServer server([](const SeenRequest& request) {
    return request.method == "PUT" ? error_reply(507, "no_space", false, "no") : ok();
  });
  const auto result = run_cli(bench_of(server.url(), "4", {"--preload"}));
  CHECK(result.code == 5);
  CHECK(result.err == "kvstore-client: bench: 5 of 5 keys could not be written (http_507: 5)\n");
}

TEST_CASE("an open loop sends at its rate, not as fast as it can") {
  ScriptedServer server([](const SeenRequest&) { return ok(); });
  const auto result = run_cli(bench_of(server.url(), "40", {"--rate", "200"}));
  CHECK(result.code == 0);
  const auto document = result.document();
  CHECK(document["loop"] == "open");
  CHECK(document["all"]["count"] == 40);
  // The last of 40 is due after 195 ms, whatever the machine does in between.
  CHECK(document["seconds"].get<double>() >= 0.195);
}

TEST_CASE("values larger than a socket's buffers are sent whole") {
  ScriptedServer server([](const SeenRequest&) { return ok(); });
  const auto result =
      run_cli(bench_of(server.url(), "3", {"--mix", "put=100", "--value-bytes", "9000000"}));
  CHECK(result.code == 0);
  std::set<std::string> bodies;
  for (const SeenRequest& seen : server.requests()) {
    CHECK(seen.body.size() == 9'000'000);
    bodies.insert(seen.body);
  }
  CHECK(bodies.size() == 3);
}

TEST_CASE("the table has a row per operation and one for all") {
  bench::Config config;
  config.percent = {50, 50, 0, 0};
  bench::Results results;
  results.seconds = 2;
  for (int i = 1; i <= 100; ++i) {
    results.operations[0].latency.record(static_cast<uint64_t>(i) * 1'024'000);
  }
  results.operations[1].latency.record(1'000'000);
  results.operations[1].misses = 1;
  results.errors = {{"http_429", 3}, {"timeout", 1}};
  std::ostringstream out;
  print_bench_table(config, results, out, false);
  CHECK(out.str() ==
        "OPERATION  COUNT  RATE/s  MEAN ms  P50     P90     P99      P99.9    MAX\n"
        "put        100    50.0    51.712   51.216  92.209  101.384  102.400  102.400\n"
        "get        1      0.5     1.000    1.000   1.000   1.000    1.000    1.000\n"
        "all        101    50.5    51.210   51.216  92.209  101.384  102.400  102.400\n"
        "\n"
        "2.000 s measured, latencies in ms, 1 gets of keys that are not there, 4 errors (3.810 %)\n"
        "  http_429: 3\n"
        "  timeout: 1\n");
}

}  // namespace
}  // namespace kvstore::cli
