#include "handlers/batch_plan.hpp"

#include <string_view>
#include <unordered_map>

namespace kvstore::http {
namespace {

// The unit of a wave that is still being filled.
struct OpenUnit {
  size_t index = SIZE_MAX;  // in BatchWave::writes; SIZE_MAX: none
  uint64_t bytes = 0;
};

bool stands_alone(const BatchOp& op) {
  return op.is_conditional() || op.op.has(KVS_OP_PREV);
}

void add_write(const std::vector<BatchOp>& ops, uint32_t i, const BatchBounds& bounds,
               BatchWave* wave, OpenUnit* open) {
  if (stands_alone(ops[i])) {
    wave->writes.push_back({i});
    return;
  }
  const uint64_t bytes = ops[i].op.range.key.size() + ops[i].op.value.size();
  const bool fits = open->index != SIZE_MAX &&
                    wave->writes[open->index].size() < bounds.unit_ops_max &&
                    open->bytes + bytes <= bounds.unit_bytes_max;
  if (!fits) {
    *open = {wave->writes.size(), 0};
    wave->writes.emplace_back();
  }
  wave->writes[open->index].push_back(i);
  open->bytes += bytes;
}

}  // namespace

std::vector<BatchWave> plan_batch(const std::vector<BatchOp>& ops, const BatchBounds& bounds) {
  std::vector<BatchWave> waves;
  std::vector<OpenUnit> open;
  std::unordered_map<std::string_view, size_t> newest;  // the wave that last names a key
  for (uint32_t i = 0; i < ops.size(); ++i) {
    const bool writes = ops[i].op.writes();
    const auto [found, is_new] = newest.try_emplace(ops[i].op.range.key, 0);
    // A read comes after the write of its own wave.
    if (!is_new && writes) ++found->second;
    const size_t number = found->second;
    if (number >= waves.size()) {
      waves.resize(number + 1);
      open.resize(number + 1);
    }
    if (writes) {
      add_write(ops, i, bounds, &waves[number], &open[number]);
    } else {
      waves[number].gets.push_back(i);
    }
  }
  return waves;
}

}  // namespace kvstore::http
