// The texts inside HTTP requests: escapes, queries, base64, entity tags, numbers, JSON bodies.
#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/slice.hpp>

#include <nlohmann/json.hpp>

#include "api_error.hpp"
#include "exchange.hpp"
#include "handlers/batch_plan.hpp"
#include "options.hpp"
#include "params.hpp"
#include "target.hpp"
#include "text/base64.hpp"
#include "text/etag.hpp"
#include "text/idempotency_key.hpp"
#include "text/json_text.hpp"
#include "text/key_range.hpp"
#include "text/percent.hpp"
#include "text/put_body.hpp"
#include "text/scalar.hpp"

namespace kvstore::fuzz {
namespace {

using nlohmann::json;

std::string escaped(Bytes bytes) {
  std::string out;
  for (const char c : bytes) {
    constexpr char kHex[] = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    out += {'%', kHex[byte >> 4], kHex[byte & 15]};
  }
  return out;
}

void run_percent(Bytes input) {
  std::string decoded, again;
  if (!http::percent_decode(input, &decoded)) return;
  KVS_ASSERT(decoded.size() <= input.size());
  KVS_ASSERT(http::percent_decode(escaped(decoded), &again));
  KVS_ASSERT(again == decoded);
}

void seed_percent(Seeds* out) {
  *out = {"plain/key", "a%20b%2Fc", "%00%ff%FF", "100%25", "+"};
}

void run_query(Bytes input) {
  http::QueryPairs pairs, again;
  if (!http::parse_query(input, &pairs)) return;
  KVS_ASSERT(pairs.size() <= input.size());
  std::string text;
  for (const auto& [name, value] : pairs) text += escaped(name) + "=" + escaped(value) + "&";
  KVS_ASSERT(http::parse_query(text, &again));
  KVS_ASSERT(again == pairs);
  try {
    const http::Params params(input, {"limit", "prefix", "keys_only"});
    params.boolean("keys_only", false);
    params.unsigned_integer("limit");
    params.duration_ms("timeout");
  } catch (const http::ApiError& e) {
    KVS_ASSERT(e.http_status == 400 && *e.what() != '\0');
    KVS_ASSERT(http::is_utf8(http::error_response(e).body));
  }
}

void seed_query(Seeds* out) {
  *out = {"prefix=a%2Fb&limit=10&keys_only", "timeout=250ms&forward=false", "a=1&&b=x+y&=&c"};
}

// The first byte says how the text is cut.
void run_base64(Bytes input) {
  const size_t step = 1 + take_choice(&input, 16);
  std::string whole, pieces, again;
  http::Base64Decoder one, many;
  const bool accepted = one.feed(input, &whole) && one.finish();
  bool fed = true;
  for (Bytes rest = input; fed && !rest.empty(); rest.remove_prefix(std::min(step, rest.size()))) {
    fed = many.feed(rest.substr(0, step), &pieces);
  }
  KVS_ASSERT(accepted == (fed && many.finish()));
  KVS_ASSERT(whole == pieces);
  http::base64_append(input, &again);
  KVS_ASSERT(again.size() == http::base64_length(input.size()));
  if (!accepted) return;
  again.clear();
  http::base64_append(whole, &again);
  KVS_ASSERT(again == input);
}

void seed_base64(Seeds* out) {
  for (const char* text : {"", "a", "ab", "abc", "a longer text, of several groups \xff\xfe"}) {
    out->push_back("\3");
    http::base64_append(text, &out->back());
  }
}

// The first byte chooses the range.
void run_cursor(Bytes input) {
  http::KeyRange range = http::KeyRange::of_prefix("p");
  range.reverse = take_choice(&input, 2) == 1;
  std::string bytes;
  if (http::base64url_decode(input, &bytes)) {
    KVS_ASSERT(http::base64url_encode(bytes) == input);
  }
  const auto key = http::decode_cursor(range, input);
  if (key) KVS_ASSERT(http::encode_cursor(range, *key) == input);
  if (!input.empty()) {
    KVS_ASSERT(http::decode_cursor(range, http::encode_cursor(range, input)) == input);
  }
}

void seed_cursor(Seeds* out) {
  http::KeyRange range = http::KeyRange::of_prefix("p");
  out->push_back(std::string(1, '\0') + http::encode_cursor(range, "p/key"));
  range.reverse = true;
  out->push_back("\1" + http::encode_cursor(range, "p\xff"));
}

void run_etag(Bytes input) {
  const auto tags = http::parse_entity_tags(input);
  if (!tags) return;
  KVS_ASSERT(tags->any == tags->revisions.empty());
  KVS_ASSERT(tags->revisions.size() <= 16);
  std::string text;
  for (const uint64_t revision : tags->revisions) {
    KVS_ASSERT(tags->contains(revision));
    if (!text.empty()) text += ", ";
    text += http::etag_of(revision);
  }
  if (!tags->any) KVS_ASSERT(http::parse_entity_tags(text)->revisions == tags->revisions);
}

void seed_etag(Seeds* out) {
  *out = {"*", "\"12\"", "W/\"3\", \"18446744073709551615\"", "7", "\"1\" ,\t\"2\""};
}

void run_scalar(Bytes input) {
  if (const auto n = http::parse_unsigned(input)) {
    KVS_ASSERT(http::parse_unsigned(std::to_string(*n)) == n);
  }
  if (const auto ms = http::parse_duration_ms(input)) {
    KVS_ASSERT(*ms <= 24ull * 3600 * 1000);
    KVS_ASSERT(http::parse_duration_ms(std::to_string(*ms) + "ms") == ms);
  }
  static_cast<void>(http::parse_boolean(input));
}

void seed_scalar(Seeds* out) {
  *out = {"0", "250ms", "1.5s", "5m", "24h", "18446744073709551615", "0.000001h", "true"};
}

struct PutBody {
  bool accepted = false;
  std::string value, key, error;
  bool has_key = false;
};

PutBody parse_put(Bytes text, size_t step) {
  PutBody out;
  http::PutBodyParser parser(64);
  bool fed = true;
  for (; fed && !text.empty(); text.remove_prefix(std::min(step, text.size()))) {
    fed = parser.feed(text.substr(0, step), &out.value);
  }
  out.accepted = fed && parser.finish();
  out.error = parser.error();
  out.has_key = parser.has_key();
  if (out.has_key) out.key = parser.key();
  return out;
}

// The first byte says how the text is cut.  What is accepted is JSON to another parser too, and
// means the same to it.
void run_put_body(Bytes input) {
  const size_t step = 1 + take_choice(&input, 32);
  const PutBody whole = parse_put(input, input.size() + 1);
  const PutBody pieces = parse_put(input, step);
  KVS_ASSERT(whole.accepted == pieces.accepted);
  KVS_ASSERT(whole.error == pieces.error);
  if (!whole.accepted) {
    KVS_ASSERT(!whole.error.empty() && http::is_utf8(whole.error));
    return;
  }
  KVS_ASSERT(whole.value == pieces.value && whole.key == pieces.key);
  const json document = json::parse(input, nullptr, false);
  KVS_ASSERT(document.is_object());
  std::string base64;
  http::base64_append(whole.value, &base64);
  KVS_ASSERT(document.at("value") == base64);
  KVS_ASSERT(document.contains("key") == whole.has_key);
  if (whole.has_key) KVS_ASSERT(document.at("key") == whole.key);
}

void seed_put_body(Seeds* out) {
  out->push_back(
      "\4"
      R"({"key": "mykey", "value": "SGVsbG8sIFdvcmxkIQ=="})");
  out->push_back(
      "\1"
      R"( { "value" : "" } )");
  out->push_back(
      "\5"
      R"({"value":"QU\u0042D","key":"\ud83d\ude00\n\/"})");
}

// A string that is written as JSON is read back as it was.
void run_json_text(Bytes input) {
  std::string text = "{";
  http::append_key(input, &text);
  text += "}";
  const json document = json::parse(text);
  if (http::is_utf8(input)) {
    KVS_ASSERT(document.at("key") == std::string(input));
    KVS_ASSERT(http::to_utf8(input) == input);
  } else {
    std::string bytes;
    http::Base64Decoder decoder;
    KVS_ASSERT(decoder.feed(document.at("key_base64").get<std::string>(), &bytes));
    KVS_ASSERT(decoder.finish() && bytes == input);
    KVS_ASSERT(http::is_utf8(http::to_utf8(input)));
  }
}

void seed_json_text(Seeds* out) {
  *out = {"plain", "\"\\\n\x01\x7f", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\xff\xc0\x80",
          "\xed\xa0\x80"};
}

// Options and the listen address of the plugin; the first byte chooses.
void run_http_options(Bytes input) {
  const bool is_address = take_choice(&input, 2) == 1;
  try {
    if (is_address) {
      KVS_ASSERT(!http::parse_listen_address(std::string(input)).host.empty());
    } else {
      const http::Config config = http::parse_config(sdk::slice(input));
      KVS_ASSERT(config.max_data_requests + config.max_waiting_requests < config.threads);
    }
  } catch (const sdk::Error& e) {
    KVS_ASSERT(e.code() == KVS_E_INVALID && *e.what() != '\0');
  }
}

void seed_http_options(Seeds* out) {
  out->push_back(std::string(1, '\0') + R"({"threads": 64, "max_value_bytes": 1000})");
  out->push_back(std::string(1, '\0') + R"({"threads": 8, "max_data_requests": 16384})");
  out->push_back(
      "\1"
      "127.0.0.1:8081");
  out->push_back(
      "\1"
      "[::1]:0");
}

// Small limits, so that inputs reach them.
const http::Config& document_config() {
  static const http::Config config = http::parse_config(
      sdk::slice(R"({"max_key_bytes": 16, "max_txn_operations": 8, "max_batch_operations": 8})"));
  return config;
}

template <typename Parse>
void run_document(Parse&& parse) {
  try {
    parse();
  } catch (const http::ApiError& e) {
    KVS_ASSERT((e.http_status == 400 || e.http_status == 413) && *e.what() != '\0');
    KVS_ASSERT(http::is_utf8(http::error_response(e).body));
  }
}

void check_range(const http::RangeSpec& range) {
  KVS_ASSERT(range.key.size() <= 16 && range.end.size() <= 16);
  KVS_ASSERT(!range.is_key() || !range.key.empty());
  KVS_ASSERT((range.kind == KVS_RANGE_UNTIL) == !range.end.empty());
  KVS_ASSERT(range.kind != KVS_RANGE_PREFIX || !range.key.empty());
}

// What is accepted is JSON to another parser too, with as many entries, and every key is bounded.
void run_txn_document(Bytes input) {
  run_document([&] {
    const http::TxnDocument txn = http::parse_txn_document(input, document_config());
    const json document = json::parse(input);
    const auto count = [&](const char* list) {
      return document.contains(list) ? document.at(list).size() : 0;
    };
    KVS_ASSERT(txn.compares.size() == count("compares") && txn.compares.size() <= 8);
    KVS_ASSERT(txn.then_ops.size() == count("then") && txn.then_ops.size() <= 8);
    KVS_ASSERT(txn.else_ops.size() == count("else") && txn.else_ops.size() <= 8);
    for (const http::CompareSpec& compare : txn.compares) check_range(compare.range);
    for (const auto* ops : {&txn.then_ops, &txn.else_ops}) {
      for (const http::OpSpec& op : *ops) check_range(op.range);
    }
  });
}

void seed_txn_document(Seeds* out) {
  *out = {R"({"compares": [{"key": "lock", "target": "exists", "value": false},
              {"prefix": "p", "target": "mod_revision", "op": "<", "value": 9},
              {"key_base64": "/w==", "target": "value", "op": "!=", "text": "v"}],
              "then": [{"op": "put", "key": "a", "value": "AP8=", "prev": true}],
              "else": [{"op": "range", "start": "a", "end": "b", "limit": 5, "reverse": true}]})",
          R"({"then": [{"op": "delete", "all": true, "keys_only": true, "prev": true},
              {"op": "get", "key": "\ud83d\ude00"}, {"op": "range", "count_only": true}]})"};
}

