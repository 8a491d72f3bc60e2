// Goal: lists come in key order, in bounded pages or as one stream, whole and without repeats.
// Method: ranges, cursors and streams over a store whose content is known.
#include <algorithm>
#include <sstream>

#include <nlohmann/json.hpp>

#include "fixture.hpp"

using namespace kvstore;
using namespace kvstore::conformance;
using nlohmann::json;

namespace {

constexpr const char* kLines = "Accept: application/x-ndjson\r\n";

json list(const ApiFixture& f, const std::string& query) {
  const Answer answer = f.fetch("GET", "/api/v1/kv" + query);
  CAPTURE(answer.body.substr(0, 200));
  REQUIRE(answer.status == 200);
  return json::parse(answer.body);
}

std::vector<std::string> keys(const json& page) {
  std::vector<std::string> out;
  for (const json& item : page["items"]) out.push_back(item["key"]);
  return out;
}

using Keys = std::vector<std::string>;

void fill(ApiFixture& f) {
  for (const char* key : {"a", "a/1", "a/2", "b", "c"}) f.engine.put(key, std::string("v-") + key);
}

}  // namespace

TEST_CASE("ranges: all, prefix, start, end, reverse") {
  ApiFixture f;
  fill(f);
  CHECK(keys(list(f, "")) == Keys{"a", "a/1", "a/2", "b", "c"});
  CHECK(keys(list(f, "?prefix=a/")) == Keys{"a/1", "a/2"});
  CHECK(keys(list(f, "?prefix=a%2F")) == Keys{"a/1", "a/2"});
  CHECK(keys(list(f, "?start=a/2")) == Keys{"a/2", "b", "c"});
  CHECK(keys(list(f, "?start=a/1&end=b")) == Keys{"a/1", "a/2"});
  CHECK(keys(list(f, "?end=a/1")) == Keys{"a"});
  CHECK(keys(list(f, "?reverse=true&prefix=a")) == Keys{"a/2", "a/1", "a"});
  CHECK(keys(list(f, "?prefix=x")).empty());
}

TEST_CASE("a page's fields") {
  ApiFixture f;
  f.engine.put("k", "v");
  const json page = list(f, "");
  CHECK(page == json({{"items",
                       {{{"key", "k"},
                         {"value", "dg=="},
                         {"create_revision", 2},
                         {"mod_revision", 2},
                         {"version", 1}}}},
                      {"count", 1},
                      {"more", false},
                      {"revision", 2}}));
  const json bare = list(f, "?keys_only=true");
  CHECK(bare["items"][0].count("value") == 0);
}

TEST_CASE("paging by cursor visits every key once, in both directions") {
  ApiFixture f;
  Keys all;
  for (int i = 0; i < 97; ++i) {
    std::string key = "key-" + std::to_string(1000 + i);
    if (i % 10 == 0) key.append("\xF0\x9F\x98\x80");
    f.engine.put(key, "v");
    all.push_back(key);
  }
  for (const bool reverse : {false, true}) {
    Keys seen;
    std::string cursor;
    for (int pages = 0; pages < 100; ++pages) {
      const json page = list(f, "?prefix=key-&limit=10" + std::string(reverse ? "&reverse=1" : "") +
                                    (cursor.empty() ? "" : "&cursor=" + cursor));
      for (const std::string& key : keys(page)) seen.push_back(key);
      CHECK(page["count"] == page["items"].size());
      if (!page["more"].get<bool>()) {
        CHECK(page.count("cursor") == 0);
        break;
      }
      cursor = page["cursor"];
    }
    if (reverse) std::reverse(seen.begin(), seen.end());
    CHECK(seen == all);
  }
}

TEST_CASE("a cursor belongs to its range and direction") {
  ApiFixture f;
  fill(f);
  const std::string cursor = list(f, "?prefix=a&limit=1")["cursor"];
  CHECK(keys(list(f, "?prefix=a&cursor=" + cursor)) == Keys{"a/1", "a/2"});
  for (const std::string other : {"?prefix=b&cursor=", "?cursor=", "?prefix=a&reverse=1&cursor="}) {
    CHECK(f.fetch("GET", "/api/v1/kv" + other + cursor).status == 400);
  }
}

TEST_CASE("a page is bounded by 4 MiB as well") {
  ApiFixture f;
  for (int i = 0; i < 10; ++i) f.engine.put("k" + std::to_string(i), std::string(1'000'000, 'x'));
  const json page = list(f, "");
  CHECK(page["more"] == true);
  CHECK(page["count"] == 3);
}

TEST_CASE("a value above 1 MiB is not in a page but its size") {
  ApiFixture f;
  f.engine.put("big", std::string((1 << 20) + 1, 'x'));
  const json item = list(f, "")["items"][0];
  CHECK(item["value"].is_null());
  CHECK(item["value_bytes"] == (1 << 20) + 1);
  CHECK(item["version"] == 1);
}

TEST_CASE("count_only") {
  ApiFixture f;
  fill(f);
  CHECK(list(f, "?count_only=true&prefix=a") == json({{"count", 3}, {"revision", 6}}));
  CHECK(list(f, "?count_only=true&prefix=zzz")["count"] == 0);
}

