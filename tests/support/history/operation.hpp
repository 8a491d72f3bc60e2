// What a client did and what it was told: the material of which histories are made.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kvstore::history {

// One part of an operation.  All parts of an operation take effect at one instant, in three stages:
// every kExpect is judged, every kGet sees the state before the writes, and if all kExpect held the
// writes are done.
struct Step {
  enum class Kind : uint8_t {
    kExpect,  // the key's version is `version`; 0: it is absent
    kGet,     // with `exists`, `value` and `version` as answered
    kPut,     // `value`; `version` is the one it was given, 0 while that is not known
    kDelete,
  };
  Kind kind = Kind::kGet;
  std::string key;    // printable text, as values: whoever writes others records a digest
  std::string value;  // kPut; kGet when it exists
  // A number that grows with every put of a key, also across its deletion (mod_revision).
  uint64_t version = 0;  // kGet, kPut: 0 is "not known"
  bool exists = false;   // kGet
  bool operator==(const Step&) const = default;
};

enum class Outcome : uint8_t {
  kOk,       // answered: what its steps say was seen
  kNotDone,  // answered with an error that rules out any effect, now and later
  kUnknown,  // no answer, or one that leaves it open: it may take effect at any later time, or
             // never
};

struct Operation {
  uint64_t client = 0;     // does one operation at a time; one that got no answer is not used again
  std::string node;        // where it went; only for reports
  uint64_t call_us = 0;    // on one clock for the whole history, just before it was sent
  uint64_t return_us = 0;  // just after the answer; meaningless when there was none
  Outcome outcome = Outcome::kUnknown;
  bool held = true;  // kOk with kExpect steps: all of them held, so the writes were done
  // kOk: the store's revision after it, 0 when not told.  Grows with every operation that puts.
  uint64_t revision = 0;
  std::vector<Step> steps;

  bool writes() const;
  bool conditional() const;
  bool operator==(const Operation&) const = default;
};

using History = std::vector<Operation>;

// Steps for the usual operations.
Step get(std::string key);  // the answer is filled in by absent() or present()
Step absent(std::string key);
Step present(std::string key, std::string value, uint64_t version = 0);
Step put(std::string key, std::string value, uint64_t version = 0);
Step remove(std::string key);
Step expect(std::string key, uint64_t version);  // version 0: the key must not exist

// One line: times, client, node, what was asked and what came back.
std::string describe(const Operation& operation);
// One line for each, by call time.
std::string describe(const History& history);

}  // namespace kvstore::history
