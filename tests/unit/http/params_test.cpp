// Goal: queries and options are taken only when every part of them is understood.
// Method: tables of queries and option objects, and the name that the refusal must contain.
#include "params.hpp"

#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/slice.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "api_error.hpp"
#include "options.hpp"

using namespace kvstore;
using namespace kvstore::http;

namespace {

std::string refusal_of(std::string_view query) {
  try {
    const Params params(query, {"limit", "prev", "wait_for"});
    params.boolean("prev", false);
    params.unsigned_integer("limit");
    params.duration_ms("wait_for");
    return "";
  } catch (const ApiError& e) {
    CHECK(e.http_status == 400);
    return e.code + ": " + e.what();
  }
}

Config config_of(const std::string& text) {
  return parse_config(sdk::slice(text));
}

}  // namespace

TEST_CASE("known parameters") {
  const Params params("limit=5&prev&wait_for=2s&timeout=1", {"limit", "prev", "wait_for"});
  CHECK(params.unsigned_integer("limit") == 5);
  CHECK(params.boolean("prev", false));
  CHECK(params.duration_ms("wait_for") == 2000);
  CHECK(params.duration_ms("timeout") == 1000);
  CHECK(params.boolean("forward", true));
  CHECK(params.text("none") == nullptr);
}

TEST_CASE("refused queries name the parameter") {
  CHECK(refusal_of("limit=x").find("\"limit\"") != std::string::npos);
  CHECK(refusal_of("prev=x").find("\"prev\"") != std::string::npos);
  CHECK(refusal_of("wait_for=x").find("\"wait_for\"") != std::string::npos);
  CHECK(refusal_of("limit=1&limit=1").find("twice") != std::string::npos);
  CHECK(refusal_of("colour=1").find("invalid: unknown parameter \"colour\"") == 0);
  CHECK(refusal_of("a=%zz").find("escape") != std::string::npos);
}

TEST_CASE("defaults of the options, and health's reserve of threads") {
  const Config c = config_of("");
  CHECK(c.threads == 512);
  CHECK(c.max_data_requests == 448);
  CHECK(c.max_parked_requests == 4096);
  CHECK(c.max_parked_bytes == 256u << 20);
  CHECK(c.max_value_bytes == 67108864);
  CHECK(c.max_key_bytes == 4096);
  const Config small = config_of(R"({"threads": 8, "max_data_requests": 100,
                                     "max_waiting_requests": 100})");
  CHECK(small.max_data_requests == 6);
  CHECK(small.max_waiting_requests == 1);
  for (uint64_t threads = 8; threads < 100; ++threads) {
    const Config any = config_of(R"({"max_data_requests": 16384, "max_waiting_requests": 16384,
                                     "threads": )" +
                                 std::to_string(threads) + "}");
    CHECK(any.max_data_requests + any.max_waiting_requests < any.threads);
  }
}

TEST_CASE("every option of the schema is one of the parser, and the other way round") {
  const nlohmann::json schema = nlohmann::json::parse(kConfigSchema);
  nlohmann::json all = nlohmann::json::object();
  for (const auto& [name, rule] : schema["properties"].items()) {
    all[name] = rule["minimum"];
    for (const int64_t past :
         {rule["minimum"].get<int64_t>() - 1, rule["maximum"].get<int64_t>() + 1}) {
      CAPTURE(name);
      CHECK_THROWS_AS(config_of(nlohmann::json({{name, past}}).dump()), sdk::Error);
    }
  }
  CHECK_NOTHROW(config_of(all.dump()));
  all["another"] = 1;
  CHECK_THROWS_AS(config_of(all.dump()), sdk::Error);
}

TEST_CASE("listen addresses") {
  CHECK(parse_listen_address("127.0.0.1:8081").port == 8081);
  CHECK(parse_listen_address("[::1]:0").host == "::1");
  CHECK(parse_listen_address(":80").host == "0.0.0.0");
  CHECK(parse_listen_address("host.example:1").host == "host.example");
  for (const char* bad : {"", "host", "host:", "host:65536", "::1:80", "host:-1"}) {
    CHECK_THROWS_AS(parse_listen_address(bad), sdk::Error);
  }
}
