// A directory for decoders that read files; in memory where there is such a place.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <unistd.h>

#include "base/bytes.hpp"

namespace kvstore::fuzz {

class ScratchDir {
 public:
  ScratchDir() {
    const bool shm = std::filesystem::is_directory("/dev/shm");
    path_ =
        (shm ? "/dev/shm" : std::filesystem::temp_directory_path().string()) + "/kvs-fuzz-XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~ScratchDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDir(const ScratchDir&) = delete;
  ScratchDir& operator=(const ScratchDir&) = delete;

  const std::string& path() const { return path_; }

  void write(const std::string& name, Bytes content) const {
    std::ofstream(path_ + "/" + name, std::ios::binary | std::ios::trunc) << content;
  }

 private:
  std::string path_;
};

}  // namespace kvstore::fuzz
