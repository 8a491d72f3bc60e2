// A host with one transport instance, for tests: it records every callback, and can be told how to
// behave.
//
// Waiting: wait(condition) is the only way the tests wait; it gives up after a time that no healthy
// run needs, so that a failure is a failed check and not a hang.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "plugin_file.hpp"

namespace kvstore::conformance {

const kvs_host* test_host();

struct Event {
  uint32_t kind;
  kvs_node_id peer;
  uint64_t session;
  kvs_status why;
  uint32_t lane;
  std::string message;
};

struct Greeting {
  bool incoming;
  kvs_node_id dialed;
  kvs_node_id peer_before;  // what *peer held when on_hello was called
  std::string remote;
  std::string remote_address;
};

// What became of one incoming stream.
struct Received {
  std::string header;
  kvs_node_id from = 0;
  uint64_t total = 0;
  std::atomic<uint64_t> bytes{0};
  std::atomic<uint64_t> checksum{0};
  std::atomic<int> finished{0};
  std::atomic<int> aborted{0};
  std::atomic<kvs_status> why{KVS_OK};
  std::function<kvs_status(const std::string& chunk)> on_write;
  std::function<kvs_status()> on_finish;
};

// Messages handed to a transport; counts their releases.
class Outbox {
 public:
  // Valid until the outbox dies.  Each part becomes one slice.
  kvs_tx_message make(std::vector<std::string> parts);
  uint64_t made() const { return made_.load(); }
  uint64_t released() const { return released_.load(); }
  uint64_t released_twice() const { return twice_.load(); }

 private:
  struct Item {
    Outbox* outbox;
    std::vector<std::string> bytes;
    std::vector<kvs_slice> parts;
    std::atomic<int> releases{0};
  };
  static void release(void* owner) noexcept;
  std::mutex mutex_;
  std::deque<std::unique_ptr<Item>> items_;
  std::atomic<uint64_t> made_{0}, released_{0}, twice_{0};
};

struct NodeOptions {
  kvs_node_id id = 1;
  uint64_t lane_queue_bytes_max = 4 << 20;
  uint64_t message_bytes_max = 1 << 20;
  std::string listen = "127.0.0.1:0";
  std::string config = {};
};

class Node {
 public:
  explicit Node(NodeOptions options, bool start = true);
  ~Node();

  // The instance.
  kvs_transport* raw() const { return transport_; }
  kvs_node_id id() const { return options_.id; }
  void start();
  std::string address() const;
  void set_peer(kvs_node_id id, const std::string& address);
  void set_peer(const Node& other) { set_peer(other.id(), other.address()); }
  void set_hello(const std::string& hello);
  kvs_status remove_peer(kvs_node_id id);
  void stop();

  // Waits until the peer is connected (after the newest disconnect).
  bool connected(kvs_node_id peer);
  bool wait(const std::function<bool()>& condition);

  // Sends one message; BUSY and so on are returned.
  kvs_status send(kvs_node_id to, uint32_t lane, const std::string& text);
  // Sends it however often the lane is full; false when it was refused for another reason or for
  // ever.
  bool send_surely(kvs_node_id to, uint32_t lane, const std::string& text);
  Outbox& outbox() { return outbox_; }

  // What happened.  Thread-safe copies.
  std::vector<Event> events(uint32_t kind = 0) const;
  std::vector<Greeting> greetings() const;
  std::vector<std::string> received(kvs_node_id from, uint32_t lane) const;
  uint64_t received_count(kvs_node_id from, uint32_t lane) const;
  std::vector<std::shared_ptr<Received>> streams() const;
  uint64_t late_callbacks() const { return late_.load(); }

  // How to behave.  Set before start, or while nothing can call them.
  std::function<kvs_status(const kvs_hello&, std::string* why)> judge;
  std::function<kvs_status(Received&)> accept_stream;
  bool keep_messages = true;
  // A closed gate holds on_messages of that lane.
  void close_gate(uint32_t lane);
  void open_gate(uint32_t lane);

 private:
  static void on_messages(void* ctx, const kvs_rx_message* m, uint32_t n) noexcept;
  static void on_peer(void* ctx, const kvs_peer_event* e) noexcept;
  static kvs_status on_hello(void* ctx, const kvs_hello* h, kvs_node_id* peer,
                             kvs_error* err) noexcept;
  static kvs_status on_stream(void* ctx, const kvs_stream_info* info, kvs_rx_stream* out) noexcept;
  void note_late() {
    if (stopped_.load()) late_++;
  }

  NodeOptions options_;
  kvs_transport_events events_table_{};
  kvs_transport* transport_ = nullptr;
  Outbox outbox_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Event> events_;
  std::vector<Greeting> greetings_;
  std::map<std::pair<kvs_node_id, uint32_t>, std::vector<std::string>> received_;
  std::map<std::pair<kvs_node_id, uint32_t>, uint64_t> received_count_;
  std::vector<std::shared_ptr<Received>> streams_;
  std::set<uint32_t> closed_gates_;
  std::atomic<bool> stopped_{false};
  std::atomic<uint64_t> late_{0};
};

// The hello of a node as these tests write it.
std::string hello_of(kvs_node_id id);

// Two nodes, 1 and 2, that know each other and are connected both ways.
struct Pair {
  explicit Pair(NodeOptions a_options = {}, NodeOptions b_options = {});
  Node a;
  Node b;
};

kvs_error new_error();

}  // namespace kvstore::conformance
