#include "node/runtime/state_adapter.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "plugin/slice.hpp"

namespace kvstore::node::runtime {
namespace {

// Takes few pairs at first, since a walk that jumps needs no more, and more as it goes on.
class CursorAdapter : public kv::Cursor {
 public:
  explicit CursorAdapter(plugin::Iterator iterator) : iterator_(std::move(iterator)) {}

  Result<bool> next() override {
    if (++at_ < count_) return true;
    Result<size_t> n = iterator_.next(std::span(pairs_).first(wanted_), kCursorBatchBytes);
    if (!n) return n.status();
    at_ = 0;
    count_ = *n;
    wanted_ = std::min(wanted_ * 2, pairs_.size());
    return count_ != 0;
  }
  Bytes key() const override { return plugin::to_bytes(pairs_[at_].key); }
  Bytes value() const override { return plugin::to_bytes(pairs_[at_].value); }
  Status seek(Bytes key) override {
    at_ = count_ = 0;
    wanted_ = kFirst;
    return iterator_.seek(key);
  }

 private:
  static constexpr size_t kFirst = 2;
  static constexpr uint64_t kCursorBatchBytes = 64 << 10;
  plugin::Iterator iterator_;
  std::array<kvs_pair, 64> pairs_{};
  size_t at_ = 0;
  size_t count_ = 0;
  size_t wanted_ = kFirst;
};

class ViewAdapter : public kv::View {
 public:
  explicit ViewAdapter(plugin::View view) : view_(std::move(view)) {}

  Result<kv::AppliedMark> applied() override {
    Result<plugin::AppliedMark> mark = view_.applied();
    if (!mark) return mark.status();
    return kv::AppliedMark{mark->at.term, mark->at.index, std::move(mark->meta)};
  }

  Status get(uint32_t space, Bytes key, const kv::GetSink& sink) override {
    return view_.get(space, key, [&](Bytes value) {
      sink(value);
      return Status::ok();
    });
  }

  Result<std::unique_ptr<kv::Cursor>> cursor(const kv::ScanOptions& options) override {
    Result<plugin::Iterator> iterator = iterate(options);
    if (!iterator) return iterator.status();
    return std::unique_ptr<kv::Cursor>(std::make_unique<CursorAdapter>(std::move(*iterator)));
  }

  Status scan(const kv::ScanOptions& options, const kv::ScanSink& sink) override {
    Result<plugin::Iterator> iterator = iterate(options);
    if (!iterator) return iterator.status();
    std::array<kvs_pair, 128> pairs;
    for (;;) {
      Result<size_t> n = iterator->next(pairs, kBatchBytes);
      if (!n) return n.status();
      if (*n == 0) return Status::ok();
      for (size_t i = 0; i < *n; ++i) {
        if (!sink(plugin::to_bytes(pairs[i].key), plugin::to_bytes(pairs[i].value))) {
          return Status::ok();
        }
      }
    }
  }

 private:
  Result<plugin::Iterator> iterate(const kv::ScanOptions& options) {
    return view_.iterate(
        {options.space, options.lower, options.upper, options.reverse, options.keys_only});
  }

  static constexpr uint64_t kBatchBytes = 256 << 10;
  plugin::View view_;
};

}  // namespace

Status StateAdapter::get_many(uint32_t space, std::span<const Bytes> keys,
                              const kv::GetManySink& sink) {
  slices_.clear();
  for (Bytes key : keys) slices_.push_back(plugin::to_slice(key));
  return store_->get_many(space, slices_, [&](uint32_t i, bool found, Bytes value) {
    sink(i, found, value);
    return Status::ok();
  });
}

Status StateAdapter::write(std::span<const kv::WriteOp> ops, const kv::AppliedMark& applied) {
  ops_.clear();
  uint64_t bytes = 0;
  for (const kv::WriteOp& op : ops) {
    ops_.push_back({static_cast<uint32_t>(op.kind), op.space, plugin::to_slice(op.key),
                    plugin::to_slice(op.value)});
    bytes += op.key.size() + op.value.size();
  }
  written_bytes_ += bytes;
  return store_->write(0, ops_, {applied.term, applied.index}, applied.meta);
}

Result<std::unique_ptr<kv::View>> StateAdapter::open_view() {
  Result<plugin::View> view = store_->view();
  if (!view) return view.status();
  return std::unique_ptr<kv::View>(std::make_unique<ViewAdapter>(std::move(*view)));
}

}  // namespace kvstore::node::runtime
