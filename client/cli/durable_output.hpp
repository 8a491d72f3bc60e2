// A file that is there whole and safe from a power cut, or not at all.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kvstore::cli {

// Written beside its place, and moved there by commit(), after it reached the disk.  Dropped
// before, nothing is left of it.  Errors are one line that names the file.
class DurableOutput {
 public:
  // `temporary` is in the directory of `path`; one that is there is overwritten.
  DurableOutput(std::string path, std::string temporary);
  ~DurableOutput();
  DurableOutput(const DurableOutput&) = delete;
  DurableOutput& operator=(const DurableOutput&) = delete;

  std::optional<std::string> open();
  std::optional<std::string> write(std::string_view bytes);
  // Forgets what was written.
  std::optional<std::string> restart();
  // Without `replace` a file that came to be under the name meanwhile stays.
  std::optional<std::string> commit(bool replace);

 private:
  const std::string path_, temporary_;
  int fd_ = -1;
  bool committed_ = false;
};

// Makes the names in a directory safe.
std::optional<std::string> sync_directory(const std::string& directory);

}  // namespace kvstore::cli
