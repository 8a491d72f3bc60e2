// A kv::Store over maps: what the state machine's and the node's tests run on.
//
// Views share the data until the next write copies it, so that they are point-in-time like those of
// an engine.  Any thread may open views and ask for contents; one thread writes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kv/store.hpp"
#include "kv/types.hpp"

namespace kvstore::test {

struct MemoryData {
  using Space = std::map<std::string, std::string, std::less<>>;
  std::map<uint32_t, Space> spaces;
  kv::AppliedMark applied;

  // Without spaces that hold nothing.
  std::map<uint32_t, Space> contents() const {
    auto copy = spaces;
    std::erase_if(copy, [](const auto& entry) { return entry.second.empty(); });
    return copy;
  }
};

class MemoryCursor final : public kv::Cursor {
 public:
  MemoryCursor(const MemoryData::Space* pairs, const kv::ScanOptions& options) : options_(options) {
    const bool none = !options.upper.empty() && options.lower >= options.upper;
    begin_ = none ? pairs->end() : pairs->lower_bound(options.lower);
    end_ = none || options.upper.empty() ? pairs->end() : pairs->lower_bound(options.upper);
    next_ = options.reverse ? end_ : begin_;
    pairs_ = pairs;
  }

  Result<bool> next() override {
    if (next_ == (options_.reverse ? begin_ : end_)) return false;
    at_ = options_.reverse ? --next_ : next_++;
    return true;
  }
  Bytes key() const override { return at_->first; }
  Bytes value() const override { return options_.keys_only ? Bytes() : Bytes(at_->second); }
  Status seek(Bytes key) override {
    next_ = options_.reverse ? pairs_->upper_bound(key) : pairs_->lower_bound(key);
    if (key < options_.lower) next_ = begin_;
    if (begin_ == end_ || (!options_.upper.empty() && key >= options_.upper)) next_ = end_;
    return Status();
  }

 private:
  using Iterator = MemoryData::Space::const_iterator;
  kv::ScanOptions options_;
  const MemoryData::Space* pairs_;
  Iterator begin_, end_, next_, at_;
};

class MemoryView final : public kv::View {
 public:
  explicit MemoryView(std::shared_ptr<const MemoryData> data) : data_(std::move(data)) {}

  Result<kv::AppliedMark> applied() override { return data_->applied; }

  Status get(uint32_t space, Bytes key, const kv::GetSink& sink) override {
    const MemoryData::Space& pairs = space_of(space);
    auto it = pairs.find(key);
    if (it == pairs.end()) return Status(Code::kNotFound);
    sink(it->second);
    return Status();
  }

  Status scan(const kv::ScanOptions& options, const kv::ScanSink& sink) override {
    const MemoryData::Space& pairs = space_of(options.space);
    if (!options.upper.empty() && options.lower >= options.upper) return Status();
    auto begin = pairs.lower_bound(options.lower);
    auto end = options.upper.empty() ? pairs.end() : pairs.lower_bound(options.upper);
    auto take = [&](const auto& pair) {
      return sink(pair.first, options.keys_only ? Bytes() : Bytes(pair.second));
    };
    if (options.reverse) {
      while (begin != end && take(*--end)) {
      }
    } else {
      while (begin != end && take(*begin)) ++begin;
    }
    return Status();
  }

  Result<std::unique_ptr<kv::Cursor>> cursor(const kv::ScanOptions& options) override {
    return std::unique_ptr<kv::Cursor>(
        std::make_unique<MemoryCursor>(&space_of(options.space), options));
  }

 private:
  const MemoryData::Space& space_of(uint32_t space) const {
    static const MemoryData::Space kNone;
    auto it = data_->spaces.find(space);
    return it == data_->spaces.end() ? kNone : it->second;
  }

  std::shared_ptr<const MemoryData> data_;
};

class MemoryStore final : public kv::Store {
 public:
  Status get_many(uint32_t space, std::span<const Bytes> keys,
                  const kv::GetManySink& sink) override {
    get_many_calls++;
    auto pairs = data_->spaces.find(space);
    for (size_t i = 0; i < keys.size(); i++) {
      bool found = false;
      if (pairs != data_->spaces.end()) {
        auto it = pairs->second.find(keys[i]);
        found = it != pairs->second.end();
        if (found) sink(i, true, it->second);
      }
      if (!found) sink(i, false, Bytes());
    }
    return Status();
  }

  Status write(std::span<const kv::WriteOp> ops, const kv::AppliedMark& applied) override {
    std::lock_guard lock(mutex_);
    if (!next_write_.is_ok()) return std::exchange(next_write_, Status());
    if (applied.index < data_->applied.index) return Status(Code::kInternal, "mark goes back");
    if (shared_) data_ = std::make_shared<MemoryData>(*data_);
    shared_ = false;
    for (const kv::WriteOp& op : ops) apply_op(op);
    data_->applied.term = applied.term;
    data_->applied.index = applied.index;
    if (!applied.meta.empty()) data_->applied.meta = applied.meta;
    write_marks.push_back(applied.index);
    write_ops.push_back(ops.size());
    return Status();
  }

  Result<std::unique_ptr<kv::View>> open_view() override {
    std::lock_guard lock(mutex_);
    shared_ = true;
    return std::unique_ptr<kv::View>(std::make_unique<MemoryView>(data_));
  }

  // The next write fails with this and has no effect.
  void fail_next_write(Status status) {
    std::lock_guard lock(mutex_);
    next_write_ = std::move(status);
  }
  // As a snapshot install does: everything is replaced.
  void replace(MemoryData data) {
    std::lock_guard lock(mutex_);
    data_ = std::make_shared<MemoryData>(std::move(data));
    shared_ = false;
  }
  // The state as it is now, whatever is written later.
  std::shared_ptr<const MemoryData> share() {
    std::lock_guard lock(mutex_);
    shared_ = true;
    return data_;
  }
  MemoryData data() const {
    std::lock_guard lock(mutex_);
    return *data_;
  }

  // For assertions by the writing thread: the mark and the number of operations of each write.
  std::vector<uint64_t> write_marks;
  std::vector<size_t> write_ops;
  uint64_t get_many_calls = 0;

 private:
  void apply_op(const kv::WriteOp& op) {
    MemoryData::Space& pairs = data_->spaces[op.space];
    switch (op.kind) {
      case kv::WriteOp::Kind::kPut:
        pairs.insert_or_assign(op.key, op.value);
        break;
      case kv::WriteOp::Kind::kDelete:
        pairs.erase(op.key);
        break;
      case kv::WriteOp::Kind::kDeleteRange:
        if (!op.value.empty() && op.key >= op.value) break;
        pairs.erase(pairs.lower_bound(op.key),
                    op.value.empty() ? pairs.end() : pairs.lower_bound(op.value));
        break;
    }
  }

  mutable std::mutex mutex_;
  std::shared_ptr<MemoryData> data_ = std::make_shared<MemoryData>();
  bool shared_ = false;  // a view may hold data_
  Status next_write_;
};

}  // namespace kvstore::test
