#include "durable_output.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

namespace kvstore::cli {
namespace {

std::string failure(const std::string& path) {
  return path + ": " + std::strerror(errno);
}

}  // namespace

std::optional<std::string> sync_directory(const std::string& directory) {
  const std::string path = directory.empty() ? "." : directory;
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return failure(path);
  const int result = ::fsync(fd);
  std::optional<std::string> error;
  if (result != 0) error = failure(path);
  ::close(fd);
  return error;
}

DurableOutput::DurableOutput(std::string path, std::string temporary)
    : path_(std::move(path)), temporary_(std::move(temporary)) {}

DurableOutput::~DurableOutput() {
  if (fd_ < 0) return;
  ::close(fd_);
  if (!committed_) ::unlink(temporary_.c_str());
}

std::optional<std::string> DurableOutput::open() {
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) return failure(temporary_);
  return std::nullopt;
}

std::optional<std::string> DurableOutput::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failure(temporary_);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return std::nullopt;
}

std::optional<std::string> DurableOutput::restart() {
  if (::ftruncate(fd_, 0) != 0 || ::lseek(fd_, 0, SEEK_SET) != 0) return failure(temporary_);
  return std::nullopt;
}

std::optional<std::string> DurableOutput::commit(bool replace) {
  if (::fsync(fd_) != 0) return failure(temporary_);
  const unsigned flags = replace ? 0 : RENAME_NOREPLACE;
  int moved = ::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), flags);
  // Not every file system can refuse to replace: then the check at the beginning is all there is.
  if (moved != 0 && errno == EINVAL) moved = ::rename(temporary_.c_str(), path_.c_str());
  if (moved != 0) return failure(path_);
  committed_ = true;
  return sync_directory(std::filesystem::path(path_).parent_path().string());
}

}  // namespace kvstore::cli
