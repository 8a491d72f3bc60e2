#include "answer_reader.hpp"

#include <algorithm>
#include <charconv>

#include "lib/text.hpp"

namespace kvstore::bench {
namespace {

constexpr size_t kHeadBytesMax = size_t{64} << 10;
constexpr std::string_view kEndOfHead = "\r\n\r\n";

template <typename Number>
bool parse_number(std::string_view text, Number* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

void AnswerReader::reset() {
  head_.clear();
  in_body_ = has_length_ = closes_ = false;
  status_ = 0;
  body_bytes_ = left_ = 0;
}

AnswerReader::State AnswerReader::feed(std::string_view bytes) {
  if (!in_body_) {
    const size_t searched = head_.size() - std::min(head_.size(), kEndOfHead.size() - 1);
    const size_t before = head_.size();
    head_.append(bytes.substr(0, kHeadBytesMax));
    const size_t end = head_.find(kEndOfHead, searched);
    if (end == std::string::npos) {
      return head_.size() > kHeadBytesMax ? State::kMalformed : State::kMore;
    }
    if (!parse_head(std::string_view(head_).substr(0, end))) return State::kMalformed;
    bytes.remove_prefix(end + kEndOfHead.size() - before);
    in_body_ = true;
    left_ = body_bytes_;
  }
  if (bytes.size() > left_) return State::kMalformed;
  left_ -= bytes.size();
  return left_ == 0 ? State::kDone : State::kMore;
}

bool AnswerReader::parse_head(std::string_view head) {
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  const size_t line_end = std::min(head.find("\r\n"), head.size());
  const std::string_view line = head.substr(0, line_end);
  if (line.substr(0, kVersion.size()) != kVersion) return false;
  if (!parse_number(line.substr(kVersion.size(), 3), &status_)) return false;
  head.remove_prefix(std::min(line_end + 2, head.size()));
  while (!head.empty()) {
    const size_t end = std::min(head.find("\r\n"), head.size());
    if (!parse_field(head.substr(0, end))) return false;
    head.remove_prefix(std::min(end + 2, head.size()));
  }
  return has_length_ || status_ == 204 || status_ == 304;
}

bool AnswerReader::parse_field(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view name = line.substr(0, colon);
  std::string_view value = line.substr(colon + 1);
  value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
  if (client::equal_ignoring_case(name, "Content-Length")) {
    has_length_ = parse_number(value, &body_bytes_);
    return has_length_;
  }
  if (client::equal_ignoring_case(name, "Connection")) {
    closes_ = client::equal_ignoring_case(value, "close");
  }
  return true;
}

}  // namespace kvstore::bench
