// Goal: whatever commands come, in whatever batches, the machine does what the data model says.
// Method: random commands over few keys and uploads, so that they meet; a simple model that never
// forgets gives the expected results, content, past and changes; the same log cut into other
// batches must leave the same bytes in the store.  KVS_SEED=n runs one seed alone.
#include "model.hpp"

#include <cstdlib>
#include <random>

#include "history_checks.hpp"

namespace kvstore::kv::test {
namespace {

struct TimedCommand {
  Command command;
  uint64_t time_ms;
};

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}

  TimedCommand next() {
    time_ms_ += below(20);
    uint64_t time = time_ms_ - std::min<uint64_t>(time_ms_, below(8) == 0 ? 30 : 0);
    index_++;
    switch (below(14)) {
      case 12:
        return {grant(), time};
      case 13:
        return {lease_end(), time};
      case 0:
      case 1:
      case 2:
        return {part(), time};
      case 3:
        return {below(2) == 0 ? Command(UploadAbort{id()}) : Command(SweepUploads{sweep()}), time};
      case 4:
        return {Compact{below(2 + transactions_ / 2), below(20) == 0 ? 0 : 1 + below(9)}, time};
      default:
        transactions_++;
        return {transaction(), time};
    }
  }
  uint64_t below(uint64_t n) { return random_() % n; }

 private:
  std::string key() {
    static const char* kKeys[] = {"a",         "ab", "abc",  "b",        "b\xff",
                                  "b\xff\xff", "c",  "\xff", "\xff\xff", ""};
    return kKeys[below(100) == 0 ? 9 : below(9)];
  }
  uint64_t id() { return 1 + below(6); }
  uint64_t lease() { return 1 + below(4); }
  uint64_t ttl() { return below(30) == 0 ? below(kTtlMsMin) : kTtlMsMin + below(200); }

  LeaseGrant grant() {
    const uint64_t id = below(30) == 0 ? 0 : lease();
    grants_[id] = index_;
    return {id, ttl()};
  }
  // Sometimes of the lease as it was granted last, sometimes the TTLs of some revisions.
  LeaseEnd lease_end() {
    LeaseEnd end;
    for (uint64_t n = below(3); n > 0; n--) {
      const uint64_t id = lease();
      end.leases.push_back({id, below(2) == 0 ? 0 : grants_[id]});
    }
    if (below(3) != 0) return end;
    const uint64_t first = 1 + below(1 + transactions_ / 2);
    for (uint64_t r = first; r < first + 40; r++)
      end.leases.push_back({own_lease_id(r, below(2)), below(4) == 0 ? r + 1 : below(2) * r});
    return end;
  }
  uint64_t sweep() { return time_ms_ - std::min<uint64_t>(time_ms_, below(200)); }

  // Mostly first parts; sometimes a whole one and then the rest of it.
  UploadPart part() {
    uint64_t upload = id();
    uint64_t& sent = sent_[upload];
    if (below(10) == 0 && large_ < kLargeMax) {
      large_++;
      sent = kPartBytes;
      return upload_part(upload, 0, kPartBytes);
    }
    uint64_t bytes = below(50) == 0 ? 0 : 1 + below(3);
    auto number = static_cast<uint32_t>(below(8) == 0 ? below(3) : sent == kPartBytes ? 1 : 0);
    sent = (sent == kPartBytes ? sent : 0) + bytes;
    return {upload, number, std::string(bytes, 'u')};
  }

  Range range() {
    switch (below(10)) {
      case 0:
        return until(key(), key());
      case 1:
        return prefix(key());
      case 2:
        return from(key());
      case 3:
        return below(4) == 0 ? all() : prefix(key());
      default:
        return key_range(key());
    }
  }

  Compare comparison() {
    Compare c;
    c.target = static_cast<Compare::Target>(1 + below(5));
    c.op = static_cast<Compare::Op>(1 + below(4));
    c.range = range();
    c.number = below(3) == 0 ? below(200) : below(3);
    c.value = std::string(below(3), "uvw"[below(3)]);
    return c;
  }

