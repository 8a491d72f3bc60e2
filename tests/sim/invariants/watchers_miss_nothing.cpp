// A watcher sees each change of its range once and in order, whichever nodes serve it one after the
// other: over crashes, snapshot installs and compactions, also when it is slow.
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "kv/watch_hub.hpp"
#include "sim/invariants.hpp"

namespace kvstore::sim {
namespace {

// One change as the first node that had it told it.
struct Told {
  std::string key;
  uint64_t digest = 0;
};

uint64_t digest_of(const kv::ChangeView& change) {
  uint64_t sum = 0xcbf29ce484222325u + static_cast<uint64_t>(change.kind);
  for (char c : change.now.value) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return sum * 31 + change.now.mod_revision * 7 + change.now.version;
}

class WatchersMissNothing;

// Goes from node to node with the revision that it has.
struct Client final : kv::WatchListener {
  WatchersMissNothing* owner = nullptr;
  std::string name;
  kv::Range range;
  uint64_t next = 1;   // the first revision not seen whole
  size_t seen = 0;     // changes of its range at `next` that were delivered
  size_t node = 0;     // that serves it
  bool ended = false;  // the watch is to be opened again
  kv::Watcher* watcher = nullptr;

  void on_changes(std::span<const kv::ChangeView> changes, uint64_t revision) override;
  void on_progress(uint64_t revision) override;
  void on_end(const Status& why, uint64_t revision) override;
  void reach(uint64_t revision);
};

class WatchersMissNothing final : public Invariant {
 public:
  WatchersMissNothing() {
    using Kind = kv::Range::Kind;
    for (const kv::Range& range :
         {kv::Range{Kind::kAll, "", ""}, kv::Range{Kind::kPrefix, "k", ""},
          kv::Range{Kind::kFrom, "k2", ""}, kv::Range{Kind::kKey, "k1", ""}}) {
      auto client = std::make_unique<Client>();
      client->owner = this;
      client->name = fmt::format("watcher {}", clients_.size());
      client->range = range;
      client->node = clients_.size();
      clients_.push_back(std::move(client));
    }
  }
  const char* name() const override { return "watchers miss nothing"; }

  void on_state(Checker& checker, SimNode& node) override {
    checker_ = &checker;
    learn(node);
    const size_t number = number_of(checker, node);
    Server& server = servers_[number];
    if (server.hub == nullptr || server.life != node.life()) restart(&server, number, node);
    for (auto& client : clients_) settle(client.get(), &server, number);
    for (uint64_t steps = draw() % 4; steps > 0 && !checker.failed(); --steps) {
      Result<bool> more = server.hub->step(*kv::read_revision(**node.store().open_view()));
      if (!more) violated(fmt::format("{}: {}", node.name(), more.status().to_string()));
      if (!more || !*more) break;
    }
    if (draw() % 4 == 0) server.hub->report_progress();
  }

  // The next change of the client's range from its place on; null when none is known.
  const Told* expected(const Client& client, uint64_t revision) const {
    const auto at = told_.find(revision);
    if (at == told_.end()) return nullptr;
    size_t left = client.seen;
    for (const Told& told : at->second) {
      if (kv::KeyInterval(client.range).contains(told.key) && left-- == 0) return &told;
    }
    return nullptr;
  }
  // The first revision from `from` on that changed the range; 0: none is known.
  uint64_t next_change(const Client& client, uint64_t from) const {
    const kv::KeyInterval interval(client.range);
    for (auto at = told_.lower_bound(from); at != told_.end(); ++at) {
      for (const Told& told : at->second) {
        if (interval.contains(told.key)) return at->first;
      }
    }
    return 0;
  }
  void violated(const std::string& what) { checker_->violated(name(), what); }
  Coverage& coverage() { return checker_->coverage(); }

 private:
  struct Server {
    std::unique_ptr<kv::WatchHub> hub;
    uint64_t life = 0;
  };

  // Not the world's numbers: looking must not change what happens.
  uint64_t draw() {
    random_ = random_ * 6364136223846793005u + 1442695040888963407u;
    return random_ >> 33;
  }

  static size_t number_of(Checker& checker, const SimNode& node) {
    size_t number = 0;
    while (&checker.cluster()[number] != &node) ++number;
    return number;
  }

