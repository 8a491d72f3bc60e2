// The data directory of one storage instance: exclusive lock, engine marker, and the rules for
// creating.
//
//   <data_dir>/LOCK    flock'ed while the instance is open
//   <data_dir>/ENGINE  which engine, interface and format the directory holds; written last at
//   creation
#pragma once

#include <cerrno>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <string_view>

#include <kvstore/abi/storage.h>
#include <kvstore/sdk/file.hpp>
#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/slice.hpp>

#include <fcntl.h>
#include <sys/file.h>

namespace kvstore::sdk {

// What an instance's directory must say about itself.
struct EngineTag {
  const char* engine;     // "leveldb"
  const char* interface;  // KVS_LOG_ID or KVS_STATE_ID
  unsigned format;        // the plugin's own on-disk format; a newer one is refused
};

// How to use: construct (checks and locks), create or open the database below path(), then call
// finish_create() when is_new().  The lock lasts as long as the object.  Errors of the constructor:
// INVALID or UNSUPPORTED (options), NOT_FOUND (no instance and no CREATE), BUSY (open elsewhere),
// INCOMPATIBLE (another engine's, interface's or a newer format's directory), CORRUPT (marker
// unreadable), IO.
class DataDir {
 public:
  DataDir(const kvs_storage_options& options, const EngineTag& tag)
      : path_(view(options.data_dir)),
        tag_(tag),
        create_((options.flags & KVS_STORAGE_CREATE) != 0) {
    if (path_.empty()) throw Error(KVS_E_INVALID, "data_dir is empty");
    if ((options.flags & KVS_STORAGE_READ_ONLY) != 0) {
      throw Error(KVS_E_UNSUPPORTED, std::string(tag_.engine) +
                                         " cannot open an instance without writing: recovery does");
    }
    if ((options.flags & ~KVS_STORAGE_CREATE) != 0) {
      throw Error(KVS_E_UNSUPPORTED, "storage options: a flag is not known to this plugin");
    }
    check_marker();
    if (is_new_ && !create_) {
      throw Error(KVS_E_NOT_FOUND, "no " + describe(tag_.engine, tag_.interface) + " in " + path_);
    }
    if (is_new_) create_dirs(path_);
    lock();
    check_marker();  // again: another process may have created it meanwhile
    if (is_new_) check_nothing_foreign();
  }

  const std::string& path() const { return path_; }
  // No finished instance was here: the database below must be created (parts of an interrupted
  // creation may exist).
  bool is_new() const { return is_new_; }

  // Marks the creation as finished; the database must be durable by now.
  void finish_create() {
    std::ostringstream text;
    text << "kvstore-storage 1\nengine " << tag_.engine << "\ninterface "
         << tag_.interface << "\nformat " << tag_.format << "\n";
    write_file_durably(path_, "ENGINE", text.str());
    is_new_ = false;
  }

 private:
  static std::string describe(std::string_view engine, std::string_view interface) {
    return std::string(engine) + " " + std::string(interface) + " instance";
  }

  void check_marker() {
    std::optional<std::string> text = read_small_file(path_ + "/ENGINE");
    is_new_ = !text.has_value();
    if (is_new_) return;
    std::istringstream lines(*text);
    std::map<std::string, std::string> fields;
    for (std::string key, value; lines >> key >> value;) fields[key] = value;
    unsigned format = 0;
    std::istringstream(fields["format"]) >> format;
    if (fields["kvstore-storage"] != "1" || fields["engine"].empty() || format == 0) {
      throw Error(KVS_E_CORRUPT, path_ + "/ENGINE is damaged");
    }
    if (fields["engine"] != tag_.engine || fields["interface"] != tag_.interface) {
      throw Error(KVS_E_INCOMPATIBLE, "data directory holds a " +
                                          describe(fields["engine"], fields["interface"]) +
                                          ", this plugin is for a " +
                                          describe(tag_.engine, tag_.interface) + ": " + path_);
    }
    if (format > tag_.format) {
      throw Error(KVS_E_INCOMPATIBLE, path_ + " has format " + fields["format"] +
                                          ", this plugin knows up to " +
                                          std::to_string(tag_.format) + ": upgrade the plugin");
    }
  }

  void lock() {
    lock_ = Fd::open(path_ + "/LOCK", O_RDWR | O_CREAT);
    if (::flock(lock_.get(), LOCK_EX | LOCK_NB) == 0) return;
    if (errno == EWOULDBLOCK) {
      throw Error(KVS_E_BUSY, "data directory is in use by another instance: " + path_);
    }
    throw system_error("lock", path_, errno);
  }

  // A directory without a marker may hold what an interrupted creation of the same engine left,
  // which the plugin names with a "<noun>-" or plain database name; plain files of others are never
  // adopted.
  void check_nothing_foreign() const {
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      const std::string name = entry.path().filename().string();
      if (name == "LOCK" || name == "ENGINE.tmp" || name == "CURRENT" || name == "CURRENT.tmp")
        continue;
      if (entry.is_directory() && name.rfind(std::string(tag_.engine) + "-", 0) == 0) continue;
      throw Error(KVS_E_INCOMPATIBLE, "cannot create a " + describe(tag_.engine, tag_.interface) +
                                          " in " + path_ + ": it holds a foreign file " + name);
    }
  }

  std::string path_;
  EngineTag tag_;
  bool create_;
  bool is_new_ = true;
  Fd lock_;
};

}  // namespace kvstore::sdk
