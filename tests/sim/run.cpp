#include "sim/run.hpp"

#include <fmt/format.h>

#include "base/log.hpp"
#include "sim/checker.hpp"
#include "sim/clients.hpp"
#include "sim/lease_attacks.hpp"
#include "sim/lease_clients.hpp"
#include "sim/nemesis.hpp"
#include "sim/plan.hpp"
#include "sim/stale_reads.hpp"
#include "sim/state_comparisons.hpp"

namespace kvstore::sim {
namespace {

constexpr uint64_t kHealLimitUs = 120 * kSecond;

// Logs of the core, with the virtual time in front.
class TraceSink final : public LogSink {
 public:
  TraceSink(const World* world, std::function<void(const std::string&)> trace)
      : world_(world), trace_(std::move(trace)) {
    if (trace_) set_log_sink(this);
  }
  ~TraceSink() override {
    if (trace_) set_log_sink(nullptr);
  }
  bool enabled(LogLevel level, const char*) override { return level >= LogLevel::kDebug; }
  void write(LogLevel, const char* module, const std::string& line) override {
    say(fmt::format("{}: {}", module, line));
  }
  void say(const std::string& line) {
    if (trace_) trace_(fmt::format("[{:>14}] {}", world_->now_us(), line));
  }

 private:
  const World* world_;
  std::function<void(const std::string&)> trace_;
};

class Runner {
 public:
  explicit Runner(const RunOptions& options)
      : options_(options),
        cluster_(options.seed),
        sink_(&cluster_.world, options.trace),
        plan_(Plan::draw(&cluster_)),
        checker_(&cluster_, &result_.coverage),
        clients_(&cluster_, &checker_, plan_.clients, plan_.client_pause_us),
        leases_(&cluster_, &checker_, plan_.lease_clients),
        stale_reads_(&cluster_, &checker_, &result_.coverage),
        lease_attacks_(&cluster_, &result_.coverage),
        nemesis_(&cluster_, &checker_, plan_, &result_.coverage),
        comparisons_(&cluster_, &checker_, &result_.coverage) {
    result_.plan = plan_.describe();
    if (!options.trace) return;
    nemesis_.on_act = [this](const std::string& line) { sink_.say("FAULT " + line); };
    clients_.on_end = [this](const history::Operation& op) {
      sink_.say("client " + history::describe(op));
    };
  }

  RunResult run() {
    sink_.say(result_.plan);
    set_up();
    disturb();
    if (!checker_.failed()) live();
    if (!checker_.failed()) judge();
    finish();
    return std::move(result_);
  }

 private:
  void set_up() {
    wire::ClusterId id{};
    for (uint8_t& byte : id) byte = static_cast<uint8_t>(cluster_.world.random() | 1);
    node::Membership membership;
    raft::Configuration configuration;
    for (size_t i = 0; i < cluster_.size(); ++i) {
      cluster_[i].config.bug = options_.bug;
      const node::MemberInfo member{cluster_[i].id(), cluster_[i].name(), cluster_[i].address()};
      if (i == 0) {
        configuration = node::Membership::bootstrap(member);
        membership = node::Membership::decode(configuration).value();
        continue;
      }
      KVS_ASSERT(membership.admit({member.name, member.address, false}).is_ok());
      KVS_ASSERT(membership.bind(member).is_ok());
      configuration.set({.id = member.id, .voter = true});
    }
    configuration.context = membership.encode_context();
    checker_.look();  // from here on it sees everything
    cluster_.world.after_each = [this] {
      checker_.look();
      leases_.look();
    };
    for (size_t i = 0; i < cluster_.size(); ++i) {
      cluster_[i].bootstrap(id, configuration);
      cluster_[i].disk_faults = plan_.disk;
      cluster_[i].start();
    }
    cluster_.network.faults = plan_.network;
    clients_.start();
    leases_.start();
    stale_reads_.start();
    cluster_.wait_for_leader(2 * kSecond);
  }

  void disturb() {
    for (uint64_t step = 0; step < plan_.steps && !checker_.failed(); ++step) {
      nemesis_.act();
      comparisons_.act();
      if (plan_.leases) lease_attacks_.act();
      cluster_.run_for(cluster_.world.between(kMs, plan_.step_max_us));
    }
  }

  void fail(const char* invariant, const std::string& what) { checker_.violated(invariant, what); }