  Op operation() {
    Op op;
    uint64_t kind = below(10);
    op.kind = kind < 5 ? Op::Kind::kPut : kind < 7 ? Op::Kind::kDelete : Op::Kind::kGet;
    op.range = op.kind == Op::Kind::kPut ? key_range(key()) : range();
    if (op.kind == Op::Kind::kGet) {
      for (uint32_t flag : {kOpKeysOnly, kOpCountOnly, kOpReverse})
        op.flags |= below(4) == 0 ? flag : 0;
      op.limit = below(2) == 0 ? 0 : 1 + below(4);
      return op;
    }
    for (uint32_t flag : {kOpPrev, kOpKeysOnly}) op.flags |= below(3) == 0 ? flag : 0;
    if (op.kind != Op::Kind::kPut) {
      op.limit = below(3) == 0 ? 1 + below(3) : 0;
      return op;
    }
    if (below(4) == 0) {
      op.upload_id = id();
      op.upload_bytes = below(4) == 0 ? 1 + below(3) : sent_[op.upload_id];
    } else {
      op.value = std::string(below(3), "uvw"[below(3)]);
    }
    if (below(3) == 0) op.lease = lease();
    if (below(op.lease == 0 ? 3 : 30) == 0) op.ttl_ms = ttl();
    return op;
  }

  // Under few ids, often what was sent before under the same one.
  Txn transaction() {
    if (below(3) != 0) return plain_transaction();
    const uint64_t id = below(10);
    std::optional<Txn>& sent = sent_requests_[id];
    if (!sent || below(10) < 4) {
      sent = plain_transaction();
      sent->request = RequestId{id == 0 ? "me" : "", "id" + std::to_string(id), {transactions_, 1}};
    }
    return *sent;
  }

  Txn plain_transaction() {
    Txn txn;
    for (uint64_t n = below(3); n > 0; n--) txn.compares.push_back(comparison());
    for (uint64_t n = below(5); n > 0; n--) txn.then_ops.push_back(operation());
    for (uint64_t n = below(3); n > 0; n--) txn.else_ops.push_back(operation());
    return txn;
  }

  std::mt19937_64 random_;
  uint64_t time_ms_ = 1;
  static constexpr int kLargeMax = 8;
  int large_ = 0;
  uint64_t transactions_ = 0;
  std::map<uint64_t, std::optional<Txn>> sent_requests_;
  uint64_t index_ = 0;                   // of the command
  std::map<uint64_t, uint64_t> grants_;  // by lease: index of the last one
  std::map<uint64_t, uint64_t> sent_;    // by upload: bytes, if all went well
};

struct Log {
  std::vector<std::string> bytes;
  std::vector<LogEntry> entries;
};

Log encode(const std::vector<TimedCommand>& commands) {
  Log log;
  for (const TimedCommand& c : commands) {
    log.bytes.push_back(encode_command(c.command));
    stamp_time(&log.bytes.back(), c.time_ms);
  }
  for (const std::string& bytes : log.bytes)
    log.entries.push_back({1, log.entries.size() + 1, LogEntry::Kind::kCommand, bytes});
  return log;
}

// Applies the log in batches of 1..batch_max entries.
std::vector<CommandResult> run(Machine& m, std::span<const LogEntry> rest, size_t batch_max,
                               Generator& cuts) {
  std::vector<CommandResult> all, results;
  while (!rest.empty()) {
    size_t n = std::min<size_t>(rest.size(), 1 + cuts.below(batch_max));
    Status s = m.machine->apply(rest.first(n), &results);
    REQUIRE_MESSAGE(s.is_ok(), s.to_string());
    REQUIRE(results.size() == n);
    all.insert(all.end(), results.begin(), results.end());
    rest = rest.subspan(n);
    if (cuts.below(20) == 0) m.reopen();
  }
  return all;
}

