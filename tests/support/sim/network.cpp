#include "support/sim/network.hpp"

#include <algorithm>
#include <iterator>
#include <memory>

#include "base/assert.hpp"
#include "wire/frame.hpp"

namespace kvstore::sim {
namespace {

constexpr uint64_t kRedialUs = 100 * kMs;

SharedBytes join_parts(const wire::EncodedMessage& message) {
  std::string bytes;
  for (const SharedBytes& part : message.parts) bytes += part.view();
  return SharedBytes(std::move(bytes));
}

}  // namespace

// Answers a stream exactly once: the end of its last holder is an answer too.
class Network::Answer {
 public:
  Answer(const std::shared_ptr<Streams>& streams, uint64_t number)
      : streams_(streams), number_(number) {}
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;
  ~Answer() { give(Status(Code::kTimeout, "no answer")); }

  void give(Status status) {
    std::shared_ptr<Streams> streams = streams_.lock();
    if (!streams) return;
    auto it = streams->find(number_);
    if (it == streams->end()) return;
    auto done = std::move(it->second.done);
    streams->erase(it);
    done(std::move(status));
  }

 private:
  std::weak_ptr<Streams> streams_;
  uint64_t number_;
};

void Network::join(Endpoint* endpoint) {
  bool fresh = endpoints_.emplace(endpoint->address(), endpoint).second;
  KVS_ASSERT(fresh);
}

void Network::leave(Endpoint* endpoint) {
  endpoints_.erase(endpoint->address());
  std::erase_if(links_, [&](const auto& link) { return link.second.from == endpoint; });
  std::erase_if(*streams_, [&](const auto& s) { return s.second.from == endpoint; });
  std::vector<Key> broken;
  for (const auto& [key, link] : links_) {
    if (link.to == endpoint) broken.push_back(key);
  }
  for (const Key& key : broken) break_link(key);
}

void Network::dial(Endpoint* endpoint, raft::NodeId id, const std::string& address) {
  Key key{endpoint->address(), id};
  hang_up(endpoint, id);
  links_[key] = Link{endpoint, address, nullptr, ++last_session_, {}};
  attempt_later(key, delay());
}

void Network::hang_up(Endpoint* endpoint, raft::NodeId id) {
  links_.erase({endpoint->address(), id});
}

Network::Link* Network::find(const Key& key, uint64_t session) {
  auto it = links_.find(key);
  return it != links_.end() && it->second.session == session ? &it->second : nullptr;
}

bool Network::is_cut(const std::string& from, const std::string& to) const {
  return cuts_.count({from, to}) != 0;
}

void Network::attempt_later(const Key& key, uint64_t delay_us) {
  uint64_t session = links_.at(key).session;
  world_->after(delay_us, [this, key, session] {
    if (find(key, session) != nullptr) attempt(key);
  });
}

void Network::attempt(const Key& key) {
  Endpoint* from = links_.at(key).from;
  const std::string address = links_.at(key).address;
  auto it = endpoints_.find(address);
  if (it == endpoints_.end() || is_cut(from->address(), address) ||
      is_cut(address, from->address())) {
    attempt_later(key, world_->between(kRedialUs / 2, kRedialUs * 3 / 2));
    return;
  }
  Status met = shake_hands(from, it->second, key.second);
  if (!met) {
    attempt_later(key, world_->between(kRedialUs, 3 * kRedialUs));
    from->on_rejected(met);
    return;
  }
  Link& link = links_.at(key);
  link.to = it->second;
  link.session = ++last_session_;
  link.lanes = {};
  from->on_connected(key.second);
}

Status Network::shake_hands(Endpoint* from, Endpoint* to, raft::NodeId dialed) {
  auto pass = [](const wire::Hello& hello) {
    Result<std::string> bytes = wire::encode_hello(hello);
    KVS_ASSERT(bytes.is_ok());
    return wire::decode_hello(*bytes);
  };
  Result<wire::Hello> ours = pass(from->hello());
  Result<wire::Hello> theirs = pass(to->hello());
  if (!ours) return ours.status();
  if (!theirs) return theirs.status();
  Status accepted = to->meet(*ours, raft::kNoNode);
  Status agreed = from->meet(*theirs, dialed);
  return accepted ? agreed : accepted;
}

void Network::break_link(const Key& key) {
  Link& link = links_.at(key);
  if (link.to == nullptr) return;
  link.to = nullptr;
  link.session = ++last_session_;
  uint64_t session = link.session;
  world_->after(delay(), [this, key, session] {
    if (Link* now = find(key, session)) now->from->on_disconnected(key.second);
  });
  attempt_later(key, faults.delay_max_us + world_->between(1, kRedialUs));
}

Status Network::send(Endpoint* from, raft::NodeId to, node::Lane lane,
                     std::vector<wire::EncodedMessage> messages) {
  Key key{from->address(), to};
  auto it = links_.find(key);
  if (it == links_.end() || it->second.to == nullptr) return Status(Code::kUnreachable);
  Link& link = it->second;
  size_t number = static_cast<size_t>(lane);
  LaneState& state = link.lanes[number];
  for (const wire::EncodedMessage& message : messages) {
    if (state.bytes > 0 && state.bytes + message.bytes > faults.lane_bytes_max) {
      state.refused = true;
      ++counts_.lane_full;
      return Status(Code::kBusy);
    }
    SharedBytes payload = join_parts(message);
    KVS_ASSERT(payload.size() == message.bytes);
    ++counts_.sent;
    state.bytes += payload.size();
    uint64_t arrival_us = world_->now_us() + delay_between(key.first, link.address);
    const bool consensus = wire::frame_kind(payload.view()).value() == wire::FrameKind::kRaft;
    if (consensus && arrival_us < state.last_arrival_us && world_->chance(faults.reorder_percent)) {
      ++counts_.reordered;
    } else {
      arrival_us = state.last_arrival_us = std::max(state.last_arrival_us, arrival_us);
    }
    world_->after(arrival_us - world_->now_us(),
                  [this, key, number, payload, session = link.session] {
                    deliver(key, session, number, payload);
                  });
    if (consensus && world_->chance(faults.duplicate_percent)) {
      ++counts_.duplicated;
      uint64_t later_us = arrival_us - world_->now_us() + world_->below(10 * faults.delay_max_us);
      world_->after(later_us, [this, key, number, payload, session = link.session] {
        deliver_once_more(key, session, number, payload);
      });
    }
  }
  return Status::ok();
}

void Network::deliver(const Key& key, uint64_t session, size_t lane, const SharedBytes& payload) {
  Link* link = find(key, session);
  if (link == nullptr) return;
  LaneState& state = link->lanes[lane];
  state.bytes -= payload.size();
  bool writable = state.refused && state.bytes < faults.lane_bytes_max / 2;
  if (writable) state.refused = false;
  Endpoint* from = link->from;
  Endpoint* to = link->to;
  bool cut = is_cut(key.first, to->address());
  bool lost = cut || world_->chance(faults.drop_percent);
  if (lost) ++(cut ? counts_.cut : counts_.dropped);
  if (writable) from->on_writable(key.second, static_cast<node::Lane>(lane));
  if (!lost) to->on_message({from->hello().node}, payload);
}

void Network::deliver_once_more(const Key& key, uint64_t session, size_t lane,
                                const SharedBytes& payload) {
  Link* link = find(key, session);
  if (link == nullptr || is_cut(key.first, link->address)) return;
  link->lanes[lane].bytes += payload.size();
  deliver(key, session, lane, payload);
}

uint64_t Network::delay_between(const std::string& from, const std::string& to) {
  auto slow = slow_.find({from, to});
  return delay() + (slow == slow_.end() ? 0 : slow->second);
}

void Network::slow_down(const std::string& a, const std::string& b, uint64_t extra_us) {
  slow_[{a, b}] = slow_[{b, a}] = extra_us;
}

uint64_t Network::fullest_lane_bytes() const {
  uint64_t most = 0;
  for (const auto& [key, link] : links_) {
    for (const LaneState& lane : link.lanes) most = std::max(most, lane.bytes);
  }
  return most;
}

void Network::stream(Endpoint* from, raft::NodeId to, std::string header, std::string bytes,
                     std::function<void(Status)> done) {
  uint64_t number = ++last_stream_;
  streams_->emplace(number, Stream{from, std::move(done)});
  auto answer = std::make_shared<Answer>(streams_, number);
  Key key{from->address(), to};
  auto it = links_.find(key);
  if (it == links_.end() || it->second.to == nullptr) {
    world_->after(delay(), [answer] { answer->give(Status(Code::kUnreachable, "not connected")); });
    return;
  }
  ++counts_.streams;
  if (!bytes.empty() && world_->chance(faults.stream_flip_percent)) {
    ++counts_.streams_flipped;
    bytes[world_->below(bytes.size())] ^= static_cast<char>(1 << world_->below(8));
  }
  uint64_t session = it->second.session;
  uint64_t time_us =
      delay_between(key.first, it->second.address) + bytes.size() / 1024 * faults.stream_us_per_kib;
  world_->after(time_us, [this, key, session, header = std::move(header), bytes = std::move(bytes),
                          answer] {
    Link* link = find(key, session);
    if (link == nullptr || is_cut(key.first, link->address)) {
      answer->give(Status(Code::kUnreachable, "the connection was lost"));
      return;
    }
    link->to->on_stream({link->from->hello().node}, header, bytes, [this, answer](Status status) {
      world_->after(delay(), [answer, status] { answer->give(status); });
    });
  });
}

void Network::cut_one_way(const std::string& from, const std::string& to) {
  cuts_.insert({from, to});
  notice_cuts();
}

void Network::cut(const std::string& a, const std::string& b) {
  cuts_.insert({a, b});
  cuts_.insert({b, a});
  notice_cuts();
}

// A connection over which nothing comes is given up after a while, by each side for itself.
void Network::notice_cuts() {
  for (const auto& [key, link] : links_) {
    if (link.to == nullptr) continue;
    world_->after(world_->below(faults.silence_max_us + 1), [this, key, session = link.session] {
      const Link* now = find(key, session);
      if (now == nullptr || now->to == nullptr) return;
      if (is_cut(key.first, now->address) || is_cut(now->address, key.first)) break_link(key);
    });
  }
}

void Network::break_some_link() {
  if (links_.empty()) return;
  auto it = links_.begin();
  std::advance(it, static_cast<ptrdiff_t>(world_->below(links_.size())));
  break_link(it->first);
}

}  // namespace kvstore::sim
