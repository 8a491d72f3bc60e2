// Collects a history while clients run.
#pragma once

#include <fstream>
#include <mutex>
#include <string>

#include "support/history/operation.hpp"

namespace kvstore::history {

// An operation is recorded when it is called and once more when it is answered: those of a client
// that dies stay in the history as unknown.  Every function may be called from any thread.
class Recorder {
 public:
  Recorder() = default;
  // Also appends each finished operation to this file as one line of JSON.
  explicit Recorder(const std::string& path);

  // Takes call_us, client, node and steps; the number for finish().
  size_t call(Operation operation);
  // Replaces the called operation by its end, `operation` with outcome, return_us and answers.
  void finish(size_t number, Operation operation);

  // All operations so far; those without an end are unknown.
  History history() const;
  size_t size() const;

 private:
  mutable std::mutex mutex_;
  History operations_;
  std::ofstream file_;
};

}  // namespace kvstore::history