// The leases of the store, their index of keys, and what the machine reports are the model's.
void check_leases(Machine& m, const Model& model, std::map<uint64_t, LeaseChange>* reported) {
  const MemoryData data = m.store.data();
  size_t stored = 0, indexed = 0, leased = 0;
  for (const auto& [key, value] : data.spaces.at(kSpaceSystem)) {
    indexed += key.starts_with("leasekey/") ? 1 : 0;
    if (!key.starts_with(kLeasePrefix)) continue;
    stored++;
    auto lease = model.leases.find(parse_lease_key(key).value());
    REQUIRE(lease != model.leases.end());
    CHECK(decode_lease(value).value() == lease->second);
  }
  for (const auto& [key, value] : model.values) {
    if (value.lease == 0) continue;
    leased++;
    CHECK(data.spaces.at(kSpaceSystem).count(lease_index_key(value.lease, key)) == 1);
  }
  CHECK(stored == model.leases.size());
  CHECK(indexed == leased);
  LeaseChanges changes = m.machine->take_lease_changes();
  if (changes.reset) reported->clear();
  for (const LeaseChange& change : changes.changes) {
    if (change.ttl_ms == 0)
      CHECK(reported->erase(change.id) == 1);
    else
      (*reported)[change.id] = change;
  }
  REQUIRE(reported->size() == model.leases.size());
  for (const auto& [id, lease] : model.leases)
    CHECK((*reported)[id] == LeaseChange{id, lease.generation, lease.ttl_ms, lease.ending});
}

void check_content(Machine& m, const Model& model) {
  MemoryData data = m.store.data();
  size_t parts = 0;
  CHECK(data.spaces[kSpaceUser].size() == model.values.size());
  for (const auto& [key, value] : model.values) {
    Item item = m.item(key);
    CHECK(item.version == value.version);
    CHECK(item.create_revision == value.create_revision);
    CHECK(item.mod_revision == value.mod_revision);
    std::string bytes = item.value;
    for (uint32_t i = 0; value.upload_id != 0 && bytes.size() < value.bytes().size(); i++, parts++)
      bytes += data.spaces[kSpaceParts][part_key(value.upload_id, i)];
    CHECK((bytes == value.bytes()));
  }
  uint64_t cost = 0;
  size_t old_versions = 0;
  for (const ModelChange& change : model.changes) {
    cost += change.cost();
    old_versions += change.before ? 1 : 0;
    if (change.before && change.before->upload_id != 0)
      parts += part_count(change.before->bytes().size());
  }
  CHECK(data.spaces[kSpaceChanges].size() == model.changes.size());
  CHECK(data.spaces[kSpaceHistory].size() == old_versions);
  CHECK(m.machine->history_bytes() == cost);
  CHECK(m.machine->compacted_revision() == model.compacted);
  uint64_t oldest = 0;
  for (const auto& [id, upload] : model.uploads) {
    for (uint32_t i = 0; i < upload.parts.size(); i++, parts++)
      CHECK((data.spaces[kSpaceParts][part_key(id, i)] == upload.parts[i]));
    if (oldest == 0 || upload.last_time_ms < oldest) oldest = upload.last_time_ms;
  }
  CHECK(data.spaces[kSpaceParts].size() == parts);
  CHECK(m.machine->open_uploads() == model.uploads.size());
  CHECK(m.machine->oldest_upload_ms() == oldest);
  CHECK(m.machine->revision() == model.revision);
  CHECK(m.machine->request_records() == model.requests.size());
  const auto& system = data.spaces[kSpaceSystem];
  CHECK(static_cast<size_t>(std::count_if(system.begin(), system.end(), [](const auto& pair) {
          return pair.first.starts_with("request");
        })) == model.requests.size());
}

// How often each outcome came, so that the logs are known to reach them.
struct Outcomes {
  std::map<Code, int> codes;
  int then_branches = 0;
  int else_branches = 0;
  int limited = 0;
  int large_values = 0;
  int compacted = 0;
  int leases_ended = 0;  // with keys
  int replayed = 0;
  PastOutcomes past;
};

