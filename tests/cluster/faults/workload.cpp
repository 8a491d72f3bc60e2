#include "faults/workload.hpp"

#include <algorithm>
#include <optional>
#include <sstream>

namespace kvstore::test {
namespace {

using client::ErrorKind;
using history::Operation;
using history::Outcome;
using std::chrono::milliseconds;

Outcome outcome_of(const client::Error& error) {
  switch (error.kind) {
    case ErrorKind::kUnknownOutcome:
    case ErrorKind::kMalformedAnswer:
      return Outcome::kUnknown;
    default:
      return Outcome::kNotDone;
  }
}

Operation of(std::vector<history::Step> steps) {
  Operation operation;
  operation.steps = std::move(steps);
  return operation;
}

std::string register_name(uint64_t generation, uint64_t number) {
  return "r/" + std::to_string(generation) + "/" + std::to_string(number);
}

}  // namespace

// What one client knows: its connection, and what it saw last in each register.
struct Workload::Actor {
  size_t index;
  uint64_t number;  // changes after an unknown outcome
  client::Client client;
  std::string node;  // for reports
  std::mt19937_64 random;
  uint64_t values = 0;
  std::map<std::string, uint64_t> versions = {};  // seen last, 0: absent
  std::string code = {};                          // of the last error, "" if none

