#include "text/put_body.hpp"

#include "text/json_text.hpp"

namespace kvstore::http {
namespace {

constexpr size_t kNameBytesMax = 64;

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

void append_utf8(uint32_t c, std::string* out) {
  const auto push = [out](uint32_t byte) { out->push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    push(c);
  } else if (c < 0x800) {
    push(0xC0 | c >> 6);
    push(0x80 | (c & 63));
  } else if (c < 0x10000) {
    push(0xE0 | c >> 12);
    push(0x80 | (c >> 6 & 63));
    push(0x80 | (c & 63));
  } else {
    push(0xF0 | c >> 18);
    push(0x80 | (c >> 12 & 63));
    push(0x80 | (c >> 6 & 63));
    push(0x80 | (c & 63));
  }
}

}  // namespace

bool PutBodyParser::feed(std::string_view text, std::string* value) {
  for (size_t i = 0; i < text.size();) {
    if (state_ == State::kValue && !escaped_ && hex_left_ == 0 && high_surrogate_ == 0) {
      // The way of nearly all bytes: base64 up to the closing quote or an escape.
      const size_t taken = decoder_.take(text.substr(i), value);
      offset_ += taken;
      i += taken;
      if (i == text.size()) break;
    }
    if (!step(text[i], value)) return false;
    ++i;
    ++offset_;
  }
  return true;
}

bool PutBodyParser::finish() {
  if (state_ == State::kStart) return fail("the body is empty: a JSON object was expected");
  if (state_ != State::kEnd) return fail("the JSON document ends too early");
  if (!has_value_) return fail("value: missing");
  return true;
}

bool PutBodyParser::step(char c, std::string* value) {
  const bool in_string = state_ == State::kName || state_ == State::kKey || state_ == State::kValue;
  if (in_string) return string_char(c, value);
  return is_space(c) || structural(c);
}

bool PutBodyParser::structural(char c) {
  switch (state_) {
    case State::kStart:
      if (c != '{') return fail("a JSON object was expected");
      state_ = State::kFirstName;
      return true;
    case State::kFirstName:
    case State::kNextName:
      if (c == '}' && state_ == State::kFirstName) {
        state_ = State::kEnd;
        return true;
      }
      if (c != '"') return fail("a field name in quotes was expected");
      name_.clear();
      state_ = State::kName;
      return true;
    case State::kColon:
      if (c != ':') return fail("':' was expected");
      state_ = State::kFieldStart;
      return true;
    case State::kFieldStart:
      if (c != '"') return fail(name_ + ": must be a string");
      state_ = name_ == "key" ? State::kKey : State::kValue;
      return true;
    case State::kAfterField:
      if (c != ',' && c != '}') return fail("',' or '}' was expected");
      state_ = c == ',' ? State::kNextName : State::kEnd;
      return true;
    default:
      return fail("text after the end of the JSON document");
  }
}

bool PutBodyParser::string_char(char c, std::string* value) {
  if (hex_left_ != 0 || escaped_) return escape_char(c, value);
  if (high_surrogate_ != 0 && c != '\\') return fail("an unpaired surrogate in a string");
  if (c == '"') return end_string();
  if (c == '\\') {
    escaped_ = true;
    return true;
  }
  if (static_cast<uint8_t>(c) < 0x20) return fail("a control character in a string");
  return emit(std::string_view(&c, 1), value);
}

bool PutBodyParser::escape_char(char c, std::string* value) {
  if (hex_left_ != 0) {
    const uint32_t digit = c >= '0' && c <= '9'   ? static_cast<uint32_t>(c - '0')
                           : c >= 'a' && c <= 'f' ? static_cast<uint32_t>(c - 'a' + 10)
                           : c >= 'A' && c <= 'F' ? static_cast<uint32_t>(c - 'A' + 10)
                                                  : 16u;
    if (digit == 16) return fail("four hex digits were expected after \\u");
    unit_ = unit_ << 4 | digit;
    return --hex_left_ != 0 || code_unit(unit_, value);
  }
  escaped_ = false;
  if (c == 'u') {
    unit_ = 0;
    hex_left_ = 4;
    return true;
  }
  if (high_surrogate_ != 0) return fail("an unpaired surrogate in a string");
  switch (c) {
    case '"':
    case '\\':
    case '/':
      return emit(std::string_view(&c, 1), value);
    case 'b':
      return emit("\b", value);
    case 'f':
      return emit("\f", value);
    case 'n':
      return emit("\n", value);
    case 'r':
      return emit("\r", value);
    case 't':
      return emit("\t", value);
    default:
      return fail("an unknown escape in a string");
  }
}

bool PutBodyParser::code_unit(uint32_t unit, std::string* value) {
  const bool high = unit >= 0xD800 && unit < 0xDC00;
  const bool low = unit >= 0xDC00 && unit < 0xE000;
  if (low != (high_surrogate_ != 0)) return fail("an unpaired surrogate in a string");
  if (high) {
    high_surrogate_ = unit;
    return true;
  }
  if (low) unit = 0x10000 + ((high_surrogate_ - 0xD800) << 10) + (unit - 0xDC00);
  high_surrogate_ = 0;
  std::string bytes;
  append_utf8(unit, &bytes);
  return emit(bytes, value);
}

bool PutBodyParser::emit(std::string_view bytes, std::string* value) {
  if (state_ == State::kValue) {
    return decoder_.feed(bytes, value) || fail("value: not valid base64");
  }
  if (state_ == State::kName) {
    name_.append(bytes);
    return name_.size() <= kNameBytesMax || fail("a field name is too long");
  }
  key_.append(bytes);
  return key_.size() <= key_bytes_max_ || fail("key: too long");
}

bool PutBodyParser::end_string() {
  if (state_ == State::kName) return end_name();
  if (state_ == State::kKey) {
    if (!is_utf8(key_)) return fail("key: not valid UTF-8");
    has_key_ = true;
  } else {
    if (!decoder_.finish()) return fail("value: not valid base64 (its length is not full groups)");
    has_value_ = true;
  }
  state_ = State::kAfterField;
  return true;
}

bool PutBodyParser::end_name() {
  if (name_ != "key" && name_ != "value") {
    return fail("unknown field \"" + to_utf8(name_) + "\" (\"key\" and \"value\" are known)");
  }
  if (name_ == "key" ? has_key_ : has_value_) return fail(name_ + ": given twice");
  state_ = State::kColon;
  return true;
}

bool PutBodyParser::fail(std::string what) {
  error_ = std::move(what);
  error_.append(" (at byte ").append(std::to_string(offset_)).append(" of the body)");
  return false;
}

}  // namespace kvstore::http
