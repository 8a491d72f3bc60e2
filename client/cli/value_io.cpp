#include "value_io.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <unistd.h>

namespace kvstore::cli {
namespace {

namespace fs = std::filesystem;

std::string failure(const std::string& path) {
  return path + ": " + (errno != 0 ? std::strerror(errno) : "input/output error");
}

// Reads a stream without a known length.  Empty: too large or broken, see `error`.
std::optional<std::string> read_all(std::istream& in, const std::string& name, std::string& error) {
  std::string value;
  std::string chunk(size_t{64} << 10, '\0');
  while (in) {
    in.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    value.append(chunk, 0, static_cast<size_t>(in.gcount()));
    if (value.size() > kStdinBytesMax) {
      error = name + ": more than " + std::to_string(kStdinBytesMax) + " bytes";
      return std::nullopt;
    }
  }
  if (in.bad()) {
    error = failure(name);
    return std::nullopt;
  }
  return value;
}

}  // namespace

ValueInput ValueInput::of(std::string value) {
  ValueInput input;
  auto owner = std::make_shared<std::string>(std::move(value));
  input.source_ = client::ValueSource::of(*owner);
  input.keep_ = std::move(owner);
  return input;
}

std::optional<ValueInput> ValueInput::open(const std::string& path, std::istream& in,
                                           std::string& error) {
  if (path == "-") {
    auto value = read_all(in, "standard input", error);
    return value ? std::optional(of(std::move(*value))) : std::nullopt;
  }
  errno = 0;
  auto file = std::make_shared<std::ifstream>(path, std::ios::binary);
  std::error_code status;
  if (fs::is_directory(path, status)) errno = EISDIR;
  if (!file->is_open() || errno == EISDIR) {
    error = failure(path);
    return std::nullopt;
  }
  if (!fs::is_regular_file(path, status)) {
    auto value = read_all(*file, path, error);
    return value ? std::optional(of(std::move(*value))) : std::nullopt;
  }
  ValueInput input;
  input.source_.bytes = fs::file_size(path, status);
  if (status) {
    error = path + ": " + status.message();
    return std::nullopt;
  }
  input.source_.read = [stream = file.get()](uint64_t offset, char* buffer, size_t capacity) {
    stream->clear();
    stream->seekg(static_cast<std::streamoff>(offset));
    stream->read(buffer, static_cast<std::streamsize>(capacity));
    return static_cast<size_t>(stream->gcount());
  };
  input.keep_ = std::move(file);
  return input;
}

FileOutput::FileOutput(std::string path) : path_(std::move(path)) {}

FileOutput::~FileOutput() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

std::optional<std::string> FileOutput::open() {
  std::error_code status;
  const bool in_place = fs::exists(path_, status) && !fs::is_regular_file(path_, status);
  const std::string target = in_place ? path_ : path_ + "." + std::to_string(::getpid()) + ".part";
  errno = 0;
  out_ = std::make_unique<std::ofstream>(target, std::ios::binary | std::ios::trunc);
  if (!*out_) return failure(path_);
  if (!in_place) temporary_ = target;
  return std::nullopt;
}

bool FileOutput::write(uint64_t offset, std::string_view bytes) {
  errno = 0;
  if (offset != bytes_) {
    if (temporary_.empty()) {
      error_ = path_ + ": the read was interrupted after " + std::to_string(bytes_) + " bytes";
      return false;
    }
    out_ = std::make_unique<std::ofstream>(temporary_, std::ios::binary | std::ios::trunc);
    bytes_ = 0;
  }
  out_->write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!*out_) {
    error_ = failure(path_);
    return false;
  }
  bytes_ += bytes.size();
  return true;
}

std::optional<std::string> FileOutput::commit() {
  errno = 0;
  out_->flush();
  if (!*out_) return failure(path_);
  out_.reset();
  if (!temporary_.empty() && std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    return failure(path_);
  }
  temporary_.clear();
  return std::nullopt;
}

}  // namespace kvstore::cli