TEST_CASE("counting goes on beyond what one scan delivers") {
  ApiFixture f;
  for (int i = 0; i < 10'001; ++i) f.engine.put("k" + std::to_string(i), "");
  CHECK(list(f, "?count_only=true")["count"] == 10'001);
}

TEST_CASE("NDJSON streams everything at one revision, large values included") {
  ApiFixture f;
  const std::string big(3'500'001, 'B');
  for (int i = 0; i < 2500; ++i) f.engine.put("k" + std::to_string(10000 + i), std::to_string(i));
  f.engine.put("k10007-big", big);
  f.engine.put("k12499-big", big);
  const Answer answer = f.fetch("GET", "/api/v1/kv?prefix=k", "", kLines);
  CHECK(answer.status == 200);
  CHECK(answer.complete);
  CHECK(answer.header("content-type") == "application/x-ndjson");
  CHECK(answer.header("transfer-encoding") == "chunked");
  CHECK(answer.header("x-kvstore-revision") == "2503");
  std::istringstream lines(answer.body);
  std::string line, last;
  size_t count = 0, large = 0;
  json end;
  while (std::getline(lines, line)) {
    const json item = json::parse(line);
    REQUIRE(end.is_null());  // which is the last line
    if (item.contains("end")) {
      end = item;
      continue;
    }
    const std::string key = item["key"];
    CHECK(key > last);
    last = key;
    ++count;
    if (item["value"].get_ref<const std::string&>().size() > 1000) {
      ++large;
      CHECK(item["value"].get_ref<const std::string&>().size() == (big.size() + 2) / 3 * 4);
      CHECK(item["version"] == 1);
    }
  }
  CHECK(count == 2502);
  CHECK(large == 2);
  CHECK(end == json({{"end", true}, {"revision", 2503}, {"count", 2502}, {"more", false}}));
}

TEST_CASE("NDJSON: limit, keys_only, reverse, nothing") {
  ApiFixture f;
  fill(f);
  f.engine.put("b/big", std::string(2 << 20, 'x'));
  const auto lines = [&](const std::string& query) {
    const std::string body = f.fetch("GET", "/api/v1/kv" + query, "", kLines).body;
    return std::count(body.begin(), body.end(), '\n');
  };
  CHECK(lines("") == 7);  // with the one that ends it
  CHECK(lines("?limit=2") == 3);
  CHECK(lines("?limit=5") == 6);
  CHECK(lines("?reverse=true") == 7);
  CHECK(lines("?prefix=none") == 1);
  const std::string bare = f.fetch("GET", "/api/v1/kv?keys_only=true", "", kLines).body;
  CHECK(bare.find("value") == std::string::npos);
  const Answer counted = f.fetch("GET", "/api/v1/kv?count_only=true", "", kLines);
  CHECK(counted.header("content-type") == "application/x-ndjson");
  CHECK(json::parse(counted.body) ==
        json({{"end", true}, {"revision", 7}, {"count", 6}, {"more", false}}));
}

TEST_CASE("NDJSON: a limited stream says where to go on") {
  ApiFixture f;
  fill(f);
  const std::string body = f.fetch("GET", "/api/v1/kv?limit=2", "", kLines).body;
  const json end = json::parse(body.substr(body.rfind('\n', body.size() - 2) + 1));
  CHECK(end["more"] == true);
  CHECK(end["count"] == 2);
  CHECK(keys(list(f, "?cursor=" + end["cursor"].get<std::string>())) == Keys{"a/2", "b", "c"});
}

TEST_CASE("NDJSON: a stream outlives its readers, at the same revision") {
  for (const bool ready : {false, true}) {
    ApiFixture f;
    f.engine.set_readers_ready(ready);
    for (int i = 0; i < 5'000; ++i) f.engine.put("k" + std::to_string(10'000 + i), "v");
    f.engine.put("k12000-big", std::string(4 << 20, 'x'));
    f.engine.set_reads_per_reader(2);
    const Answer answer = f.fetch("GET", "/api/v1/kv", "", kLines);
    CHECK(answer.complete);
    CHECK(std::count(answer.body.begin(), answer.body.end(), '\n') == 5'002);
    CHECK(answer.body.find("\"end\":true,\"revision\":5002,\"count\":5001") != std::string::npos);
    CHECK(f.engine.readers_opened() > 3);
    CHECK(f.engine.last_revision() == 5'002);
    ApiFixture::eventually([&] { return f.engine.open_readers() == 0; });
  }
}

TEST_CASE("NDJSON: what goes wrong later is the last line") {
  ApiFixture f;
  for (int i = 0; i < 3'000; ++i) f.engine.put("k" + std::to_string(10'000 + i), "v");
  f.engine.set_reads_per_reader(1);
  f.engine.script({});
  Scripted compacted;
  compacted.status = KVS_E_COMPACTED;
  compacted.message = "revision 2 is compacted";
  f.engine.script(compacted);
  const Answer answer = f.fetch("GET", "/api/v1/kv", "", kLines);
  CHECK(answer.status == 200);
  CHECK(answer.complete);
  const std::string& body = answer.body;
  CHECK(std::count(body.begin(), body.end(), '\n') == 1'001);
  const json last = json::parse(body.substr(body.rfind('\n', body.size() - 2) + 1));
  CHECK(last["error"]["code"] == "compacted");
  CHECK(last["error"]["retryable"] == false);
}
