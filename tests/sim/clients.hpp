// Clients that use the cluster all the time, on any node, and write down what they were told.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/checker.hpp"
#include "sim/plan.hpp"
#include "support/history/linearizability.hpp"

namespace kvstore::sim {

// Each client does one operation at a time: put, get, list, delete, compare-and-set by version,
// transaction over two keys, put of a value that is uploaded in parts.
//
// Many writes carry a request id: then an attempt of unknown outcome is repeated, on any node, and
// all attempts are one operation.  Sometimes a finished one is sent once more, or its id is used
// for another request: neither may have an effect.
class Clients {
 public:
  Clients(SimCluster* cluster, Checker* checker, uint64_t count, uint64_t pause_us);

  // Clients begin; each goes on until finish().
  void start();
  // No new operations.
  void finish() { finishing_ = true; }
  bool idle() const { return open_ == 0; }

  // One more operation of an extra client: a read of every key on this node.
  void read_all(size_t node);

  const history::History& history() const { return history_; }
  uint64_t acknowledged() const { return acknowledged_; }
  uint64_t unknown() const { return unknown_; }
  uint64_t refused_for_space() const { return refused_for_space_; }
  // Writes whose answer was that of an earlier attempt; those sent again on purpose.
  uint64_t replayed() const { return replayed_; }
  uint64_t sent_again() const { return sent_again_; }

  // Shows every end of an operation.
  std::function<void(const history::Operation&)> on_end;

 private:
  struct Call {
    size_t client = 0;
    size_t node = 0;
    history::Operation op;
    uint64_t floor = 0;  // the revision that was acknowledged when it began
    kv::Txn txn;         // of a write
    std::string upload;  // not empty: its value, to be uploaded first
    int attempts = 0;
    bool maybe = false;  // an attempt may have taken effect
    bool ended = false;
  };
  using CallPtr = std::shared_ptr<Call>;
  struct Client {
    uint64_t number = 0;  // changes after an unknown outcome
    size_t home = 0;      // the node it prefers
  };

  void next_operation(size_t client);
  void begin(size_t client, size_t node);
  void think(size_t client);
  std::string draw_key();
  std::string fresh_value();
  uint64_t draw_version(const std::string& key);

  void read(const CallPtr& call, std::vector<std::string> keys, bool list);
  void take_read(const CallPtr& call, const std::vector<std::string>& keys, bool list,
                 const node::ReadOutcome& outcome);
  void compare_and_set(const CallPtr& call);
  void transact(const CallPtr& call);
  void upload(const CallPtr& call);
  using Done = std::function<void(node::ProposalOutcome&)>;
  void propose(const CallPtr& call, const kv::Command& command, Done done);
  void write(const CallPtr& call, kv::Txn txn);
  void attempt(const CallPtr& call);
  void attempt_failed(const CallPtr& call, bool maybe);
  void take_write(const CallPtr& call, node::ProposalOutcome& outcome);
  void take_result(const CallPtr& call, const kv::CommandResult& result);
  void send_again(const CallPtr& call, const kv::CommandResult& first);
  void misuse_id(const CallPtr& call);
  void end(const CallPtr& call, history::Outcome outcome);
  node::Completion<node::ProposalOutcome> once(const CallPtr& call, Done done);

  SimCluster* cluster_;
  Checker* checker_;
  std::vector<Client> clients_;
  uint64_t pause_us_;
  uint64_t last_client_ = 0;
  uint64_t last_value_ = 0;
  uint64_t last_request_ = 0;
  size_t open_ = 0;
  bool finishing_ = false;
  uint64_t acknowledged_ = 0;
  uint64_t unknown_ = 0;
  uint64_t refused_for_space_ = 0;
  uint64_t replayed_ = 0;
  uint64_t sent_again_ = 0;
  history::History history_;
  std::map<std::string, uint64_t> last_version_;  // that any client saw, by key
};

}  // namespace kvstore::sim
