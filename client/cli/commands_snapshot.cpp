// snapshot save, status, restore.
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>

#include <unistd.h>

#include "commands.hpp"
#include "display.hpp"
#include "durable_output.hpp"
#include "exit_code.hpp"
#include "json_out.hpp"
#include "progress.hpp"
#include "wire/hello.hpp"
#include "wire/snapshot_file.hpp"

namespace kvstore::cli {
namespace {

namespace fs = std::filesystem;
using wire::SnapshotFileReader;
using Failure = std::optional<std::string>;

constexpr size_t kPieceBytes = 256 << 10;

std::string time_text(uint64_t ms) {
  const auto seconds = static_cast<std::time_t>(ms / 1000);
  std::tm utc{};
  char text[32];
  if (::gmtime_r(&seconds, &utc) == nullptr ||
      std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0) {
    return std::to_string(ms) + " ms";
  }
  return text;
}

Json document_of(const SnapshotFileReader& reader) {
  const wire::SnapshotFileHeader& header = *reader.header();
  Json members = Json::array();
  for (const auto& member : header.members) {
    members.push_back({{"node_id", member.name},
                       {"address", member.address},
                       {"role", member.voter ? "voter" : "learner"}});
  }
  return {{"cluster_id", wire::cluster_id_text(header.cluster)},
          {"node_id", header.node_name},
          {"created", time_text(header.created_ms)},
          {"created_ms", header.created_ms},
          {"revision", header.revision},
          {"compacted_revision", header.compacted_revision},
          {"index", header.last.index.value},
          {"term", header.last.term.value},
          {"keys", reader.keys()},
          {"pairs", reader.pairs()},
          {"bytes", reader.bytes()},
          {"members", std::move(members)}};
}

std::string summary_of(const SnapshotFileReader& reader) {
  return "revision " + std::to_string(reader.header()->revision) + ", " +
         std::to_string(reader.keys()) + " keys, " + format_bytes(reader.bytes());
}

// Reads a whole file through the reader, and gives each piece to `sink` as well, if there is one.
Failure read_file(const std::string& path, Progress* progress, SnapshotFileReader* reader,
                  const std::function<Failure(std::string_view)>& sink = {}) {
  std::error_code status;
  if (fs::is_directory(path, status)) return path + ": is a directory";
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) return path + ": " + std::strerror(errno != 0 ? errno : EIO);
  const uint64_t total = fs::file_size(path, status);
  progress->set_total(status ? 0 : total, "bytes");
  struct Finish {
    Progress* progress;
    ~Finish() { progress->finish(); }
  } const finish{progress};
  std::string piece(kPieceBytes, '\0');
  while (in) {
    in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    const std::string_view got(piece.data(), static_cast<size_t>(in.gcount()));
    if (Status s = reader->feed(got); !s) return path + ": " + s.message();
    if (Failure failed = sink ? sink(got) : std::nullopt) return failed;
    progress->update(reader->bytes());
  }
  if (in.bad()) return path + ": " + std::strerror(errno != 0 ? errno : EIO);
  if (Status s = reader->finish(); !s) return path + ": " + s.message();
  return std::nullopt;
}

// Where a download goes: checked on its way, to a file or a stream.
class Download {
 public:
  Download(Io& io, std::string path)
      : progress_(io, "snapshot save"),
        path_(std::move(path)),
        reader_(std::make_unique<SnapshotFileReader>()) {
    progress_.set_total(0, "bytes");
    if (path_ == "-") {
      out_ = &io.out;
    } else {
      file_.emplace(path_, path_ + "." + std::to_string(::getpid()) + ".part");
    }
  }

  Failure open() { return file_ ? file_->open() : std::nullopt; }

  bool take(uint64_t offset, std::string_view bytes) {
    failure_ = write(offset, bytes);
    progress_.update(reader_->bytes());
    return !failure_;
  }
  const Failure& failure() const { return failure_; }

  void end_progress() { progress_.finish(); }
  Failure finish(bool replace) {
    if (Status s = reader_->finish(); !s) return s.message();
    if (out_ != nullptr) return std::nullopt;  // the program checks its output
    return file_->commit(replace);
  }
  const SnapshotFileReader& reader() const { return *reader_; }

 private:
  Failure write(uint64_t offset, std::string_view bytes) {
    if (offset == 0 && reader_->bytes() != 0) {
      // Another server, with another file.
      if (out_ != nullptr) return "the download was interrupted";
      if (Failure failed = file_->restart()) return failed;
      reader_ = std::make_unique<SnapshotFileReader>();
    }
    if (Status s = reader_->feed(bytes); !s) return s.message();
    if (file_) return file_->write(bytes);
    out_->write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!*out_) return "standard output cannot be written";
    return std::nullopt;
  }

  Progress progress_;
  const std::string path_;
  std::unique_ptr<SnapshotFileReader> reader_;
  std::ostream* out_ = nullptr;  // not null: instead of the file
  std::optional<DurableOutput> file_;
  Failure failure_;
};

void print_member_table(const wire::SnapshotFileHeader& header, Io& io) {
  Table table({"NAME", "ROLE", "ADDRESS"});
  for (const auto& member : header.members) {
    table.add(
        {{escape(member.name)}, {member.voter ? "voter" : "learner"}, {escape(member.address)}});
  }
  table.print(io.out, io.colours);
}

