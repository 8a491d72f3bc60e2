#include "front/request_head.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include <Poco/Exception.h>
#include <strings.h>

#include "text/scalar.hpp"

namespace kvstore::http {
namespace {

constexpr size_t kTargetBytesMax = 16384;  // Poco's limit
constexpr int kFieldsMax = 100;

// Fields that mean something here and whose repetition would be ambiguous.
constexpr std::string_view kSingleFields[] = {
    "Content-Length", "Transfer-Encoding", "Host",   "Content-Type", "If-Match",
    "If-None-Match",  "Authorization",     "Expect", "Connection"};

ApiError refused(int status, const std::string& message) {
  ApiError error(status, status == 400 ? "bad_request" : "refused", message);
  error.close = true;
  return error;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

bool is_token_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (c != '\0' && std::strchr("!#$%&'*+-.^_`|~", c) != nullptr);
}

// One header field line, without its line end.
void check_field_line(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t') {
    throw refused(400, "a folded header field is not accepted");
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0 ||
      !std::all_of(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(colon),
                   is_token_char)) {
    throw refused(400, "a header field has a malformed name");
  }
}

// RFC 9112, 3.2: a Host that is no host and port is refused, whoever it names.
bool is_host(std::string_view text) {
  constexpr std::string_view kAllowed = "-._~%!$&'()*+,;=[]:";
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kAllowed.find(c) != std::string_view::npos;
  });
}

// Everything that Poco's parser would let pass although two parsers may disagree about it.
void check_bytes(std::string_view head) {
  if (head.find('\0') != std::string_view::npos) {
    throw refused(400, "the header contains a NUL byte");
  }
  size_t line_end = head.find("\r\n");
  const std::string_view request_line = head.substr(0, line_end);
  if (std::count(request_line.begin(), request_line.end(), ' ') != 2 ||
      request_line.find_first_of("\t\r\v\f") != std::string_view::npos) {
    throw refused(400, "the request line is malformed");
  }
  while (line_end + 4 <= head.size()) {
    const size_t begin = line_end + 2;
    line_end = head.find("\r\n", begin);
    if (line_end == begin) break;
    const std::string_view line = head.substr(begin, line_end - begin);
    if (line.find('\r') != std::string_view::npos) {
      throw refused(400, "a header field contains a bare carriage return");
    }
    check_field_line(line);
  }
}

Method method_of(const std::string& name) {
  for (const Method method :
       {Method::kGet, Method::kPut, Method::kPost, Method::kDelete, Method::kHead}) {
    if (name == method_name(method)) return method;
  }
  return Method::kOther;
}

}  // namespace

size_t find_head_end(std::string_view bytes, size_t* checked) {
  for (size_t i = *checked; i < bytes.size();) {
    const size_t lf = bytes.find('\n', i);
    if (lf == std::string_view::npos) break;
    if (lf == 0 || bytes[lf - 1] != '\r') {
      throw refused(400, "a header line does not end in CRLF");
    }
    if (lf >= 3 && bytes[lf - 2] == '\n') return lf + 1;
    i = *checked = lf + 1;
  }
  return 0;
}

RequestHead::RequestHead() : stream_(&memory_) {
  request_.setFieldLimit(kFieldsMax);
}

void RequestHead::parse(std::string_view head) {
  check_bytes(head);
  if (head.find("\r\n") > kTargetBytesMax) {
    throw refused(
        414, "the request line exceeds the limit of " + std::to_string(kTargetBytesMax) + " bytes");
  }
  parse_fields(head);
  refuse_duplicates();
  method_ = method_of(request_.getMethod());
  take_target();
  take_version();
  take_length();
  take_expect();
}

void RequestHead::parse_fields(std::string_view head) {
  request_.clear();
  memory_.set(head);
  stream_.clear();
  try {
    request_.read(stream_);
  } catch (const Poco::Exception& e) {
    throw refused(400, "the header is malformed: " + e.displayText());
  }
}

void RequestHead::refuse_duplicates() const {
  uint32_t seen = 0;
  for (const auto& [name, value] : request_) {
    for (size_t i = 0; i < std::size(kSingleFields); ++i) {
      if (!equal_ignoring_case(name, kSingleFields[i])) continue;
      if ((seen >> i & 1) != 0) {
        throw refused(400, "header field " + std::string(kSingleFields[i]) + " is given twice");
      }
      seen |= 1u << i;
    }
  }
}

void RequestHead::take_target() {
  std::string_view target = request_.getURI();
  // The absolute form is for proxies, but a server has to understand it.
  if (target.substr(0, 7) == "http://") {
    const size_t slash = target.find('/', 7);
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  target = target.substr(0, target.find('#'));
  if (target.empty() || (target[0] != '/' && target != "*")) {
    throw refused(400, "the request target must be a path");
  }
  const size_t mark = target.find('?');
  path_ = target.substr(0, mark);
  query_ = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
}

void RequestHead::take_version() {
  const std::string& version = request_.getVersion();
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    throw refused(505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
  }
  http_1_1_ = version == "HTTP/1.1";
  const auto connection = find("Connection");
  if (http_1_1_) {
    keep_alive_ = !connection || !equal_ignoring_case(*connection, "close");
    if (!find("Host")) throw refused(400, "header field Host is missing");
  } else {
    keep_alive_ = connection && equal_ignoring_case(*connection, "keep-alive");
  }
  if (const auto host = find("Host"); host && !is_host(*host)) {
    throw refused(400, "header field Host is malformed");
  }
}

void RequestHead::take_length() {
  content_length_.reset();
  chunked_ = false;
  if (const auto encoding = find("Transfer-Encoding")) {
    if (find("Content-Length")) {
      throw refused(400, "Content-Length and Transfer-Encoding exclude each other");
    }
    if (!http_1_1_) throw refused(400, "HTTP/1.0 has no Transfer-Encoding");
    if (!equal_ignoring_case(*encoding, "chunked")) {
      ApiError error(501, "unsupported", "the only Transfer-Encoding supported is chunked");
      error.close = true;
      throw error;
    }
    chunked_ = true;
  } else if (const auto length = find("Content-Length")) {
    content_length_ = parse_unsigned(*length);
    if (!content_length_) throw refused(400, "Content-Length is not a number");
  }
}

void RequestHead::take_expect() {
  expects_continue_ = false;
  const auto expect = find("Expect");
  if (!expect) return;
  if (!equal_ignoring_case(*expect, "100-continue")) {
    throw refused(417, "the only expectation supported is 100-continue");
  }
  expects_continue_ = http_1_1_;
}

std::optional<std::string_view> RequestHead::find(std::string_view name) const {
  const auto field = request_.find(std::string(name));
  if (field == request_.end()) return std::nullopt;
  return field->second;
}

}  // namespace kvstore::http
