// Requests that wait for a leader, and those that were sent to one and wait for its answer.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <variant>
#include <vector>

#include "node/requests.hpp"
#include "raft/types.hpp"
#include "wire/peer_codec.hpp"

namespace kvstore::node {

class ForwardTable {
 public:
  using Request = std::variant<ProposalPtr, ControlPtr>;

  // Numbers go on from `last_number`, which should differ in every life of the process: a late
  // answer to an earlier life is then not taken for one to this.
  explicit ForwardTable(uint64_t last_number) : last_number_(last_number) {}
  ~ForwardTable();

  // Held until a leader is known or the deadline comes.
  void wait_for_leader(Request request) { waiting_.push_back(std::move(request)); }
  std::vector<Request> take_waiting() { return std::exchange(waiting_, {}); }
  bool has_waiting() const { return !waiting_.empty(); }
  // Requests of both sorts.
  size_t size() const { return waiting_.size() + sent_.size(); }

  // Sent to `leader` under the returned number.
  uint64_t next_number() { return ++last_number_; }
  void add_sent(uint64_t number, raft::NodeId leader, Request request);
  // Not sent after all.
  Request take_back(uint64_t number);

  // Answers of the node that it was sent to; others are dropped.  A NOT_LEADER or BUSY answer says
  // that nothing was proposed: NOT_LEADER waits for the next leader.
  void on_response(raft::NodeId from, wire::ForwardResponse response);
  void on_response(raft::NodeId from, wire::ControlResponse response);

  // Controls whose outcome is known without the answer of the node that they were sent to.
  using Settled = std::function<bool(raft::NodeId sent_to, const Control& control)>;
  std::vector<ControlPtr> take_settled(const Settled& settled);

  // The session with this node ended: answers of requests sent to it will not come.
  void on_disconnected(raft::NodeId leader);
  void expire(uint64_t now_ms);
  void fail_all(Code code, const char* message);

 private:
  struct Sent {
    raft::NodeId leader;
    Request request;
  };
  // The request of this number if it is of this kind and was sent to this node; null otherwise.
  template <typename Ptr>
  Ptr take_answered(raft::NodeId from, uint64_t number);

  std::vector<Request> waiting_;
  std::map<uint64_t, Sent> sent_;
  uint64_t last_number_;
};

// Ends a request of either kind that had no effect.
void refuse(ForwardTable::Request request, Code code, const std::string& message);
uint64_t deadline_of(const ForwardTable::Request& request);

}  // namespace kvstore::node
