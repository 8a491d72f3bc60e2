#include "node/runtime/state_hasher.hpp"

#include <utility>

#include "base/log.hpp"

namespace kvstore::node::runtime {

void StateHasher::start(Report report, FatalFn fatal) {
  worker_.start(
      "kvs-hash", [this, report = std::move(report), fatal = std::move(fatal)](auto* views) {
        for (std::shared_ptr<kv::View>& view : *views) {
          Result<kv::StateHash> hash = kv::hash_state(*view, [this] { return stopping_.load(); });
          view.reset();
          if (hash) {
            report(*hash);
          } else if (condemns_state(hash.status().code())) {
            fatal(hash.status());
          } else {
            KVS_LOG(kWarn, "state", "a checkpoint is not hashed: {}", hash.status().to_string());
          }
        }
      });
}

void StateHasher::stop() {
  stopping_ = true;
  worker_.stop();
}

void StateHasher::add(std::unique_ptr<kv::View> view) {
  if (worker_.waiting() > 0) {
    KVS_LOG(kWarn, "state", "a checkpoint is not hashed: an earlier one still is");
    return;
  }
  worker_.push(std::move(view));
}

}  // namespace kvstore::node::runtime
