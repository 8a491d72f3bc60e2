// What the state machine's tests share: short builders of commands, and a machine on a store in
// memory that is fed entries.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "kv/command_codec.hpp"
#include "kv/record.hpp"
#include "kv/state_machine.hpp"
#include "kv/system_records.hpp"
#include "support/memory_store.hpp"

namespace kvstore::kv::test {

using kvstore::test::MemoryData;
using kvstore::test::MemoryStore;

inline Range key_range(std::string key) {
  return {Range::Kind::kKey, std::move(key), {}};
}
inline Range prefix(std::string key) {
  return {Range::Kind::kPrefix, std::move(key), {}};
}
inline Range until(std::string key, std::string end) {
  return {Range::Kind::kUntil, std::move(key), std::move(end)};
}
inline Range from(std::string key) {
  return {Range::Kind::kFrom, std::move(key), {}};
}
inline Range all() {
  return {Range::Kind::kAll, {}, {}};
}

inline Op make_op(Op::Kind kind, Range range, uint32_t flags) {
  Op op;
  op.kind = kind;
  op.flags = flags;
  op.range = std::move(range);
  return op;
}
inline Op put(std::string key, std::string value, uint32_t flags = 0) {
  Op op = make_op(Op::Kind::kPut, key_range(std::move(key)), flags);
  op.value = std::move(value);
  return op;
}
inline Op put_upload(std::string key, uint64_t id, uint64_t bytes, uint32_t flags = 0) {
  Op op = make_op(Op::Kind::kPut, key_range(std::move(key)), flags);
  op.upload_id = id;
  op.upload_bytes = bytes;
  return op;
}
inline Op put_leased(std::string key, std::string value, uint64_t lease) {
  Op op = put(std::move(key), std::move(value));
  op.lease = lease;
  return op;
}
inline Op put_ttl(std::string key, std::string value, uint64_t ttl_ms) {
  Op op = put(std::move(key), std::move(value));
  op.ttl_ms = ttl_ms;
  return op;
}
inline Op del(Range range, uint32_t flags = 0) {
  return make_op(Op::Kind::kDelete, std::move(range), flags);
}
inline Op del(std::string key, uint32_t flags = 0) {
  return del(key_range(std::move(key)), flags);
}
inline Op get(Range range, uint32_t flags = 0, uint64_t limit = 0) {
  Op op = make_op(Op::Kind::kGet, std::move(range), flags);
  op.limit = limit;
  return op;
}
inline Op get(std::string key, uint32_t flags = 0) {
  return get(key_range(std::move(key)), flags);
}

inline Compare compare(Compare::Target target, Compare::Op op, Range range, uint64_t number) {
  Compare c;
  c.target = target;
  c.op = op;
  c.range = std::move(range);
  c.number = number;
  return c;
}
inline Compare compare_value(Compare::Op op, Range range, std::string value) {
  Compare c = compare(Compare::Target::kValue, op, std::move(range), 0);
  c.value = std::move(value);
  return c;
}
inline Txn txn(std::vector<Op> ops) {
  return {{}, std::move(ops), {}};
}
inline Txn txn(std::vector<Compare> compares, std::vector<Op> then_ops,
               std::vector<Op> else_ops = {}) {
  return {std::move(compares), std::move(then_ops), std::move(else_ops)};
}

// Parts of an upload whose content is made from its id.
inline std::string part_bytes(uint64_t id, uint32_t part, uint64_t bytes) {
  std::string out(bytes, static_cast<char>('a' + (id + part) % 26));
  out[0] = static_cast<char>('A' + part % 26);
  return out;
}
inline UploadPart upload_part(uint64_t id, uint32_t part, uint64_t bytes) {
  return {id, part, part_bytes(id, part, bytes)};
}

struct Machine {
  MemoryStore store;
  std::unique_ptr<StateMachine> machine;
  uint64_t index = 0;
  uint64_t time_ms = 1000;

  const RequestLimits request_limits;

  explicit Machine(const RequestLimits& limits = {}) : request_limits(limits) { reopen(); }

  void reopen() {
    auto opened = StateMachine::open(&store, request_limits);
    REQUIRE_MESSAGE(opened.is_ok(), opened.status().to_string());
    machine = std::move(opened).value();
  }

  // One batch.
  std::vector<CommandResult> apply(const std::vector<Command>& commands) {
    std::vector<CommandResult> results;
    Status s = try_apply(commands, &results);
    REQUIRE_MESSAGE(s.is_ok(), s.to_string());
    REQUIRE(results.size() == commands.size());
    CHECK(machine->applied_index() == index);
    return results;
  }
  CommandResult apply(const Command& command) { return apply(std::vector{command})[0]; }
  CommandResult apply(std::vector<Op> ops) { return apply(txn(std::move(ops))); }

  Status try_apply(const std::vector<Command>& commands, std::vector<CommandResult>* results) {
    std::vector<std::string> encoded;
    for (const Command& command : commands) {
      encoded.push_back(encode_command(command));
      stamp_time(&encoded.back(), time_ms);
    }
    std::vector<LogEntry> entries;
    for (const std::string& bytes : encoded)
      entries.push_back({1, ++index, LogEntry::Kind::kCommand, bytes});
    return machine->apply(entries, results);
  }

  // The item as a get delivers it; an empty key when there is none.
  Item item(const std::string& key) {
    auto view = store.open_view();
    Item found;
    Status s = (*view)->get(kSpaceUser, key, [&](Bytes bytes) {
      auto record = decode_record(bytes);
      REQUIRE(record.is_ok());
      found = {key,
               std::string(record->value),
               record->create_revision,
               record->mod_revision,
               record->version,
               record->granted_lease(),
               record->value_bytes,
               record->ttl_ms};
    });
    REQUIRE((s.is_ok() || s.code() == Code::kNotFound));
    return found;
  }
  bool has(const std::string& key) { return !item(key).key.empty(); }

  size_t space_size(uint32_t space) { return store.data().spaces[space].size(); }
  // Parts that the upload has in the store.
  size_t stored_parts(uint64_t id) {
    size_t count = 0;
    MemoryData data = store.data();
    for (const auto& [key, value] : data.spaces[kSpaceParts]) {
      if (key.starts_with(parts_begin(id))) count++;
    }
    return count;
  }
};

}  // namespace kvstore::kv::test
