#include "env.hpp"

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <sstream>

#include <kvstore/sdk/file.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kvstore::storage_leveldb {
namespace {

using leveldb::Slice;
using leveldb::Status;

// Beside the database's files: the name of the newest write-ahead file.
constexpr const char* kWitness = "WAL";
// And the name and size of the newest list of tables (MANIFEST) when it was last synced.
constexpr const char* kTablesWitness = "TABLES";

bool is_wal(const std::string& name) {
  constexpr char kSuffix[] = ".log";
  constexpr size_t kLength = sizeof kSuffix - 1;
  return name.size() > kLength && name.compare(name.size() - kLength, kLength, kSuffix) == 0;
}

std::string leaf_of(const std::string& name) {
  return name.substr(name.find_last_of('/') + 1);
}

bool is_manifest(const std::string& name) {
  return leaf_of(name).rfind("MANIFEST-", 0) == 0;
}

std::string parent_of(const std::string& name) {
  return name.substr(0, name.find_last_of('/'));
}

template <typename Fn>
Status guarded_status(Fn&& fn) {
  try {
    fn();
    return Status::OK();
  } catch (const sdk::Error& e) {
    return e.code() == KVS_E_CORRUPT ? Status::Corruption(e.what()) : Status::IOError(e.what());
  }
}

Status sync_parent_dir(const std::string& name) {
  return guarded_status([&] { sdk::sync_dir(parent_of(name)); });
}

// Makes the name of a new write-ahead file durable and records it.
Status witness(const std::string& name) {
  return guarded_status([&] {
    const std::string dir = parent_of(name);
    sdk::sync_dir(dir);
    sdk::write_file_durably(dir, kWitness, name.substr(dir.size() + 1));
  });
}

// A write-ahead file that is synced before it is closed and refuses everything after a failure.
class WalFile : public leveldb::WritableFile {
 public:
  WalFile(leveldb::WritableFile* target, WalLatch* latch) : target_(target), latch_(latch) {}
  // LevelDB drops the old file at a switch by deleting it; the new one has not been written to yet.
  ~WalFile() override {
    if (!closed_) Close();
  }

  Status Append(const Slice& data) override {
    return guarded([&] { return target_->Append(data); });
  }
  Status Flush() override {
    return guarded([&] { return target_->Flush(); });
  }
  Status Sync() override {
    return guarded([&] { return target_->Sync(); });
  }
  Status Close() override {
    closed_ = true;
    Status status = Sync();
    Status close_status = target_->Close();
    return status.ok() ? latch_->note(close_status) : status;
  }

 private:
  template <typename Fn>
  Status guarded(Fn&& fn) {
    Status latched = latch_->status();
    return latched.ok() ? latch_->note(fn()) : latched;
  }

  std::unique_ptr<leveldb::WritableFile> target_;
  WalLatch* latch_;
  bool closed_ = false;
};

// A list of tables whose synced size is on record, so that one that was cut is noticed.
class ManifestFile : public leveldb::WritableFile {
 public:
  ManifestFile(leveldb::WritableFile* target, std::string name)
      : target_(target), name_(std::move(name)) {}

  Status Append(const Slice& data) override {
    Status status = target_->Append(data);
    if (status.ok()) bytes_ += data.size();
    return status;
  }
  Status Flush() override { return target_->Flush(); }
  Status Close() override { return target_->Close(); }
  Status Sync() override {
    Status status = target_->Sync();
    if (!status.ok()) return status;
    return guarded_status([&] {
      sdk::write_file_durably(parent_of(name_), kTablesWitness,
                              leaf_of(name_) + " " + std::to_string(bytes_) + "\n");
    });
  }

