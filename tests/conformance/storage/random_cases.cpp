// Random operations against an in-memory model, with reopens.  The seed is printed by the runner.
#include <memory>

#include "log_driver.hpp"
#include "plugin_file.hpp"
#include "scripts.hpp"
#include "state_driver.hpp"

namespace kvstore::conformance {
namespace {

void log_random(Context& c) {
  MirroredLog log(c);
  LogScript script(c.seed, true);
  Random random(c.seed + 17);
  for (int i = 0; i < 1500; ++i) {
    log.apply(script.next());
    if (random.chance(3)) log.check();
    if (random.chance(1)) log.check_after_reopen();
  }
  log.check_after_reopen();
}

void state_random(Context& c) {
  MirroredState state(c);
  StateScript script(c.seed);
  Random& random = script.random();
  std::vector<std::pair<StateModel, std::unique_ptr<ViewDriver>>> views;
  for (int i = 0; i < 1500; ++i) {
    if (random.chance(1)) {
      RestoreDriver restore(state.driver);
      const StateModel next = script.next_restore();
      restore.put(next);
      KIT_STATUS(KVS_OK, restore.commit(next.applied, next.meta));
      state.model = next;
    } else {
      state.apply(script.next());
    }
    if (random.chance(2)) KIT_CHECK(state.driver.sync() == state.model.applied);
    if (random.chance(3)) state.check();
    if (random.chance(5) && views.size() < 8) {
      views.emplace_back(state.model,
                         std::make_unique<ViewDriver>(state.driver.api(), state.driver.handle()));
    }
    if (random.chance(5) && !views.empty()) {
      const size_t at = random.below(views.size());
      const std::string wrong = difference(views[at].first, views[at].second->contents());
      KIT_CHECK_MSG(wrong.empty(), "an old view changed: " + wrong);
      views.erase(views.begin() + static_cast<std::ptrdiff_t>(at));
    }
    if (random.chance(1)) {
      views.clear();
      state.check_after_reopen();
    }
  }
  views.clear();
  state.check_after_reopen();
}

}  // namespace

std::vector<Case> random_cases() {
  return {
      {"log-random-operations", "Random steps equal the model, with reopens.", Needs::kLog, false,
       log_random},
      {"state-random-operations",
       "Random writes, restores and views equal the model, with reopens.", Needs::kState, false,
       state_random},
  };
}

}  // namespace kvstore::conformance
