// Goal: items, pages and value downloads are read from a view as promised.
// Method: a small store filled through the machine; each case reads it in one way.
#include "kv/reader.hpp"

#include "kv/range.hpp"
#include "kv_testing.hpp"

namespace kvstore::kv::test {
namespace {

struct Page {
  std::string keys;
  std::string values;
  ScanResult result;
};

Page scan(Machine& m, const Range& range, uint32_t flags = 0, uint64_t limit = 0,
          uint64_t bytes_max = 1 << 20) {
  auto view = m.store.open_view();
  Page page;
  auto result =
      scan_items(**view, 0, range, flags, limit, bytes_max, [&page](const ItemView& item) {
        page.keys += item.key;
        page.values += item.value;
        return true;
      });
  REQUIRE_MESSAGE(result.is_ok(), result.status().to_string());
  page.result = *result;
  return page;
}

struct Download {
  Status status;
  std::string bytes;
  size_t pieces = 0;
};

Download download(Machine& m, const std::string& key, uint64_t offset, uint64_t bytes) {
  auto view = m.store.open_view();
  Download d;
  d.status = read_value(**view, 0, key, offset, bytes, [&d](Bytes piece) {
    d.bytes += piece;
    d.pieces++;
  });
  return d;
}

void fill(Machine& m) {
  m.apply({put("a", "1"), put("b", "22"), put("c", "333"), put("d", "4444")});
}

}  // namespace

TEST_CASE("the view's revision is read from it") {
  Machine m;
  auto empty = m.store.open_view();
  CHECK(*read_revision(**empty) == 0);
  m.apply({put("a", "1")});
  auto view = m.store.open_view();
  m.apply({put("a", "2")});
  CHECK(*read_revision(**view) == 1);
  CHECK(*read_revision(**empty) == 0);
}

TEST_CASE("an item is read with all its numbers") {
  Machine m;
  m.apply({put("a", "1")});
  m.apply({put("a", "2")});
  auto view = m.store.open_view();
  bool seen = false;
  Status s = read_item(**view, 0, "a", [&seen](const ItemView& item) {
    seen = true;
    CHECK(item.key == "a");
    CHECK(item.value == "2");
    CHECK(item.create_revision == 1);
    CHECK(item.mod_revision == 2);
    CHECK(item.version == 2);
    CHECK(item.lease == 0);
    CHECK(item.value_bytes == 1);
    CHECK_FALSE(item.in_parts);
    return true;
  });
  CHECK(s.is_ok());
  CHECK(seen);
  auto never = [](const ItemView&) -> bool {
    FAIL("delivered an absent key");
    return false;
  };
  CHECK(read_item(**view, 0, "b", never).code() == Code::kNotFound);
}

TEST_CASE("pages go forward with an inclusive cursor") {
  Machine m;
  fill(m);
  Page page = scan(m, all(), 0, 2);
  CHECK(page.keys == "ab");
  CHECK(page.result.count == 2);
  CHECK(page.result.more);
  CHECK(page.result.cursor == "c");
  page = scan(m, continue_range(all(), page.result.cursor, false), 0, 2);
  CHECK(page.keys == "cd");
  CHECK_FALSE(page.result.more);
  CHECK(page.result.cursor.empty());
}

TEST_CASE("pages go backward with an exclusive cursor") {
  Machine m;
  fill(m);
  Page page = scan(m, from("b"), kOpReverse, 2);
  CHECK(page.keys == "dc");
  CHECK(page.result.more);
  CHECK(page.result.cursor == "c");
  page = scan(m, continue_range(from("b"), page.result.cursor, true), kOpReverse, 2);
  CHECK(page.keys == "b");
  CHECK_FALSE(page.result.more);
}

TEST_CASE("a page ends before it gets too heavy, but has at least one item") {
  Machine m;
  fill(m);
  CHECK(scan(m, all(), 0, 0, 5).keys == "ab");
  CHECK(scan(m, all(), 0, 0, 4).keys == "a");
  Page page = scan(m, from("d"), 0, 0, 1);
  CHECK(page.keys == "d");
  CHECK_FALSE(page.result.more);
  CHECK(scan(m, all(), 0, 0, 0).keys == "a");
  CHECK(scan(m, all(), kOpKeysOnly, 0, 3).keys == "abc");
}

TEST_CASE("keys only and count only") {
  Machine m;
  fill(m);
  Page page = scan(m, all(), kOpKeysOnly);
  CHECK(page.keys == "abcd");
  CHECK(page.values.empty());
  page = scan(m, until("b", "d"), kOpCountOnly, 1, 1);
  CHECK(page.keys.empty());
  CHECK(page.result.count == 2);
  CHECK_FALSE(page.result.more);
}

TEST_CASE("a sink that stops leaves a cursor behind what it took") {
  Machine m;
  fill(m);
  auto view = m.store.open_view();
  auto stop = [](const ItemView&) { return false; };
  auto result = scan_items(**view, 0, all(), 0, 0, 100, stop);
  CHECK(result->count == 1);
  CHECK(result->more);
  CHECK(result->cursor == std::string("a\0", 2));
  CHECK(scan(m, continue_range(all(), result->cursor, false)).keys == "bcd");
  result = scan_items(**view, 0, all(), kOpReverse, 0, 100, stop);
  CHECK(result->cursor == "d");
  CHECK(scan(m, continue_range(all(), result->cursor, true), kOpReverse).keys == "cba");
}

TEST_CASE("bad ranges are INVALID, inverted ones empty") {
  Machine m;
  fill(m);
  auto view = m.store.open_view();
  auto never = [](const ItemView&) { return false; };
  CHECK(scan_items(**view, 0, key_range(""), 0, 0, 1, never).status().code() == Code::kInvalid);
  CHECK(scan_items(**view, 0, until("a", ""), 0, 0, 1, never).status().code() == Code::kInvalid);
  CHECK(scan(m, until("c", "a")).keys.empty());
  CHECK(scan(m, until("c", "c"), kOpCountOnly).result.count == 0);
}

TEST_CASE("the bounds of ranges") {
  auto bounds = [](const Range& range) {
    std::string lower, upper;
    range_bounds(range, &lower, &upper);
    return std::pair(lower, upper);
  };
  using Pair = std::pair<std::string, std::string>;
  CHECK(bounds(key_range("k")) == Pair("k", std::string("k\0", 2)));
  CHECK(bounds(until("a", "b")) == Pair("a", "b"));
  CHECK(bounds(from("a")) == Pair("a", ""));
  CHECK(bounds(all()) == Pair("", ""));
  CHECK(bounds(prefix("ab")) == Pair("ab", "ac"));
  CHECK(bounds(prefix("a\xff\xff")) == Pair("a\xff\xff", "b"));
  CHECK(bounds(prefix("\xff\xff")) == Pair("\xff\xff", ""));
  CHECK(bounds(prefix("\x7f")) == Pair("\x7f", "\x80"));
  CHECK(bounds(prefix("")) == Pair("", ""));
}

TEST_CASE("a prefix of 0xff bytes reaches to the end") {
  Machine m;
  m.apply({put("\xfe", "x"), put("\xff", "1"), put("\xff\xff", "2"), put("\xff\xff\xff", "3")});
  CHECK(scan(m, prefix("\xff")).values == "123");
  CHECK(scan(m, prefix("\xff\xff")).values == "23");
}

TEST_CASE("a cursor never leads out of its range") {
  Range range = until("c", "f");
  CHECK(continue_range(range, "a", false) == until("c", "f"));
  CHECK(continue_range(range, "d", false) == until("d", "f"));
  CHECK(KeyInterval(continue_range(range, "z", false)).empty());
  CHECK(continue_range(range, "z", true) == until("c", "f"));
  CHECK(continue_range(range, "d", true) == until("c", "d"));
  CHECK(KeyInterval(continue_range(range, "a", true)).empty());
  CHECK(continue_range(all(), "d", true) == until("", "d"));
  CHECK(continue_range(all(), "d", false) == from("d"));
  CHECK(continue_range(prefix("p"), "pq", false) == until("pq", "q"));
}

TEST_CASE("an inline value is read in part or whole") {
  Machine m;
  m.apply({put("a", "0123456789"), put("empty", "")});
  CHECK(download(m, "a", 0, UINT64_MAX).bytes == "0123456789");
  CHECK(download(m, "a", 3, 4).bytes == "3456");
  CHECK(download(m, "a", 8, 100).bytes == "89");
  CHECK(download(m, "a", 10, 1).pieces == 0);
  CHECK(download(m, "a", UINT64_MAX, UINT64_MAX).status.is_ok());
  CHECK(download(m, "a", 2, 0).pieces == 0);
  CHECK(download(m, "empty", 0, 5).status.is_ok());
  CHECK(download(m, "none", 0, 5).status.code() == Code::kNotFound);
}

TEST_CASE("a value in parts is read across them, piece by piece") {
  Machine m;
  constexpr uint64_t kBytes = 2 * kPartBytes + 5;
  m.apply(std::vector<Command>{upload_part(3, 0, kPartBytes), upload_part(3, 1, kPartBytes),
                               upload_part(3, 2, 5), txn({put_upload("big", 3, kBytes)})});
  std::string whole =
      part_bytes(3, 0, kPartBytes) + part_bytes(3, 1, kPartBytes) + part_bytes(3, 2, 5);
  Download d = download(m, "big", 0, UINT64_MAX);
  CHECK(d.status.is_ok());
  CHECK(d.pieces == 3);
  CHECK((d.bytes == whole));
  for (auto [offset, bytes] : {std::pair{kPartBytes - 2, uint64_t{4}},
                               {kPartBytes, 1},
                               {kPartBytes - 1, kPartBytes + 2},
                               {2 * kPartBytes + 3, 100}})
    CHECK((download(m, "big", offset, bytes).bytes == whole.substr(offset, bytes)));
  CHECK(download(m, "big", kBytes, 1).pieces == 0);
  auto view = m.store.open_view();
  Status s = read_item(**view, 0, "big", [&](const ItemView& item) {
    CHECK(item.in_parts);
    CHECK(item.value.empty());
    CHECK(item.value_bytes == kBytes);
    return true;
  });
  CHECK(s.is_ok());
}

TEST_CASE("a missing or cut part is CORRUPT") {
  Machine m;
  m.apply(std::vector<Command>{upload_part(3, 0, kPartBytes), upload_part(3, 1, 5),
                               txn({put_upload("big", 3, kPartBytes + 5)})});
  MemoryData good = m.store.data();
  auto status_with = [&](auto damage) {
    MemoryData data = good;
    damage(data.spaces[kSpaceParts]);
    m.store.replace(data);
    return download(m, "big", 0, UINT64_MAX).status;
  };
  using Space = MemoryData::Space;
  CHECK(status_with([](Space& s) { s.erase(part_key(3, 1)); }).message() ==
        "part 1 of upload 0000000000000003 is missing or cut");
  CHECK(status_with([](Space& s) { s[part_key(3, 0)].pop_back(); }).code() == Code::kCorrupt);
  CHECK(status_with([](Space& s) { s[part_key(3, 1)] += "x"; }).code() == Code::kCorrupt);
  CHECK(status_with([](Space&) {}).is_ok());
}

TEST_CASE("a damaged record is CORRUPT for every reader") {
  Machine m;
  m.apply({put("a", "1")});
  MemoryData data = m.store.data();
  data.spaces[kSpaceUser]["a"] = "junk";
  m.store.replace(data);
  auto view = m.store.open_view();
  auto take = [](const ItemView&) { return true; };
  CHECK(read_item(**view, 0, "a", take).code() == Code::kCorrupt);
  CHECK(scan_items(**view, 0, all(), 0, 0, 100, take).status().code() == Code::kCorrupt);
  CHECK(download(m, "a", 0, 1).status.code() == Code::kCorrupt);
}

}  // namespace kvstore::kv::test
