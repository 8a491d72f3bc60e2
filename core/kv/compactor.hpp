// Executes Compact: gives up the oldest history, a bounded piece at a time.
#pragma once

#include "kv/batch.hpp"
#include "kv/types.hpp"
#include "kv/uploads.hpp"

namespace kvstore::kv {

// Lifecycle: one for a state machine, run() for each Compact in log order.
class Compactor {
 public:
  Compactor(Batch* batch, Uploads* uploads) : batch_(*batch), uploads_(*uploads) {}

  // An error means that the store failed or holds what cannot be; all else is told by the result.
  Status run(const Compact& compact, CommandResult* result);

 private:
  Status remove(uint64_t changes_max, OpResult* out);

  Batch& batch_;
  Uploads& uploads_;
};

}  // namespace kvstore::kv
