#include "change_lines.hpp"

#include <utility>

#include "codec.hpp"

namespace kvstore::client {
namespace {

// A change of two values of 1 MiB is about 3 MiB of text.
constexpr size_t kLineBytesMax = 16 << 20;

}  // namespace

void ChangeLines::reconnect() {
  rest_.clear();
  last_word_.clear();
  skip_ = partial_;
}

bool ChangeLines::fail(const char* what) {
  error_ = Error{ErrorKind::kMalformedAnswer, "malformed_answer", what};
  return false;
}

bool ChangeLines::take(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    rest_.append(bytes.substr(0, end));
    if (rest_.size() > kLineBytesMax) return fail("a line of the watch is too long");
    if (end == std::string_view::npos) return true;
    bytes.remove_prefix(end + 1);
    const std::string line = std::exchange(rest_, {});
    if (!line.empty() && !take_line(line)) return false;
  }
  return true;
}

bool ChangeLines::take_line(const std::string& line) {
  const auto document = parse_object(line);
  const std::string type = document ? get_string(*document, "type") : std::string();
  if (type == "put" || type == "delete") return take_change(*document);
  if (type == "progress") return take_progress(get_number(*document, "revision"));
  if (type == "error") return take_end(*document);
  return fail("a line of the watch is no change");
}

bool ChangeLines::take_change(const Json& line) {
  auto change = read_change(line);
  if (!change || change->revision == UINT64_MAX) return fail("a change of the watch is malformed");
  // What was delivered before, over another connection.
  if (change->revision < next_) return true;
  if (change->revision == next_ && skip_ > 0) {
    --skip_;
    return true;
  }
  if (change->revision != next_) partial_ = skip_ = 0;
  next_ = change->revision + (change->more ? 0 : 1);
  partial_ = change->more ? partial_ + 1 : 0;
  return (*sink_)(*change);
}

bool ChangeLines::take_progress(uint64_t revision) {
  if (revision == UINT64_MAX) return fail("a line of the watch is malformed");
  if (revision + 1 > next_) {
    next_ = revision + 1;
    partial_ = skip_ = 0;
  }
  if (on_progress_) on_progress_(next_ - 1);
  return true;
}

// But for a compaction the watch goes on with another connection.
bool ChangeLines::take_end(const Json& line) {
  const Json* error = find_object(line, "error");
  const std::string code = error != nullptr ? get_string(*error, "code") : "";
  last_word_ = error != nullptr ? get_string(*error, "message") : "";
  if (code != "compacted") return true;
  error_ = Error{ErrorKind::kRefused, code, last_word_, 410};
  return false;
}

}  // namespace kvstore::client
