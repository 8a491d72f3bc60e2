// One connection of a load test: a non-blocking socket with at most one request under way.
#pragma once

#include <cstdint>
#include <string>

#include <sys/socket.h>

#include "answer_reader.hpp"
#include "workload.hpp"

namespace kvstore::bench {

// A server's resolved address.
struct Address {
  sockaddr_storage storage{};
  socklen_t bytes = 0;
  std::string host;  // for the Host header
};

// Owned by one thread.  Registers its socket with the epoll instance, edge-triggered, under `tag`.
class Connection {
 public:
  enum class State : uint8_t { kClosed, kConnecting, kIdle, kBusy };
  enum class Outcome : uint8_t {
    kNothing,        // wait for more events
    kConnected,      // now idle
    kConnectFailed,  // now closed, and so after what follows
    kAnswered,       // idle, or closed when the server ends the connection
    kLost,           // the request's answer never came
    kMalformed,      // the answer is none that a load test understands
    kClosedIdle,     // the server closed a waiting connection, or spoke without being asked
  };

  Connection(const Address& address, int epoll_fd, uint32_t tag)
      : address_(address), epoll_fd_(epoll_fd), tag_(tag) {}
  Connection(Connection&& other) noexcept;
  Connection& operator=(Connection&&) = delete;
  ~Connection() { close(); }

  // Requires kClosed.  kNothing or kConnectFailed.
  Outcome connect();
  // Requires kIdle.  Borrows the body until the answer.  kNothing or kLost.
  Outcome send(const Request& request);
  // What an event of the socket means; `buffer` is scratch.
  Outcome handle_events(char* buffer, size_t capacity);
  void close();

  State state() const { return state_; }
  const AnswerReader& answer() const { return answer_; }
  const std::string& host() const { return address_.host; }

 private:
  Outcome finish_connect();
  bool send_rest();
  Outcome receive(char* buffer, size_t capacity);
  Outcome fail(Outcome outcome);

  const Address& address_;
  int epoll_fd_;
  uint32_t tag_;
  int fd_ = -1;
  State state_ = State::kClosed;
  std::string head_;
  std::string_view body_;
  size_t sent_ = 0;  // of head and body together
  AnswerReader answer_;
};

}  // namespace kvstore::bench
