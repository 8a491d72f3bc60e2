#include "sim/lease_clients.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "kv/command_codec.hpp"
#include "kv/lease_records.hpp"

namespace kvstore::sim {
namespace {

constexpr uint64_t kTimeoutMs = 1'500;
// Every lease key begins so; other clients' keys do not.
constexpr const char* kPrefix = "lease-";

// The number after "id": in an answer; 0 when there is none.
uint64_t id_in(const std::string& json) {
  const size_t at = json.find("\"id\":");
  return at == std::string::npos ? 0 : std::strtoull(json.c_str() + at + 5, nullptr, 10);
}

}  // namespace

LeaseClients::LeaseClients(SimCluster* cluster, Checker* checker, uint64_t count)
    : cluster_(cluster), checker_(checker) {
  for (uint64_t i = 0; i < count; ++i) fixed_.push_back(++last_fixed_);
}

void LeaseClients::start() {
  for (size_t i = 0; i < fixed_.size(); ++i) live(i);
}

void LeaseClients::later(uint64_t delay_us, std::function<void()> action) {
  cluster_->world.after(delay_us, std::move(action));
}

size_t LeaseClients::some_node() {
  if (std::optional<size_t> leads = cluster_->leader(); leads && cluster_->world.chance(40))
    return *leads;
  for (int attempt = 0; attempt < 20; ++attempt) {
    const size_t node = cluster_->world.below(cluster_->size());
    if ((*cluster_)[node].running()) return node;
  }
  return SIZE_MAX;
}

void LeaseClients::live(size_t client) {
  later(cluster_->world.below(400 * kMs), [this, client] {
    if (finishing_) return;
    ++open_;
    auto life = std::make_shared<Life>();
    life->client = client;
    life->ttl_ms = cluster_->world.between(200, 1'500);
    life->turns = cluster_->world.below(5);
    if (cluster_->world.chance(70))
      begin_lease(life);
    else
      begin_ttl(life);
  });
}

void LeaseClients::end(const LifePtr& life) {
  --open_;
  live(life->client);
}

void LeaseClients::call(const std::string& verb, const std::string& json, Answer answer) {
  const size_t node = some_node();
  if (node == SIZE_MAX) {
    node::ControlOutcome none;
    none.code = Code::kUnreachable;
    return later(kMs, [answer, none] { answer(none); });
  }
  auto control = std::make_unique<node::Control>();
  control->verb = verb;
  control->json = json;
  control->deadline_ms = (*cluster_)[node].clock_ms() + kTimeoutMs;
  control->done = node::Completion<node::ControlOutcome>(
      [answer = std::move(answer)](node::ControlOutcome&& outcome) { answer(outcome); });
  (*cluster_)[node].control(std::move(control));
}

void LeaseClients::put(const LifePtr& life, uint64_t ttl_ms, Put done) {
  const size_t node = some_node();
  if (node == SIZE_MAX) {
    node::ProposalOutcome none;
    none.code = Code::kUnreachable;
    return later(kMs, [done, none] { done(none); });
  }
  kv::Txn txn;
  kv::Op& op = txn.then_ops.emplace_back();
  op.range.key = life->watched->key;
  op.value = "v";
  op.lease = life->lease;
  op.ttl_ms = ttl_ms;
  propose(node, txn, true, std::move(done));
}

void LeaseClients::propose(size_t node, const kv::Command& command, bool may_forward, Put done) {
  auto proposal = std::make_unique<node::Proposal>();
  proposal->command = kv::encode_command(command);
  proposal->deadline_ms = (*cluster_)[node].clock_ms() + kTimeoutMs;
  proposal->may_forward = may_forward;
  proposal->done = node::Completion<node::ProposalOutcome>(
      [done = std::move(done)](node::ProposalOutcome&& outcome) { done(outcome); });
  (*cluster_)[node].submit(std::move(proposal));
}

// ---- a lease with a key

void LeaseClients::begin_lease(const LifePtr& life) {
  const bool fixed = cluster_->world.chance(60);
  const std::string id = fixed ? fmt::format(",\"id\":{}", fixed_[life->client]) : "";
  const uint64_t sent_us = cluster_->world.now_us();
  life->watched = std::make_shared<Watched>();
  life->watched->key = kPrefix + std::to_string(++last_key_);
  call("lease.grant", fmt::format("{{\"ttl_ms\":{}{}}}", life->ttl_ms, id),
       [this, life, sent_us](const node::ControlOutcome& outcome) {
         if (outcome.code != Code::kOk) return end(life);
         life->lease = id_in(outcome.json);
         use_lease(life, sent_us);
       });
}

// The lease was granted.
void LeaseClients::use_lease(const LifePtr& life, uint64_t sent_us) {
  keep(life->watched.get(), sent_us, life->ttl_ms);
  later(0, [this, life] {
    put(life, 0, [this, life](const node::ProposalOutcome& outcome) {
      if (outcome.code == Code::kNotFound) require_end(*life->watched);
      if (outcome.code != Code::kOk) return end(life);
      life->watched->put_at = outcome.at.index;
      watched_.push_back(life->watched);
      go_on_with_lease(life);
    });
  });
}

void LeaseClients::go_on_with_lease(const LifePtr& life) {
  // Mostly in time, often at the last moment or a little too late.
  const bool late = life->turns == 0 || cluster_->world.chance(40);
  const uint64_t pause_ms = late ? life->ttl_ms - 60 + cluster_->world.below(120)
                                 : cluster_->world.below(life->ttl_ms * 3 / 4);
  later(pause_ms * kMs, [this, life] {
    if (life->turns == 0) {
      if (life->lease == fixed_[life->client]) return revoke(life);
      return end(life);
    }
    --life->turns;
    const uint64_t sent_us = cluster_->world.now_us();
    call("lease.keepalive", fmt::format("{{\"id\":{}}}", life->lease),
         [this, life, sent_us](const node::ControlOutcome& outcome) {
           if (outcome.code == Code::kNotFound) {
             require_end(*life->watched);
             return end(life);
           }
           if (outcome.code == Code::kOk) {
             checker_->coverage().count(Fault::kLeaseKept);
             keep(life->watched.get(), sent_us, life->ttl_ms);
           }
           go_on_with_lease(life);
         });
  });
}

// Around the time at which it expires, and the same id is granted at once.
void LeaseClients::revoke(const LifePtr& life) {
  forget(life);
  if (std::optional<size_t> leads = cluster_->leader(); leads && cluster_->world.chance(60))
    return grant_anew(life, *leads);
  call("lease.revoke", fmt::format("{{\"id\":{}}}", life->lease),
       [this, life](const node::ControlOutcome& outcome) {
         // One that may still come could end the next lease.
         if (outcome.code != Code::kOk && outcome.code != Code::kNotFound) {
           fixed_[life->client] = ++last_fixed_;
           return end(life);
         }
         auto next = std::make_shared<Life>(*life);
         next->turns = 1;
         later(0, [this, next] { begin_lease(next); });
       });
}

// Both commands at once, one behind the other in the leader's log: when the second is done, so is
// the first.
void LeaseClients::grant_anew(const LifePtr& life, size_t leader) {
  auto next = std::make_shared<Life>(*life);
  next->turns = 1;
  next->ttl_ms = cluster_->world.between(500, 1'500);
  const uint64_t sent_us = cluster_->world.now_us();
  next->watched = std::make_shared<Watched>();
  next->watched->key = kPrefix + std::to_string(++last_key_);
  propose(leader, kv::LeaseEnd{{{life->lease, 0}}}, false, [](const node::ProposalOutcome&) {});
  propose(leader, kv::LeaseGrant{life->lease, next->ttl_ms}, false,
          [this, next, sent_us](const node::ProposalOutcome& outcome) {
            if (outcome.committed == node::Committed::kUnknown)
              fixed_[next->client] = ++last_fixed_;
            if (outcome.code != Code::kOk) return end(next);
            use_lease(next, sent_us);
          });
}

// ---- a key with a TTL

void LeaseClients::begin_ttl(const LifePtr& life) {
  life->watched = std::make_shared<Watched>();
  life->watched->key = kPrefix + std::to_string(++last_key_);
  const uint64_t sent_us = cluster_->world.now_us();
  put(life, life->ttl_ms, [this, life, sent_us](const node::ProposalOutcome& outcome) {
    if (outcome.code != Code::kOk) return end(life);
    life->watched->put_at = outcome.at.index;
    keep(life->watched.get(), sent_us, life->ttl_ms);
    watched_.push_back(life->watched);
    go_on_with_ttl(life);
  });
}

void LeaseClients::go_on_with_ttl(const LifePtr& life) {
  if (life->turns == 0) return end(life);
  --life->turns;
  later((life->ttl_ms - 60 + cluster_->world.below(120)) * kMs, [this, life] {
    // The last value may have none: it has to stay, until somebody deletes it.
    const bool stays = life->turns == 0 && cluster_->world.chance(50);
    const uint64_t sent_us = cluster_->world.now_us();
    put(life, stays ? 0 : life->ttl_ms, [=, this](const node::ProposalOutcome& outcome) {
      // Whether it has a TTL now, and which, is not known.
      if (outcome.committed == node::Committed::kUnknown) return clean(life);
      if (outcome.code != Code::kOk) return end(life);
      Watched& watched = *life->watched;
      watched.put_at = outcome.at.index;
      watched.gone_us = 0;
      keep(&watched, sent_us, stays ? 60'000 : life->ttl_ms);
      if (std::find(watched_.begin(), watched_.end(), life->watched) == watched_.end())
        watched_.push_back(life->watched);
      if (!stays) return go_on_with_ttl(life);
      later(2 * life->ttl_ms * kMs, [this, life] { clean(life); });
    });
  });
}

// Whatever there is gets a TTL, so that it ends.
void LeaseClients::clean(const LifePtr& life) {
  forget(life);
  later(100 * kMs, [this, life] {
    put(life, 200, [this, life](const node::ProposalOutcome& outcome) {
      if (outcome.code == Code::kOk) return end(life);
      clean(life);
    });
  });
}

// ---- what was promised

void LeaseClients::keep(Watched* watched, uint64_t sent_us, uint64_t ttl_ms) {
  for (size_t i = 0; i < cluster_->size(); ++i)
    fastest_percent_ = std::max(fastest_percent_, (*cluster_)[i].config.clock_percent);
  const uint64_t safe_us = ttl_ms * kMs * 100 / fastest_percent_;
  watched->safe_until_us = std::max(watched->safe_until_us, sent_us + safe_us);
  judge(*watched);
}

void LeaseClients::forget(const LifePtr& life) {
  std::erase(watched_, life->watched);
}

void LeaseClients::judge(const Watched& watched) {
  // A clock that is read in milliseconds and runs at another speed is one of them off.
  if (watched.gone_us == 0 || watched.gone_us + 2 * kMs >= watched.safe_until_us) return;
  checker_->violated("leases live", fmt::format("{} vanished {} us before its time", watched.key,
                                                watched.safe_until_us - watched.gone_us));
}

// An answer says that the lease is not there any more.
void LeaseClients::require_end(const Watched& watched) {
  const uint64_t now_us = cluster_->world.now_us();
  if (now_us + 2 * kMs >= watched.safe_until_us) return;
  checker_->violated("leases live", fmt::format("the lease of {} ended {} us before its time",
                                                watched.key, watched.safe_until_us - now_us));
}

void LeaseClients::look() {
  for (size_t i = 0; i < cluster_->size(); ++i) {
    SimNode& node = (*cluster_)[i];
    if (!node.running() || watched_.empty()) continue;
    const std::pair<uint64_t, raft::Index> now{node.life(), {node.store().share()->applied.index}};
    if (std::exchange(seen_[i], now) != now) look_at(node);
  }
}

void LeaseClients::look_at(SimNode& node) {
  const uint64_t now_us = cluster_->world.now_us();
  const raft::Index applied{node.store().share()->applied.index};
  for (const auto& watched : watched_) {
    if (watched->gone_us != 0 || applied < watched->put_at) continue;
    if (node.local_revision(watched->key) != 0) continue;
    watched->gone_us = now_us;
    checker_->coverage().count(Fault::kLeaseEnded);
    judge(*watched);
  }
  std::erase_if(watched_, [now_us](const auto& watched) {
    return watched->gone_us != 0 && watched->gone_us + kSecond < now_us;
  });
}

bool LeaseClients::all_ended() {
  const std::optional<size_t> leads = cluster_->leader();
  if (!leads) return false;
  const raft::Configuration& members = (*cluster_)[*leads].raft().configuration();
  for (size_t i = 0; i < cluster_->size(); ++i) {
    SimNode& node = (*cluster_)[i];
    if (!node.running() || members.find(node.id()) == nullptr) continue;
    if (!node.list(kPrefix).empty()) return false;
    const auto data = node.store().share();
    const auto system = data->spaces.find(kv::kSpaceSystem);
    if (system == data->spaces.end()) continue;
    const auto lease = system->second.lower_bound(kv::kLeasePrefix);
    if (lease != system->second.end() && Bytes(lease->first).starts_with("lease")) return false;
  }
  return true;
}

std::string LeaseClients::standing() const {
  std::string text;
  for (const auto& watched : watched_) {
    if (watched->gone_us == 0)
      text += fmt::format("{} safe until {}; ", watched->key, watched->safe_until_us);
  }
  return text;
}

}  // namespace kvstore::sim
