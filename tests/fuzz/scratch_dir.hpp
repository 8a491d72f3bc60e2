// A directory for decoders that read files; in memory where there is such a place.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "base/bytes.hpp"
#include "support/temp_dir.hpp"

namespace kvstore::fuzz {

class ScratchDir : public test::TempDir {
 public:
  ScratchDir() : TempDir("fuzz", parent()) {}

  void write(const std::string& name, Bytes content) const {
    std::ofstream(path() + "/" + name, std::ios::binary | std::ios::trunc) << content;
  }

 private:
  static std::filesystem::path parent() {
    const std::filesystem::path memory = "/dev/shm";
    return std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
  }
};

}  // namespace kvstore::fuzz
