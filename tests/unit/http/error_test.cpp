// Goal: errors have one shape, valid JSON whatever bytes a message holds.
// Method: errors are built from results and statuses and parsed back.
#include <kvstore/sdk/slice.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "api_error.hpp"
#include "exchange.hpp"

using namespace kvstore;
using namespace kvstore::http;
using nlohmann::json;

namespace {

json body_of(const ApiError& error) {
  return json::parse(error_response(error).body);
}

}  // namespace

TEST_CASE("an error is an object of exactly these fields") {
  const json error = body_of(bad_request("why"));
  CHECK(error == json({{"error",
                        {{"code", "invalid"},
                         {"message", "why"},
                         {"retryable", false},
                         {"committed", "no"}}}}));
}

TEST_CASE("a message of any bytes gives valid JSON") {
  const std::string message("quote\" control\x01 bad\xff end");
  CHECK(body_of(error_from_status(KVS_E_IO, message))["error"]["message"].get<std::string>().find(
            "\xEF\xBF\xBD") != std::string::npos);
  kvs_result result{};
  result.status = KVS_E_CONFLICT;
  const std::string code = "{\"code\":\"x\\u0000\xff\"}";
  result.json = sdk::slice(code);
  CHECK(body_of(error_from_result(result))["error"]["code"] == "conflict");
}

TEST_CASE("an empty message is the status' name") {
  CHECK(std::string(error_from_status(KVS_E_BUSY, "").what()) == "busy");
}

TEST_CASE("an unknown status is internal") {
  const ApiError error = error_from_status(-999, "");
  CHECK(error.http_status == 500);
  CHECK(error.code == "internal");
}

TEST_CASE("half a leader is named by what is known") {
  ApiError error = error_from_status(KVS_E_NOT_LEADER, "");
  CHECK(body_of(error)["error"].count("leader") == 0);
  error.leader_api_address = "a:1";
  CHECK(body_of(error)["error"]["leader"] == json({{"api_address", "a:1"}}));
  error.leader_name = "n";
  CHECK(body_of(error)["error"]["leader"] == json({{"node_id", "n"}, {"api_address", "a:1"}}));
}

TEST_CASE("not committed and unknown differ in status and in what a client may do") {
  for (const kvs_status status :
       {KVS_E_BUSY, KVS_E_TIMEOUT, KVS_E_UNREACHABLE, KVS_E_CANCELLED, KVS_E_CLOSED}) {
    kvs_result result{};
    result.status = status;
    ApiError error = error_from_result(result);
    CHECK(error.retryable);
    CHECK(error.retry_after_s == 1);
    result.committed = KVS_COMMITTED_UNKNOWN;
    error = error_from_result(result);
    CHECK(error.http_status == 504);
    CHECK(!error.retryable);
    CHECK(error.retry_after_s == 0);
    CHECK(body_of(error)["error"]["committed"] == "unknown");
  }
}
