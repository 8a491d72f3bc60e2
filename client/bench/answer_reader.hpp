// Reads one HTTP/1.1 answer and forgets its body: no more work per answer than a load test needs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvstore::bench {

class AnswerReader {
 public:
  enum class State : uint8_t {
    kMore,
    kDone,
    kMalformed,  // no HTTP/1.1, no Content-Length, a head above 64 KiB, or bytes after the answer
  };

  void reset();
  // Takes the next bytes of the connection.
  State feed(std::string_view bytes);

  // Valid when kDone.
  int status() const { return status_; }
  bool closes() const { return closes_; }  // the server ends the connection
  uint64_t body_bytes() const { return body_bytes_; }

 private:
  bool parse_head(std::string_view head);
  bool parse_field(std::string_view line);

  std::string head_;  // while it is incomplete
  bool in_body_ = false, has_length_ = false, closes_ = false;
  int status_ = 0;
  uint64_t body_bytes_ = 0, left_ = 0;
};

}  // namespace kvstore::bench