// Besides, the plan of a batch has every operation once.
void run_batch_document(Bytes input) {
  run_document([&] {
    const auto ops = http::parse_batch_document(input, document_config());
    KVS_ASSERT(!ops.empty() && ops.size() <= 8);
    KVS_ASSERT(json::parse(input).at("operations").size() == ops.size());
    size_t planned = 0;
    for (const http::BatchWave& wave : http::plan_batch(ops, {})) {
      planned += wave.gets.size();
      for (const http::BatchUnit& unit : wave.writes) planned += unit.size();
    }
    KVS_ASSERT(planned == ops.size());
    for (const http::BatchOp& op : ops) KVS_ASSERT(op.op.range.is_key());
  });
}

void seed_batch_document(Seeds* out) {
  *out = {R"({"operations": [{"op": "put", "key": "a", "text": "v", "if_absent": true},
              {"op": "delete", "key": "a", "if_mod_revision": 7, "prev": true},
              {"op": "get", "key_base64": "YQ==", "keys_only": true}]})"};
}

// What is taken is itself again when it is put into quotes.
void run_idempotency_key(Bytes input) {
  const auto key = http::parse_idempotency_key(input);
  if (!key) return;
  KVS_ASSERT(!key->empty() && key->size() <= http::kIdempotencyKeyBytesMax);
  KVS_ASSERT(key->size() <= input.size());
  std::string quoted = "\"";
  for (const char c : *key) {
    KVS_ASSERT(c >= ' ' && c < '\x7f');
    if (c == '"' || c == '\\') quoted.push_back('\\');
    quoted.push_back(c);
  }
  KVS_ASSERT(http::parse_idempotency_key(quoted + "\"") == key);
}

void seed_idempotency_key(Seeds* out) {
  *out = {"5f0c1d8e-2b7a", R"("with space, \"quotes\" and \\")", " \t padded\t", "a,b", R"("open)"};
}

constexpr Target kTargets[] = {
    {"percent", run_percent, seed_percent},
    {"query", run_query, seed_query},
    {"base64", run_base64, seed_base64},
    {"cursor", run_cursor, seed_cursor},
    {"etag", run_etag, seed_etag},
    {"idempotency_key", run_idempotency_key, seed_idempotency_key},
    {"scalar", run_scalar, seed_scalar},
    {"put_body", run_put_body, seed_put_body},
    {"json_text", run_json_text, seed_json_text},
    {"txn_document", run_txn_document, seed_txn_document},
    {"batch_document", run_batch_document, seed_batch_document},
    {"http_options", run_http_options, seed_http_options},
};

}  // namespace

std::span<const Target> http_text_targets() {
  return kTargets;
}

}  // namespace kvstore::fuzz