  // Liveness: with all faults gone, everything is answered, all nodes converge and serve.
  void live() {
    sink_.say("all faults end");
    nemesis_.heal();
    cluster_.run_for(100 * kMs);  // processes that a disk error was about to end have ended
    nemesis_.heal();
    const uint64_t end_us = cluster_.world.now_us() + kHealLimitUs;
    while (!nemesis_.settle() && !checker_.failed()) {
      if (cluster_.world.now_us() > end_us) return fail("liveness: the lost disk is replaced", "");
      cluster_.run_for(200 * kMs);
    }
    // Requests that began before are answered, and new ones succeed, before the clients end.
    cluster_.run_for(2 * kSecond);
    clients_.finish();
    leases_.finish();
    stale_reads_.finish();
    const auto idle = [this] { return clients_.idle() && leases_.idle() && stale_reads_.idle(); };
    if (!cluster_.run_until(idle, kHealLimitUs))
      return fail("each request ends once", "some requests never ended");
    if (!cluster_.run_until([this] { return leases_.all_ended(); }, kHealLimitUs))
      return fail("liveness: leases end", leases_.standing() + standing());
    if (!cluster_.run_until([this] { return cluster_.converged(); }, kHealLimitUs))
      return fail("liveness: all nodes converge", standing());
    const uint64_t acked = clients_.acknowledged();
    for (size_t i = 0; i < cluster_.size() && !checker_.failed(); ++i) serve(i);
    if (!checker_.failed() && clients_.acknowledged() == acked)
      return fail("liveness: the cluster serves", "no member answered");
    if (!checker_.failed()) comparisons_.require_agreement();
    if (!cluster_.run_until([this] { return cluster_.converged(); }, kHealLimitUs))
      return fail("liveness: all nodes converge", standing());
  }

  // A write and a read of everything on each member.
  void serve(size_t i) {
    const std::optional<size_t> leads = cluster_.leader();
    if (!leads) return;  // it may change while another node is asked
    if ((*leads == i ? cluster_[i] : cluster_[*leads])
            .raft()
            .configuration()
            .find(cluster_[i].id()) == nullptr) {
      return;
    }
    Code code = Code::kOk;
    // Membership calls of before may wait a while yet and hold a tiny budget of requests.
    for (int attempt = 0; attempt < 30; ++attempt) {
      code = cluster_.wait(cluster_.put(i, "last", cluster_[i].name()));
      if (code == Code::kOk || checker_.failed()) break;
      cluster_.run_for(kSecond);
    }
    if (code != Code::kOk)
      return fail(
          "liveness: the cluster serves",
          fmt::format("a put on {}: {}; {}", cluster_[i].name(), code_name(code), standing()));
    clients_.read_all(i);
    cluster_.run_until([this] { return clients_.idle(); }, kHealLimitUs);
  }

  std::string standing() {
    std::string text;
    for (size_t i = 0; i < cluster_.size(); ++i) {
      SimNode& node = cluster_[i];
      if (!node.running()) {
        text += fmt::format("{} down; ", node.name());
        continue;
      }
      const raft::RaftNode& raft = node.raft();
      text += fmt::format("{} {} term {} log {}..{} commit {} applied {}{}; ", node.name(),
                          raft::role_name(raft.role()), raft.term().value,
                          raft.log().first_index().value, raft.log().last().index.value,
                          raft.commit_index().value, raft.applied_index().value,
                          node.node().failed() ? " failed" : "");
    }
    return text;
  }

  void judge() {
    if (!cluster_.states_agree()) return fail("deterministic state", "at the end: " + standing());
    const history::CheckResult checked = history::check(clients_.history());
    if (checked.verdict == history::Verdict::kGaveUp)
      return fail("linearizability: the checker gave up", checked.report);
    if (!checked) fail("linearizability", checked.report);
  }

  void finish() {
    cluster_.world.after_each = nullptr;
    const NetworkCounts& counts = cluster_.network.counts();
    result_.coverage.count(Fault::kMessageDropped, counts.dropped);
    result_.coverage.count(Fault::kMessageDuplicated, counts.duplicated);
    result_.coverage.count(Fault::kMessageReordered, counts.reordered);
    result_.coverage.count(Fault::kLaneFull, counts.lane_full);
    result_.coverage.count(Fault::kSnapshotFlipped, counts.streams_flipped);
    result_.coverage.count(Fault::kRefusedForSpace, clients_.refused_for_space());
    result_.coverage.count(Fault::kRequestReplayed, clients_.replayed());
    result_.coverage.count(Fault::kRequestSentAgain, clients_.sent_again());
    result_.invariant = checker_.invariant();
    result_.what = checker_.what();
    result_.operations = clients_.history().size();
    result_.acknowledged = clients_.acknowledged();
    result_.unknown = clients_.unknown();
    result_.virtual_us = cluster_.world.now_us() - 1'000'000 * kMs;
    // Requests that are still open end while their clients exist.
    for (size_t i = 0; i < cluster_.size(); ++i) {
      cluster_[i].probe = nullptr;
      if (cluster_[i].running()) cluster_[i].crash(SimNode::Crash::kProcess);
    }
    if (!result_.good()) sink_.say("VIOLATED " + result_.invariant + ": " + result_.what);
  }

  const RunOptions& options_;
  RunResult result_;
  SimCluster cluster_;
  TraceSink sink_;
  Plan plan_;
  Checker checker_;
  Clients clients_;
  LeaseClients leases_;
  StaleReads stale_reads_;
  LeaseAttacks lease_attacks_;
  Nemesis nemesis_;
  StateComparisons comparisons_;
};

}  // namespace

RunResult run(const RunOptions& options) {
  return Runner(options).run();
}

}  // namespace kvstore::sim
