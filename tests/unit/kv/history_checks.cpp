#include "history_checks.hpp"

#include "kv/change_reader.hpp"
#include "kv/reader.hpp"

namespace kvstore::kv::test {
namespace {

Item copy(const ItemView& item) {
  return {std::string(item.key), std::string(item.value),
          item.create_revision,  item.mod_revision,
          item.version,          item.lease,
          item.value_bytes,      item.ttl_ms};
}

class PastCheck {
 public:
  PastCheck(Machine& m, const Model& model, const std::function<uint64_t(uint64_t)>& below)
      : model_(model), below_(below), view_(m.store.open_view().value()) {}

  PastOutcomes run() {
    Revisions revisions = *read_revisions(*view_);
    REQUIRE(revisions.current == model_.revision);
    REQUIRE(revisions.compacted == model_.compacted);
    for (uint64_t r = revisions.compacted; r-- > 1;) {
      CHECK(resolve_revision(revisions, r).status().code() == Code::kCompacted);
      out_.refused++;
    }
    CHECK(resolve_revision(revisions, revisions.current + 1).status().code() == Code::kInvalid);
    for (uint64_t r = std::max<uint64_t>(revisions.compacted, 1); r <= revisions.current; r++) {
      auto at = resolve_revision(revisions, r);
      REQUIRE(at);
      INFO("revision " << r);
      check_items(r, *at);
      check_page(r, *at);
    }
    check_changes();
    return out_;
  }

 private:
  const Model::Values& values(uint64_t revision) const { return model_.past[revision]; }

  void check_items(uint64_t revision, uint64_t at) {
    for (const std::string key : {"a", "b\xff", "c", "\xff\xff", "absent"}) {
      Item found;
      Status s = read_item(*view_, at, key, [&](const ItemView& item) {
        found = copy(item);
        return true;
      });
      auto it = values(revision).find(key);
      CHECK(s.code() == (it == values(revision).end() ? Code::kNotFound : Code::kOk));
      if (it == values(revision).end()) continue;
      CHECK((found == Model::item(key, it->second, 0)));
      out_.reads++;
      if (it->second.bytes().size() < kPartBytes || below_(4) != 0) continue;
      std::string whole;
      s = read_value(*view_, at, key, 0, UINT64_MAX, [&](Bytes piece) { whole += piece; });
      CHECK(s.is_ok());
      CHECK((whole == it->second.bytes()));
      out_.large_reads++;
    }
  }

  Range random_range() {
    static const char* kBounds[] = {"a", "ab", "abd", "b", "b\xff", "c", "\xff", ""};
    Range range{static_cast<Range::Kind>(1 + below_(4)), kBounds[below_(8)], {}};
    if (range.kind == Range::Kind::kUntil) range.end = kBounds[below_(7)];
    return range;
  }

  // All pages of a random range, one after another.
  void check_page(uint64_t revision, uint64_t at) {
    Range range = random_range();
    const bool reverse = below_(2) == 0;
    const uint32_t flags = (reverse ? kOpReverse : 0) | (below_(3) == 0 ? kOpKeysOnly : 0);
    const uint64_t limit = below_(4);
    const uint64_t bytes_max = below_(3) == 0 ? 1 + below_(8) : UINT64_MAX;
    std::vector<Item> expected, found;
    for (const auto& [key, value] : values(revision)) {
      if (Model::inside(range, key)) expected.push_back(Model::item(key, value, flags));
    }
    auto count = scan_items(*view_, at, range, kOpCountOnly, 0, 0, nullptr);
    REQUIRE(count);
    CHECK(count->count == expected.size());
    if (reverse) expected = {expected.rbegin(), expected.rend()};
    for (;;) {
      auto page = scan_items(*view_, at, range, flags, limit, bytes_max, [&](const ItemView& item) {
        found.push_back(copy(item));
        return true;
      });
      REQUIRE_MESSAGE(page, page.status().to_string());
      CHECK((limit == 0 || page->count <= limit));
      if (!page->more) break;
      range = continue_range(range, page->cursor, reverse);
    }
    CHECK((found == expected));
    out_.reads += found.size();
  }

  void check_changes() {
    ChangeOptions options;
    options.range = below_(2) == 0 ? all() : random_range();
    options.with_prev = below_(2) == 0;
    options.changes_max = below_(4);
    if (below_(3) == 0) options.bytes_max = 1 + below_(10);
    auto expected = model_.changes.begin();
    auto skip = [&] {
      while (expected != model_.changes.end() && (expected->revision <= model_.compacted ||
                                                  !Model::inside(options.range, expected->key)))
        ++expected;
    };
    auto take = [&](const ChangeView& change) {
      skip();
      REQUIRE(expected != model_.changes.end());
      check_change(*expected, change, options.with_prev);
      const uint64_t revision = expected++->revision;
      skip();
      const bool more = expected != model_.changes.end() && expected->revision == revision;
      CHECK(change.more_of_revision == more);
      out_.changes++;
      return below_(10) != 0;
    };
    ChangePosition from{model_.compacted + 1, 0};
    for (;;) {
      auto page = read_changes(*view_, from, options, take);
      REQUIRE_MESSAGE(page, page.status().to_string());
      from = page->next;
      if (!page->more) break;
    }
    skip();
    CHECK(expected == model_.changes.end());
    CHECK(from == ChangePosition{model_.revision + 1, 0});
    if (model_.compacted == 0) return;
    CHECK(read_changes(*view_, {model_.compacted, 0}, options, take).status().code() ==
          Code::kCompacted);
    out_.refused++;
  }

  void check_change(const ModelChange& expected, const ChangeView& change, bool with_prev) {
    CHECK(change.revision == expected.revision);
    CHECK(change.now.key == expected.key);
    CHECK((change.kind == ChangeView::Kind::kPut) == expected.has_after);
    if (expected.has_after) {
      const ModelValue& now = values(expected.revision).at(expected.key);
      CHECK((copy(change.now) == Model::item(expected.key, now, 0)));
    }
    REQUIRE((change.prev != nullptr) == (with_prev && expected.before.has_value()));
    if (change.prev != nullptr)
      CHECK((copy(*change.prev) == Model::item(expected.key, *expected.before, 0)));
  }

  const Model& model_;
  const std::function<uint64_t(uint64_t)>& below_;
  std::unique_ptr<View> view_;
  PastOutcomes out_;
};

}  // namespace

PastOutcomes check_past(Machine& m, const Model& model,
                        const std::function<uint64_t(uint64_t)>& below) {
  return PastCheck(m, model, below).run();
}

}  // namespace kvstore::kv::test
