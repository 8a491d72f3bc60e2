#include "faults/nemesis.hpp"

#include <algorithm>
#include <iomanip>
#include <ostream>

#include <doctest/doctest.h>

namespace kvstore::test {

using std::chrono::milliseconds;

Nemesis::Nemesis(FaultCluster& cluster, Workload& workload, const NemesisOptions& options)
    : cluster_(cluster),
      workload_(workload),
      options_(options),
      random_(options.seed),
      failures_(cluster.size(), 0) {
  define_process_faults();
  if (cluster.has_network()) {
    define_partitions();
    define_bad_links();
  }
  define_disk_faults();
  define_clock_faults();
  for (const std::string& name : options_.faults) {
    REQUIRE_MESSAGE(faults_.count(name) == 1, "no such fault: " << name);
  }
}

void Nemesis::note(const std::string& text) {
  if (options_.diary == nullptr) return;
  *options_.diary << std::fixed << std::setprecision(2)
                  << static_cast<double>(workload_.now()) / 1e6 << "s " << text << std::endl;
}

milliseconds Nemesis::between(milliseconds min, milliseconds max) {
  return min + milliseconds(random_() % static_cast<uint64_t>((max - min).count() + 1));
}

size_t Nemesis::favoured_node() {
  const size_t any = any_node();
  if (random_() % 2 == 0) return any;
  return cluster_.find_leader().value_or(any);
}

std::vector<size_t> Nemesis::some_nodes() {
  std::vector<size_t> all(cluster_.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  std::shuffle(all.begin(), all.end(), random_);
  const size_t sizes[] = {1, 1, cluster_.size() - cluster_.majority(), cluster_.majority(),
                          cluster_.size()};
  all.resize(std::max<size_t>(sizes[random_() % std::size(sizes)], 1));
  return all;
}

std::string Nemesis::list(const std::vector<size_t>& nodes) {
  std::string out;
  for (const size_t i : nodes) out += " " + cluster_.node(i).name();
  return out;
}

bool Nemesis::harm(const std::vector<size_t>& nodes) {
  for (const size_t i : nodes) {
    if (harmed_.count(i) != 0 || !cluster_.node(i).is_running()) return false;
  }
  harmed_.insert(nodes.begin(), nodes.end());
  return true;
}

std::string Nemesis::on_one(const std::string& what, const std::function<void(size_t)>& action) {
  const size_t node = favoured_node();
  if (!harm({node})) return "";
  action(node);
  return what + list({node});
}

std::vector<std::string> Nemesis::names() const {
  std::vector<std::string> out;
  for (const auto& [name, fault] : faults_) {
    const bool wanted =
        options_.faults.empty() ||
        std::find(options_.faults.begin(), options_.faults.end(), name) != options_.faults.end();
    if (wanted && fault.possible) out.push_back(name);
  }
  return out;
}

uint64_t Nemesis::failures_of(size_t i) {
  const kvs_io_faults& seen = cluster_.io(i).seen();
  return seen.failed_syncs + seen.failed_writes;
}

void Nemesis::define_process_faults() {
  const auto each = [this](const char* what, void (Node::*action)()) {
    return [this, what, action]() -> std::string {
      const auto nodes = some_nodes();
      if (!harm(nodes)) return "";
      for (const size_t i : nodes) (cluster_.node(i).*action)();
      return what + list(nodes);
    };
  };
  faults_["kill"] = {each("kill -9", &Node::kill), true};
  faults_["pause"] = {each("pause", &Node::pause), true};
  faults_["kill-loop"] = {
      [this] {
        return on_one("kill -9 three times in a row", [this](size_t i) {
          for (int n = 0; n < 3; ++n) {
            cluster_.node(i).kill();
            cluster_.node(i).start();
            std::this_thread::sleep_for(between(milliseconds(50), milliseconds(700)));
          }
          cluster_.node(i).kill();
        });
      },
      true};
  faults_["restart"] = {[this] {
                          return on_one("SIGTERM",
                                        [this](size_t i) { CHECK(cluster_.node(i).stop() == 0); });
                        },
                        true};
}

// One break of the network at a time: the next would mend the one before.
std::string Nemesis::once(const std::function<std::string()>& inject) {
  if (std::exchange(network_harmed_, true)) return "";
  return inject();
}

// A side that loses its majority counts as harmed.
void Nemesis::define_partitions() {
  const size_t n = cluster_.size();
  const auto add = [this](const char* name, bool possible,
                          const std::function<std::string()>& inject) {
    faults_[name] = {[this, inject] { return once(inject); }, possible};
  };
  add("partition", n > 2, [this] {
    auto side = some_nodes();
    if (side.size() >= cluster_.majority()) side.resize(cluster_.size() - cluster_.majority());
    cluster_.network().partition(side);
    harmed_.insert(side.begin(), side.end());
    return "partition:" + list(side) + " | others";
  });
  add("isolate", n > 1, [this] {
    const size_t node = favoured_node();
    cluster_.network().isolate(node);
    harmed_.insert(node);
    return "isolate" + list({node});
  });
  add("one-way", n > 1, [this] {
    const size_t node = favoured_node();
    const bool deaf = random_() % 2 == 0;
    for (size_t i = 0; i < cluster_.size(); ++i) {
      if (i != node) cluster_.network().cut(deaf ? i : node, deaf ? node : i);
    }
    harmed_.insert(node);
    return (deaf ? "deaf:" : "mute:") + list({node});
  });
  add("bridge", n > 1, [this] {
    const size_t a = favoured_node();
    const size_t b = (a + 1) % cluster_.size();
    cluster_.network().set_both(a, b, Link{.cut = true});
    harmed_.insert(a);
    return "no link between" + list({a, b});
  });
  add("majorities-ring", n > 4, [this] {
    cluster_.network().majorities_ring();
    return std::string("majorities ring");
  });
}

void Nemesis::define_bad_links() {
  const bool possible = cluster_.size() > 1;
  const auto slow = [this] {
    const auto random_ms = [this] { return milliseconds(random_() % 40); };
    const auto percent = [this] { return static_cast<unsigned>(random_() % 10); };
    for (size_t a = 0; a < cluster_.size(); ++a) {
      for (size_t b = 0; b < cluster_.size(); ++b) {
        if (a == b) continue;
        cluster_.network().set_link(a, b,
                                    {.delay = random_ms(),
                                     .jitter = random_ms(),
                                     .loss_percent = percent(),
                                     .duplicate_percent = percent()});
      }
    }
    return std::string("slow, lossy, disordered network");
  };
  const auto flap = [this] {
    const size_t node = favoured_node();
    for (int i = 0; i < 8; ++i) {
      cluster_.network().isolate(node);
      std::this_thread::sleep_for(milliseconds(100));
      cluster_.network().heal();
      std::this_thread::sleep_for(milliseconds(100));
    }
    network_harmed_ = false;
    return "flapping links of" + list({node});
  };
  faults_["slow-network"] = {[this, slow] { return once(slow); }, possible};
  faults_["flapping"] = {[this, flap] { return once(flap); }, possible};
}

void Nemesis::define_disk_faults() {
  faults_["power-cut"] = {[this]() -> std::string {
                            const auto nodes = some_nodes();
                            if (!harm(nodes)) return "";
                            cluster_.cut_power(nodes);
                            return "power cut" + list(nodes);
                          },
                          cluster_.has_disks()};
  faults_["frozen-disk"] = {
      [this] { return on_one("frozen disk", [this](size_t i) { cluster_.disk(i).freeze(); }); },
      cluster_.has_disks()};
  faults_["full-disk"] = {[this] {
                            return on_one("full disk", [this](size_t i) {
                              cluster_.allow_end(i);
                              cluster_.disk(i).fill();
                            });
                          },
                          cluster_.has_disks()};
  faults_["stalled-disk"] = {
      [this] { return on_one("stalled disk", [this](size_t i) { cluster_.io(i).stall(true); }); },
      true};
  faults_["slow-disk"] = {
      [this] {
        return on_one("slow disk", [this](size_t i) {
          cluster_.io(i).delay_syncs(between(milliseconds(5), milliseconds(200)));
        });
      },
      true};
  faults_["sync-error"] = {[this] {
                             return on_one("EIO of a sync", [this](size_t i) {
                               cluster_.allow_end(i);
                               cluster_.io(i).fail_syncs(EIO, 1);
                             });
                           },
                           true};
  faults_["write-error"] = {[this] {
                              return on_one("EIO of a write", [this](size_t i) {
                                cluster_.allow_end(i);
                                cluster_.io(i).fail_writes(EIO, 1);
                              });
                            },
                            true};
  faults_["short-writes"] = {
      [this] {
        return on_one("short writes", [this](size_t i) { cluster_.io(i).shorten_writes(true); });
      },
      true};
}

void Nemesis::define_clock_faults() {
  faults_["clock-jump"] = {
      [this]() -> std::string {
        const size_t node = any_node();
        const auto jump = between(milliseconds(-3'600'000), milliseconds(3'600'000));
        cluster_.io(node).set_wall_offset(jump);
        return "wall clock " + std::to_string(jump.count()) + " ms off on" + list({node});
      },
      true};
  faults_["clock-speed"] = {[this]() -> std::string {
                              const size_t node = favoured_node();
                              const bool fast = random_() % 2 == 0;
                              cluster_.io(node).set_speed(fast ? 2000 : 500);
                              return std::string(fast ? "double" : "half") + " speed of time on" +
                                     list({node});
                            },
                            true};
}

void Nemesis::round(const std::vector<std::string>& names) {
  const Microseconds begin = workload_.now();
  for (const std::string& name : names) {
    const std::string done = faults_.at(name).inject();
    if (done.empty()) continue;  // it does not fit to what is broken already
    ++injected_[name];
    note(done);
  }
  std::this_thread::sleep_for(between(options_.hold_min, options_.hold_max));
  const bool was_outage = refuses_writes_ || cluster_.size() - harmed_.size() < cluster_.majority();
  mend();
  if (was_outage) outages_.push_back({begin, workload_.now()});
  std::this_thread::sleep_for(between(options_.rest_min, options_.rest_max));
}

void Nemesis::mend() {
  for (const size_t i : harmed_) {
    // A node whose disk failed trusts it no more: it ends.
    if (failures_of(i) == failures_[i]) continue;
    CAPTURE(cluster_.node(i).name());
    const bool ended = poll_until(kPatience, [&] { return !cluster_.node(i).is_running(); });
    CHECK(ended);
    failures_[i] = failures_of(i);
  }
  cluster_.heal();
  harmed_.clear();
  network_harmed_ = refuses_writes_ = false;
  note("mended");
}

void Nemesis::run_for(milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  const std::vector<std::string> all = names();
  REQUIRE_FALSE(all.empty());
  while (std::chrono::steady_clock::now() < end && !test_failed()) {
    std::vector<std::string> chosen = {all[random_() % all.size()]};
    if (random_() % 3 == 0) chosen.push_back(all[random_() % all.size()]);
    round(chosen);
  }
}

}  // namespace kvstore::test
