#include "item_lines.hpp"

#include "codec.hpp"
#include "http.hpp"

namespace kvstore::client {
namespace {

Error malformed(const std::string& what) {
  return {ErrorKind::kMalformedAnswer, "malformed_answer", "the stream of keys " + what};
}

}  // namespace

bool ItemLines::take(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    line_.append(bytes.substr(0, end));
    if (line_.size() > kAnswerBytesMax) {
      error_ = malformed("has a line that is too long");
      return false;
    }
    if (end == std::string_view::npos) return true;
    bytes.remove_prefix(end + 1);
    const bool go_on = take_line(line_);
    line_.clear();
    if (!go_on) return false;
  }
  return true;
}

bool ItemLines::take_line(const std::string& line) {
  if (ended_) {
    error_ = malformed("goes on after its end");
    return false;
  }
  if (auto item = parse_item(line)) {
    ++count_;
    stopped_ = !(*sink_)(*item);
    return !stopped_;
  }
  const auto document = parse_object(line);
  if (document && get_bool(*document, "end")) {
    ended_ = true;
    more_ = get_bool(*document, "more");
    revision_ = get_number(*document, "revision");
    if (get_number(*document, "count") != count_) error_ = malformed("lost some of them");
    return !error_;
  }
  const Json* failure = document ? find_object(*document, "error") : nullptr;
  if (failure == nullptr) {
    error_ = malformed("has a line that is none");
  } else {
    const bool retryable = get_bool(*failure, "retryable");
    error_ = Error{retryable ? ErrorKind::kUnreachable : ErrorKind::kRefused,
                   get_string(*failure, "code"), get_string(*failure, "message")};
  }
  return false;
}

}  // namespace kvstore::client