  // What this node is the first to tell.  A revision that is compacted with the batch that made it
  // may still be told by a node that is behind.
  void learn(SimNode& node) {
    auto view = node.store().open_view();
    const kv::Revisions revisions = *kv::read_revisions(**view);
    for (; learnt_ < revisions.current; ++learnt_) unknown_.insert(learnt_ + 1);
    const auto first = unknown_.upper_bound(revisions.compacted);
    const auto last = unknown_.upper_bound(revisions.current);
    if (first == last) return;
    const uint64_t from = *first;
    kv::ChangeOptions options;
    options.range.kind = kv::Range::Kind::kAll;
    auto read = kv::read_changes(**view, {from, 0}, options, [&](const kv::ChangeView& change) {
      if (unknown_.count(change.revision) == 0) return true;
      told_[change.revision].push_back({std::string(change.now.key), digest_of(change)});
      return true;
    });
    if (!read) violated(fmt::format("{}: {}", node.name(), read.status().to_string()));
    unknown_.erase(first, last);
  }

  void restart(Server* server, size_t number, SimNode& node) {
    for (auto& client : clients_) {
      if (client->node == number) client->watcher = nullptr;
    }
    kv::WatchLimits limits;
    limits.batch_changes = 1 + draw() % 8;
    limits.batch_bytes = 100 + draw() % 4000;
    limits.lag_bytes_max = 500 + draw() % 8000;
    server->hub = std::make_unique<kv::WatchHub>(&node.store(), limits);
    server->life = node.life();
  }

  // Opens, moves and feeds the client.
  void settle(Client* client, Server* server, size_t number) {
    const bool here = client->node == number;
    if (here && client->watcher != nullptr && (client->ended || draw() % 64 == 0)) {
      server->hub->close(client->watcher);
      client->watcher = nullptr;
      // To whichever node shows itself next.
      client->node = SIZE_MAX;
      coverage().count(Fault::kWatchMoved);
      return;
    }
    if (here && client->watcher != nullptr) {
      if (draw() % 3 != 0) server->hub->credit(client->watcher, draw() % 3);
      return;
    }
    if (client->watcher != nullptr) {
      if (checker_->cluster()[client->node].running()) return;
      // Its node is down.
      servers_[client->node].hub->close(client->watcher);
      client->watcher = nullptr;
      client->node = SIZE_MAX;
      coverage().count(Fault::kWatchMoved);
    }
    if (client->node < servers_.size() && !here && draw() % 8 != 0) return;
    client->node = number;
    client->ended = false;
    client->seen = 0;
    client->watcher =
        server->hub->open({client->range, client->next, false, true, draw() % 3}, client);
  }

  Checker* checker_ = nullptr;
  std::map<uint64_t, std::vector<Told>> told_;  // by revision
  uint64_t learnt_ = 0;                         // the newest revision of all nodes
  std::set<uint64_t> unknown_;                  // up to it, those that nobody told of yet
  std::map<size_t, Server> servers_;
  std::vector<std::unique_ptr<Client>> clients_;
  uint64_t random_ = 7;
};

void Client::on_changes(std::span<const kv::ChangeView> changes, uint64_t revision) {
  for (const kv::ChangeView& change : changes) {
    if (change.revision != next) reach(change.revision - 1);
    const Told* told = owner->expected(*this, change.revision);
    if (change.revision != next || told == nullptr || told->key != change.now.key ||
        told->digest != digest_of(change)) {
      return owner->violated(fmt::format("{} was told of {} at revision {}, which is not next",
                                         name, change.now.key, change.revision));
    }
    ++seen;
  }
  reach(revision);
}

void Client::on_progress(uint64_t revision) {
  reach(revision);
}

void Client::on_end(const Status& why, uint64_t revision) {
  ended = true;
  if (why.code() == Code::kCompacted) {
    // It reads the present, and goes on from there.
    owner->coverage().count(Fault::kWatchCompacted);
    next = std::max(next, revision + 1);
    seen = 0;
    return;
  }
  reach(revision);
}

// Everything up to the revision is said to be delivered.
void Client::reach(uint64_t revision) {
  if (revision < next) return;
  const bool missed = owner->expected(*this, next) != nullptr;
  const uint64_t later = owner->next_change(*this, next + 1);
  if (missed || (later != 0 && later <= revision)) {
    owner->violated(
        fmt::format("{} was told that it has everything up to revision {}, and never "
                    "got a change of revision {}",
                    name, revision, missed ? next : later));
  }
  next = revision + 1;
  seen = 0;
}

}  // namespace

std::unique_ptr<Invariant> watchers_miss_nothing() {
  return std::make_unique<WatchersMissNothing>();
}

}  // namespace kvstore::sim
