// Cases about the state's writer, marks and views.  Method: the same writes on the plugin and on a
// model, compared through a view, before and after a reopen.
#include <memory>

#include <kvstore/sdk/slice.hpp>

#include "plugin_file.hpp"
#include "state_driver.hpp"

namespace kvstore::conformance {
namespace {

std::vector<std::string> awkward_keys() {
  using namespace std::string_literals;
  return {""s,
          "\0"s,
          "\0\0"s,
          "\0\xFF"s,
          "a"s,
          "a\0"s,
          "a\0b"s,
          "aa"s,
          "ab"s,
          "b"s,
          "\x7F"s,
          "\x80"s,
          "\xFE"s,
          "\xFF"s,
          "\xFF\0"s,
          "\xFF\xFF"s,
          "\x10"s,
          "\x10M"s,
          "\x0F\xFF"s,
          std::string(5000, 'k'),
          "\xFF\xFF\xFF"s};
}

void new_state_is_empty(Context& c) {
  MirroredState state(c);
  state.check_after_reopen();
  KIT_CHECK(state.driver.sync().index == 0);
}

void byte_order(Context& c) {
  MirroredState state(c);
  std::vector<Op> ops;
  for (const std::string& key : awkward_keys()) ops.push_back(put(key, "value of " + key));
  state.write(std::move(ops));
  state.check_after_reopen();
  ViewDriver view(state.driver.api(), state.driver.handle());
  for (const std::string& key : awkward_keys()) {
    KIT_CHECK(view.get(key) == "value of " + key);
    KIT_CHECK(!view.get(key + "?").has_value());
  }
}

void value_sizes(Context& c) {
  MirroredState state(c);
  for (size_t bytes : {0u, 1u, 100u, 4096u, 70000u, 1u << 20, 5u << 20}) {
    state.write({put("k" + std::to_string(bytes), make_entry(1, bytes, bytes).data)});
  }
  state.check_after_reopen();
}

void overwrite_and_delete(Context& c) {
  MirroredState state(c);
  state.write({put("a", "1"), put("b", "2"), put("c", "3")});
  state.write({put("a", ""), del("b"), del("never"), put("d", "4")});
  state.check_after_reopen();
  state.write({del("a"), del("a"), put("b", std::string(3000, 'x'))});
  state.check_after_reopen();
}

void order_within_batch(Context& c) {
  using namespace std::string_literals;
  MirroredState state(c);
  state.write({put("a", "old"), put("b", "old"), put("c", "old"), put("z", "old")});
  state.write({put("a", "1"), del("a"), put("b", "1"), put("b", "2"), del("c"), put("c", "again")});
  state.check();
  state.write({put("m", "gone"), del_range("a", "z"), put("n", "kept"), put("b", "kept")});
  state.check_after_reopen();
  state.write({put("q", "1"), del_range("p", "r"), put("q", "2"), del_range("q", "q\0"s), del("q"),
               put("q", "3")});
  state.check_after_reopen();
  state.write({del_range("", ""), put("only", "one"), del_range("x", "y")});
  state.check_after_reopen();
}

void delete_range_bounds(Context& c) {
  MirroredState state(c);
  auto fill = [&] {
    std::vector<Op> ops;
    for (uint32_t space : {0u, 1u, 15u}) {
      for (const std::string& key : awkward_keys()) ops.push_back(put(key, "v", space));
    }
    state.write(std::move(ops));
  };
  using namespace std::string_literals;
  for (const auto& [begin, end] :
       std::vector<std::pair<std::string, std::string>>{{"a", "b"},
                                                        {"a", "a"},
                                                        {"b", "a"},
                                                        {"", "a"},
                                                        {"\xFF", ""},
                                                        {"", ""},
                                                        {"a\0"s, "aa"},
                                                        {"\0"s, "\0\xFF"s},
                                                        {"zzz", "\x80"}}) {
    fill();
    state.write({del_range(begin, end, 1)});
    state.check();
  }
  state.driver.reopen();
  state.check();
}

void delete_range_of_many(Context& c) {
  MirroredState state(c);
  constexpr int kKeys = 40000;  // more than any plugin should put into one piece
  for (int i = 0; i < kKeys; i += 4000) {
    std::vector<Op> ops;
    for (int j = i; j < i + 4000; ++j)
      ops.push_back(put("key" + std::to_string(1000000 + j), "value"));
    state.write(std::move(ops));
  }
  auto before = std::make_unique<ViewDriver>(state.driver.api(), state.driver.handle());
  state.write({put("key1000000x", "put before"), put("other", "kept"), del_range("key", "kez"),
               put("key1000007", "put after")});
  Scan all;
  KIT_CHECK_MSG(before->scan(all).size() == kKeys, "an older view sees the deletion");
  before.reset();
  state.check_after_reopen();
}

void spaces_are_separate(Context& c) {
  MirroredState state(c);
  for (uint32_t space = 0; space < 16; ++space) {
    state.write({put("same", std::to_string(space), space), put("\xFF\xFF", "edge", space)});
  }
  state.write({del_range("", "", 7), del("same", 3)});
  state.check_after_reopen();
  Batch batch{{put("a", "b", 16)}, {1, 100}, "", false};
  state.refuse(batch, KVS_E_INVALID);
}

void unknown_kind_is_refused(Context& c) {
  MirroredState state(c);
  state.write({put("a", "1")});
  for (uint32_t kind : {0u, 4u, 99u}) {
    Batch batch{{put("b", "2"), {kind, 0, "c", "3"}}, {1, 2}, "", false};
    state.refuse(batch, KVS_E_UNSUPPORTED);
  }
}

void applied_rules(Context& c) {
  MirroredState state(c);
  state.apply({{put("a", "1")}, {2, 10}, "meta one", false});
  state.check();
  for (kvs_log_id at : {kvs_log_id{2, 9}, {1, 11}, {0, 0}, {1, 10}, {3, 10}}) {
    state.refuse({{put("bad", "1")}, at, "", false}, KVS_E_INVALID);
  }
  state.apply({{put("housekeeping", "1")}, {2, 10}, "", false});  // equal is allowed
  state.check_after_reopen();
  state.apply({{}, {2, 11}, "", false});  // only the mark moves
  state.apply({{}, {5, 20}, "meta two", false});
  state.check_after_reopen();
  state.apply({{}, {5, 21}, std::string(200000, 'm'), false});
  state.apply({{}, {5, 22}, "", false});  // the blob stays
  state.check_after_reopen();
}

void sync_reports_the_mark(Context& c) {
  MirroredState state(c);
  for (int i = 0; i < 5; ++i) {
    state.write({put("k" + std::to_string(i), "v")});
    const kvs_log_id durable = state.driver.sync();
    KIT_CHECK_MSG(durable == state.model.applied, "sync() does not cover the last write");
  }
  state.write({put("x", "y")}, true);
  KIT_CHECK(state.driver.sync() == state.model.applied);
  state.check_after_reopen();
  KIT_CHECK(state.driver.sync() == state.model.applied);
}

void get_many(Context& c) {
  MirroredState state(c);
  state.write({put("a", "1"), put("b", ""), put("", "empty key"), put("a", "other", 1)});
  const auto got = state.driver.get_many({"b", "missing", "a", "", "a"});
  KIT_CHECK(got[0] == "" && !got[1].has_value() && got[2] == "1" && got[3] == "empty key" &&
            got[4] == "1");
  KIT_CHECK(state.driver.get_many({"a", "b"}, 1)[0] == "other");
  KIT_CHECK(state.driver.get_many({}).empty());
  state.write({del("a"), put("b", "newer")});
  KIT_CHECK(!state.driver.get_many({"a"})[0].has_value());
  KIT_CHECK(state.driver.get_many({"b"})[0] == "newer");
}

void views_are_isolated(Context& c) {
  MirroredState state(c);
  state.write({put("a", "1"), put("b", "1"), put("c", "1")}, false, "first");
  const StateModel first = state.model;
  ViewDriver early(state.driver.api(), state.driver.handle());
  IterDriver iter(state.driver.api(), early.handle(), {});
  state.write({put("a", "2"), del("b"), put("bb", "new"), del_range("c", "")}, true, "second");
  ViewDriver late(state.driver.api(), state.driver.handle());
  state.write({del_range("", "")});
  for (int i = 0; i < 200; ++i)
    state.write({put("fill" + std::to_string(i), std::string(500, 'f'))});
  KIT_CHECK(difference(first, early.contents()).empty());
  KIT_CHECK((iter.rest() == Pairs{{"a", "1"}, {"b", "1"}, {"c", "1"}}));
  KIT_CHECK((late.scan({}) == Pairs{{"a", "2"}, {"bb", "new"}}));
  KIT_CHECK(late.get("a") == "2" && early.get("b") == "1" && !late.get("b").has_value());
  state.check();
}

void view_sees_writes_before(Context& c) {
  MirroredState state(c);
  for (int i = 0; i < 100; ++i) {
    state.write({put("k", std::to_string(i))});
    ViewDriver view(state.driver.api(), state.driver.handle());
    KIT_CHECK(view.get("k") == std::to_string(i));
    kvs_log_id at{};
    KIT_STATUS(KVS_OK,
               state.driver.api().view_applied(view.handle(), &at, sdk::append_to_string,
                                               std::make_unique<std::string>().get(), nullptr));
    KIT_CHECK(at == state.model.applied);
  }
}

kvs_status refuse_slice(void*, const kvs_slice*) noexcept {
  return KVS_E_CANCELLED;
}

void sink_status_is_returned(Context& c) {
  MirroredState state(c);
  state.write({put("k", "v")});
  ViewDriver view(state.driver.api(), state.driver.handle());
  const std::string key = "k";
  const kvs_slice k = sdk::slice(key);
  KIT_STATUS(KVS_E_CANCELLED,
             state.driver.api().view_get(view.handle(), 0, &k, refuse_slice, nullptr, nullptr));
  state.write({put("k", "w")});
  state.check();
}

void many_views(Context& c) {
  MirroredState state(c);
  state.write({put("k", "v")});
  std::vector<std::unique_ptr<ViewDriver>> views;
  for (int i = 0; i < 32; ++i) {
    views.push_back(std::make_unique<ViewDriver>(state.driver.api(), state.driver.handle()));
    state.write({put("k" + std::to_string(i), "v")});
  }
  for (size_t i = 0; i < views.size(); ++i) KIT_CHECK(views[i]->scan({}).size() == 1 + i);
}

}  // namespace

std::vector<Case> state_cases() {
  return {
      {"state-new-is-empty", "A new state has no pair, mark zero and no blob.", Needs::kState,
       false, new_state_is_empty},
      {"state-byte-order", "Keys of any bytes and lengths sort as unsigned bytes.", Needs::kState,
       false, byte_order},
      {"state-value-sizes", "Values of 0 bytes to 5 MiB are read back.", Needs::kState, false,
       value_sizes},
      {"state-overwrite-and-delete", "Puts replace, deletes remove, absent keys are fine.",
       Needs::kState, false, overwrite_and_delete},
      {"state-order-within-batch", "Puts, deletes and ranges of one batch act in order.",
       Needs::kState, false, order_within_batch},
      {"state-delete-range-bounds",
       "Ranges: inclusive start, exclusive end, open end, empty, inverted.", Needs::kState, false,
       delete_range_bounds},
      {"state-delete-range-of-many", "A range of many thousand keys goes atomically.",
       Needs::kState, false, delete_range_of_many},
      {"state-spaces-are-separate", "The sixteen spaces do not see each other; a 17th is INVALID.",
       Needs::kState, false, spaces_are_separate},
      {"state-unknown-kind-is-refused", "An unknown operation is UNSUPPORTED and changes nothing.",
       Needs::kState, false, unknown_kind_is_refused},
      {"state-applied-rules", "The mark never goes back, may stand still, and keeps its blob.",
       Needs::kState, false, applied_rules},
      {"state-sync-reports-the-mark", "sync() reports at least the mark of the last write.",
       Needs::kState, false, sync_reports_the_mark},
      {"state-get-many", "get_many() answers every key once, in order, newest value.",
       Needs::kState, false, get_many},
      {"state-views-are-isolated", "A view and its iterators do not see later writes.",
       Needs::kState, false, views_are_isolated},
      {"state-view-sees-writes-before", "A view sees every write that returned before it.",
       Needs::kState, false, view_sees_writes_before},
      {"state-sink-status-is-returned", "A sink's status is returned and harms nothing.",
       Needs::kState, false, sink_status_is_returned},
      {"state-many-views", "Thirty-two views at once, each with its own picture.", Needs::kState,
       false, many_views},
  };
}

}  // namespace kvstore::conformance
