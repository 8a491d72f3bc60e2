// Goal: a watcher gets every change of its range from its revision on, once and in order, and is
// told where it stands when it ends.
// Method: a hub on a machine with a store in memory, stepped by hand; what watchers got is compared
// with what the history tells, for small cases as text and for random ones change by change.
#include <map>
#include <random>
#include <set>

#include "kv/watch_hub.hpp"
#include "kv_testing.hpp"

namespace kvstore::kv::test {
namespace {

struct Seen {
  uint64_t revision = 0;
  bool put = false;
  std::string key, value;
  uint64_t mod_revision = 0;
  bool operator==(const Seen&) const = default;
};

Seen seen_of(const ChangeView& c) {
  return {c.revision, c.kind == ChangeView::Kind::kPut, std::string(c.now.key),
          std::string(c.now.value), c.now.mod_revision};
}

// Writes what it hears: "2+a=x,2-b|" is a batch, '*' marks more of the revision, "(3)" progress.
struct Listener final : WatchListener {
  std::string text;
  std::vector<Seen> all;
  uint64_t upto = 0;
  uint64_t batches = 0;
  Status ended;
  uint64_t end_revision = 0;
  bool has_ended = false;
  bool wrong = false;

  void on_changes(std::span<const ChangeView> changes, uint64_t revision) override {
    wrong = wrong || changes.empty() || has_ended || revision < upto;
    for (const ChangeView& c : changes) {
      text += std::to_string(c.revision) + (c.kind == ChangeView::Kind::kPut ? "+" : "-");
      text += c.now.key;
      if (c.kind == ChangeView::Kind::kPut) text += "=" + std::string(c.now.value).substr(0, 8);
      if (c.prev != nullptr) text += "(" + std::string(c.prev->value).substr(0, 8) + ")";
      text += c.more_of_revision ? "*" : ",";
      all.push_back(seen_of(c));
    }
    text += "|";
    const ChangeView& last = changes.back();
    const uint64_t least = last.revision - (last.more_of_revision ? 1 : 0);
    wrong = wrong || revision < least || (last.more_of_revision && revision != least);
    upto = revision;
    batches++;
  }
  void on_progress(uint64_t revision) override {
    wrong = wrong || has_ended || revision < upto;
    text += "(" + std::to_string(revision) + ")";
    upto = revision;
  }
  void on_end(const Status& why, uint64_t revision) override {
    wrong = wrong || has_ended;
    if (why.code() != Code::kCompacted) {
      wrong = wrong || revision < upto;
      upto = revision;
    }
    has_ended = true;
    ended = why;
    end_revision = revision;
    text += "end " + std::string(code_name(why.code())) + " " + std::to_string(revision);
  }
  std::string take() { return std::exchange(text, {}); }
};

struct Fixture {
  Machine m;
  WatchLimits limits;
  std::unique_ptr<WatchHub> hub;

