// Goal: bodies of transactions and batches are read as the README says, and every mistake is named
// by its place. Method: tables of documents; what the parser made of them, or what it refused.
#include "handlers/txn_document.hpp"

#include <kvstore/sdk/slice.hpp>

#include <doctest/doctest.h>

#include "api_error.hpp"

using namespace kvstore;
using namespace kvstore::http;

namespace {

const Config& config() {
  static const Config c = parse_config(sdk::slice(R"({"max_key_bytes": 8, "max_list_items": 50,
      "max_txn_operations": 3, "max_batch_operations": 4})"));
  return c;
}

TxnDocument txn_of(const std::string& body) {
  return parse_txn_document(body, config());
}

// "STATUS code: message", or empty when the body is taken.
template <typename Parse>
std::string refusal_of(Parse&& parse) {
  try {
    parse();
    return "";
  } catch (const ApiError& e) {
    return std::to_string(e.http_status) + " " + e.code + ": " + e.what();
  }
}

std::string txn_refusal(const std::string& body) {
  return refusal_of([&] { txn_of(body); });
}

std::string batch_refusal(const std::string& body) {
  return refusal_of([&] { parse_batch_document(body, config()); });
}

// An operation or compare at the second place of its list.
std::string then_of(const std::string& op) {
  return R"({"then": [{"op": "get", "key": "x"}, )" + op + "]}";
}
std::string compares_of(const std::string& compare) {
  return R"({"then": [{"op": "get", "key": "x"}], "compares": [)" + compare + "]}";
}

}  // namespace

TEST_CASE("operations of a transaction") {
  TxnDocument t = txn_of(R"({"then": [
      {"op": "put", "key": "a", "value": "AP8=", "prev": true},
      {"op": "put", "key_base64": "/w==", "text": "h\u00e9"},
      {"op": "delete", "key": "b", "prev": true, "keys_only": true}],
    "else": [
      {"op": "delete", "prefix": "p/", "limit": 7},
      {"op": "get", "key": "c", "keys_only": true},
      {"op": "range", "start": "a", "end_base64": "/w==", "limit": 50, "reverse": true}]})");
  REQUIRE(t.then_ops.size() == 3);
  REQUIRE(t.else_ops.size() == 3);
  CHECK(t.then_ops[0].name == OpName::kPut);
  CHECK(t.then_ops[0].value == std::string("\0\xff", 2));
  CHECK(t.then_ops[0].flags == KVS_OP_PREV);
  CHECK(t.then_ops[1].range.key == "\xff");
  CHECK(t.then_ops[1].value == "h\xc3\xa9");
  CHECK(t.then_ops[2].flags == (KVS_OP_PREV | KVS_OP_KEYS_ONLY));
  CHECK(t.else_ops[0].range.kind == KVS_RANGE_PREFIX);
  CHECK(t.else_ops[0].to_abi().limit == 7);
  CHECK(t.else_ops[1].to_abi().kind == KVS_OP_GET);
  CHECK(t.else_ops[2].range.kind == KVS_RANGE_UNTIL);
  CHECK(t.else_ops[2].range.end == "\xff");
  CHECK(t.else_ops[2].flags == KVS_OP_REVERSE);
  // One more than is delivered: whether there are more.
  CHECK(t.else_ops[2].to_abi().limit == 51);
}

