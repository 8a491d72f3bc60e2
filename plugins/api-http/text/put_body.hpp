// The JSON body of a PUT, read piece by piece so that a value of any size needs no memory of its
// own: {"key": "...", "value": "<base64>"}.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "text/base64.hpp"

namespace kvstore::http {

// One parser for all sizes, so that a large document and a small one are judged alike.  After a
// failure error() says what is wrong, and the parser must not be fed any more.
class PutBodyParser {
 public:
  // key_bytes_max bounds what is kept of "key"; a longer one is a failure.
  explicit PutBodyParser(uint64_t key_bytes_max) : key_bytes_max_(key_bytes_max) {}

  // Appends the value's bytes, as far as they are known, to `value`.
  bool feed(std::string_view text, std::string* value);
  // At the end of the body: true when the document was complete and has a value.
  bool finish();

  bool has_key() const { return has_key_; }
  const std::string& key() const { return key_; }
  const std::string& error() const { return error_; }

 private:
  enum class State : uint8_t {
    kStart,
    kFirstName,
    kNextName,
    kName,
    kColon,
    kFieldStart,
    kKey,
    kValue,
    kAfterField,
    kEnd
  };
  bool step(char c, std::string* value);
  bool structural(char c);
  bool string_char(char c, std::string* value);
  bool escape_char(char c, std::string* value);
  bool code_unit(uint32_t unit, std::string* value);
  bool emit(std::string_view bytes, std::string* value);
  bool end_string();
  bool end_name();
  bool fail(std::string what);

  const uint64_t key_bytes_max_;
  State state_ = State::kStart;
  bool escaped_ = false;   // the last character was a backslash
  uint32_t hex_left_ = 0;  // digits of \uXXXX still to come
  uint32_t unit_ = 0;      // the code unit they make
  uint32_t high_surrogate_ = 0;
  uint64_t offset_ = 0;  // of the character being read, for messages
  std::string name_;     // of the field being read
  std::string key_;
  bool has_key_ = false;
  bool has_value_ = false;
  Base64Decoder decoder_;
  std::string error_;
};

}  // namespace kvstore::http
