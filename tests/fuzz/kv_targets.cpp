// What stands in log entries and in the store: commands, results, records.
#include <memory>

#include "../support/memory_store.hpp"
#include "base/codec.hpp"
#include "kv/command_codec.hpp"
#include "kv/history.hpp"
#include "kv/lease_records.hpp"
#include "kv/record.hpp"
#include "kv/state_machine.hpp"
#include "kv/system_records.hpp"
#include "kv/validate.hpp"
#include "target.hpp"

namespace kvstore::fuzz {
namespace {

// ---- commands and results

void run_command(Bytes input) {
  const auto decoded = kv::decode_command(input);
  if (!decoded) return assert_says_why(decoded.status());
  std::string again = kv::encode_command(decoded->command);
  kv::stamp_time(&again, decoded->leader_time_ms);
  KVS_ASSERT(again == input);
  if (const auto* txn = std::get_if<kv::Txn>(&decoded->command)) {
    if (Status s = kv::validate_txn(*txn); !s) assert_says_why(s);
  }
}

kv::Txn sample_txn() {
  kv::Txn txn;
  txn.compares.push_back({kv::Compare::Target::kModRevision,
                          kv::Compare::Op::kEq,
                          {kv::Range::Kind::kKey, "a", ""},
                          "",
                          3});
  txn.compares.push_back({kv::Compare::Target::kValue,
                          kv::Compare::Op::kNe,
                          {kv::Range::Kind::kPrefix, "p/", ""},
                          "v",
                          0});
  kv::Op put;
  put.range.key = "a";
  put.value = "new value";
  put.flags = kv::kOpPrev;
  kv::Op erase;
  erase.kind = kv::Op::Kind::kDelete;
  erase.range = {kv::Range::Kind::kUntil, "b", "d"};
  kv::Op get;
  get.kind = kv::Op::Kind::kGet;
  get.range.kind = kv::Range::Kind::kAll;
  get.flags = kv::kOpReverse;
  get.limit = 2;
  txn.then_ops = {put, erase};
  txn.else_ops = {get};
  return txn;
}

kv::Txn put_of(const std::string& key, const std::string& value) {
  kv::Txn txn;
  txn.then_ops.resize(1);
  txn.then_ops[0].range.key = key;
  txn.then_ops[0].value = value;
  return txn;
}

kv::Txn put_of_upload(const std::string& key, uint64_t upload, uint64_t bytes) {
  kv::Txn txn = put_of(key, "");
  txn.then_ops[0].upload_id = upload;
  txn.then_ops[0].upload_bytes = bytes;
  return txn;
}

kv::Txn put_under(uint64_t lease, uint64_t ttl_ms) {
  kv::Txn txn = put_of(lease != 0 ? "leased" : "short-lived", "v");
  txn.then_ops[0].lease = lease;
  txn.then_ops[0].ttl_ms = ttl_ms;
  return txn;
}

kv::Txn identified_put(const std::string& value) {
  kv::Txn txn = put_of("once", value);
  txn.request = kv::RequestId{"me", "id", {1, 2}};
  return txn;
}

std::vector<kv::Command> sample_commands() {
  return {put_of("a", "1"),
          identified_put("x"),
          put_of("c", "2"),
          sample_txn(),
          kv::UploadPart{77, 0, "part"},
          put_of_upload("big", 77, 4),
          kv::UploadPart{78, 0, "unused"},
          kv::UploadAbort{78},
          kv::SweepUploads{100},
          kv::LeaseGrant{7, 5000},
          put_under(7, 0),
          put_under(0, 250),
          kv::LeaseEnd{{{7, 0}, {kv::own_lease_id(6, 0), 6}}},
          kv::Checkpoint{},
          kv::Compact{2, 100}};
}

void seed_command(Seeds* out) {
  uint64_t time = 1000;
  for (const kv::Command& command : sample_commands()) {
    out->push_back(kv::encode_command(command));
    kv::stamp_time(&out->back(), time++);
  }
}

void run_result(Bytes input) {
  const auto decoded = kv::decode_result(input);
  if (!decoded) return assert_says_why(decoded.status());
  KVS_ASSERT(decoded->ops.size() <= input.size());
  KVS_ASSERT(kv::encode_result(*decoded) == input);
}

void seed_result(Seeds* out) {
  kv::CommandResult result;
  out->push_back(kv::encode_result(result));
  result.revision = 500;
  result.succeeded = true;
  result.ops.push_back({kv::Op::Kind::kGet, kv::kOpReverse, {{"k", "v", 1, 2, 3, 0, 1}}, 1, true});
  out->push_back(kv::encode_result(result));
  result.code = Code::kInvalid;
  result.message = "operation 1: the key is empty";
  out->push_back(kv::encode_result(result));
  result = {};
  result.replayed = result.shortened = true;
  out->push_back(kv::encode_result(result));
}

// ---- applying whatever a log may hold

struct Machine {
  Machine() : machine(kv::StateMachine::open(&store).value()) {}
  test::MemoryStore store;
  std::unique_ptr<kv::StateMachine> machine;
};

std::vector<kv::LogEntry> entries_of(Bytes input) {
  std::vector<kv::LogEntry> out;
  for (Decoder d(input); d.ok() && d.remaining() > 0;) {
    const Bytes data = d.bytes();
    if (d.ok()) out.push_back({1, out.size() + 1, kv::LogEntry::Kind::kCommand, data});
  }
  return out;
}

// Entries give the same results and the same state in one batch and one by one, and a machine that
// is opened again knows what the old one knew.
void run_apply(Bytes input) {
  const std::vector<kv::LogEntry> entries = entries_of(input);
  Machine together, single;
  std::vector<kv::CommandResult> results, one_by_one;
  const Status batch = together.machine->apply(entries, &results);
  Status failed;
  for (const kv::LogEntry& e : entries) {
    std::vector<kv::CommandResult> one;
    failed = single.machine->apply({&e, 1}, &one);
    if (!failed) break;
    one_by_one.insert(one_by_one.end(), one.begin(), one.end());
  }
  KVS_ASSERT(batch.code() == failed.code());
  if (!batch.is_ok()) return assert_says_why(batch);
  KVS_ASSERT(results.size() == entries.size());
  KVS_ASSERT(results == one_by_one);
  KVS_ASSERT(together.store.data().contents() == single.store.data().contents());
  const auto reopened = kv::StateMachine::open(&together.store);
  KVS_ASSERT(reopened.is_ok());
  KVS_ASSERT((*reopened)->revision() == single.machine->revision());
  KVS_ASSERT((*reopened)->open_uploads() == single.machine->open_uploads());
  KVS_ASSERT((*reopened)->newest_time_ms() == single.machine->newest_time_ms());
  KVS_ASSERT((*reopened)->request_records() == single.machine->request_records());
}

void seed_apply(Seeds* out) {
  Seeds commands;
  seed_command(&commands);
  std::string all;
  for (const std::string& command : commands) {
    Encoder(&all).bytes(command);
    std::string one;
    Encoder(&one).bytes(command);
    out->push_back(one + one);
  }
  out->push_back(all);
  out->push_back(all + all);
  // Later: an answer that is old, and another request under its id.
  for (const bool same : {true, false}) {
    std::string later = kv::encode_command(identified_put(same ? "x" : "y"));
    kv::stamp_time(&later, uint64_t{1} << 40);
    Encoder(&all).bytes(later);
  }
  out->push_back(all);
}

// ---- records

void run_record(Bytes input) {
  const auto record = kv::decode_record_of("the key", input);
  if (!record) return assert_says_why(record.status());
  KVS_ASSERT(kv::encode_record(*record) == input);
  KVS_ASSERT(record->in_parts() || record->value.size() == record->value_bytes);
}

void seed_record(Seeds* out) {
  kv::Record record;
  record.create_revision = 4;
  record.mod_revision = 400;
  record.version = 3;
  record.value = "value";
  record.value_bytes = 5;
  out->push_back(kv::encode_record(record));
  record.value = {};
  record.value_bytes = 3 << 20;
  record.upload_id = 99;
  out->push_back(kv::encode_record(record));
  record.lease = kv::own_lease_id(400, 1);
  record.ttl_ms = 5000;
  out->push_back(kv::encode_record(record));
}

void run_system_record(Bytes input) {
  switch (take_choice(&input, 11)) {
    case 0: {
      const auto machine = kv::decode_machine(input);
      if (!machine) return assert_says_why(machine.status());
      KVS_ASSERT(kv::encode_machine(*machine) == input);
      return;
    }
    case 1: {
      const auto upload = kv::decode_upload(input);
      if (!upload) return assert_says_why(upload.status());
      KVS_ASSERT(kv::encode_upload(*upload) == input);
      KVS_ASSERT(kv::part_count(upload->bytes) == upload->parts);
      return;
    }
    case 3: {
      const auto version = kv::parse_history_key(input);
      if (!version) return assert_says_why(version.status());
      KVS_ASSERT(kv::history_key(version->key, version->superseded) == input);
      return;
    }
    case 4: {
      const auto position = kv::parse_change_key(input);
      if (!position) return assert_says_why(position.status());
      KVS_ASSERT(kv::change_key(*position) == input);
      return;
    }
    case 5: {
      const auto change = kv::decode_change(input);
      if (!change) return assert_says_why(change.status());
      KVS_ASSERT(kv::encode_change(*change) == input);
      return;
    }
    case 6: {
      const auto lease = kv::decode_lease(input);
      if (!lease) return assert_says_why(lease.status());
      KVS_ASSERT(kv::encode_lease(*lease) == input);
      return;
    }
    case 7: {
      const auto id = kv::parse_lease_key(input);
      if (!id) return assert_says_why(id.status());
      KVS_ASSERT(kv::lease_key(*id) == input);
      return;
    }
    case 8: {
      const auto request = kv::decode_request(input);
      if (!request) return assert_says_why(request.status());
      KVS_ASSERT(kv::encode_request(*request) == input);
      return;
    }
    case 9: {
      const auto number = kv::parse_request_key(input);
      if (!number) return assert_says_why(number.status());
      KVS_ASSERT(kv::request_key(*number) == input);
      return;
    }
    default: {
      const auto id = kv::parse_upload_key(input);
      if (!id) return assert_says_why(id.status());
      KVS_ASSERT(kv::upload_key(*id) == input);
    }
  }
}

void seed_system_record(Seeds* out) {
  out->push_back(std::string(1, '\0') + kv::encode_machine({5, 6, 4, 3, 2}));
  out->push_back("\1" + kv::encode_upload({(1 << 20) + 1, 2, 12345}));
  out->push_back("\2" + kv::upload_key(0x1122334455667788));
  out->push_back("\3" + kv::history_key(std::string("a\0b", 3), 77));
  out->push_back("\4" + kv::change_key({77, 3}));
  kv::Change change;
  change.key = "key";
  change.had_before = change.has_after = true;
  change.before_bytes = 3 << 20;
  change.before_upload = 99;
  out->push_back("\5" + kv::encode_change(change));
  out->push_back("\6" + kv::encode_lease({5000, 300, true}));
  out->push_back("\7" + kv::lease_key(0x1122334455667));
  out->push_back("\10" + kv::encode_request({123456, {1, 2}, "me", "id", kv::encode_result({})}));
  out->push_back("\11" + kv::request_key(7));
}

constexpr Target kTargets[] = {
    {"command", run_command, seed_command},
    {"command_result", run_result, seed_result},
    {"apply", run_apply, seed_apply},
    {"record", run_record, seed_record},
    {"system_record", run_system_record, seed_system_record},
};

}  // namespace

std::span<const Target> kv_targets() {
  return kTargets;
}

}  // namespace kvstore::fuzz