TEST_CASE("a put may have a time to live or a lease") {
  const auto put = [](const std::string& fields) {
    return txn_of(R"({"then": [{"op": "put", "key": "a", "text": "", )" + fields + "}]}")
        .then_ops[0]
        .to_abi();
  };
  CHECK(put(R"("ttl": "250ms")").ttl_ms == 250);
  CHECK(put(R"("ttl": 30)").ttl_ms == 30'000);
  CHECK(put(R"("lease": 9007199254740991)").lease == 9007199254740991);
}

TEST_CASE("ranges") {
  const auto range_of = [](const std::string& fields) {
    return txn_of(R"({"then": [{"op": "range")" + fields + "}]}").then_ops[0].range;
  };
  CHECK(range_of("").kind == KVS_RANGE_ALL);
  CHECK(range_of(R"(, "all": true)").kind == KVS_RANGE_ALL);
  CHECK(range_of(R"(, "all": true, "prefix": "")").kind == KVS_RANGE_ALL);
  CHECK(range_of(R"(, "prefix": "a")").kind == KVS_RANGE_PREFIX);
  CHECK(range_of(R"(, "start": "a")").kind == KVS_RANGE_FROM);
  CHECK(range_of(R"(, "start": "a", "end": "")").kind == KVS_RANGE_FROM);
  const RangeSpec until = range_of(R"(, "end": "b")");
  CHECK(until.kind == KVS_RANGE_UNTIL);
  CHECK(until.key == "");
}

TEST_CASE("compares") {
  const auto compare = [](const std::string& fields) {
    return txn_of(compares_of("{" + fields + "}")).compares[0];
  };
  CompareSpec c = compare(R"("key": "a", "target": "value", "op": "!=", "value": "YQ==")");
  CHECK(c.target == KVS_CMP_VALUE);
  CHECK(c.op == KVS_CMP_NE);
  CHECK(c.value == "a");
  CHECK(compare(R"("key": "a", "target": "value", "text": "a")").value == "a");
  c = compare(R"("key": "a", "target": "mod_revision", "value": 18446744073709551615)");
  CHECK(c.target == KVS_CMP_MOD_REVISION);
  CHECK(c.op == KVS_CMP_EQ);
  CHECK(c.number == UINT64_MAX);
  CHECK(compare(R"("key": "a", "target": "create_revision", "op": "<", "value": 1)").op ==
        KVS_CMP_LT);
  CHECK(compare(R"("key": "a", "target": "lease", "op": ">", "value": 0)").target == KVS_CMP_LEASE);
  c = compare(R"("key": "a", "target": "exists")");
  CHECK(c.target == KVS_CMP_VERSION);
  CHECK(c.op == KVS_CMP_GT);
  CHECK(c.number == 0);
  c = compare(R"("prefix": "a", "target": "exists", "value": false)");
  CHECK(c.op == KVS_CMP_EQ);
  CHECK(c.range.kind == KVS_RANGE_PREFIX);
  c = compare(R"("all": true, "target": "version", "op": "<", "value": 5)");
  CHECK(c.range.kind == KVS_RANGE_ALL);
}

TEST_CASE("every mistake in a transaction is named by its place") {
  const std::string long_key = R"({"op": "get", "key": "123456789"})";
  const std::pair<std::string, std::string> rows[] = {
      {"", "400 invalid: the body is not valid JSON"},
      {"{\"then\": [", "400 invalid: the body is not valid JSON"},
      {"[]", "400 invalid: the body must be a JSON object"},
      {"7", "400 invalid: the body must be a JSON object"},
      {"{}", "400 invalid: then: at least one operation"},
      {R"({"then": []})", "400 invalid: then: at least one operation"},
      {R"({"then": {}})", "400 invalid: then: must be a list"},
      {R"({"then": null})", "400 invalid: then: must be a list"},
      {R"({"then": [7]})", "400 invalid: then[0]: must be an object"},
      {R"({"then": [[]]})", "400 invalid: then[0]: must be an object"},
      {R"({"success": []})", "400 invalid: unknown field \"success\""},
      {R"({"then": [], "then": []})", "400 invalid: then: given twice"},
      {then_of(
           R"({"op": "get", "key": "a"}, {"op": "get", "key": "a"}, {"op": "get", "key": "a"})"),
       "400 invalid: then: more than 3 entries"},
      {then_of("{}"), "400 invalid: then[1].op: missing"},
      {then_of(R"({"op": "swap", "key": "a"})"), "400 invalid: then[1].op: must be put, delete"},
      {then_of(R"({"op": 7, "key": "a"})"), "400 invalid: then[1].op: must be a string"},
      {then_of(R"({"op": "put", "key": "a"})"), "400 invalid: then[1].value: missing"},
      {then_of(R"({"op": "put", "key": "a", "value": "a"})"),
       "400 invalid: then[1].value: not valid base64"},
      {then_of(R"({"op": "put", "key": "a", "value": 7})"),
       "400 invalid: then[1].value: must be a string"},
      {then_of(R"({"op": "put", "key": "a", "value": {"x": 1}})"),
       "400 invalid: then[1].value: must not be an object or a list"},
      {then_of(R"({"op": "put", "key": "a", "value": "", "text": ""})"),
       "400 invalid: then[1].text: excludes value"},
      {then_of(R"({"op": "put", "key": "a", "text": "", "ttl": "soon"})"),
       "400 invalid: then[1].ttl: must be a duration"},
      {then_of(R"({"op": "put", "key": "a", "text": "", "ttl": 0})"),
       "400 invalid: then[1].ttl: must be a duration"},
      {then_of(R"({"op": "put", "key": "a", "text": "", "ttl": true})"),
       "400 invalid: then[1].ttl: must be a non-negative integer"},
      {then_of(R"({"op": "put", "key": "a", "text": "", "ttl": 5, "lease": 7})"),
       "400 invalid: then[1].ttl: excludes lease"},
      {then_of(R"({"op": "put", "key": "a", "text": "", "lease": 0})"),
       "400 invalid: then[1].lease: must be an integer in 1.."},
      {then_of(R"({"op": "get", "key": "a", "lease": 7})"),
       "400 invalid: then[1].lease: does not go with op get"},
      {then_of(R"({"op": "put", "value": ""})"), "400 invalid: then[1].key: missing"},
      {then_of(R"({"op": "put", "key": "", "value": ""})"),
       "400 invalid: then[1].key: must not be empty"},
      {then_of(R"({"op": "put", "prefix": "a", "value": ""})"),
       "400 invalid: then[1].key: missing"},
      {then_of(R"({"op": "get", "key": "a", "key_base64": "YQ=="})"),
       "400 invalid: then[1].key_base64: excludes key"},
      {then_of(R"({"op": "get", "key_base64": "a"})"),
       "400 invalid: then[1].key_base64: not valid base64"},
      {then_of(long_key), "400 key_too_large: then[1].key: has 9 bytes, the limit is 8"},
      {then_of(R"({"op": "delete"})"), "400 invalid: then[1].key: missing"},
      {then_of(R"({"op": "delete", "prefix": ""})"), "400 invalid: then[1]: names every key"},
      {then_of(R"({"op": "delete", "start": ""})"), "400 invalid: then[1]: names every key"},
      {then_of(R"({"op": "delete", "all": false})"), "400 invalid: then[1].all: must be true"},
      {then_of(R"({"op": "delete", "all": true, "prefix": "a"})"),
       "400 invalid: then[1].all: excludes prefix"},
      {then_of(R"({"op": "delete", "key": "a", "prefix": "a"})"),
       "400 invalid: then[1].key: excludes prefix"},
      {then_of(R"({"op": "delete", "prefix": "a", "end": "b"})"),
       "400 invalid: then[1].prefix: excludes start and end"},
      {then_of(R"({"op": "delete", "key": "a", "limit": 1})"),
       "400 invalid: then[1].limit: does not go with op delete"},
      {then_of(R"({"op": "range", "limit": 0})"), "400 invalid: then[1].limit: must be 1..50"},
      {then_of(R"({"op": "range", "limit": 51})"), "400 invalid: then[1].limit: must be 1..50"},
      {then_of(R"({"op": "range", "limit": -1})"),
       "400 invalid: then[1].limit: must be a non-negative integer"},
      {then_of(R"({"op": "range", "limit": 1.5})"),
       "400 invalid: then[1].limit: must be a non-negative integer"},
      {then_of(R"({"op": "range", "limit": 1, "count_only": true})"),
       "400 invalid: then[1].limit: does not go with count_only"},
      {then_of(R"({"op": "get", "key": "a", "reverse": true})"),
       "400 invalid: then[1].reverse: does not go with op get"},
      {then_of(R"({"op": "range", "keys_only": 1})"),
       "400 invalid: then[1].keys_only: must be true or false"},
      {then_of(R"({"op": "get", "key": "a", "prev": true})"),
       "400 invalid: then[1].prev: does not go with op get"},
      {then_of(R"({"op": "get", "key": "a", "if_absent": true})"),
       "400 invalid: then[1].if_absent: does not go with op get"},
      {then_of(R"({"op": "get", "key": "a", "key": "a"})"),
       "400 invalid: then[1].key: given twice"},
      {R"({"else": [{"op": "put", "key": "a", "text": "1"}, {"op": "get", "key": "a"},
           {"op": "put", "key": "a", "text": "2"}]})",
       "400 invalid: else[2].key: is put twice"},
      {compares_of(R"({"key": "a"})"), "400 invalid: compares[0].target: missing"},
      {compares_of(R"({"key": "a", "target": "size"})"),
       "400 invalid: compares[0].target: must be value"},
      {compares_of(R"({"key": "a", "target": "version", "op": "<=", "value": 1})"),
       "400 invalid: compares[0].op: must be ="},
      {compares_of(R"({"key": "a", "target": "version", "value": "1"})"),
       "400 invalid: compares[0].value: must be a non-negative integer"},
      {compares_of(R"({"key": "a", "target": "version"})"),
       "400 invalid: compares[0].value: missing"},
      {compares_of(R"({"key": "a", "target": "version", "text": "1", "value": 1})"),
       "400 invalid: compares[0].text: does not go with"},
      {compares_of(R"({"key": "a", "target": "value", "value": 1})"),
       "400 invalid: compares[0].value: must be a string"},
      {compares_of(R"({"key": "a", "target": "exists", "op": "!="})"),
       "400 invalid: compares[0].op: must be = with target exists"},
      {compares_of(R"({"prefix": "a", "target": "exists"})"),
       "400 invalid: compares[0].value: must be false"},
      {compares_of(R"({"target": "version", "value": 1})"),
       "400 invalid: compares[0].key: missing"},
  };
  for (const auto& [body, refusal] : rows) {
    CAPTURE(body);
    CHECK(txn_refusal(body).substr(0, refusal.size()) == refusal);
  }
}

