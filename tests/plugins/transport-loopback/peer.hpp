// One known peer: a link thread that finds its endpoint and exchanges hellos, and a sender thread
// per lane, so that a receiver that is slow on one lane does not hold up the others.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "instance.hpp"

namespace kvstore::loopback {

class Peer {
 public:
  Peer(Shared& shared, kvs_node_id id, std::string address);
  ~Peer() { close(); }

  void start();
  void set_address(const std::string& address);
  std::string address() const;
  kvs_status send(uint32_t lane, const kvs_tx_message* m, uint32_t n, uint32_t* accepted,
                  kvs_error* err);
  // When it returns, no event comes any more and every message is released.
  void close();

 private:
  struct Lane {
    std::vector<kvs_tx_message> queue;
    uint64_t bytes = 0;  // queued and being delivered
    bool delivering = false;
    bool owes_writable = false;
    std::thread thread;
  };

  void run_link();
  void run_lane(uint32_t number);
  bool greet(const std::shared_ptr<Endpoint>& remote);
  void serve(const std::shared_ptr<Endpoint>& remote);
  void emit(uint32_t kind, uint64_t session, kvs_status why, uint32_t lane,
            const std::string& message);

  Shared& shared_;
  const kvs_node_id id_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::string address_;
  std::string last_refusal_;
  bool redial_ = false;
  bool closed_ = false;
  std::shared_ptr<Endpoint> remote_;  // null: no session
  uint64_t session_ = 0;
  kvs_node_id seen_as_ = 0;  // our id in the other host's eyes
  std::array<Lane, KVS_LANE_COUNT> lanes_;
  std::thread link_;
};

}  // namespace kvstore::loopback
