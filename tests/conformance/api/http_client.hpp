// A plain HTTP client over one socket: sends exactly the bytes it is given.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace kvstore::conformance {

struct Answer {
  int status = 0;                              // 0: the connection ended before an answer
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  bool complete = false;  // the body is as long as was said

  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string() : found->second;
  }
};

class HttpClient {
 public:
  explicit HttpClient(uint16_t port);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  bool send(std::string_view bytes);  // false when the server closed
  // head_only: the answer to a HEAD request.
  Answer receive(bool head_only = false);
  // The head alone, of an answer that goes on; then its chunks, or what comes before the connection
  // ends, until `text` ends with `end`.  What has come otherwise.
  Answer receive_head();
  std::string receive_until(std::string_view end);
  // Everything up to the end of the answer.
  std::string receive_rest();
  // Sends a whole request, Host and Content-Length added, and receives the answer.
  // headers: each "Name: value\r\n".
  Answer request(std::string_view method, std::string_view target, std::string_view body = {},
                 std::string_view headers = {});
  // Sends the bytes and receives the answer.
  Answer exchange(std::string_view text, bool head_only = false);
  // True when the server has closed and nothing more comes.
  bool closed();
  void close();
  void shut_sending();
  // Ends the connection by a reset, as a client that dies does.
  void reset();

 private:
  bool fill();
  bool next_chunk(std::string* out);

  int fd_;
  std::string buffer_;
};

std::string request_text(std::string_view method, std::string_view target, std::string_view body,
                         std::string_view headers);

// One request on a connection of its own, opened when the request is ready: a server does not wait
// for long.
Answer fetch(uint16_t port, std::string_view method, std::string_view target,
             std::string_view body = {}, std::string_view headers = {});

}  // namespace kvstore::conformance
