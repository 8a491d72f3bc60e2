#include "http_client.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace kvstore::conformance {

namespace {

// A server that never answers fails the case instead of holding it.
constexpr timeval kPatience{120, 0};

}  // namespace

HttpClient::HttpClient(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) close();
}

HttpClient::~HttpClient() {
  close();
}

void HttpClient::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void HttpClient::shut_sending() {
  ::shutdown(fd_, SHUT_WR);
}

void HttpClient::reset() {
  const linger now{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

bool HttpClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

bool HttpClient::fill() {
  // Shared, so that thousands of clients are small.
  thread_local std::string received(256 << 10, '\0');
  const ssize_t n = ::recv(fd_, received.data(), received.size(), 0);
  if (n > 0) buffer_.append(received, 0, static_cast<size_t>(n));
  return n > 0;
}

bool HttpClient::closed() {
  return buffer_.empty() && !fill();
}

Answer HttpClient::receive_head() {
  Answer answer = receive(true);
  answer.complete = false;
  return answer;
}

// False at the end of the answer.
bool HttpClient::next_chunk(std::string* out) {
  size_t eol = 0;
  while ((eol = buffer_.find("\r\n")) == std::string::npos) {
    if (!fill()) return false;
  }
  const size_t size = std::strtoull(buffer_.c_str(), nullptr, 16);
  while (buffer_.size() < eol + 2 + size + 2) {
    if (!fill()) return false;
  }
  out->append(buffer_, eol + 2, size);
  buffer_.erase(0, eol + 2 + size + 2);
  return size != 0;
}

std::string HttpClient::receive_until(std::string_view end) {
  std::string text;
  while (!text.ends_with(end) && next_chunk(&text)) {
  }
  return text;
}

std::string HttpClient::receive_rest() {
  std::string text;
  while (next_chunk(&text)) {
  }
  return text;
}

Answer HttpClient::receive(bool head_only) {
  Answer answer;
  size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!fill()) return answer;
  }
  answer.status = std::atoi(buffer_.c_str() + 9);
  size_t line = buffer_.find("\r\n") + 2;
  while (line < end + 2) {
    const size_t stop = buffer_.find("\r\n", line);
    const size_t colon = buffer_.find(':', line);
    std::string name = buffer_.substr(line, colon - line);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    answer.headers[name] = buffer_.substr(colon + 2, stop - colon - 2);
    line = stop + 2;
  }
  buffer_.erase(0, end + 4);
  if (answer.status == 100) return receive(head_only);
  if (head_only || answer.status == 304) {
    answer.complete = true;
  } else if (answer.headers.count("content-length") != 0) {
    const size_t length = std::strtoull(answer.header("content-length").c_str(), nullptr, 10);
    while (buffer_.size() < length && fill()) {
    }
    answer.complete = buffer_.size() >= length;
    answer.body = buffer_.substr(0, length);
    buffer_.erase(0, answer.body.size());
  } else if (answer.header("transfer-encoding") == "chunked") {
    while (true) {
      size_t eol = 0;
      while ((eol = buffer_.find("\r\n")) == std::string::npos) {
        if (!fill()) return answer;
      }
      const size_t size = std::strtoull(buffer_.c_str(), nullptr, 16);
      while (buffer_.size() < eol + 2 + size + 2) {
        if (!fill()) return answer;
      }
      answer.body.append(buffer_, eol + 2, size);
      buffer_.erase(0, eol + 2 + size + 2);
      if (size == 0) break;
    }
    answer.complete = true;
  } else {
    while (fill()) {
    }
    answer.body.swap(buffer_);
    answer.complete = true;
  }
  return answer;
}

Answer HttpClient::request(std::string_view method, std::string_view target, std::string_view body,
                           std::string_view headers) {
  return exchange(request_text(method, target, body, headers), method == "HEAD");
}

Answer HttpClient::exchange(std::string_view text, bool head_only) {
  // A server may refuse before it has read everything: its answer is there all the same.
  static_cast<void>(send(text));
  return receive(head_only);
}

std::string request_text(std::string_view method, std::string_view target, std::string_view body,
                         std::string_view headers) {
  std::string text;
  text.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: localhost\r\n");
  if (!body.empty() || method == "PUT" || method == "POST") {
    text.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
  }
  return text.append(headers).append("\r\n").append(body);
}

Answer fetch(uint16_t port, std::string_view method, std::string_view target, std::string_view body,
             std::string_view headers) {
  const std::string text = request_text(method, target, body, headers);
  return HttpClient(port).exchange(text, method == "HEAD");
}

}  // namespace kvstore::conformance
