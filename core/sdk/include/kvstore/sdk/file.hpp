// Durable small-file and directory operations, the ones every storage plugin needs and easily gets
// wrong.
#pragma once

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <kvstore/sdk/guard.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kvstore::sdk {

// The status of a failed system call: a full disk or quota is NO_SPACE, exhausted memory NO_MEMORY,
// the rest IO.
inline kvs_status status_of_errno(int sys_errno) {
  switch (sys_errno) {
    case ENOSPC:
    case EDQUOT:
      return KVS_E_NO_SPACE;
    case ENOMEM:
    case EMFILE:  // out of descriptors: nothing is wrong with the disk
    case ENFILE:
      return KVS_E_NO_MEMORY;
    default:
      return KVS_E_IO;
  }
}

// "cannot <action> <path>: <strerror>" with the status of sys_errno.
inline Error system_error(const std::string& action, const std::string& path, int sys_errno) {
  return Error(status_of_errno(sys_errno),
               "cannot " + action + " " + path + ": " + std::strerror(sys_errno), sys_errno);
}

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  // Throws Error when the file cannot be opened.
  static Fd open(const std::string& path, int flags, mode_t mode = 0644) {
    int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    if (fd < 0) throw system_error("open", path, errno);
    return Fd(fd);
  }
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

// Makes the names in a directory (created, renamed, removed files) survive power loss.
inline void sync_dir(const std::string& path) {
  Fd fd = Fd::open(path, O_RDONLY | O_DIRECTORY);
  if (::fsync(fd.get()) != 0) throw system_error("sync directory", path, errno);
}

// Makes a file's content survive power loss, whoever wrote it.
inline void sync_file(const std::string& path) {
  Fd fd = Fd::open(path, O_RDONLY);
  if (::fdatasync(fd.get()) != 0) throw system_error("sync", path, errno);
}

// Creates a directory with its missing parents; each new name is durable on return.
inline void create_dirs(const std::string& path) {
  namespace fs = std::filesystem;
  fs::path built;
  for (const fs::path& part : fs::absolute(path).lexically_normal()) {
    fs::path parent = built;
    built /= part;
    if (part.empty() || ::mkdir(built.c_str(), 0755) == 0) {
      if (!part.empty()) sync_dir(parent.string());
      continue;
    }
    if (errno != EEXIST) {
      int saved = errno;
      std::error_code ignored;
      // "/" and read-only parents answer with other errors although they exist.
      if (!fs::is_directory(built, ignored)) {
        throw system_error("create directory", built.string(), saved);
      }
    }
  }
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) throw system_error("create directory", path, ENOTDIR);
}

// Replaces dir/name by `content`: after a crash it holds the old or the new content, and the new
// one once this returned.
inline void write_file_durably(const std::string& dir, const std::string& name,
                               std::string_view content) {
  const std::string target = dir + "/" + name;
  const std::string temporary = target + ".tmp";
  {
    Fd fd = Fd::open(temporary, O_WRONLY | O_CREAT | O_TRUNC);
    while (!content.empty()) {
      ssize_t n = ::write(fd.get(), content.data(), content.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw system_error("write", temporary, errno);
      content.remove_prefix(static_cast<size_t>(n));
    }
    if (::fsync(fd.get()) != 0) throw system_error("sync", temporary, errno);
  }
  if (::rename(temporary.c_str(), target.c_str()) != 0) {
    throw system_error("rename to", target, errno);
  }
  sync_dir(dir);
}

// The whole content, nothing when the file does not exist.  A file larger than bytes_max is
// CORRUPT.
inline std::optional<std::string> read_small_file(const std::string& path,
                                                  size_t bytes_max = 4096) {
  int raw = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (raw < 0 && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
  if (raw < 0) throw system_error("open", path, errno);
  Fd fd(raw);
  std::string content(bytes_max + 1, '\0');
  size_t size = 0;
  while (size < content.size()) {
    ssize_t n = ::read(fd.get(), content.data() + size, content.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw system_error("read", path, errno);
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  if (size > bytes_max) throw Error(KVS_E_CORRUPT, path + " is larger than it can be");
  content.resize(size);
  return content;
}

}  // namespace kvstore::sdk