TEST_CASE("a value above 1 MiB is 413 and names its place") {
  const auto put = [](size_t bytes) {
    return then_of(R"({"op": "put", "key": "a", "text": ")" + std::string(bytes, 'v') + "\"}");
  };
  CHECK(txn_refusal(put(1 << 20)) == "");
  CHECK(txn_refusal(put((1 << 20) + 1)).find("413 too_large: then[1].text: has 1048577") == 0);
}

TEST_CASE("hostile documents take no more than they are worth") {
  CHECK(txn_refusal(std::string(1'000'000, '[')).find("400") == 0);
  CHECK(txn_refusal(R"({"then":)" + std::string(100'000, '[')).find("400") == 0);
  std::string fields;
  for (int i = 0; i < 100'000; ++i) fields += ",\"f" + std::to_string(i) + "\":1";
  CHECK(txn_refusal(then_of("{\"op\":\"get\"" + fields + "}")) ==
        "400 invalid: then[1]: too many fields");
  const std::string bad_name = R"({"then": [{")" + std::string(1000, 'x') + R"(": 1}]})";
  CHECK(txn_refusal(bad_name).size() < 300);
}

TEST_CASE("operations of a batch") {
  const auto ops = parse_batch_document(R"({"operations": [
      {"op": "put", "key": "a", "text": "v", "if_absent": true, "prev": true},
      {"op": "delete", "key": "b", "if_mod_revision": 7},
      {"op": "get", "key": "c", "keys_only": true},
      {"op": "put", "key": "a", "value": ""}]})",
                                        config());
  REQUIRE(ops.size() == 4);
  CHECK(ops[0].if_absent);
  CHECK(ops[0].is_conditional());
  CHECK(ops[0].op.flags == KVS_OP_PREV);
  CHECK(ops[1].if_mod_revision == 7);
  CHECK(ops[2].op.flags == KVS_OP_KEYS_ONLY);
  CHECK(!ops[3].is_conditional());
}

TEST_CASE("every mistake in a batch is named by its place") {
  const auto with = [](const std::string& op) { return R"({"operations": [)" + op + "]}"; };
  const std::pair<std::string, std::string> rows[] = {
      {"{}", "400 invalid: operations: at least one"},
      {R"({"then": []})", "400 invalid: unknown field"},
      {with(R"({"op": "range"})"), "400 invalid: operations[0].op: must be put, delete or get"},
      {with(R"({"op": "delete", "prefix": "a"})"), "400 invalid: operations[0].key: missing"},
      {with(R"({"op": "delete", "key": "a", "if_mod_revision": 0})"),
       "400 invalid: operations[0].if_mod_revision: must be a positive integer"},
      {with(R"({"op": "put", "key": "a", "text": "", "if_absent": true, "if_mod_revision": 1})"),
       "400 invalid: operations[0].if_absent: excludes if_mod_revision"},
      {with(R"({"op": "delete", "key": "a", "if_absent": true})"),
       "400 invalid: operations[0].if_absent: does not go with op delete"},
      {with(R"({"op": "get", "key": "a", "if_mod_revision": 1})"),
       "400 invalid: operations[0].if_mod_revision: does not go with op get"},
      {with(R"({"op": "get", "key": "a"},{"op": "get", "key": "a"},{"op": "get", "key": "a"},
               {"op": "get", "key": "a"},{"op": "get", "key": "a"})"),
       "400 invalid: operations: more than 4 entries"},
  };
  for (const auto& [body, refusal] : rows) {
    CAPTURE(body);
    CHECK(batch_refusal(body).substr(0, refusal.size()) == refusal);
  }
}
