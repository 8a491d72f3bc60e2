#include "support/history/recorder.hpp"

#include <utility>

#include "base/assert.hpp"
#include "support/history/json_lines.hpp"

namespace kvstore::history {

Recorder::Recorder(const std::string& path) : file_(path) {
  KVS_ASSERT(file_.is_open());
}

size_t Recorder::call(Operation operation) {
  operation.outcome = Outcome::kUnknown;
  std::lock_guard lock(mutex_);
  operations_.push_back(std::move(operation));
  return operations_.size() - 1;
}

void Recorder::finish(size_t number, Operation operation) {
  std::lock_guard lock(mutex_);
  KVS_ASSERT(number < operations_.size());
  KVS_ASSERT(operation.outcome == Outcome::kUnknown || operation.return_us >= operation.call_us);
  operations_[number] = std::move(operation);
  if (file_.is_open()) file_ << to_json_line(operations_[number]) << std::endl;
}

History Recorder::history() const {
  std::lock_guard lock(mutex_);
  return operations_;
}

size_t Recorder::size() const {
  std::lock_guard lock(mutex_);
  return operations_.size();
}

}  // namespace kvstore::history
