// Which watchers want a key: single keys by hash, ranges by a tree over their lower bounds.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/function_ref.hpp"
#include "kv/range.hpp"

namespace kvstore::kv {

struct Watcher;

// A look-up costs a hash and, with n different ranges, about log n steps and one for each range
// that has the key, however many watchers there are.  Watchers of the same range share its place.
// After ranges came or went the next look-up rebuilds the tree, in n steps.
//
// One thread.
class WatchIndex {
 public:
  // Does not own the watcher, which is removed with the range that it was added with.
  void add(const Range& range, Watcher* watcher);
  void remove(const Range& range, Watcher* watcher);
  bool empty() const { return keys_.empty() && ranges_.empty(); }

  // Calls visit(watcher) for each watcher whose range has the key.  The visitor must not add or
  // remove.
  void match(Bytes key, FunctionRef<void(Watcher*)> visit);

 private:
  using Watchers = std::vector<Watcher*>;
  struct Hash {
    using is_transparent = void;
    size_t operator()(Bytes key) const { return std::hash<Bytes>()(key); }
  };
  // A range with what is needed to pass over whole parts of the tree.
  struct Node {
    Bytes lower;
    Bytes upper;    // empty: no end
    Bytes highest;  // of the subtree's upper bounds; empty: one has no end
    const Watchers* watchers;
  };

  void rebuild();
  Bytes fill_highest(size_t begin, size_t end);
  void stab(size_t begin, size_t end, Bytes key, FunctionRef<void(Watcher*)> visit) const;

  std::unordered_map<std::string, Watchers, Hash, std::equal_to<>> keys_;
  std::map<std::pair<std::string, std::string>, Watchers> ranges_;  // by lower and upper bound
  // ranges_ in order, as a tree: the root of begin..end is in its middle.
  std::vector<Node> nodes_;
  bool stale_ = false;
};

}  // namespace kvstore::kv
