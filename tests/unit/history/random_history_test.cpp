// Goal: no false alarm on long histories of a correct store, and no missed fault.
// Method: a register that is really atomic is used by many overlapping clients, some of whose
// answers are lost; the history must pass.  Then one answer is replaced by one that was true once
// but is not any more, and the history must not pass.
#include <algorithm>
#include <map>
#include <optional>
#include <random>

#include <doctest/doctest.h>

#include "history_testing.hpp"

namespace kvstore::history {
namespace {

struct Stored {
  std::string value;
  uint64_t version = 0;
};

// An atomic store; each operation takes effect somewhere between its call and its return.
class Store {
 public:
  explicit Store(uint64_t seed) : random_(seed) {}

  History run(size_t operations) {
    struct Client {
      uint64_t free_us = 0;
    };
    std::vector<Client> clients(8);
    struct Planned {
      uint64_t effect_us;
      Operation op;
    };
    std::vector<Planned> planned;
    for (size_t i = 0; i < operations; ++i) {
      Client& client = clients[random_() % clients.size()];
      Operation op;
      op.client = static_cast<uint64_t>(&client - clients.data());
      op.call_us = client.free_us + 1 + random_() % 5;
      op.return_us = op.call_us + 2 + random_() % 40;
      op.outcome = random_() % 100 < 5 ? Outcome::kUnknown : Outcome::kOk;
      client.free_us = op.return_us;
      uint64_t effect_us = op.call_us + 1 + random_() % (op.return_us - op.call_us - 1);
      if (op.outcome == Outcome::kUnknown) effect_us = op.call_us + random_() % 500;
      op.steps = {draw(i)};
      planned.push_back({effect_us, op});
    }
    std::stable_sort(planned.begin(), planned.end(),
                     [](const Planned& a, const Planned& b) { return a.effect_us < b.effect_us; });
    History history;
    for (Planned& p : planned) {
      if (p.op.outcome == Outcome::kOk || random_() % 2 == 0) take_effect(&p.op);
      history.push_back(p.op);
    }
    return history;
  }

 private:
  Step draw(size_t number) {
    std::string key = "k" + std::to_string(random_() % 3);
    switch (random_() % 5) {
      case 0:
      case 1:
        return put(key, "v" + std::to_string(number));
      case 2:
        return remove(key);
      default:
        return get(key);
    }
  }

  void take_effect(Operation* op) {
    Step& step = op->steps[0];
    std::optional<Stored>& cell = cells_[step.key];
    if (step.kind == Step::Kind::kPut) {
      cell = Stored{step.value, ++revision_};
      if (op->outcome == Outcome::kOk) step.version = op->revision = revision_;
    } else if (step.kind == Step::Kind::kDelete) {
      if (cell) ++revision_;
      cell.reset();
    } else if (cell) {
      step = present(step.key, cell->value, cell->version);
    }
  }

  std::mt19937_64 random_;
  std::map<std::string, std::optional<Stored>> cells_;
  uint64_t revision_ = 0;
};

// Without versions and revisions the search has to find the order by itself.
History without_numbers(History history) {
  for (Operation& op : history) {
    op.revision = 0;
    for (Step& step : op.steps) step.version = 0;
  }
  return history;
}

TEST_CASE("histories of an atomic store pass, with versions and without") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    History history = Store(seed).run(2'000);
    CheckResult result = check(history);
    CHECK_MESSAGE(result, "seed " << seed << ": " << result.report);
    result = check(without_numbers(history));
    CHECK_MESSAGE(result, "seed " << seed << " without numbers: " << result.report);
  }
}

// Makes one late read answer with a value that was overwritten long before; whether there was one.
bool make_stale(History* history, std::mt19937_64& random) {
  for (int attempt = 0; attempt < 10'000; ++attempt) {
    const Operation& old = (*history)[random() % history->size()];
    const Operation& newer = (*history)[random() % history->size()];
    Operation& read = (*history)[random() % history->size()];
    const bool puts = old.steps[0].kind == Step::Kind::kPut && old.outcome == Outcome::kOk &&
                      newer.steps[0].kind == Step::Kind::kPut && newer.outcome == Outcome::kOk;
    const bool same = old.steps[0].key == newer.steps[0].key &&
                      read.steps[0].key == old.steps[0].key &&
                      read.steps[0].kind == Step::Kind::kGet && read.outcome == Outcome::kOk;
    if (!puts || !same) continue;
    if (old.return_us >= newer.call_us || newer.return_us >= read.call_us) continue;
    read.steps[0] = present(old.steps[0].key, old.steps[0].value);
    return true;
  }
  return false;
}

TEST_CASE("one stale read among thousands is found and shown") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    std::mt19937_64 random(seed);
    History history = Store(seed).run(2'000);
    REQUIRE(make_stale(&history, random));
    CheckResult result = check(without_numbers(history));
    CHECK_MESSAGE(result.verdict == Verdict::kViolation, "seed " << seed);
    CHECK(result.offending.size() < 20);
    CHECK(check(history).verdict == Verdict::kViolation);
  }
}

}  // namespace
}  // namespace kvstore::history
