// Goal: the incremental parser of PUT bodies accepts what a JSON parser accepts, with the same
// meaning, and nothing else, however the body is cut.
// Method: a list of documents, valid and not, judged by both parsers; each fed whole and byte by
// byte; and mutations of a valid one.
#include "text/put_body.hpp"

#include <random>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace kvstore::http;
using nlohmann::json;

namespace {

struct Outcome {
  bool ok = false;
  bool has_key = false;
  std::string key, value;
  bool operator==(const Outcome&) const = default;
};

Outcome parse(std::string_view text, size_t step) {
  PutBodyParser parser(64);
  Outcome outcome;
  bool ok = true;
  for (size_t i = 0; ok && i < text.size(); i += step) {
    ok = parser.feed(text.substr(i, step), &outcome.value);
  }
  if (!ok || !parser.finish()) {
    CHECK(!parser.error().empty());
    return {};
  }
  outcome.ok = true;
  outcome.has_key = parser.has_key();
  outcome.key = parser.key();
  return outcome;
}

// What the rules say, by way of a full JSON parser.
Outcome expected(const std::string& text) {
  bool duplicate = false;
  std::vector<std::string> seen;
  const json document = json::parse(
      text,
      [&](int depth, json::parse_event_t event, json& value) {
        if (event == json::parse_event_t::key && depth == 1) {
          for (const std::string& name : seen) duplicate |= name == value.get<std::string>();
          seen.push_back(value);
        }
        return true;
      },
      false);
  if (!document.is_object() || duplicate || document.count("value") == 0) return {};
  Outcome outcome;
  for (const auto& [name, field] : document.items()) {
    if ((name != "key" && name != "value") || !field.is_string()) return {};
  }
  outcome.has_key = document.count("key") != 0;
  if (outcome.has_key) outcome.key = document["key"];
  if (outcome.key.size() > 64) return {};
  Base64Decoder decoder;
  if (!decoder.feed(document["value"].get<std::string>(), &outcome.value) || !decoder.finish()) {
    return {};
  }
  outcome.ok = true;
  return outcome;
}

void judge(const std::string& text) {
  CAPTURE(text);
  const Outcome whole = parse(text, text.size() + 1);
  CHECK(whole == expected(text));
  CHECK(parse(text, 1) == whole);
  CHECK(parse(text, 3) == whole);
}

}  // namespace

TEST_CASE("documents") {
  for (const char* text : {
           R"({"value":""})",
           R"({"key":"mykey","value":"SGVsbG8sIFdvcmxkIQ=="})",
           "\n { \"value\" :\t\"YQ==\" , \"key\" : \"k\" }\r\n ",
           R"({"value":"\u0059Q=="})",
           R"({"value":"Y\/\/v"})",
           R"({"key":"\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t","value":""})",
           R"({"k\u0065y":"a","v\u0061lue":"YQ=="})",
           "{\"key\":\"\xC3\xA9\",\"value\":\"\"}",
           "",
           " ",
           "{}",
           "{",
           "}",
           "[]",
           "\"value\"",
           "null",
           R"({"value"})",
           R"({"value":})",
           R"({"value":"YQ=="} x)",
           R"({"value":"YQ=="}{})",
           R"({"value":"YQ==",})",
           R"({,"value":"YQ=="})",
           R"({"value" "YQ=="})",
           R"({"value":"YQ==" "key":"k"})",
           R"({'value':'YQ=='})",
           R"({value:"YQ=="})",
           R"({"value":5})",
           R"({"value":null})",
           R"({"value":["YQ=="]})",
           R"({"value":"YQ==","other":1})",
           R"({"Value":"YQ=="})",
           R"({"key":"k"})",
           R"({"key":5,"value":""})",
           R"({"value":"YQ==","value":"YQ=="})",
           R"({"key":"a","key":"a","value":""})",
           R"({"value":"YQ"})",
           R"({"value":"Y Q=="})",
           R"({"value":"YQ==\n"})",
           R"({"value":"\x"})",
           R"({"value":"\u00"})",
           R"({"value":"\ud83d\ude00"})",
           R"({"key":"\ud83d","value":""})",
           R"({"key":"\ude00","value":""})",
           R"({"key":"\ud83dx","value":""})",
           R"({"key":"\ud83d\n","value":""})",
           R"({"key":"\ud83d\ud83d","value":""})",
           "{\"key\":\"\xff\",\"value\":\"\"}",
           "{\"key\":\"a\nb\",\"value\":\"\"}",
           "{\"value\":\"YQ=",
       }) {
    judge(text);
  }
}

TEST_CASE("bounds: a long key and a long field name") {
  judge("{\"key\":\"" + std::string(64, 'k') + "\",\"value\":\"\"}");
  judge("{\"key\":\"" + std::string(65, 'k') + "\",\"value\":\"\"}");
  judge("{\"" + std::string(1000, 'n') + "\":\"\",\"value\":\"\"}");
}

TEST_CASE("mutations of a valid document") {
  std::mt19937 random(7);
  const std::string valid = R"({"key": "my\u006bey", "value": "SGVsbG8s\/IFdvcmxkIQ=="})";
  const std::string bytes = "{}[]\":,\\u0aZ= \n\x80\x01/+";
  judge(valid);
  for (int i = 0; i < 20'000; ++i) {
    std::string text = valid;
    for (uint32_t n = 1 + random() % 2; n > 0; --n) {
      const size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = bytes[random() % bytes.size()];
          break;
        case 1:
          text.erase(at, 1);
          break;
        default:
          text.insert(at, 1, bytes[random() % bytes.size()]);
          break;
      }
    }
    judge(text);
  }
}

TEST_CASE("errors name the problem and the place") {
  const auto error_of = [](std::string_view text) {
    PutBodyParser parser(64);
    std::string value;
    static_cast<void>(parser.feed(text, &value) && parser.finish());
    return parser.error();
  };
  CHECK(error_of(R"({"ttl": 5})").find("unknown field \"ttl\"") == 0);
  CHECK(error_of(R"({"value": "a*"})") == "value: not valid base64 (at byte 12 of the body)");
  CHECK(error_of(R"({"value": 5})").find("value: must be a string") == 0);
  CHECK(error_of("{}").find("value: missing") == 0);
  CHECK(error_of("").find("the body is empty") == 0);
}
