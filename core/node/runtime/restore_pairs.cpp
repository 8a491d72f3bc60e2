#include "node/runtime/restore_pairs.hpp"

#include <vector>

#include "plugin/slice.hpp"

namespace kvstore::node::runtime {

Status put_pairs(plugin::Restore* restore, std::span<const wire::SnapshotPair> pairs) {
  std::vector<kvs_pair> run;
  for (size_t i = 0; i < pairs.size(); ++i) {
    run.push_back({plugin::to_slice(pairs[i].key), plugin::to_slice(pairs[i].value)});
    bool last = i + 1 == pairs.size() || pairs[i + 1].space != pairs[i].space;
    if (!last) continue;
    if (Status s = restore->put(pairs[i].space, run); !s) return s;
    run.clear();
  }
  return Status::ok();
}

}  // namespace kvstore::node::runtime
