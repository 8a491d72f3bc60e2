#include "node/runtime/restore_file.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/log.hpp"
#include "node/runtime/durable_file.hpp"
#include "node/runtime/restore_pairs.hpp"

namespace kvstore::node::runtime {
namespace {

constexpr size_t kPieceBytes = 256 << 10;

struct File {
  explicit File(int f) : fd(f) {}
  ~File() {
    if (fd >= 0) ::close(fd);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd;
};

Status io_error(const std::string& path) {
  return {Code::kIo, fmt::format("cannot read {}: {}", path, std::strerror(errno))};
}

// Names the file, and what to do about it.
Status about(const std::string& path, const Status& why) {
  if (why.code() != Code::kCorrupt && why.code() != Code::kUnsupported) return why;
  // Not the code of damaged data: nothing of this node is damaged.
  return {
      Code::kInvalid,
      fmt::format("{} cannot be restored: {}; put a good one there with kvstore-client snapshot "
                  "restore --force, or remove it",
                  path, why.message())};
}

// Feeds the file to the reader until its end, or until the header was read.
Status read_file(const std::string& path, int fd, bool whole, wire::SnapshotFileReader* reader) {
  std::string piece(kPieceBytes, '\0');
  while (whole || reader->header() == nullptr) {
    const ssize_t n = ::read(fd, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error(path);
    if (n == 0) return about(path, reader->finish());
    Status taken = reader->feed(Bytes(piece).substr(0, static_cast<size_t>(n)));
    if (!taken) return about(path, taken);
  }
  return Status::ok();
}

Status holds_data(const std::string& what) {
  return {
      Code::kInvalid,
      fmt::format("the {} holds data already, which is not that of an earlier attempt to restore "
                  "this file: restore into an empty data directory",
                  what)};
}

}  // namespace

Result<std::optional<RestoreFile>> find_restore_file(const std::string& data_dir,
                                                     const IdentityFile* known, bool bootstrap) {
  RestoreFile found;
  found.path = data_dir + "/" + wire::kRestoreFileName;
  File file(::open(found.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd < 0 && errno == ENOENT) return std::optional<RestoreFile>();
  if (file.fd < 0) return io_error(found.path);
  wire::SnapshotFileReader reader;
  const bool first_start = known == nullptr;
  const Status read = read_file(found.path, file.fd, first_start && bootstrap, &reader);
  if (!first_start) {
    const bool used = read && known->restored_file == reader.fingerprint();
    if (!used) {
      return Status(Code::kInvalid,
                    fmt::format("{} is there to be restored, but {} belongs to a cluster already: "
                                "remove the file, or restore into an empty data directory",
                                found.path, data_dir));
    }
    if (Status s = remove_restore_file(data_dir); !s) return s;
    return std::optional<RestoreFile>();
  }
  if (!bootstrap) {
    return Status(Code::kInvalid,
                  fmt::format("{} is there to be restored: start with --bootstrap to begin a new "
                              "cluster from it, or remove the file",
                              found.path));
  }
  if (!read) return read;
  found.header = *reader.header();
  found.fingerprint = reader.fingerprint();
  return std::optional<RestoreFile>(std::move(found));
}

Status check_restorable(const RestoreFile& file, const plugin::LogStore& log, StateAdapter* state) {
  const raft::LogId last = file.header.last;
  Result<std::unique_ptr<kv::View>> view = state->open_view();
  if (!view) return view.status();
  Result<kv::AppliedMark> mark = (*view)->applied();
  if (!mark) return mark.status();
  const raft::LogId applied{{mark->term}, {mark->index}};
  if (mark->index != 0 && applied != last) return holds_data("state");
  Result<kvs_log_state> found = log.state();
  if (!found) return found.status();
  const raft::LogId base{{found->base.term}, {found->base.index}};
  const bool empty = found->last.index == found->base.index;
  if (!empty || (found->base.index != 0 && base != last)) return holds_data("log");
  return Status::ok();
}

Status restore_state(const RestoreFile& file, plugin::StateStore* state,
                     const raft::Configuration& configuration) {
  File in(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (in.fd < 0) return io_error(file.path);
  Result<plugin::Restore> restore = state->restore();
  if (!restore) return restore.status();
  wire::SnapshotFileReader reader(
      [&](std::span<const wire::SnapshotPair> pairs) { return put_pairs(&*restore, pairs); });
  if (Status s = read_file(file.path, in.fd, /*whole=*/true, &reader); !s) return s;
  if (reader.fingerprint() != file.fingerprint) {
    return {Code::kInvalid, file.path + " was replaced while it was read: start again"};
  }
  const kvs_log_id at{file.header.last.term.value, file.header.last.index.value};
  Status committed = restore->commit(at, configuration.encode());
  if (committed) {
    KVS_LOG(kInfo, "restore", "state of {}: index={} revision={} keys={}", file.path, at.index,
            file.header.revision, reader.keys());
  }
  return committed;
}

Status restore_log(const RestoreFile& file, plugin::LogStore* log) {
  const kvs_log_id base{file.header.last.term.value, file.header.last.index.value};
  if (Status s = log->reset(base); !s) return s;
  const kvs_hard_state hard{base.term, 0, base.index};
  return log->write(KVS_LOG_SET_HARD_STATE | KVS_LOG_SYNC, hard, 0, {});
}

Status remove_restore_file(const std::string& data_dir) {
  return remove_durable_file(data_dir, wire::kRestoreFileName);
}

}  // namespace kvstore::node::runtime
