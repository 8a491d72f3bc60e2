#include "state_model.hpp"

namespace kvstore::conformance {

void StateModel::apply(const Batch& batch) {
  for (const Op& op : batch.ops) {
    Space& space = spaces.at(op.space);
    if (op.kind == KVS_KV_PUT) {
      space[op.key] = op.value;
    } else if (op.kind == KVS_KV_DELETE) {
      space.erase(op.key);
    } else {
      auto it = space.lower_bound(op.key);
      while (it != space.end() && (op.value.empty() || it->first < op.value)) it = space.erase(it);
    }
  }
  applied = batch.at;
  if (!batch.meta.empty()) meta = batch.meta;
}

std::string difference(const StateModel& expected, const StateModel& found) {
  if (!(expected.applied == found.applied)) {
    return "applied mark: expected index " + std::to_string(expected.applied.index) + ", found " +
           std::to_string(found.applied.index);
  }
  if (expected.meta != found.meta) return "the meta blob differs";
  for (size_t i = 0; i < expected.spaces.size(); ++i) {
    const auto& a = expected.spaces[i];
    const auto& b = found.spaces[i];
    if (a == b) continue;
    std::string where = "space " + std::to_string(i) + ": expected " + std::to_string(a.size()) +
                        " pairs, found " + std::to_string(b.size());
    for (const auto& [key, value] : a) {
      auto it = b.find(key);
      if (it == b.end())
        return where + "; a key of " + std::to_string(key.size()) + " bytes is missing";
      if (it->second != value) return where + "; a value differs";
    }
    return where;
  }
  return {};
}

}  // namespace kvstore::conformance
