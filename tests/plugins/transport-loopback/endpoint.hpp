// The receiving side of one instance, and the process-wide table of addresses through which
// instances find each other: the "network".  The table is the one mutable global a transport may
// not otherwise have.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <kvstore/abi/transport.h>

namespace kvstore::loopback {

// Every call into the host's callbacks goes through here and is counted, so that close() can wait
// for the last one: that is how "no event after stop" is kept.
class Endpoint {
 public:
  Endpoint(const kvs_transport_events& events, std::string hello);

  const std::string& address() const { return address_; }
  bool closed() const;
  std::string hello() const;
  void set_hello(std::string hello);

  // Called by the threads of other instances; UNREACHABLE once closed.
  kvs_status greet(const std::string& remote_hello, std::string* hello, kvs_node_id* seen_as,
                   kvs_error* err);
  bool deliver(kvs_node_id from, uint32_t lane, std::vector<std::string> messages);

  // One incoming stream; ended exactly once, by finish(), abort() or close().
  struct Receiver {
    kvs_rx_stream sink{};
    bool live = false;
  };
  kvs_status stream_open(kvs_node_id from, const std::string& header, uint64_t total,
                         std::shared_ptr<Receiver>* out);
  kvs_status stream_write(Receiver& r, const std::string& chunk);
  kvs_status stream_finish(Receiver& r);
  void stream_abort(Receiver& r, kvs_status why);

  // Puts the endpoint into the table; port 0 picks one.  Throws sdk::Error when the address is
  // taken.
  static void listen(const std::shared_ptr<Endpoint>& endpoint, const std::string& address);
  static std::shared_ptr<Endpoint> find(const std::string& address);
  // Takes it out, waits for running callbacks and ends the incoming streams.
  void close();

 private:
  class Visit;  // counted presence inside the host's callbacks
  void forget(Receiver& r);

  const kvs_transport_events events_;
  std::string address_;
  mutable std::mutex mutex_;
  std::condition_variable left_;
  std::string hello_;
  uint32_t inside_ = 0;
  bool closed_ = false;
  std::list<std::shared_ptr<Receiver>> receivers_;
};

}  // namespace kvstore::loopback
