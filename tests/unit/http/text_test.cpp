// Goal: the small texts of HTTP (escapes, numbers, durations, tags, JSON strings) are read and
// written exactly. Method: tables of inputs and results.
#include <set>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "text/etag.hpp"
#include "text/idempotency_key.hpp"
#include "text/json_text.hpp"
#include "text/percent.hpp"
#include "text/request_digest.hpp"
#include "text/scalar.hpp"

using namespace kvstore::http;

TEST_CASE("percent_decode decodes once and every byte") {
  std::string out;
  CHECK(percent_decode("a%2Fb%2fc//d/../e", &out));
  CHECK(out == "a/b/c//d/../e");
  CHECK(percent_decode("%2525", &out));
  CHECK(out == "%25");
  CHECK(percent_decode("%00%fF+", &out));
  CHECK(out == std::string("\0\xff+", 3));
  for (const char* bad : {"%", "%2", "a%", "%g0", "%0g", "%%20"}) CHECK(!percent_decode(bad, &out));
}

TEST_CASE("parse_query") {
  QueryPairs pairs;
  CHECK(parse_query("a=1&b=x%20y+z&&c&d=&e=f=g", &pairs));
  CHECK(pairs == QueryPairs{{"a", "1"}, {"b", "x y z"}, {"c", ""}, {"d", ""}, {"e", "f=g"}});
  CHECK(parse_query("", &pairs));
  CHECK(pairs.empty());
  CHECK(!parse_query("a=%", &pairs));
  CHECK(!parse_query("%x=1", &pairs));
}

