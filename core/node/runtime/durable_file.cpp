#include "node/runtime/durable_file.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace kvstore::node::runtime {
namespace {

Status io_error(const std::string& doing, const std::string& path) {
  return {Code::kIo, fmt::format("{} {}: {}", doing, path, std::strerror(errno))};
}

// Closes on scope exit; close() errors after fsync carry no information.
struct File {
  explicit File(int f) : fd(f) {}
  ~File() {
    if (fd >= 0) ::close(fd);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd;
};

Status sync_directory(const std::string& dir) {
  File d(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (d.fd < 0 || ::fsync(d.fd) != 0) return io_error("cannot sync directory", dir);
  return Status::ok();
}

}  // namespace

Status write_durable_file(const std::string& directory, const std::string& name,
                          const std::string& text) {
  const std::string path = directory + "/" + name;
  std::string temporary = path + ".tmp";
  {
    File f(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (f.fd < 0) return io_error("cannot create", temporary);
    size_t done = 0;
    while (done < text.size()) {
      ssize_t n = ::write(f.fd, text.data() + done, text.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return io_error("cannot write", temporary);
      done += static_cast<size_t>(n);
    }
    if (::fsync(f.fd) != 0) return io_error("cannot sync", temporary);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return io_error("cannot rename", temporary);
  return sync_directory(directory);
}

Status remove_durable_file(const std::string& directory, const std::string& name) {
  const std::string path = directory + "/" + name;
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return io_error("cannot remove", path);
  return sync_directory(directory);
}

}  // namespace kvstore::node::runtime