  WatchHub& start() {
    hub = std::make_unique<WatchHub>(&m.store, limits);
    return *hub;
  }
  Watcher* open(const Range& range, uint64_t from, Listener* listener, uint64_t credit = 1000,
                bool prev = false, bool progress = false) {
    return hub->open({range, from, prev, progress, credit}, listener);
  }
  void run() {
    for (int i = 0; i < 100'000; i++) {
      Result<bool> more = hub->step(m.machine->revision());
      REQUIRE_MESSAGE(more.is_ok(), more.status().to_string());
      if (!*more) return;
    }
    FAIL("the hub does not come to rest");
  }
  void compact(uint64_t revision) { m.apply(Compact{revision, kCompactChangesMax}); }
};

TEST_CASE_FIXTURE(Fixture, "changes as they come, to whoever wants the key") {
  start();
  m.apply({put("a", "old")});
  Listener key, prefixed, everything, other;
  open(key_range("a"), 2, &key);
  open(prefix("p/"), 2, &prefixed);
  open(all(), 2, &everything, 1000, true);
  open(until("q", "z"), 2, &other);
  run();
  CHECK(everything.text.empty());
  m.apply({put("a", "1"), put("p/x", "2")});
  run();
  m.apply({del("a")});
  m.apply({put("p/x", "3"), del("nothing")});
  m.apply({get("a")});
  run();
  CHECK(key.take() == "2+a=1,|3-a,|");
  CHECK(prefixed.take() == "2+p/x=2,|4+p/x=3,|");
  CHECK(everything.take() == "2+a=1(old)*2+p/x=2,|3-a(1),4+p/x=3(2),|");
  CHECK(other.take().empty());
  CHECK(everything.upto == 4);
}

TEST_CASE_FIXTURE(Fixture, "a watch from the past, from the future and from now") {
  for (const char* value : {"1", "2", "3"}) m.apply({put("k", value)});
  start();
  Listener past, now, future;
  open(all(), 2, &past, 1000, true);
  open(all(), 4, &now);
  open(all(), 6, &future);
  run();
  CHECK(past.take() == "2+k=2(1),3+k=3(2),|");
  CHECK(past.upto == 3);
  for (const char* value : {"4", "5", "6", "7"}) m.apply({put("k", value)});
  run();
  CHECK(past.take() == "4+k=4(3),5+k=5(4),6+k=6(5),7+k=7(6),|");
  CHECK(now.take() == "4+k=4,5+k=5,6+k=6,7+k=7,|");
  CHECK(future.take() == "6+k=6,7+k=7,|");
}

TEST_CASE_FIXTURE(Fixture, "a closed watcher hears nothing any more, whatever it was doing") {
  start();
  Listener live, behind, idle;
  Watcher* a = open(all(), 1, &live);
  Watcher* b = open(prefix("k"), 1, &behind, 0);
  Watcher* c = open(key_range("k"), 1, &idle);
  run();
  m.apply({put("k", "1")});
  run();
  hub->credit(b, 1);
  hub->close(b);
  hub->close(a);
  m.apply({put("k", "2")});
  run();
  hub->close(c);
  CHECK(live.take() == "1+k=1,|");
  CHECK(behind.take().empty());
  CHECK(idle.take() == "1+k=1,|2+k=2,|");
  CHECK(hub->size() == 0);
  m.apply({put("k", "3")});
  run();
  // Whoever comes after nobody was there is given nothing of what it did not ask for.
  Listener late;
  open(all(), 4, &late);
  m.apply({put("k", "4")});
  run();
  CHECK(late.take() == "4+k=4,|");
}

TEST_CASE_FIXTURE(Fixture, "credit bounds batches, and nothing is lost meanwhile") {
  start();
  Listener slow, fast;
  Watcher* watcher = open(all(), 1, &slow, 1);
  open(all(), 1, &fast);
  run();
  for (const char* value : {"1", "2", "3"}) {
    m.apply({put("k", value)});
    run();
  }
  CHECK(slow.take() == "1+k=1,|");
  CHECK(fast.take() == "1+k=1,|2+k=2,|3+k=3,|");
  hub->credit(watcher, 1);
  run();
  CHECK(slow.take() == "2+k=2,3+k=3,|");
  m.apply({put("k", "4")});
  run();
  CHECK(slow.take().empty());
  hub->credit(watcher, 2);
  run();
  m.apply({put("k", "5")});
  run();
  CHECK(slow.take() == "4+k=4,|5+k=5,|");
}

TEST_CASE_FIXTURE(Fixture, "a watcher that takes nothing ends at its bound, others go on") {
  limits.lag_bytes_max = 1000;
  start();
  Listener slow, fast, elsewhere;
  open(prefix("k"), 1, &slow, 1);
  open(prefix("k"), 1, &fast);
  open(prefix("z"), 1, &elsewhere, 0);
  run();
  for (int i = 1; i <= 6; i++) {
    m.apply({put("k", std::string(300, 'v'))});
    run();
  }
  // One was taken; the third missed one is above the bound.
  CHECK(slow.take() == "1+k=vvvvvvvv,|end busy 1");
  CHECK(fast.batches == 6);
  CHECK_FALSE(elsewhere.has_ended);
  Listener again;
  open(prefix("k"), slow.end_revision + 1, &again);
  run();
  CHECK(again.all.size() == 5);
  CHECK(again.all.front().revision == 2);
}

TEST_CASE_FIXTURE(Fixture, "a large revision goes to each watcher in marked pieces") {
  limits.batch_changes = 3;
  start();
  Listener live, past, small;
  open(prefix("k"), 1, &live);
  open(key_range("k4"), 1, &small);
  run();
  m.apply({put("k", "before")});
  m.apply({put("k1", "1"), put("k2", "2"), put("k3", "3"), put("k4", "4"), put("k5", "5"),
           put("other", "6")});
  m.apply({put("k", "after")});
  open(prefix("k"), 2, &past);
  run();
  CHECK(live.take() == "1+k=before,|2+k1=1*2+k2=2*2+k3=3*|2+k4=4*2+k5=5,3+k=after,|");
  CHECK(past.take() == "2+k1=1*2+k2=2*2+k3=3*|2+k4=4*2+k5=5,3+k=after,|");
  CHECK(small.take() == "2+k4=4,|");
  CHECK_FALSE(live.wrong);
  m.apply({put("k", "on")});
  run();
  CHECK(live.take() == "4+k=on,|");
}

TEST_CASE_FIXTURE(Fixture, "batches are bounded in bytes but for a single change") {
  limits.batch_bytes = 1000;
  start();
  Listener live;
  open(all(), 1, &live);
  run();
  m.apply({put("a", std::string(600, 'a')), put("b", std::string(600, 'b'))});
  m.apply({put("c", std::string(5000, 'c'))});
  m.apply({put("d", "d"), put("e", "e")});
  run();
  CHECK(live.take() == "1+a=aaaaaaaa*|1+b=bbbbbbbb,|2+c=cccccccc,|3+d=d*3+e=e,|");
}

TEST_CASE_FIXTURE(Fixture, "compacted history ends whoever still needs it") {
  start();
  for (const char* value : {"1", "2", "3"}) m.apply({put("k", value)});
  Listener gone, waiting, live, future;
  Watcher* stuck = open(all(), 1, &waiting, 0);
  open(all(), 4, &live);
  open(all(), 9, &future);
  run();
  open(all(), 2, &gone);
  compact(2);
  run();
  CHECK(gone.take() == "end compacted 2");
  CHECK(gone.ended.message() ==
        "the changes of revision 2 are compacted: the oldest are those of revision 3");
  hub->credit(stuck, 1);
  run();
  CHECK(waiting.take() == "end compacted 2");
  // Gone before the hub looked: said, not skipped.
  m.apply({put("k", "4")});
  m.apply({put("k", "5")});
  compact(5);
  run();
  CHECK(live.take() == "end compacted 5");
  CHECK_FALSE(future.has_ended);
  for (int i = 6; i <= 9; i++) m.apply({put("k", std::to_string(i))});
  run();
  CHECK(future.take() == "9+k=9,|");
}

TEST_CASE_FIXTURE(Fixture, "progress tells how far everything was delivered") {
  start();
  m.apply({put("k", "1")});
  Listener quiet, busy, unasked;
  open(key_range("x"), 1, &quiet, 1000, false, true);
  Watcher* behind = open(key_range("k"), 1, &busy, 0, false, true);
  open(key_range("x"), 1, &unasked);
  run();
  CHECK(quiet.take() == "(1)");  // it stands where the others stand
  hub->report_progress();
  CHECK(quiet.take().empty());
  m.apply({put("k", "2")});
  run();
  hub->report_progress();
  CHECK(quiet.take() == "(2)");
  CHECK(busy.take().empty());
  hub->credit(behind, 1);
  run();
  hub->report_progress();
  CHECK(busy.take() == "1+k=1,2+k=2,|");
  CHECK(unasked.take().empty());
}

TEST_CASE_FIXTURE(Fixture, "a long stretch of other keys is passed over piece by piece") {
  for (int i = 0; i < 40; i++) {
    std::vector<Command> batch;
    for (int j = 0; j < 250; j++) batch.push_back(txn({put("other" + std::to_string(j), "x")}));
    m.apply(batch);
  }
  m.apply({put("k", "1")});
  start();
  Listener far, near;
  open(key_range("k"), 1, &far);
  open(key_range("k"), 10'002, &near);
  int steps = 0;
  while (far.text.empty()) {
    REQUIRE(hub->step(m.machine->revision()).is_ok());
    steps++;
    if (steps == 2) {
      m.apply({put("k", "2")});
    }
    // The other one is served in between.
    if (steps == 4) CHECK(near.text == "10002+k=2,|");
    REQUIRE(steps < 10);
  }
  CHECK(steps >= 4);
  run();
  CHECK(far.text == "10001+k=1,10002+k=2,|");
}

TEST_CASE_FIXTURE(Fixture, "the end of all tells each where it stands") {
  start();
  m.apply({put("k", "1")});
  Listener live, behind;
  open(all(), 1, &live);
  open(all(), 1, &behind, 0);
  run();
  hub->end_all(Status(Code::kCancelled));
  CHECK(live.take() == "1+k=1,|end cancelled 1");
  CHECK(behind.take() == "end cancelled 0");
  m.apply({put("k", "2")});
  run();
  CHECK(live.take().empty());
}

TEST_CASE("the index finds exactly the ranges that have a key") {
  std::mt19937_64 random(7);
  const auto key = [&] {
    std::string out;
    for (size_t n = random() % 4; n > 0; n--)
      out.push_back(static_cast<char>("ab\xff\0"[random() % 4]));
    return out;
  };
  const auto range = [&] {
    Range r{static_cast<Range::Kind>(random() % 5), key(), key()};
    if (r.kind == Range::Kind::kUntil && r.end.empty()) r.end = "a";
    return r;
  };
  WatchIndex index;
  std::vector<Range> ranges;
  const auto name = [](size_t i) { return reinterpret_cast<Watcher*>(i + 1); };
  std::set<size_t> present;
  for (int round = 0; round < 3000; round++) {
    if (present.size() < 40 && random() % 3 != 0) {
      ranges.push_back(range());
      index.add(ranges.back(), name(ranges.size() - 1));
      present.insert(ranges.size() - 1);
    } else if (!present.empty()) {
      auto at = present.lower_bound(random() % ranges.size());
      if (at == present.end()) at = present.begin();
      index.remove(ranges[*at], name(*at));
      present.erase(at);
    }
    const std::string wanted = key();
    std::multiset<Watcher*> found, expected;
    index.match(wanted, [&](Watcher* w) { found.insert(w); });
    for (size_t i : present) {
      if (KeyInterval(ranges[i]).contains(wanted)) expected.insert(name(i));
    }
    REQUIRE(found == expected);
  }
}

// ---- random runs

struct RandomRun : Fixture {
  struct One {
    WatchOptions options;
    Listener listener;
    Watcher* watcher = nullptr;
    uint64_t from = 0;
  };
  std::mt19937_64 random;
  std::map<uint64_t, std::vector<Seen>> log;  // of all revisions, compacted or not
  std::vector<std::unique_ptr<One>> watchers;
  uint64_t compacted = 0;
  uint64_t endings[3] = {};  // busy, compacted, closed

  explicit RandomRun(uint64_t seed) : random(seed) {
    limits.batch_changes = 1 + random() % 6;
    limits.batch_bytes = 50 + random() % 800;
    limits.lag_bytes_max = 300 + random() % 2000;
    start();
  }
  std::string key() { return std::string(1 + random() % 2, "abc"[random() % 3]); }
  Range range() {
    Range r{static_cast<Range::Kind>(random() % 5), key(), key() + "b"};
    return r;
  }

  void write() {
    std::vector<Command> commands;
    for (uint64_t n = 1 + random() % 5; n > 0; n--) {
      std::map<std::string, std::string> puts;
      for (uint64_t k = 1 + random() % 6; k > 0; k--) puts[key()] = std::string(random() % 60, 'v');
      std::vector<Op> ops;
      for (auto& [k, v] : puts) ops.push_back(random() % 4 == 0 ? del(k) : put(k, v));
      if (random() % 8 == 0) ops.push_back(del(prefix(key())));
      commands.push_back(txn(std::move(ops)));
    }
    const uint64_t before = m.machine->revision();
    m.apply(commands);
    auto view = m.store.open_view();
    ChangeOptions options;
    options.range = all();
    auto read = read_changes(**view, {before + 1, 0}, options, [&](const ChangeView& c) {
      log[c.revision].push_back(seen_of(c));
      return true;
    });
    REQUIRE(read.is_ok());
  }
  void watch() {
    auto one = std::make_unique<One>();
    const uint64_t now = m.machine->revision();
    one->from = compacted + 1 + random() % (now - compacted + 4);
    one->options = {range(), one->from, random() % 2 == 0, random() % 2 == 0, random() % 3};
    one->watcher = hub->open(one->options, &one->listener);
    watchers.push_back(std::move(one));
  }
  // What it got is what the log has up to where it stands.
  void check(const One& one) {
    REQUIRE_FALSE(one.listener.wrong);
    std::vector<Seen> expected;
    const KeyInterval interval(one.options.range);
    const uint64_t last = one.listener.all.empty() ? 0 : one.listener.all.back().revision;
    for (auto it = log.lower_bound(one.from); it != log.end(); ++it) {
      if (it->first > std::max(one.listener.upto, last)) break;
      for (const Seen& seen : it->second) {
        if (interval.contains(seen.key)) expected.push_back(seen);
      }
    }
    // Of the last revision perhaps not all.
    if (last > one.listener.upto) {
      REQUIRE(one.listener.all.size() <= expected.size());
      expected.resize(one.listener.all.size());
    }
    REQUIRE(one.listener.all == expected);
  }
  void close(size_t i) {
    check(*watchers[i]);
    const Listener& listener = watchers[i]->listener;
    endings[!listener.has_ended ? 2 : listener.ended.code() == Code::kBusy ? 0 : 1]++;
    hub->close(watchers[i]->watcher);
    watchers.erase(watchers.begin() + static_cast<long>(i));
  }
  void act() {
    switch (random() % 8) {
      case 0:
      case 1:
        return write();
      case 2:
        if (watchers.size() < 12) watch();
        return;
      case 3:
        if (!watchers.empty() && random() % 4 == 0) close(random() % watchers.size());
        return;
      case 4:
        if (random() % 6 != 0) return;
        compacted = std::max(compacted, m.machine->revision() * (random() % 101) / 100);
        return compact(compacted);
      case 5:
        if (random() % 2 == 0) return hub->report_progress();
        if (!watchers.empty()) {
          One& one = *watchers[random() % watchers.size()];
          if (!one.listener.has_ended) hub->credit(one.watcher, random() % 4);
        }
        return;
      default:
        REQUIRE(hub->step(m.machine->revision()).is_ok());
    }
  }
  // With credit for all, everybody gets everything.
  void finish() {
    for (auto& one : watchers) {
      if (!one->listener.has_ended) hub->credit(one->watcher, 1'000'000);
    }
    run();
    hub->report_progress();
    while (!watchers.empty()) {
      One& one = *watchers.back();
      const bool whole = one.listener.has_ended || !one.options.with_progress ||
                         one.listener.upto >= m.machine->revision();
      REQUIRE(whole);
      if (!one.listener.has_ended)
        one.listener.upto = std::max(one.listener.upto, m.machine->revision());
      close(watchers.size() - 1);
    }
  }
};

TEST_CASE("random watchers of random changes miss nothing and get nothing twice") {
  uint64_t endings[3] = {};
  for (uint64_t seed = 1; seed <= 150; seed++) {
    CAPTURE(seed);
    RandomRun run(seed);
    for (int i = 0; i < 400; i++) run.act();
    run.finish();
    for (int i = 0; i < 3; i++) endings[i] += run.endings[i];
  }
  for (uint64_t count : endings) CHECK(count > 20);
}

}  // namespace
}  // namespace kvstore::kv::test
