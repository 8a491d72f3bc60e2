// Breaks a cluster at random, one fault or two at a time, and mends it again.  Everything comes
// from a seed: which fault, where, how long, in which order.
#pragma once

#include <functional>
#include <iosfwd>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "faults/fault_cluster.hpp"
#include "faults/workload.hpp"

namespace kvstore::test {

struct NemesisOptions {
  uint64_t seed = 1;
  // Names of faults as in Nemesis::names(); empty: all that the cluster's parts allow.
  std::vector<std::string> faults = {};
  std::chrono::milliseconds hold_min{300}, hold_max{4000};
  std::chrono::milliseconds rest_min{500}, rest_max{3000};
  std::ostream* diary = nullptr;  // one line per event
};

class Nemesis {
 public:
  Nemesis(FaultCluster& cluster, Workload& workload, const NemesisOptions& options);

  // All faults that this cluster can suffer, with what is missing on it.
  std::vector<std::string> names() const;
  // Breaks and mends until the time is over; mended at the end.
  void run_for(std::chrono::milliseconds time);
  // One round of the named faults together.
  void round(const std::vector<std::string>& faults);

  // How often each fault was injected.
  const std::map<std::string, uint64_t>& injected() const { return injected_; }
  // Times in which nobody can write by design: no majority of healthy, connected nodes, or a full
  // disk.
  const std::vector<Interval>& outages() const { return outages_; }

 private:
  struct Fault {
    // Does the harm and names what it did; keeps in harmed_ who cannot take part.
    std::function<std::string()> inject;
    bool possible;
  };

  void define_process_faults();
  void define_partitions();
  void define_bad_links();
  void define_disk_faults();
  void define_clock_faults();
  void note(const std::string& text);
  void mend();
  uint64_t failures_of(size_t i);

  std::chrono::milliseconds between(std::chrono::milliseconds min, std::chrono::milliseconds max);
  size_t any_node() { return random_() % cluster_.size(); }
  // The leader half of the time, anybody else otherwise.
  size_t favoured_node();
  // One, a minority, a majority or all.
  std::vector<size_t> some_nodes();
  std::string once(const std::function<std::string()>& inject);
  // These take no part from now on.  False when one of them is broken already.
  bool harm(const std::vector<size_t>& nodes);
  std::string list(const std::vector<size_t>& nodes);
  std::string on_one(const std::string& what, const std::function<void(size_t)>& action);

  FaultCluster& cluster_;
  Workload& workload_;
  const NemesisOptions options_;
  std::mt19937_64 random_;
  std::map<std::string, Fault> faults_;
  std::map<std::string, uint64_t> injected_;
  std::vector<Interval> outages_;
  std::set<size_t> harmed_;
  bool network_harmed_ = false, refuses_writes_ = false;
  std::vector<uint64_t> failures_;  // of each node's disk, that were seen before
};

}  // namespace kvstore::test
