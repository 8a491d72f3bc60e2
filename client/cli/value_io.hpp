// Values from and to files and standard streams.
#pragma once

#include <istream>
#include <memory>
#include <optional>
#include <string>

#include <kvstore/client/types.hpp>

namespace kvstore::cli {

// Standard input has no length to announce, so it is read whole: no more than the servers' default
// limit.
inline constexpr uint64_t kStdinBytesMax = uint64_t{64} << 20;

// The value that `put` sends.  Keeps what it reads from alive.
class ValueInput {
 public:
  static ValueInput of(std::string value);
  // "-" reads `in` to its end.  Empty `input` and `error` set: it cannot be read.
  static std::optional<ValueInput> open(const std::string& path, std::istream& in,
                                        std::string& error);

  const client::ValueSource& source() const { return source_; }

 private:
  std::shared_ptr<void> keep_;
  client::ValueSource source_;
};

// Writes a value to a file: complete under its name, or not at all.  Devices and pipes are written
// as the bytes come.
class FileOutput {
 public:
  explicit FileOutput(std::string path);
  ~FileOutput();
  FileOutput(const FileOutput&) = delete;
  FileOutput& operator=(const FileOutput&) = delete;

  // Errors name the file.
  std::optional<std::string> open();
  bool write(uint64_t offset, std::string_view bytes);
  std::optional<std::string> commit();

  // The first failure of `write`, empty when there was none.
  const std::string& error() const { return error_; }
  uint64_t bytes() const { return bytes_; }

 private:
  std::string path_, temporary_;  // temporary_ empty: written in place
  std::unique_ptr<std::ostream> out_;
  std::string error_;
  uint64_t bytes_ = 0;
};

}  // namespace kvstore::cli
