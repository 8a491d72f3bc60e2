#include <algorithm>

#include "target.hpp"

namespace kvstore::fuzz {

std::vector<Target> all_targets() {
  std::vector<Target> all;
  for (const auto list :
       {wire_targets(), kv_targets(), node_targets(), host_targets(), http_text_targets(),
        http_front_targets(), thrift_targets(), storage_targets(), client_targets()}) {
    all.insert(all.end(), list.begin(), list.end());
  }
  return all;
}

const Target* find_target(Bytes name) {
  static const std::vector<Target> all = all_targets();
  const auto it =
      std::find_if(all.begin(), all.end(), [&](const Target& t) { return t.name == name; });
  return it == all.end() ? nullptr : &*it;
}

}  // namespace kvstore::fuzz
