// Where connections wait until they are worth a thread: one thread accepts them, and keeps those
// whose next request has not arrived in full.
//
// So a client that sends nothing, or a header byte by byte, costs a descriptor and no thread, and
// requests that are there never queue behind requests that are not.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <kvstore/sdk/host.hpp>

#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/StreamSocket.h>

#include "front/connection_set.hpp"
#include "options.hpp"

namespace kvstore::http {

// Lifecycle: construct, start(), stop() (idempotent).
class Lobby {
 public:
  // Gives a connection whose request can be served a thread.
  using Dispatch = std::function<void(const Poco::Net::StreamSocket&)>;

  Lobby(const Poco::Net::ServerSocket& listener, const Config& config, const sdk::Host& host,
        ConnectionSet* connections, Dispatch dispatch);
  ~Lobby();
  Lobby(const Lobby&) = delete;
  Lobby& operator=(const Lobby&) = delete;

  void start();
  // Closes everything that waits.
  void stop();

  // [any-thread] Takes back a connection that is idle between two requests.
  void take_back(const Poco::Net::StreamSocket& socket);

 private:
  struct Guest {
    Poco::Net::StreamSocket socket;
    uint64_t until_ns = 0;
    bool begun = false;  // a part of a header is there
  };
  using Guests = std::list<Guest>;  // by arrival

  void run();
  void take_returned();
  void accept_all();
  void accept_failed(int why);
  void accepted(Poco::Net::StreamSocket socket);
  bool admit(const Poco::Net::StreamSocket& socket);
  void receive(Guest guest);
  bool make_room();
  bool stays(Guests::iterator guest);
  bool is_ready(const Poco::Net::StreamSocket& socket, bool* begun, bool* gone);
  void close_overdue();
  void close(Guests::iterator guest, bool overdue);
  void forget(Guests::iterator guest);
  uint64_t deadline(uint64_t ms) const { return host_.now_ns() + ms * 1'000'000; }

  const Poco::Net::ServerSocket listener_;
  const Config& config_;
  const sdk::Host host_;
  ConnectionSet* const connections_;
  const Dispatch dispatch_;

  int epoll_fd_ = -1;
  int wake_fd_ = -1;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
  std::string peeked_;  // scratch of is_ready()

  Guests guests_;  // the lobby's thread only, like what follows
  std::unordered_map<int, Guests::iterator> by_fd_;
  uint64_t accept_after_ns_ = 0;

  std::mutex mutex_;
  std::vector<Poco::Net::StreamSocket> returned_;  // by take_back(), not yet guests
};

}  // namespace kvstore::http