  std::string fresh_value() { return std::to_string(index) + ":" + std::to_string(values++); }
};

Workload::Workload(Cluster& cluster, std::filesystem::path file, const WorkloadOptions& options)
    : options_(options),
      file_(std::move(file)),
      servers_(cluster.urls()),
      recorder_(file_.string()),
      next_client_(options.clients) {
  for (size_t i = 0; i < options_.clients; ++i) threads_.emplace_back([this, i] { run(i); });
}

Workload::~Workload() {
  stop();
}

void Workload::stop() {
  stopping_ = true;
  for (auto& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

Microseconds Workload::now() const {
  return static_cast<Microseconds>(std::chrono::duration_cast<std::chrono::microseconds>(
                                       std::chrono::steady_clock::now() - begin_)
                                       .count());
}

void Workload::run(size_t index) {
  client::ClientOptions options;
  const size_t home = index / 2 % servers_.size();
  options.servers = {servers_[home]};
  const bool pinned = index % 2 == 0;
  for (size_t i = 1; !pinned && i < servers_.size(); ++i) {
    options.servers.push_back(servers_[(home + i) % servers_.size()]);
  }
  options.timeout = options_.timeout;
  auto client = client::Client::create(options);
  if (!client) return;
  Actor actor{index, index, std::move(*client), pinned ? "node" + std::to_string(home + 1) : "any",
              std::mt19937_64(options_.seed * 1'000'003 + index)};
  while (!stopping_) {
    act(actor);
    const bool unreachable = actor.code == "unreachable";
    const auto pause = static_cast<int64_t>(actor.random() % (options_.pause.count() + 1));
    std::this_thread::sleep_for(unreachable ? milliseconds(30) : milliseconds(pause));
  }
}

void Workload::act(Actor& actor) {
  if (actor.random() % 4 == 0) {
    put_entry(actor);
  } else {
    touch_register(actor);
  }
}

void Workload::account(const std::string& kind, Outcome outcome, const std::string& code,
                       bool is_write) {
  const Microseconds time = now();
  const std::lock_guard lock(mutex_);
  Count& count = counts_[kind];
  ++(outcome == Outcome::kOk ? count.ok
                             : (outcome == Outcome::kUnknown ? count.unknown : count.not_done));
  if (!code.empty()) ++errors_[code];
  if (is_write && outcome == Outcome::kOk) {
    write_times_.push_back(time);
    ++acknowledged_writes_;
  }
}

void Workload::put_entry(Actor& actor) {
  const std::string key = "e/" + std::to_string(actor.index) + "/" + std::to_string(actor.values);
  const std::string value = actor.fresh_value() + std::string(actor.random() % 200, '.');
  const auto result = actor.client.put(key, value);
  actor.code = result ? "" : result.error().code;
  const Outcome outcome = result ? Outcome::kOk : outcome_of(result.error());
  account("entry", outcome, actor.code, true);
  const std::lock_guard lock(mutex_);
  if (outcome == Outcome::kOk) acknowledged_[key] = value;
  if (outcome == Outcome::kUnknown) unknown_[key] = value;
}

template <typename Call>
void Workload::record(Actor& actor, const std::string& kind, Operation operation,
                      const Call& call) {
  operation.client = actor.number;
  operation.node = actor.node;
  operation.call_us = now();
  const size_t number = recorder_.call(operation);
  const std::optional<client::Error> error = call(operation);
  operation.return_us = now();
  operation.outcome = error ? outcome_of(*error) : Outcome::kOk;
  actor.code = error ? error->code : "";
  if (operation.outcome == Outcome::kUnknown) actor.number = next_client_++;
  const bool is_write = operation.writes() && operation.held;
  account(kind, operation.outcome, actor.code, is_write);
  recorder_.finish(number, std::move(operation));
}

void Workload::touch_register(Actor& actor) {
  const uint64_t per_generation = options_.registers * options_.operations_per_register;
  const uint64_t generation = register_operations_++ / per_generation;
  const std::string key = register_name(generation, actor.random() % options_.registers);
  {
    const std::lock_guard lock(mutex_);
    register_names_.insert(key);
  }
  uint64_t& version = actor.versions[key];
  const uint64_t choice = actor.random() % 100;
  if (choice < 45) {
    record(actor, "get", of({history::get(key)}), [&](Operation& op) {
      const auto result = actor.client.get(key);
      if (result) {
        version = result->item.mod_revision;
        op.steps[0] = history::present(key, result->item.value, version);
        op.revision = result->info.revision;
        return std::optional<client::Error>();
      }
      if (result.error().kind != ErrorKind::kNotFound) return std::optional(result.error());
      version = 0;
      op.steps[0] = history::absent(key);
      return std::optional<client::Error>();
    });
    return;
  }
  if (choice < 92) {
    const bool conditional = choice >= 65;
    const std::string value = actor.fresh_value();
    client::Condition condition;
    Operation operation;
    if (conditional) {
      operation.steps.push_back(history::expect(key, version));
      condition.absent = version == 0;
      if (version != 0) condition.mod_revision = version;
    }
    operation.steps.push_back(history::put(key, value));
    record(actor, conditional ? "compare-and-set" : "put", operation, [&](Operation& op) {
      const auto result = actor.client.put(key, value, condition);
      if (result) {
        version = op.revision = op.steps.back().version = result->revision;
        return std::optional<client::Error>();
      }
      if (result.error().kind != ErrorKind::kConditionFailed) return std::optional(result.error());
      op.held = false;
      version = result.error().current_revision;
      return std::optional<client::Error>();
    });
    return;
  }
  record(actor, "delete", of({history::remove(key)}), [&](Operation& op) {
    const auto result = actor.client.del(key);
    if (!result) return std::optional(result.error());
    version = 0;
    // A delete of nothing changes nothing, and its revision may be another write's.
    if (result->deleted > 0) op.revision = result->info.revision;
    return std::optional<client::Error>();
  });
}

std::string Workload::verify(Cluster& cluster, Node& node) {
  const auto entries = cluster.read_all(node, "e/");
  const Microseconds call = now();
  const auto registers = cluster.read_all(node, "r/");
  const Microseconds returned = now();
  const uint64_t client = next_client_++;
  const std::lock_guard lock(mutex_);
  for (const std::string& name : register_names_) {
    const auto found = registers.find(name);
    Operation read = of(
        {found == registers.end() ? history::absent(name) : history::present(name, found->second)});
    read.client = client;
    read.node = node.name();
    read.call_us = call;
    read.return_us = returned;
    read.outcome = Outcome::kOk;
    const size_t number = recorder_.call(read);
    recorder_.finish(number, std::move(read));
  }
  std::ostringstream wrong;
  for (const auto& [key, value] : acknowledged_) {
    const auto found = entries.find(key);
    if (found == entries.end()) {
      wrong << "acknowledged but lost: " << key << "\n";
    } else if (found->second != value) {
      wrong << "not what was acknowledged: " << key << "\n";
    }
  }
  for (const auto& [key, value] : entries) {
    const auto maybe = unknown_.find(key);
    if (acknowledged_.count(key) == 0 && (maybe == unknown_.end() || maybe->second != value)) {
      wrong << "answered 'not done', but there: " << key << "\n";
    }
  }
  return wrong.str();
}

history::CheckResult Workload::check() const {
  history::CheckOptions options;
  options.steps_max = 5'000'000;
  return history::check(recorder_.history(), options);
}

std::map<std::string, Workload::Count> Workload::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

uint64_t Workload::operations() const {
  uint64_t sum = 0;
  for (const auto& [kind, count] : counts()) sum += count.ok + count.not_done + count.unknown;
  return sum;
}

std::map<std::string, uint64_t> Workload::errors() const {
  const std::lock_guard lock(mutex_);
  return errors_;
}

Interval Workload::longest_without_writes(const std::vector<Interval>& excused) const {
  std::vector<Microseconds> times;
  {
    const std::lock_guard lock(mutex_);
    times = write_times_;
  }
  std::sort(times.begin(), times.end());
  Interval longest{0, 0};
  for (size_t i = 1; i < times.size(); ++i) {
    Microseconds begin = times[i - 1];
    for (const Interval& interval : excused) {
      if (interval.begin < times[i] && interval.end > begin) begin = interval.end;
    }
    if (begin < times[i] && times[i] - begin > longest.end - longest.begin) {
      longest = {begin, times[i]};
    }
  }
  return longest;
}

}  // namespace kvstore::test