// Why nothing can be placed there; what an interrupted attempt left does not count.
Failure check_data_dir(const fs::path& dir, bool force) {
  std::error_code status;
  if (!fs::exists(dir, status)) {
    if (status) return dir.string() + ": " + status.message();
    return std::nullopt;
  }
  if (fs::exists(dir / "node.json", status)) {
    return dir.string() + " belongs to a cluster already: restore into an empty directory";
  }
  const std::string placed = wire::kRestoreFileName;
  for (fs::directory_iterator it(dir, status), end; !status && it != end; it.increment(status)) {
    const std::string name = it->path().filename().string();
    if (name == "LOCK" || name == "lost+found" || name == placed + ".tmp") continue;
    if (name == placed && force) continue;
    if (name == placed) {
      return it->path().string() +
             " is there already, and waits for kvstore-server --bootstrap; "
             "--force replaces it";
    }
    return dir.string() + " is not empty (" + escape(name) + "): restore into an empty directory";
  }
  if (status) return dir.string() + ": " + status.message();
  return std::nullopt;
}

// Makes the directory and those above it, each of them durable in the one above.
Failure make_directories(const fs::path& dir) {
  std::error_code status;
  if (fs::is_directory(dir, status)) return std::nullopt;
  const fs::path above = dir.parent_path();
  if (!above.empty() && above != dir) {
    if (Failure failed = make_directories(above)) return failed;
  }
  if (!fs::create_directory(dir, status) && status) return dir.string() + ": " + status.message();
  return sync_directory(above.string());
}

}  // namespace

int run_snapshot_save(const Options& options, client::Client& client, Io& io) {
  const bool to_file = options.file != "-";
  std::error_code status;
  if (to_file && !options.force && fs::exists(options.file, status)) {
    return fail_locally(options, io, options.file + " exists; --force replaces it");
  }
  Download download(io, options.file);
  if (Failure failed = download.open()) return fail_locally(options, io, *failed);
  const auto saved = client.save_snapshot(
      options.read,
      [&](uint64_t offset, std::string_view bytes) { return download.take(offset, bytes); });
  download.end_progress();
  if (download.failure()) return fail_locally(options, io, *download.failure());
  if (!saved) return fail(options, io, saved.error());
  if (Failure failed = download.finish(options.force)) return fail_locally(options, io, *failed);
  if (!to_file) return kExitDone;
  if (options.format == Format::kJson) {
    Json document = document_of(download.reader());
    document["server"] = saved->server;
    print_json(document, io.out);
  } else {
    io.out << "OK " << summary_of(download.reader()) << '\n';
  }
  return kExitDone;
}

int run_snapshot_status(const Options& options, Io& io) {
  SnapshotFileReader reader;
  Progress progress(io, "snapshot status");
  if (Failure failed = read_file(options.file, &progress, &reader)) {
    return fail_locally(options, io, *failed);
  }
  if (options.format == Format::kJson) {
    print_json(document_of(reader), io.out);
    return kExitDone;
  }
  const wire::SnapshotFileHeader& header = *reader.header();
  const auto line = [&](const char* title, const std::string& text) {
    io.out << paint({title, Colour::kStrong}, io.colours) << escape(text) << '\n';
  };
  line("cluster   ", wire::cluster_id_text(header.cluster));
  line("taken     ", time_text(header.created_ms) + " by " + header.node_name);
  line("revision  ", std::to_string(header.revision) + ", readable from " +
                         std::to_string(header.compacted_revision) + " on");
  line("log       ", "index " + std::to_string(header.last.index.value) + ", term " +
                         std::to_string(header.last.term.value));
  line("keys      ", std::to_string(reader.keys()));
  line("size      ",
       format_bytes(reader.bytes()) + ", " + std::to_string(reader.pairs()) + " records");
  io.out << '\n';
  print_member_table(header, io);
  return kExitDone;
}

int run_snapshot_restore(const Options& options, Io& io) {
  const fs::path dir = options.data_dir;
  const std::string place = (dir / wire::kRestoreFileName).string();
  if (Failure failed = check_data_dir(dir, options.force)) {
    return fail_locally(options, io, *failed);
  }
  Progress progress(io, "snapshot restore");
  // A file that is not good changes nothing, so it is read whole before, and once more for the
  // copy.
  if (SnapshotFileReader first; Failure failed = read_file(options.file, &progress, &first)) {
    return fail_locally(options, io, *failed);
  }
  if (Failure failed = make_directories(dir)) return fail_locally(options, io, *failed);
  DurableOutput copy(place, place + ".tmp");
  if (Failure failed = copy.open()) return fail_locally(options, io, *failed);
  SnapshotFileReader reader;
  const auto write = [&](std::string_view bytes) { return copy.write(bytes); };
  Failure failed = read_file(options.file, &progress, &reader, write);
  if (!failed) failed = copy.commit(options.force);
  if (failed) return fail_locally(options, io, *failed);
  if (options.format == Format::kJson) {
    Json document = document_of(reader);
    document["path"] = place;
    print_json(document, io.out);
  } else {
    io.out
        << "OK " << summary_of(reader) << " in " << escape(place) << '\n'
        << "Start kvstore-server with --bootstrap on this data directory: it begins a new cluster "
           "from it.\n";
  }
  return kExitDone;
}

}  // namespace kvstore::cli
