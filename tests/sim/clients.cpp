#include "sim/clients.hpp"

#include <algorithm>
#include <utility>

#include "kv/command_codec.hpp"
#include "kv/fingerprint.hpp"

namespace kvstore::sim {
namespace {

using history::Outcome;
using history::Step;

constexpr uint64_t kKeys = 4;           // k0.. : few, so that clients meet
constexpr const char* kBigKey = "big";  // only ever holds values in parts
constexpr uint64_t kTimeoutMaxMs = 3'000;
constexpr int kAttemptsMax = 8;
constexpr uint64_t kRetryPauseUs = 400 * kMs;
constexpr uint64_t kRepeatAfterUs = 3'000 * kMs;
constexpr const char* kOnce = "a request takes effect once";

std::vector<std::string> all_keys() {
  std::vector<std::string> keys;
  for (uint64_t i = 0; i < kKeys; ++i) keys.push_back("k" + std::to_string(i));
  return keys;
}

kv::Op op_of(kv::Op::Kind kind, const std::string& key, std::string value = {}) {
  kv::Op op;
  op.kind = kind;
  op.range.key = key;
  op.value = std::move(value);
  return op;
}

kv::Compare compare_of(const std::string& key, uint64_t version) {
  kv::Compare compare;
  compare.target = kv::Compare::Target::kModRevision;
  compare.range.key = key;
  compare.number = version;
  return compare;
}

Step seen(const std::string& key, const kv::OpResult& result) {
  if (result.items.empty()) return history::absent(key);
  return history::present(key, result.items[0].value, result.items[0].mod_revision);
}

}  // namespace

Clients::Clients(SimCluster* cluster, Checker* checker, uint64_t count, uint64_t pause_us)
    : cluster_(cluster), checker_(checker), clients_(count), pause_us_(pause_us) {}

void Clients::start() {
  for (size_t i = 0; i < clients_.size(); ++i) {
    clients_[i] = {++last_client_, cluster_->world.below(cluster_->size())};
    think(i);
  }
}

void Clients::think(size_t client) {
  cluster_->world.after(cluster_->world.below(pause_us_ + 1), [this, client] {
    if (!finishing_) next_operation(client);
  });
}

void Clients::next_operation(size_t client) {
  World& world = cluster_->world;
  if (world.chance(30)) clients_[client].home = world.below(cluster_->size());
  const size_t node = clients_[client].home;
  if (!(*cluster_)[node].running()) {
    clients_[client].home = world.below(cluster_->size());
    return think(client);
  }
  begin(client, node);
}

std::string Clients::draw_key() {
  return "k" + std::to_string(cluster_->world.below(kKeys));
}

std::string Clients::fresh_value() {
  return "v" + std::to_string(++last_value_);
}

// Mostly the newest version that was heard of, sometimes one that cannot be right.
uint64_t Clients::draw_version(const std::string& key) {
  const uint64_t known = last_version_[key];
  return cluster_->world.chance(80) ? known : cluster_->world.below(known + 1);
}

void Clients::begin(size_t client, size_t node) {
  auto call = std::make_shared<Call>();
  call->client = client;
  call->node = node;
  call->op.client = clients_[client].number;
  call->op.node = (*cluster_)[node].name();
  call->op.call_us = cluster_->world.now_us();
  call->floor = checker_->ledger().acked_revision;
  ++open_;
  const uint64_t dice = cluster_->world.below(100);
  if (dice < 25) {
    kv::Txn txn;
    call->op.steps = {history::put(draw_key(), fresh_value())};
    txn.then_ops = {op_of(kv::Op::Kind::kPut, call->op.steps[0].key, call->op.steps[0].value)};
    write(call, std::move(txn));
  } else if (dice < 50) {
    read(call, {cluster_->world.chance(15) ? kBigKey : draw_key()}, false);
  } else if (dice < 57) {
    read(call, all_keys(), true);
  } else if (dice < 64) {
    kv::Txn txn;
    call->op.steps = {history::remove(draw_key())};
    txn.then_ops = {op_of(kv::Op::Kind::kDelete, call->op.steps[0].key)};
    write(call, std::move(txn));
  } else if (dice < 80) {
    compare_and_set(call);
  } else if (dice < 94) {
    transact(call);
  } else {
    upload(call);
  }
}

void Clients::compare_and_set(const CallPtr& call) {
  const std::string key = draw_key();
  const uint64_t version = draw_version(key);
  call->op.steps = {history::expect(key, version), history::put(key, fresh_value())};
  kv::Txn txn;
  txn.compares = {compare_of(key, version)};
  txn.then_ops = {op_of(kv::Op::Kind::kPut, key, call->op.steps[1].value)};
  txn.else_ops = {op_of(kv::Op::Kind::kGet, key)};
  write(call, std::move(txn));
}

// Reads two keys and writes both if one of them is as expected.
void Clients::transact(const CallPtr& call) {
  const std::string a = draw_key();
  std::string b = draw_key();
  if (a == b) b = a == "k0" ? "k1" : "k0";
  kv::Txn txn;
  if (cluster_->world.chance(50)) {
    const uint64_t version = draw_version(a);
    call->op.steps.push_back(history::expect(a, version));
    txn.compares = {compare_of(a, version)};
  }
  call->op.steps.push_back(history::put(a, fresh_value()));
  const bool removes = cluster_->world.chance(25);
  call->op.steps.push_back(removes ? history::remove(b) : history::put(b, fresh_value()));
  txn.then_ops = {
      op_of(kv::Op::Kind::kGet, a), op_of(kv::Op::Kind::kGet, b),
      op_of(kv::Op::Kind::kPut, a, (call->op.steps.end() - 2)->value),
      op_of(removes ? kv::Op::Kind::kDelete : kv::Op::Kind::kPut, b, call->op.steps.back().value)};
  txn.else_ops = {op_of(kv::Op::Kind::kGet, a), op_of(kv::Op::Kind::kGet, b)};
  write(call, std::move(txn));
}

// Part by part, as the HTTP front does; here one part is the whole value.
void Clients::upload(const CallPtr& call) {
  call->upload = fresh_value() + std::string(cluster_->world.below(200), '.');
  call->op.steps = {history::put(kBigKey, call->upload)};
  kv::Txn txn;
  txn.then_ops = {op_of(kv::Op::Kind::kPut, kBigKey)};
  txn.then_ops[0].upload_id = 1;  // each attempt has its own
  txn.then_ops[0].upload_bytes = call->upload.size();
  write(call, std::move(txn));
}

node::Completion<node::ProposalOutcome> Clients::once(const CallPtr& call, Done done) {
  auto answered = std::make_shared<bool>(false);
  return node::Completion<node::ProposalOutcome>(
      [this, call, answered, done = std::move(done)](node::ProposalOutcome&& outcome) {
        if (std::exchange(*answered, true))
          return checker_->violated("each request ends once", history::describe(call->op));
        done(outcome);
      });
}

void Clients::propose(const CallPtr& call, const kv::Command& command, Done done) {
  SimNode& node = (*cluster_)[call->node];
  auto proposal = std::make_unique<node::Proposal>();
  proposal->command = kv::encode_command(command);
  proposal->deadline_ms = node.clock_ms() + cluster_->world.between(200, kTimeoutMaxMs);
  proposal->done = once(call, std::move(done));
  node.submit(std::move(proposal));
}

void Clients::write(const CallPtr& call, kv::Txn txn) {
  if (cluster_->world.chance(60)) {
    kv::ContentHash content;
    content.add(call->upload);
    std::vector<kv::Fingerprint> contents;
    if (!call->upload.empty()) contents = {content.sum()};
    txn.request =
        kv::RequestId{"", "r" + std::to_string(++last_request_), kv::fingerprint_of(txn, contents)};
  }
  call->txn = std::move(txn);
  attempt(call);
}

void Clients::attempt(const CallPtr& call) {
  if (!(*cluster_)[call->node].running()) return attempt_failed(call, false);
  ++call->attempts;
  const Done done = [this, call](node::ProposalOutcome& outcome) { take_write(call, outcome); };
  if (call->upload.empty()) return propose(call, call->txn, done);
  const uint64_t id = cluster_->world.random() | 1;
  call->txn.then_ops[0].upload_id = id;
  propose(call, kv::UploadPart{id, 0, call->upload},
          [this, call, done](node::ProposalOutcome& outcome) {
            // Without all of its parts the value is never put.
            if (outcome.code != Code::kOk) return attempt_failed(call, false);
            cluster_->world.after(0, [this, call, done] {
              if (!(*cluster_)[call->node].running()) return attempt_failed(call, false);
              propose(call, call->txn, done);
            });
          });
}

// Under an id what may have been done is tried again somewhere else.
void Clients::attempt_failed(const CallPtr& call, bool maybe) {
  call->maybe = call->maybe || maybe;
  if (!call->maybe) return end(call, Outcome::kNotDone);
  if (!call->txn.request || call->attempts >= kAttemptsMax) return end(call, Outcome::kUnknown);
  cluster_->world.after(cluster_->world.below(kRetryPauseUs), [this, call] {
    call->node = cluster_->world.below(cluster_->size());
    if (!(*cluster_)[call->node].running()) ++call->attempts;
    attempt(call);
  });
}

void Clients::take_write(const CallPtr& call, node::ProposalOutcome& outcome) {
  const bool ok = outcome.code == Code::kOk;
  if (ok != (outcome.committed == node::Committed::kYes))
    checker_->violated("an answer says whether it was done", history::describe(call->op));
  if (outcome.code == Code::kConflict)
    return checker_->violated(kOnce, "its own id is refused: " + history::describe(call->op));
  if (!ok) {
    if (outcome.code == Code::kNoSpace) ++refused_for_space_;
    return attempt_failed(call, outcome.committed == node::Committed::kUnknown);
  }
  if (outcome.result.replayed) {
    if (!call->maybe)
      return checker_->violated(kOnce,
                                "answered before it was sent: " + history::describe(call->op));
    ++replayed_;
    checker_->ledger().acked_revision =
        std::max(checker_->ledger().acked_revision, outcome.result.revision);
  } else {
    checker_->acknowledged(outcome.at, outcome.result.revision);
  }
  if (call->txn.request && cluster_->world.chance(15)) send_again(call, outcome.result);
  if (call->txn.request && cluster_->world.chance(5)) misuse_id(call);
  take_result(call, outcome.result);
}

// A request that was answered: its repetition, whenever it comes, has the same answer.
void Clients::send_again(const CallPtr& call, const kv::CommandResult& first) {
  auto again = std::make_shared<Call>(*call);
  kv::CommandResult expected = first;
  expected.replayed = true;
  ++open_;
  cluster_->world.after(cluster_->world.below(kRepeatAfterUs), [this, again, expected] {
    --open_;
    again->node = cluster_->world.below(cluster_->size());
    if (!(*cluster_)[again->node].running()) return;
    ++open_;
    propose(again, again->txn, [this, again, expected](node::ProposalOutcome& outcome) {
      --open_;
      const bool refused = outcome.code == Code::kConflict;
      if (outcome.code != Code::kOk && !refused) return;
      ++sent_again_;
      if (refused || outcome.result != expected)
        checker_->violated(kOnce, "repeated: " + history::describe(again->op));
    });
  });
}

void Clients::misuse_id(const CallPtr& call) {
  auto other = std::make_shared<Call>(*call);
  other->txn = {};
  other->txn.then_ops = {op_of(kv::Op::Kind::kDelete, "never written")};
  other->txn.request = call->txn.request;
  other->txn.request->fingerprint = kv::fingerprint_of(other->txn, {});
  ++open_;
  cluster_->world.after(0, [this, other] {
    --open_;
    if (!(*cluster_)[other->node].running()) return;
    ++open_;
    propose(other, other->txn, [this, other](node::ProposalOutcome& outcome) {
      --open_;
      if (outcome.code == Code::kOk)
        checker_->violated(kOnce, "an id of another request: " + history::describe(other->op));
    });
  });
}

// What the answer to a write says, into the history.
void Clients::take_result(const CallPtr& call, const kv::CommandResult& result) {
  history::Operation& op = call->op;
  op.revision = result.revision;
  op.held = result.succeeded;
  std::vector<Step> steps;
  for (Step step : op.steps) {
    if (step.kind == Step::Kind::kPut) {
      if (op.held) step.version = op.revision;
      last_version_[step.key] = std::max(last_version_[step.key], step.version);
    }
    steps.push_back(std::move(step));
  }
  // The keys that were read, in the order in which the transaction names them.
  std::vector<std::string> keys;
  for (const Step& step : op.steps) {
    if (std::find(keys.begin(), keys.end(), step.key) == keys.end()) keys.push_back(step.key);
  }
  size_t at = 0;
  for (const kv::OpResult& read : result.ops) {
    if (read.kind == kv::Op::Kind::kGet && at < keys.size())
      steps.push_back(seen(keys[at++], read));
  }
  op.steps = std::move(steps);
  end(call, Outcome::kOk);
}

void Clients::read(const CallPtr& call, std::vector<std::string> keys, bool list) {
  for (const std::string& key : keys) call->op.steps.push_back(history::get(key));
  SimNode& node = (*cluster_)[call->node];
  auto read = std::make_unique<node::Read>();
  read->deadline_ms = node.clock_ms() + cluster_->world.between(200, kTimeoutMaxMs);
  if (cluster_->world.chance(50)) read->consistency = node::Consistency::kLease;
  const uint64_t before = node.node().counters().lease_reads;
  read->done = node::Completion<node::ReadOutcome>(
      [this, call, list, keys = std::move(keys)](node::ReadOutcome&& outcome) {
        take_read(call, keys, list, outcome);
      });
  node.read(std::move(read));
  if (node.running() && node.node().counters().lease_reads > before)
    checker_->coverage().count(Fault::kLeaseRead);
}

void Clients::take_read(const CallPtr& call, const std::vector<std::string>& keys, bool list,
                        const node::ReadOutcome& outcome) {
  if (outcome.code != Code::kOk) return end(call, Outcome::kNotDone);
  SimNode& node = (*cluster_)[call->node];
  history::Operation& op = call->op;
  op.revision = node.store_revision();
  checker_->read_answered(op.revision, call->floor);
  std::map<std::string, SimNode::Found> found;
  if (list) {
    for (auto& [key, item] : node.list("k")) found[key] = item;
  } else if (std::optional<SimNode::Found> item = node.find(keys[0])) {
    found[keys[0]] = *item;
  }
  op.steps.clear();
  for (const std::string& key : keys) {
    auto it = found.find(key);
    if (it == found.end()) {
      op.steps.push_back(history::absent(key));
      continue;
    }
    op.steps.push_back(history::present(key, it->second.value, it->second.revision));
    last_version_[key] = std::max(last_version_[key], it->second.revision);
  }
  end(call, Outcome::kOk);
}

void Clients::end(const CallPtr& call, Outcome outcome) {
  if (std::exchange(call->ended, true))
    return checker_->violated("each request ends once", history::describe(call->op));
  call->op.outcome = outcome;
  call->op.return_us = cluster_->world.now_us();
  --open_;
  if (outcome == Outcome::kOk) ++acknowledged_;
  if (outcome == Outcome::kUnknown) ++unknown_;
  if (on_end) on_end(call->op);
  history_.push_back(call->op);
  if (call->client >= clients_.size()) return;  // read_all
  if (outcome == Outcome::kUnknown) clients_[call->client].number = ++last_client_;
  think(call->client);
}

void Clients::read_all(size_t node) {
  for (bool list : {true, false}) {
    auto call = std::make_shared<Call>();
    call->client = SIZE_MAX;
    call->node = node;
    call->op.client = ++last_client_;
    call->op.node = (*cluster_)[node].name();
    call->op.call_us = cluster_->world.now_us();
    call->floor = checker_->ledger().acked_revision;
    ++open_;
    read(call, list ? all_keys() : std::vector<std::string>{kBigKey}, list);
  }
}

}  // namespace kvstore::sim
