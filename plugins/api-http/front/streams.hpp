// Where answers live that go on for long, or come late: one thread sends what they have to whoever
// takes it, so that thousands of watches and long polls hold no thread.
//
// A client that does not read costs what its stream has under way, and is cut when it has taken
// nothing for send_timeout_ms.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <Poco/Net/StreamSocket.h>

#include "exchange.hpp"
#include "front/answer.hpp"
#include "front/connection_set.hpp"
#include "front/lobby.hpp"
#include "service.hpp"

namespace kvstore::http {

// Lifecycle: construct, start(), stop() (idempotent), after the lobby and all connections.
class Streams {
 public:
  // A connection whose answer has a stream, with what its end has to give back.
  struct Guest {
    Poco::Net::StreamSocket socket;
    Response response;
    AnswerContext context;
    Service::Admission admission;
  };

  Streams(Service* service, ConnectionSet* connections, Lobby* lobby);
  ~Streams();
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  void start();
  // Sends what can be sent at once, and closes everything.
  void stop();

  // [any-thread] Takes a connection over.
  void adopt(Guest guest);

 private:
  // What other threads may reach: outlives the wakes.
  struct Inbox;
  struct Entry;
  enum class Pump : uint8_t { kIdle, kBusy, kClosed };

  void run();
  void take_adopted();
  void open(Guest guest);
  void pump(uint64_t id);
  Pump pump(Entry* entry);
  // False while something is left to send, or when the client is gone.
  bool flush(Entry* entry);
  void take_piece(Entry* entry);
  void tick(uint64_t now_ns);
  void close(uint64_t id);

  Service* const service_;
  ConnectionSet* const connections_;
  Lobby* const lobby_;
  int epoll_fd_ = -1;
  const std::shared_ptr<Inbox> inbox_;
  std::thread thread_;
  std::atomic<bool> stopped_{false};

  std::unordered_map<uint64_t, std::unique_ptr<Entry>> entries_;  // the thread's, like what follows
  uint64_t next_id_ = 1;
  uint64_t next_tick_ns_ = 0;
};

}  // namespace kvstore::http
