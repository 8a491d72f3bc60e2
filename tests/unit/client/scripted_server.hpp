// An HTTP server on a free port of the loopback interface that answers as a test tells it to.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace kvstore::test {

struct SeenRequest {
  std::string method;
  std::string path;   // without the query, still encoded
  std::string query;  // without the parameter "timeout", whose value depends on the clock
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;  // empty when it is larger than 64 MiB: such bodies are answered unread
};

struct Reply {
  enum class Action {
    kAnswer,
    kDrop,     // read the request, then close the connection without an answer
    kHang,     // read the request and say nothing until the server is destroyed
    kCutBody,  // announce the whole body, send half of it, close
  };
  int status = 200;
  std::string body;
  std::map<std::string, std::string> headers;
  Action action = Action::kAnswer;
};

Reply json_reply(int status, const std::string& body);
// The error document of the API.
Reply error_reply(int status, const std::string& code, bool retryable, const std::string& committed,
                  const std::string& leader_address = "");

class ScriptedServer {
 public:
  using Handler = std::function<Reply(const SeenRequest&)>;

  // Threads: the handler runs on the server's threads, one call at a time.
  explicit ScriptedServer(Handler handler);
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::string address() const;  // "127.0.0.1:port"
  std::string url() const { return "http://" + address(); }
  std::vector<SeenRequest> requests() const;
  size_t connection_count() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// "http://127.0.0.1:port" where nobody listens.
std::string dead_url();

}  // namespace kvstore::test
