#include "node/runtime/state_adapter.hpp"

#include <array>
#include <utility>

#include "plugin/slice.hpp"

namespace kvstore::node::runtime {
namespace {

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

  Status scan(const kv::ScanOptions& options, const kv::ScanSink& sink) override {
    Result<plugin::Iterator> iterator = view_.iterate(
        {options.space, options.lower, options.upper, options.reverse, options.keys_only});
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
