// One known peer: its address, its link thread and its three lanes.
//
// The link thread dials the lanes one after the other; when all three are up a session begins
// (CONNECTED). It then only watches the three sockets; when one ends, or a write failed, or the
// address changed, the whole session ends (DISCONNECTED) and it dials again after a back-off.  So
// every event of a peer comes from the link thread, in order, but for WRITABLE, which comes from
// the lane's thread within the session.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "channel.hpp"
#include "context.hpp"
#include "lane.hpp"

namespace kvstore::transport_thrift {

class Peer {
 public:
  Peer(Context& context, kvs_node_id id, Address address);
  ~Peer();  // closed and joined by then

  void start();
  void set_address(const Address& address);
  Address address() const;
  // The peer is evidently there: ends a back-off.
  void poke();

  // When it returns, no event comes any more and every message is released.  Does not wait for a
  // name lookup: that is join()'s part.  Idempotent; not from a callback.
  void close();
  void join();
  bool finished() const noexcept { return finished_.load(std::memory_order_acquire); }

  kvs_status send(uint32_t lane, const kvs_tx_message* m, uint32_t n, uint32_t* accepted,
                  kvs_error* err) {
    return lanes_[lane]->send(m, n, accepted, err);
  }

  struct Status {
    uint64_t session = 0;  // 0: not connected
    std::array<uint64_t, KVS_LANE_COUNT> queued_bytes{};
    std::string trouble;  // why the last attempt failed
  };
  Status status() const;

 private:
  using Channels = std::vector<std::shared_ptr<Channel>>;

  void run();
  bool dial_lanes(Channels* channels);
  void report_refused(const Refused& why);
  void report_trouble(const std::string& why);
  void serve(Channels channels);
  kvs_status watch(const Channels& channels);
  void back_off();
  bool begin_session();
  bool closed() const;
  void emit(uint32_t kind, uint64_t session, kvs_status why, uint32_t lane,
            const std::string& message);

  Context& context_;
  const kvs_node_id id_;
  Interrupt interrupt_;
  std::array<std::unique_ptr<Lane>, KVS_LANE_COUNT> lanes_;

  mutable std::mutex mutex_;
  std::condition_variable quiet_;
  Address address_;
  bool redial_ = false;  // the address changed
  bool backing_off_ = false;
  bool poked_ = false;
  bool closed_ = false;
  bool in_session_ = false;  // lanes are being opened, open, or being closed by the link thread
  uint32_t emitting_ = 0;
  uint64_t session_ = 0;
  std::string trouble_;

  // Link thread only.
  uint32_t backoff_ms_ = 0;
  std::string last_refusal_;

  std::atomic<bool> finished_{false};
  std::thread thread_;
};

}  // namespace kvstore::transport_thrift
