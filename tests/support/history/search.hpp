// The search for an order of operations that explains one group of keys; part of linearizability.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "support/history/linearizability.hpp"

namespace kvstore::history {

// One operation as the search sees it.
struct Task {
  const Operation* operation = nullptr;
  uint64_t call_us = 0;
  uint64_t return_us = 0;  // UINT64_MAX: may take effect at any later time
  bool optional = false;   // need not take effect at all
  bool answered = false;   // gets, held and revision say what was seen
  // For each step the version of its put where it is known, else 0.
  std::vector<uint64_t> versions;
};

struct SearchResult {
  Verdict verdict = Verdict::kLinearizable;
  uint64_t steps = 0;
  std::vector<size_t> longest;  // tasks in the longest order that was explained
};

// Wing and Gong's search: at each point every task that no other one must precede is tried; sets of
// done tasks with the state they led to are remembered, as by Lowe, so that none is tried twice.
SearchResult search(const std::vector<Task>& tasks, uint64_t steps_max);

// The operations that have to be explained: without those that were not done, and without unknown
// ones that nobody can have noticed (reads, and puts of values that were never seen).  An unknown
// operation that put a value nobody else put and that somebody saw is done, before the first who
// saw it returned.  The history must outlive the tasks.
std::vector<Task> make_tasks(const std::vector<const Operation*>& operations);

}  // namespace kvstore::history