 private:
  std::unique_ptr<leveldb::WritableFile> target_;
  const std::string name_;
  uint64_t bytes_ = 0;
};

void check_newest_wal(const std::string& dir) {
  const std::optional<std::string> name = sdk::read_small_file(dir + "/" + kWitness);
  if (name.has_value() && ::access((dir + "/" + *name).c_str(), F_OK) != 0) {
    throw sdk::Error(KVS_E_CORRUPT, "the write-ahead file " + *name + " is missing in " + dir);
  }
}

// A record of another list than the one in force tells nothing: a crash came before the switch.
void check_manifest(const std::string& dir) {
  const std::optional<std::string> record = sdk::read_small_file(dir + "/" + kTablesWitness);
  const std::optional<std::string> current = sdk::read_small_file(dir + "/CURRENT");
  if (!record.has_value() || !current.has_value()) return;
  std::istringstream fields(*record);
  std::string name;
  uint64_t bytes = 0;
  if (!(fields >> name >> bytes)) {
    throw sdk::Error(KVS_E_CORRUPT, dir + "/" + kTablesWitness + " is damaged");
  }
  if (*current != name + "\n") return;
  struct stat found {};
  const bool exists = ::stat((dir + "/" + name).c_str(), &found) == 0;
  if (!exists || static_cast<uint64_t>(found.st_size) < bytes) {
    throw sdk::Error(KVS_E_CORRUPT, dir + "/" + name + " is shorter than the " +
                                        std::to_string(bytes) + " bytes that were synced");
  }
}

}  // namespace

Status WalLatch::status() const {
  std::lock_guard lock(mutex_);
  return failure_;
}

Status WalLatch::note(const Status& status) {
  if (status.ok()) return status;
  std::lock_guard lock(mutex_);
  if (failure_.ok()) failure_ = status;
  return failure_;
}

SafeEnv::SafeEnv() : leveldb::EnvWrapper(leveldb::Env::Default()) {
  background_ = std::thread([this] { run_background(); });
}

SafeEnv::~SafeEnv() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    ready_.notify_one();
  }
  background_.join();
}

Status SafeEnv::NewWritableFile(const std::string& name, leveldb::WritableFile** result) {
  *result = nullptr;
  if (is_manifest(name)) {
    leveldb::WritableFile* file = nullptr;
    Status status = target()->NewWritableFile(name, &file);
    if (status.ok()) *result = new ManifestFile(file, name);
    return status;
  }
  if (!is_wal(name)) return target()->NewWritableFile(name, result);
  Status latched = latch_.status();
  if (!latched.ok()) return latched;
  leveldb::WritableFile* file = nullptr;
  Status status = target()->NewWritableFile(name, &file);
  if (!status.ok()) return status;
  auto wrapped = std::make_unique<WalFile>(file, &latch_);
  status = latch_.note(witness(name));
  if (!status.ok()) return status;
  {
    std::lock_guard lock(mutex_);
    current_wal_ = name;
  }
  *result = wrapped.release();
  return status;
}

Status SafeEnv::check_files(const std::string& dir) {
  return guarded_status([&] {
    check_newest_wal(dir);
    check_manifest(dir);
  });
}

Status SafeEnv::RenameFile(const std::string& from, const std::string& to) {
  Status status = target()->RenameFile(from, to);
  return status.ok() ? sync_parent_dir(to) : status;
}

// When the switch to a new list was made, but not made durable, LevelDB gives up and removes the
// list: whichever of the two CURRENT names after a crash must be there.
Status SafeEnv::RemoveFile(const std::string& name) {
  if (is_manifest(name)) {
    const std::optional<std::string> current = sdk::read_small_file(parent_of(name) + "/CURRENT");
    if (current == leaf_of(name) + "\n") return Status::IOError(name, "in use by CURRENT");
  }
  return target()->RemoveFile(name);
}

Status SafeEnv::sync_current_wal() {
  std::string name;
  {
    std::lock_guard lock(mutex_);
    name = current_wal_;
  }
  if (name.empty()) return Status::OK();
  int raw = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (raw < 0) {
    // Switched and removed: its content is in synced tables.
    if (errno == ENOENT) return Status::OK();
    return latch_.note(Status::IOError(name, std::strerror(errno)));
  }
  sdk::Fd fd(raw);
  if (::fdatasync(fd.get()) == 0) return Status::OK();
  return latch_.note(Status::IOError(name, std::strerror(errno)));
}

void SafeEnv::Schedule(void (*function)(void*), void* arg) {
  std::lock_guard lock(mutex_);
  tasks_.emplace_back(function, arg);
  ready_.notify_one();
}

void SafeEnv::run_background() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ready_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    auto [function, arg] = tasks_.front();
    tasks_.pop_front();
    lock.unlock();
    function(arg);
    lock.lock();
  }
}

}  // namespace kvstore::storage_leveldb
