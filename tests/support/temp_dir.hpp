// A directory of a test's own, removed with everything in it at the end.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include <unistd.h>

namespace kvstore::test {

class TempDir {
 public:
  // Named kvs-<purpose>-... below `parent`.
  explicit TempDir(const std::string& purpose = "test",
                   const std::filesystem::path& parent = std::filesystem::temp_directory_path())
      : path_((parent / ("kvs-" + purpose + "-XXXXXX")).string()) {
    if (::mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace kvstore::test
