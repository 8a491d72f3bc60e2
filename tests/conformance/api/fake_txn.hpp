// Transactions of the scripted engine's store.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <kvstore/abi/api.h>

namespace kvstore::conformance {

class FakeEngine;

struct FakeItem {
  std::string value;
  uint64_t create_revision = 0, mod_revision = 0, version = 0;
  uint64_t lease = 0, ttl_ms = 0;
};
using FakeItems = std::map<std::string, std::shared_ptr<const FakeItem>>;

inline constexpr size_t kFakePartBytes = 1 << 20;

// Borrows both.
kvs_item fake_item(const std::string& key, const FakeItem& item, bool with_value);
bool in_range(const kvs_range& range, const std::string& key);

// All that it says, so that two that differ have different texts.  Without uploads.
std::string text_of(const kvs_txn& txn);

// A transaction outlives the call: the host copies it.
struct OwnedTxn {
  explicit OwnedTxn(const kvs_txn& from);
  OwnedTxn(const OwnedTxn&) = delete;
  OwnedTxn& operator=(const OwnedTxn&) = delete;

  kvs_txn txn{};

 private:
  void own(kvs_slice* slice);
  void own(kvs_range* range);

  std::deque<std::string> bytes_;
  std::vector<kvs_compare> compares_;
  std::vector<kvs_op> then_ops_, else_ops_;
};

// Carries one transaction out and holds what its result borrows.
class FakeTxn {
 public:
  void run(const kvs_txn& txn, FakeItems* items, uint64_t* revision, kvs_result* result);

 private:
  void run_op(const kvs_op& op, FakeItems* items, uint64_t revision);
  void add(const std::string& key, std::shared_ptr<const FakeItem> item, bool with_value);

  bool changed_ = false;
  std::vector<kvs_op_result> results_;
  std::deque<std::vector<kvs_item>> items_;  // of each result
  std::deque<std::string> keys_;
  std::vector<std::shared_ptr<const FakeItem>> keep_;
};

}  // namespace kvstore::conformance

struct kvs_upload {
  kvstore::conformance::FakeEngine* engine;
  uint64_t total;
  std::string bytes;
  bool writing = false;
  bool short_chunk_seen = false;
};