TEST_CASE("durations") {
  const std::pair<const char*, uint64_t> good[] = {
      {"250ms", 250}, {"2s", 2000},   {"5m", 300'000}, {"1h", 3'600'000}, {"10", 10'000},
      {"0", 0},       {"1.5s", 1500}, {"0.25", 250},   {"1.5m", 90'000},  {"24h", 86'400'000}};
  for (const auto& [text, ms] : good) {
    CAPTURE(text);
    CHECK(parse_duration_ms(text) == ms);
  }
  CHECK(parse_duration_ms("8760h", kTtlMaxMs) == kTtlMaxMs);
  CHECK(!parse_duration_ms("8760.1h", kTtlMaxMs));
  for (const char* bad : {"", "s", "ms", "-1s", "1x", "1 s", "1.s", ".5s", "1.2.3s", "25h", "1e3",
                          "99999999999999999999", "1.1234567s", "5 m", "1sm"}) {
    CAPTURE(bad);
    CHECK(!parse_duration_ms(bad));
  }
}

TEST_CASE("numbers and booleans") {
  CHECK(parse_unsigned("0") == 0);
  CHECK(parse_unsigned("18446744073709551615") == UINT64_MAX);
  for (const char* bad : {"", "-1", "+1", "1 ", " 1", "0x1", "18446744073709551616"}) {
    CHECK(!parse_unsigned(bad));
  }
  CHECK(parse_boolean("") == true);
  CHECK(parse_boolean("true") == true);
  CHECK(parse_boolean("0") == false);
  CHECK(!parse_boolean("yes"));
}

TEST_CASE("entity tags") {
  CHECK(etag_of(12) == "\"12\"");
  CHECK(parse_entity_tags("*")->any);
  CHECK(parse_entity_tags(" \"12\" ")->revisions == std::vector<uint64_t>{12});
  CHECK(parse_entity_tags("12")->revisions == std::vector<uint64_t>{12});
  const auto several = parse_entity_tags("\"1\", W/\"2\",\"3\"");
  CHECK(several->revisions == std::vector<uint64_t>{1, 2, 3});
  CHECK(several->weak);
  CHECK(several->contains(2));
  CHECK(!several->contains(4));
  for (const char* bad : {"", "\"\"", "\"a\"", "\"1", "\"1\",", "*,\"1\"", "'1'"}) {
    CAPTURE(bad);
    CHECK(!parse_entity_tags(bad));
  }
  std::string many = "\"1\"";
  for (int i = 0; i < 16; ++i) many.append(",\"1\"");
  CHECK(!parse_entity_tags(many));
}

TEST_CASE("UTF-8") {
  for (const char* good : {"", "a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xED\x9F\xBF",
                           "\xEE\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    CHECK(is_utf8(good));
    CHECK(to_utf8(good) == good);
  }
  for (const char* bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xC3", "\xE2\x82", "a\xFF"}) {
    CHECK(!is_utf8(bad));
    CHECK(is_utf8(to_utf8(bad)));
  }
}

TEST_CASE("JSON strings say to a parser what was put in") {
  std::string all;
  for (int c = 0; c < 128; ++c) all.push_back(static_cast<char>(c));
  all.append("\xE2\x82\xAC\xF0\x9F\x98\x80");
  std::string out;
  append_json_string(all, &out);
  CHECK(nlohmann::json::parse(out).get<std::string>() == all);
  out.clear();
  append_key("k\"", &out);
  CHECK(out == "\"key\":\"k\\\"\"");
  out.clear();
  append_key("\xff", &out);
  CHECK(out == "\"key_base64\":\"/w==\"");
}

TEST_CASE("idempotency keys, in quotes and without") {
  const std::pair<const char*, const char*> good[] = {
      {"a", "a"},
      {" 8e03978e-40d5-43dd-bc93-6894a57f9324\t", "8e03978e-40d5-43dd-bc93-6894a57f9324"},
      {R"("quoted")", "quoted"},
      {R"("with spaces, too")", "with spaces, too"},
      {R"("\"\\")", R"("\)"},
      {R"(back\slash)", R"(back\slash)"}};
  for (const auto& [text, key] : good) {
    CAPTURE(text);
    CHECK(parse_idempotency_key(text) == std::string(key));
  }
  for (const char* bad : {"", "  ", R"("")", R"("open)", R"(")", R"("a"b)", R"("a\)", R"("\n")",
                          "a b", R"(a"b)", "one,two", "\xc3\xa4", "\"\x7f\""}) {
    CAPTURE(bad);
    CHECK(!parse_idempotency_key(bad));
  }
  CHECK(!parse_idempotency_key(std::string_view("a\0b", 3)));
  std::string longest(128, 'k');
  CHECK(parse_idempotency_key(longest) == longest);
  longest.push_back('k');
  CHECK(!parse_idempotency_key(longest));
  std::string quoted(128, ' ');
  quoted.insert(0, 1, '"');
  CHECK(!parse_idempotency_key(quoted));
  quoted.push_back('"');
  CHECK(parse_idempotency_key(quoted) == std::string(128, ' '));
}

TEST_CASE("digests tell requests apart, ids of pieces their places") {
  const RequestDigest one = DigestBuilder().add("a").add("bc").add(1).sum();
  CHECK(one == DigestBuilder().add("a").add("bc").add(1).sum());
  for (const RequestDigest& other :
       {DigestBuilder().add("ab").add("c").add(1).sum(), DigestBuilder().add("a").add("bc").sum(),
        DigestBuilder().add("a").add("bc").add(2).sum(),
        DigestBuilder().add("bc").add("a").add(1).sum(), DigestBuilder().sum()}) {
    CHECK_FALSE(other == one);
  }
  const RequestDigest two = DigestBuilder().add("x").sum();
  std::set<std::string> ids;
  size_t count = 0;
  for (const char* key : {"k", "kk", "k1"}) {
    for (const RequestDigest& digest : {one, two}) {
      for (const char kind : {'u', 'd'}) {
        for (const uint64_t number : {0, 1, 11}) {
          for (const uint64_t part : {0, 1, 11}) {
            const std::string id = piece_id(key, digest, kind, number, part);
            CHECK(id == piece_id(key, digest, kind, number, part));
            CHECK(!parse_idempotency_key(id));
            ids.insert(id);
            ++count;
          }
        }
      }
    }
  }
  CHECK(ids.size() == count);
  CHECK(piece_id(std::string(128, 'k'), one, 'u', UINT64_MAX, UINT64_MAX).size() <= 64);
  // Nodes of different versions have to agree on them.
  const RequestDigest fixed = DigestBuilder().add("a").add(7).sum();
  CHECK(fixed.low == 0x1388c69e4d7eafba);
  CHECK(fixed.high == 0x8ddc422d2e4d0196);
}
