// What stands between the nodes: connections that are dialled, judged by hellos and lost, with
// ordered lanes, delays, drops and partitions.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "node/ports.hpp"
#include "support/sim/world.hpp"

namespace kvstore::sim {

// A running node as the network sees it.
class Endpoint {
 public:
  virtual ~Endpoint() = default;
  virtual const std::string& address() const = 0;
  virtual wire::Hello hello() const = 0;
  // Judges the other side's hello; `dialed` is kNoNode for an incoming connection.
  virtual Status meet(const wire::Hello& remote, raft::NodeId dialed) = 0;
  virtual void on_message(raft::NodeId from, SharedBytes payload) = 0;
  virtual void on_connected(raft::NodeId peer) = 0;
  virtual void on_disconnected(raft::NodeId peer) = 0;
  virtual void on_writable(raft::NodeId peer, node::Lane lane) = 0;
  virtual void on_rejected(const Status& why) = 0;
  // Takes a whole snapshot stream; `done` at most once.
  virtual void on_stream(raft::NodeId from, const std::string& header, const std::string& bytes,
                         std::function<void(Status)> done) = 0;
};

struct NetworkFaults {
  uint64_t delay_min_us = kMs / 10;
  uint64_t delay_max_us = kMs;
  uint64_t drop_percent = 0;  // of messages, without a word
  // Of consensus messages, which assume nothing of the network; requests have a transport that
  // neither repeats nor overtakes within a session.
  uint64_t duplicate_percent = 0;
  uint64_t reorder_percent = 0;
  uint64_t lane_bytes_max = 64 << 20;     // then BUSY
  uint64_t stream_flip_percent = 0;       // of streams arrive with a byte changed
  uint64_t stream_us_per_kib = 5;         // time that bulk streams take
  uint64_t silence_max_us = 2'000 * kMs;  // a cut connection is noticed within it
};

struct NetworkCounts {
  uint64_t sent = 0;
  uint64_t dropped = 0;
  uint64_t duplicated = 0;
  uint64_t reordered = 0;
  uint64_t cut = 0;        // lost at a partition
  uint64_t lane_full = 0;  // refused
  uint64_t streams = 0;
  uint64_t streams_flipped = 0;
};

class Network {
 public:
  explicit Network(World* world) : world_(world) {}

  NetworkFaults faults;

  // From now on `endpoint` is reached at its address, until leave(); one per address.
  void join(Endpoint* endpoint);
  // Every connection of it breaks.
  void leave(Endpoint* endpoint);

  // Keeps a connection from `endpoint` to this address, under this id, until hang_up().
  void dial(Endpoint* endpoint, raft::NodeId id, const std::string& address);
  void hang_up(Endpoint* endpoint, raft::NodeId id);

  Status send(Endpoint* from, raft::NodeId to, node::Lane lane,
              std::vector<wire::EncodedMessage> messages);
  // `done` exactly once, unless `from` left meanwhile.
  void stream(Endpoint* from, raft::NodeId to, std::string header, std::string bytes,
              std::function<void(Status)> done);

  // Nothing passes between the two addresses, in both or one direction, until heal().
  void cut(const std::string& a, const std::string& b);
  void cut_one_way(const std::string& from, const std::string& to);
  // Everything between the two addresses takes this much longer, until heal().
  void slow_down(const std::string& a, const std::string& b, uint64_t extra_us);
  void heal() {
    cuts_.clear();
    slow_.clear();
  }
  // Breaks one connection, as a restarted router does; it is dialled again.
  void break_some_link();

  const NetworkCounts& counts() const { return counts_; }
  // The most bytes that any lane holds at the moment, beside the message that filled it.
  uint64_t fullest_lane_bytes() const;

 private:
  using Key = std::pair<std::string, raft::NodeId>;  // the dialling side's address, whom it dials
  struct LaneState {
    uint64_t bytes = 0;
    uint64_t last_arrival_us = 0;
    bool refused = false;
  };
  struct Link {
    Endpoint* from = nullptr;
    std::string address;
    Endpoint* to = nullptr;  // null: not connected
    uint64_t session = 0;    // unique; changes when the connection does
    std::array<LaneState, 3> lanes;
  };

  struct Stream {
    Endpoint* from;
    std::function<void(Status)> done;
  };
  using Streams = std::map<uint64_t, Stream>;
  class Answer;

  Link* find(const Key& key, uint64_t session);
  bool is_cut(const std::string& from, const std::string& to) const;
  uint64_t delay() { return world_->between(faults.delay_min_us, faults.delay_max_us); }
  void attempt_later(const Key& key, uint64_t delay_us);
  void attempt(const Key& key);
  // Exchanges hellos; empty when both sides agree, else what the dialling side hears.
  Status shake_hands(Endpoint* from, Endpoint* to, raft::NodeId dialed);
  void break_link(const Key& key);
  void deliver(const Key& key, uint64_t session, size_t lane, const SharedBytes& payload);
  void notice_cuts();
  uint64_t delay_between(const std::string& from, const std::string& to);
  void deliver_once_more(const Key& key, uint64_t session, size_t lane, const SharedBytes& payload);

  World* world_;
  std::map<std::string, Endpoint*> endpoints_;
  std::map<Key, Link> links_;
  std::set<std::pair<std::string, std::string>> cuts_;
  std::map<std::pair<std::string, std::string>, uint64_t> slow_;
  std::shared_ptr<Streams> streams_ = std::make_shared<Streams>();  // not answered yet
  uint64_t last_stream_ = 0;
  uint64_t last_session_ = 0;
  NetworkCounts counts_;
};

}  // namespace kvstore::sim
