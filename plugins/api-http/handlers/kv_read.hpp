// What GET of a key and of a list share: consistency, and values streamed from a reader.
#pragma once

#include <string>
#include <string_view>

#include "context.hpp"

namespace kvstore::http {

// The names of parse_read_options' parameters, for Params.
#define KVS_HTTP_READ_PARAMS "consistency", "max_staleness", "min_revision", "revision"

// Throws ApiError(400).
kvs_read_options parse_read_options(const Params& params);
// Whether a read may have to wait: for a leader's word, or for a revision.
bool read_may_wait(const Request& request);

// Gives a value of known size in pieces of about 1 MiB.
class ValuePieces {
 public:
  ValuePieces(std::string key, uint64_t value_bytes, bool base64)
      : key_(std::move(key)), value_bytes_(value_bytes), base64_(base64) {}

  // Bytes that all pieces have together.
  uint64_t total_bytes() const;
  bool at_end() const { return offset_ == value_bytes_; }
  // Appends the next piece; throws ApiError when the value is shorter than was said.
  void next(const Reader& reader, std::string* out);

 private:
  std::string key_;
  uint64_t value_bytes_;
  bool base64_;
  uint64_t offset_ = 0;
  std::string piece_;
};

}  // namespace kvstore::http
