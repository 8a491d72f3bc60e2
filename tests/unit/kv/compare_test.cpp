// Goal: compares decide as the data model says, for present, absent and large values and for
// ranges. Method: a table of compares against a fixed store; each asks which branch ran.
#include "kv_testing.hpp"

namespace kvstore::kv::test {
namespace {

using Target = Compare::Target;
using Cmp = Compare::Op;

bool holds(Machine& m, Compare c) {
  return m.apply(txn({std::move(c)}, {})).succeeded;
}

// Whether =, !=, < and > hold, as a string of the operators that do.
std::string operators(Machine& m, Target target, const Range& range, uint64_t number,
                      const std::string& value = "") {
  std::string out;
  for (auto [op, name] :
       {std::pair{Cmp::kEq, '='}, {Cmp::kNe, '!'}, {Cmp::kLt, '<'}, {Cmp::kGt, '>'}}) {
    Compare c = compare(target, op, range, number);
    c.value = value;
    if (holds(m, c)) out.push_back(name);
  }
  return out;
}

}  // namespace

TEST_CASE("numbers of a key are compared in every way") {
  Machine m;
  m.apply({put("other", "x")});
  m.apply({put("a", "1")});
  m.apply({put("a", "2")});
  Range a = key_range("a");
  CHECK(operators(m, Target::kVersion, a, 2) == "=");
  CHECK(operators(m, Target::kVersion, a, 1) == "!>");
  CHECK(operators(m, Target::kVersion, a, 3) == "!<");
  CHECK(operators(m, Target::kCreateRevision, a, 2) == "=");
  CHECK(operators(m, Target::kModRevision, a, 3) == "=");
  CHECK(operators(m, Target::kModRevision, a, 2) == "!>");
  CHECK(operators(m, Target::kLease, a, 0) == "=");
}

TEST_CASE("an absent key counts as number 0 and as unequal to every value") {
  Machine m;
  Range a = key_range("a");
  CHECK(operators(m, Target::kVersion, a, 0) == "=");
  CHECK(operators(m, Target::kModRevision, a, 1) == "!<");
  CHECK(operators(m, Target::kCreateRevision, a, 0) == "=");
  CHECK(operators(m, Target::kLease, a, 0) == "=");
  CHECK(operators(m, Target::kValue, a, 0, "") == "!");
  CHECK(operators(m, Target::kValue, a, 0, "x") == "!");
}

TEST_CASE("values are compared as unsigned bytes") {
  Machine m;
  m.apply({put("a", "m\x80")});
  Range a = key_range("a");
  CHECK(operators(m, Target::kValue, a, 0, "m\x80") == "=");
  CHECK(operators(m, Target::kValue, a, 0, "m\x7f") == "!>");
  CHECK(operators(m, Target::kValue, a, 0, "m\xff") == "!<");
  CHECK(operators(m, Target::kValue, a, 0, "m") == "!>");
  CHECK(operators(m, Target::kValue, a, 0, "m\x80!") == "!<");
  m.apply({put("empty", "")});
  CHECK(operators(m, Target::kValue, key_range("empty"), 0, "") == "=");
}

TEST_CASE("every key of a range must satisfy the compare") {
  Machine m;
  m.apply({put("p1", "x"), put("p2", "x")});
  CHECK(operators(m, Target::kValue, prefix("p"), 0, "x") == "=");
  m.apply({put("p2", "y")});
  CHECK(operators(m, Target::kValue, prefix("p"), 0, "x") == "");
  CHECK(operators(m, Target::kValue, prefix("p"), 0, "w") == "!>");
  CHECK(operators(m, Target::kVersion, prefix("p"), 0) == "!>");
  CHECK(operators(m, Target::kVersion, until("p1", "p2"), 1) == "=");
}

TEST_CASE("a range without keys satisfies every compare") {
  Machine m;
  CHECK(operators(m, Target::kVersion, prefix("p"), 7) == "=!<>");
  CHECK(operators(m, Target::kValue, until("z", "a"), 0, "x") == "=!<>");
}

TEST_CASE("compares see the changes of earlier transactions of the batch") {
  Machine m;
  auto r = m.apply(std::vector<Command>{
      txn({put("a", "1")}), txn({compare_value(Cmp::kEq, key_range("a"), "1")}, {put("a", "2")}),
      txn({compare_value(Cmp::kEq, all(), "2")}, {del(all())}),
      txn({compare(Target::kVersion, Cmp::kEq, key_range("a"), 0)}, {put("a", "3")})});
  CHECK(r[1].succeeded);
  CHECK(r[2].succeeded);
  CHECK(r[3].succeeded);
  CHECK(m.item("a") == Item{"a", "3", 4, 4, 1, 0, 1});
}

TEST_CASE("all compares must hold") {
  Machine m;
  m.apply({put("a", "1")});
  Compare yes = compare(Target::kVersion, Cmp::kEq, key_range("a"), 1);
  Compare no = compare(Target::kVersion, Cmp::kGt, key_range("a"), 1);
  CHECK(m.apply(txn({yes, yes}, {})).succeeded);
  CHECK_FALSE(m.apply(txn({yes, no}, {})).succeeded);
  CHECK_FALSE(m.apply(txn({no, yes}, {})).succeeded);
}

TEST_CASE("a value in parts is compared by its bytes, also before they were written") {
  Machine m;
  std::string value = part_bytes(9, 0, kPartBytes) + part_bytes(9, 1, 100);
  auto ask = [&](Cmp op, std::string with) {
    return txn({compare_value(op, key_range("big"), std::move(with))}, {});
  };
  std::string longer = value + "x";
  std::string less = value;
  less[5]--;
  std::string greater = value;
  greater.back()++;
  auto r = m.apply(std::vector<Command>{
      upload_part(9, 0, kPartBytes), upload_part(9, 1, 100),
      txn({put_upload("big", 9, kPartBytes + 100)}), ask(Cmp::kEq, value), ask(Cmp::kLt, longer),
      ask(Cmp::kGt, less), ask(Cmp::kLt, greater), ask(Cmp::kGt, value.substr(0, kPartBytes)),
      ask(Cmp::kGt, "A"), ask(Cmp::kNe, value)});
  for (size_t i = 3; i < 9; i++) {
    CAPTURE(i);
    CHECK(r[i].succeeded);
  }
  CHECK_FALSE(r[9].succeeded);
  CHECK(holds(m, compare_value(Cmp::kEq, prefix("b"), value)));
}

TEST_CASE("a missing part of a compared value stops the machine") {
  Machine m;
  m.apply(std::vector<Command>{upload_part(9, 0, 50), txn({put_upload("big", 9, 50)})});
  MemoryData data = m.store.data();
  data.spaces[kSpaceParts].clear();
  m.store.replace(data);
  std::vector<CommandResult> results;
  Status s = m.try_apply({txn({compare_value(Cmp::kEq, key_range("big"), "x")}, {})}, &results);
  CHECK(s.code() == Code::kCorrupt);
  CHECK(s.message() == "part 0 of upload 0000000000000009 is missing or cut");
}

}  // namespace kvstore::kv::test
