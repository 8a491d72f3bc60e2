// The state machine's view of a state plugin.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "kv/store.hpp"
#include "plugin/state_store.hpp"

namespace kvstore::node::runtime {

class StateAdapter : public kv::Store {
 public:
  explicit StateAdapter(plugin::StateStore* store) : store_(store) {}

  Status get_many(uint32_t space, std::span<const Bytes> keys,
                  const kv::GetManySink& sink) override;
  Status write(std::span<const kv::WriteOp> ops, const kv::AppliedMark& applied) override;
  Result<std::unique_ptr<kv::View>> open_view() override;

  // Bytes written since the last call.
  uint64_t take_written_bytes() { return written_bytes_.exchange(0); }

 private:
  plugin::StateStore* store_;
  std::vector<kvs_slice> slices_;  // [apply-thread] scratch
  std::vector<kvs_kv_op> ops_;
  std::atomic<uint64_t> written_bytes_{0};
};

}  // namespace kvstore::node::runtime
