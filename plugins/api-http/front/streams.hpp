// Where answers live that go on for long, or come late: one thread sends what they have to whoever
// takes it, so that thousands of watches and long polls hold no thread, and watches over requests
// that wait for the engine until there is something to do for them.
//
// A client that does not read costs what its stream has under way, and is cut when it has taken
// nothing for send_timeout_ms.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
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

class Connection;

// A parked request whose answer is small is answered here, and its connection goes back to the
// lobby.  What takes a thread gets one, in the order in which requests became ready, as soon as
// there is a place for it (Service::unpark).  A client that resets its connection is noticed; one
// that only ends its sending is answered.
//
// Lifecycle: construct, start(), stop() (idempotent), after the lobby and all connections.
class Streams {
 public:
  // Gives a parked connection a thread, and takes it; false when there is none to be had.
  using Resume = std::function<bool(std::unique_ptr<Connection>*)>;

  // A connection whose answer has a stream, with what its end has to give back.
  struct Guest {
    Poco::Net::StreamSocket socket;
    Response response;
    AnswerContext context;
    Service::Admission admission;
  };

  Streams(Service* service, ConnectionSet* connections, Lobby* lobby, Resume resume);
  ~Streams();
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  void start();
  // Answers what waits, sends what clients take within a moment, and closes everything.
  void stop();

  // [any-thread] Takes a connection over.
  void adopt(Guest guest);
  // [any-thread] Takes a connection whose request waits.
  void park(std::unique_ptr<Connection> connection);

 private:
  // What other threads may reach: outlives the wakes.
  struct Inbox;
  struct Entry;
  enum class Pump : uint8_t { kIdle, kBusy, kClosed, kThread };

  void run();
  void take_adopted();
  void open(Guest guest);
  void open_parked(std::unique_ptr<Connection> connection);
  void pump(uint64_t id);
  Pump pump(Entry* entry);
  Pump take_parked(Entry* entry);
  void resume(uint64_t id);
  void resume_ready();
  // False while something is left to send, or when the client is gone.
  bool flush(Entry* entry);
  void take_piece(Entry* entry);
  void tick(uint64_t now_ns);
  void close(uint64_t id);
  void close_all();

  Service* const service_;
  ConnectionSet* const connections_;
  Lobby* const lobby_;
  const Resume resume_;
  int epoll_fd_ = -1;
  const std::shared_ptr<Inbox> inbox_;
  std::thread thread_;
  std::atomic<bool> stopped_{false};
  bool closing_ = false;  // the thread has ended: whatever waits is answered as it is

  std::unordered_map<uint64_t, std::unique_ptr<Entry>> entries_;  // the thread's, like what follows
  // Parked requests that have something to do and wait for a place or a thread; those first that
  // need no place.
  std::deque<std::unique_ptr<Connection>> ready_;
  uint64_t next_id_ = 1;
  uint64_t next_tick_ns_ = 0;
};

}  // namespace kvstore::http
