// Generations of a database below a data directory, and the pointer that says which one is in
// force.
//
//   <data_dir>/CURRENT                  the name of the generation in force
//   <data_dir>/<engine>-000001/ ...     one database each
//
// A restore builds a new generation beside the current one and switches the pointer: a crash leaves
// the old or the new state, never a mixture, and what the pointer does not name is garbage.
// Databases are never renamed: SQLite would replay a write-ahead file that stayed behind, LevelDB
// keeps absolute names.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>

#include <kvstore/sdk/file.hpp>
#include <kvstore/sdk/guard.hpp>

namespace kvstore::sdk {

// The directory of one generation, removed with everything in it when the object goes, unless it is
// kept. Declare it before what has files open in it.  keep() and discard() from any thread.
class GenerationDir {
 public:
  GenerationDir(uint64_t number, std::string path) : number_(number), path_(std::move(path)) {}
  GenerationDir(GenerationDir&& other) noexcept
      : number_(other.number_),
        path_(std::move(other.path_)),
        discard_(other.discard_.exchange(false)) {}
  GenerationDir& operator=(GenerationDir&&) = delete;
  ~GenerationDir() {
    if (!discard_.load()) return;
    // Whatever is left over is removed as garbage at the next open.
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  uint64_t number() const { return number_; }
  const std::string& path() const { return path_; }
  void keep() { discard_.store(false); }
  void discard() { discard_.store(true); }

 private:
  uint64_t number_;
  std::string path_;
  std::atomic<bool> discard_{false};
};

// Concurrency: allocate() from any thread; the rest under the caller's exclusion.
class Generations {
 public:
  Generations(std::string data_dir, const std::string& engine)
      : data_dir_(std::move(data_dir)), prefix_(engine + "-") {
    for (const auto& entry : std::filesystem::directory_iterator(data_dir_)) {
      uint64_t number = number_of(entry.path().filename().string());
      if (number > newest_) newest_ = number;
    }
  }

  // The directory of an existing generation, to be kept.
  GenerationDir open(uint64_t number) const { return GenerationDir(number, path(number)); }

  // A new directory under a number that none has, to be discarded unless keep() is called.
  GenerationDir create() {
    const uint64_t number = ++newest_;
    GenerationDir dir(number, path(number));
    dir.discard();
    create_dirs(dir.path());
    return dir;
  }

  // The generation in force, 0 when none was ever set.  A pointer to nothing is CORRUPT.
  uint64_t current() const {
    std::optional<std::string> text = read_small_file(data_dir_ + "/CURRENT");
    if (!text.has_value()) return 0;
    if (!text->empty() && text->back() == '\n') text->pop_back();
    uint64_t number = number_of(*text);
    if (number == 0) throw Error(KVS_E_CORRUPT, data_dir_ + "/CURRENT is damaged");
    if (!std::filesystem::is_directory(path(number))) {
      throw Error(KVS_E_CORRUPT, data_dir_ + "/CURRENT names " + *text + ", which is missing");
    }
    return number;
  }

  // Puts a generation in force, atomically and durably.  Its database must be durable.
  void set_current(uint64_t number) {
    write_file_durably(data_dir_, "CURRENT", name(number) + "\n");
  }

  // Removes every generation's directory but `keep` (0: all).  Call at open, with the instance
  // locked.
  void remove_others(uint64_t keep) {
    for (const auto& entry : std::filesystem::directory_iterator(data_dir_)) {
      uint64_t number = number_of(entry.path().filename().string());
      if (number != 0 && number != keep) std::filesystem::remove_all(entry.path());
    }
  }

 private:
  std::string path(uint64_t number) const { return data_dir_ + "/" + name(number); }

  std::string name(uint64_t number) const {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%06llu", static_cast<unsigned long long>(number));
    return prefix_ + digits;
  }

  // 0 when `name` is not a generation's.
  uint64_t number_of(const std::string& text) const {
    if (text.size() <= prefix_.size() || text.size() > prefix_.size() + 18 ||
        text.compare(0, prefix_.size(), prefix_) != 0) {
      return 0;
    }
    uint64_t number = 0;
    for (char c : text.substr(prefix_.size())) {
      if (c < '0' || c > '9') return 0;
      number = number * 10 + static_cast<uint64_t>(c - '0');
    }
    return number;
  }

  std::string data_dir_;
  std::string prefix_;
  std::atomic<uint64_t> newest_{0};
};

}  // namespace kvstore::sdk
