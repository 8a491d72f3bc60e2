// Cases about replacing the whole state.  Method: stage another content, commit or abort, and
// compare with the old or the new model.
#include <filesystem>
#include <memory>

#include "plugin_file.hpp"
#include "state_driver.hpp"

namespace kvstore::conformance {
namespace {

StateModel other_content() {
  StateModel m;
  m.applied = {7, 500};
  m.meta = "restored membership";
  for (int i = 0; i < 300; ++i) {
    const auto n = static_cast<uint64_t>(i);
    m.spaces[n % 3]["restored" + std::to_string(i)] = make_entry(2, n, 50).data;
  }
  m.spaces[0][""] = "empty key";
  m.spaces[15]["\xFF"] = "";
  return m;
}

void fill(MirroredState& state) {
  for (int i = 0; i < 20; ++i) {
    state.write({put("old" + std::to_string(i), "value"), put("restored1", "old value")}, false,
                "old meta");
  }
}

void commit_replaces_all(Context& c) {
  MirroredState state(c);
  fill(state);
  const StateModel next = other_content();
  RestoreDriver restore(state.driver);
  restore.put(next);
  state.check();  // invisible before the commit
  KIT_STATUS(KVS_OK, restore.commit(next.applied, next.meta));
  state.model = next;
  state.check_after_reopen();
  state.apply({{put("after", "1"), del("restored0")}, {8, 501}, "", false});
  state.check_after_reopen();
}

void commit_is_durable_mark(Context& c) {
  MirroredState state(c);
  fill(state);
  StateModel next = other_content();
  RestoreDriver restore(state.driver);
  restore.put(next);
  KIT_STATUS(KVS_OK, restore.commit(next.applied, next.meta));
  KIT_CHECK(state.driver.sync() == next.applied);
  state.model = next;
  state.refuse({{put("x", "y")}, {1, 21}, "", false}, KVS_E_INVALID);  // the old mark's successor
  KIT_CHECK(state.driver.get_many({"old1", ""})[1] == "empty key");
  KIT_CHECK(!state.driver.get_many({"old1", ""})[0].has_value());
}

void abort_changes_nothing(Context& c) {
  MirroredState state(c);
  fill(state);
  const auto files = [&] {
    size_t n = 0;
    for (const auto& e : std::filesystem::recursive_directory_iterator(state.driver.dir())) {
      n += e.is_directory() ? 1 : 0;
    }
    return n;
  };
  const size_t before = c.persists ? files() : 0;
  for (int i = 0; i < 3; ++i) {
    RestoreDriver restore(state.driver);
    restore.put(other_content());
    restore.abort();
    state.check();
  }
  if (c.persists) KIT_CHECK_MSG(files() == before, "an aborted restore left files");
  state.write({put("goes", "on")});
  state.check_after_reopen();
}

void writes_while_staging(Context& c) {
  MirroredState state(c);
  fill(state);
  const StateModel next = other_content();
  RestoreDriver restore(state.driver);
  for (uint32_t space = 0; space < 16; ++space) {
    restore.put(space, Pairs(next.spaces[space].begin(), next.spaces[space].end()));
    state.write({put("during" + std::to_string(space), "x")}, space % 2 == 0);
    state.check();
  }
  KIT_STATUS(KVS_OK, restore.commit(next.applied, next.meta));
  state.model = next;
  state.check_after_reopen();
}

void empty_restore(Context& c) {
  MirroredState state(c);
  fill(state);
  RestoreDriver restore(state.driver);
  KIT_STATUS(KVS_OK, restore.commit({3, 100}, "m"));
  state.model = StateModel();
  state.model.applied = {3, 100};
  state.model.meta = "m";
  state.check_after_reopen();
}

void unordered_and_large(Context& c) {
  MirroredState state(c);
  StateModel next;
  next.applied = {1, 9};
  next.meta = std::string(100000, 'm');
  Pairs pairs;
  for (uint64_t i = 0; i < 3000; ++i) {
    pairs.emplace_back("k" + std::to_string((i * 7919) % 3000), make_entry(3, i, 2000).data);
  }
  pairs.emplace_back("large", std::string(3u << 20, 'l'));
  for (const auto& [key, value] : pairs) next.spaces[1][key] = value;
  RestoreDriver restore(state.driver);
  for (size_t i = 0; i < pairs.size(); i += 100) {
    restore.put(
        1, Pairs(pairs.begin() + static_cast<std::ptrdiff_t>(i),
                 pairs.begin() + static_cast<std::ptrdiff_t>(std::min(i + 100, pairs.size()))));
  }
  KIT_STATUS(KVS_OK, restore.commit(next.applied, next.meta));
  state.model = next;
  state.check_after_reopen();
}

void views_survive_commit(Context& c) {
  MirroredState state(c);
  fill(state);
  const StateModel old = state.model;
  auto view = std::make_unique<ViewDriver>(state.driver.api(), state.driver.handle());
  auto iter = std::make_unique<IterDriver>(state.driver.api(), view->handle(), Scan{});
  Pairs first;
  KIT_CHECK(iter->next(&first));
  for (uint64_t round = 0; round < 3; ++round) {
    StateModel next = other_content();
    next.applied.index += round;
    RestoreDriver restore(state.driver);
    restore.put(next);
    KIT_STATUS(KVS_OK, restore.commit(next.applied, next.meta));
    state.model = next;
    state.check();
  }
  KIT_CHECK_MSG(difference(old, view->contents()).empty(), "a restore changed an open view");
  const Pairs rest = iter->rest();
  first.insert(first.end(), rest.begin(), rest.end());
  KIT_CHECK(first.size() == old.spaces[0].size());
  iter.reset();
  view.reset();
  state.check_after_reopen();
}

void old_files_go(Context& c) {
  MirroredState state(c);
  auto size = [&] {
    uintmax_t n = 0;
    for (const auto& e : std::filesystem::recursive_directory_iterator(state.driver.dir())) {
      if (e.is_directory()) ++n;
    }
    return n;
  };
  StateModel next = other_content();
  uintmax_t after_first = 0;
  for (int i = 0; i < 5; ++i) {
    next.applied.index += 1;
    RestoreDriver restore(state.driver);
    restore.put(next);
    KIT_STATUS(KVS_OK, restore.commit(next.applied, next.meta));
    if (i == 0) after_first = size();
  }
  KIT_CHECK_MSG(size() == after_first, "replaced states pile up on disk");
}

}  // namespace

std::vector<Case> restore_cases() {
  return {
      {"restore-commit-replaces-all",
       "A restore is invisible before its commit and total after it.", Needs::kState, false,
       commit_replaces_all},
      {"restore-moves-the-marks", "After a commit, writes, get_many and sync go by the new mark.",
       Needs::kState, false, commit_is_durable_mark},
      {"restore-abort-changes-nothing", "An aborted restore leaves no trace.", Needs::kState, false,
       abort_changes_nothing},
      {"restore-with-writes-while-staging", "Writes during staging are normal until the commit.",
       Needs::kState, false, writes_while_staging},
      {"restore-empty", "A restore without a pair empties the state.", Needs::kState, false,
       empty_restore},
      {"restore-unordered-and-large", "Staged pairs may come in any order and size.", Needs::kState,
       false, unordered_and_large},
      {"restore-keeps-open-views", "Open views and iterators keep showing the replaced state.",
       Needs::kState, false, views_survive_commit},
      {"restore-removes-old-files", "What a restore replaced is removed from disk.", Needs::kState,
       true, old_files_go},
  };
}

}  // namespace kvstore::conformance