void count(const CommandResult& r, const Command& command, Outcomes* outcomes) {
  outcomes->codes[r.code]++;
  outcomes->replayed += r.replayed ? 1 : 0;
  if (std::holds_alternative<Compact>(command) && r.code == Code::kOk && r.ops[0].count > 0)
    outcomes->compacted++;
  if (std::holds_alternative<LeaseEnd>(command) && r.code == Code::kOk && r.ops[0].count > 0)
    outcomes->leases_ended++;
  if (r.code != Code::kOk || !std::holds_alternative<Txn>(command)) return;
  (r.succeeded ? outcomes->then_branches : outcomes->else_branches)++;
  for (const OpResult& op : r.ops) {
    outcomes->limited += op.more ? 1 : 0;
    for (const Item& item : op.items) outcomes->large_values += item.value_bytes >= kPartBytes;
  }
}

constexpr RequestLimits kRequestLimits = {.records_max = 6, .keep_ms = 300};
constexpr size_t kCommands = 400;
constexpr size_t kChunk = 80;  // after which content and past are compared

void check_seed(uint64_t seed, Outcomes* outcomes) {
  INFO("seed=" << seed);
  Generator generator(seed);
  std::vector<TimedCommand> commands;
  for (size_t i = 0; i < kCommands; i++) commands.push_back(generator.next());
  Log log = encode(commands);

  Machine reference(kRequestLimits);
  std::vector<CommandResult> results;
  Model model(kRequestLimits);
  std::map<uint64_t, LeaseChange> reported;
  for (size_t i = 0; i < commands.size(); i++) {
    INFO("entry " << i + 1);
    if (i % kChunk == 0) {
      auto chunk = run(reference, std::span(log.entries).subspan(i, kChunk), 16, generator);
      results.insert(results.end(), chunk.begin(), chunk.end());
    }
    CommandResult expected = model.apply(commands[i].command, commands[i].time_ms);
    expected.message = results[i].message;
    CHECK(results[i].code == expected.code);
    CHECK((results[i] == expected));
    count(expected, commands[i].command, outcomes);
    if (i % kChunk == kChunk - 1) {
      check_content(reference, model);
      check_leases(reference, model, &reported);
      outcomes->past.add(
          check_past(reference, model, [&](uint64_t n) { return generator.below(n); }));
    }
  }

  for (size_t batch_max : {size_t{1}, size_t{5}, commands.size()}) {
    INFO("batches of up to " << batch_max);
    Machine other(kRequestLimits);
    CHECK((run(other, log.entries, batch_max, generator) == results));
    CHECK((other.store.data().contents() == reference.store.data().contents()));
    CHECK(other.store.data().applied.index == reference.store.data().applied.index);
  }
}

}  // namespace

TEST_CASE("random logs give the model's results, however they are cut into batches") {
  Outcomes outcomes;
  if (const char* seed = std::getenv("KVS_SEED")) {
    check_seed(std::strtoull(seed, nullptr, 10), &outcomes);
    return;
  }
  for (uint64_t seed = 1; seed <= 100; seed++) check_seed(seed, &outcomes);
  for (Code code : {Code::kOk, Code::kInvalid, Code::kNotFound, Code::kConflict}) {
    CAPTURE(code_name(code));
    CHECK(outcomes.codes[code] > 100);
  }
  CHECK(outcomes.then_branches > 1000);
  CHECK(outcomes.else_branches > 1000);
  CHECK(outcomes.limited > 100);
  CHECK(outcomes.large_values > 10);
  CHECK(outcomes.compacted > 500);
  CHECK(outcomes.leases_ended > 200);
  CHECK(outcomes.replayed > 500);
  CHECK(outcomes.past.reads > 10'000);
  CHECK(outcomes.past.changes > 5'000);
  CHECK(outcomes.past.large_reads > 10);
  CHECK(outcomes.past.refused > 100);
}

}  // namespace kvstore::kv::test
