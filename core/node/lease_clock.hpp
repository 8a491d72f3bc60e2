// When leases end, as their leader sees it: from its own elapsed time alone, never early.
//
// Every node keeps the leases that it applied.  Only the leader's clock counts: it gives each lease
// its full time from the moment at which the node began to lead, or saw the lease granted or kept
// alive.  Between two looks at the clock at most kStepMaxMs pass, so that a node that was stopped
// does not find at its return that everything is over.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "kv/leases.hpp"

namespace kvstore::node {

// Memory: about 150 bytes for each of at most kv::kLeasesMax leases.
class LeaseClock {
 public:
  static constexpr uint64_t kStepMaxMs = 500;

  struct Lease {
    uint64_t id = 0;
    uint64_t ttl_ms = 0;
    uint64_t remaining_ms = 0;  // 0: it ends
    bool ends = false;          // nothing keeps it alive any more
  };

  // Time passes; before each of the others.
  void advance(uint64_t now_ms);

  // What the state machine applied.
  void apply(const kv::LeaseChanges& changes);
  // This node leads from now on: every lease has its full time.
  void begin_leading();

  // At most `max` leases whose time is over or whose end was begun.  From then on nothing keeps
  // them alive, unless end_not_proposed() says that no log has the command for them.
  std::vector<kv::LeaseRef> take_due(size_t max);
  void end_not_proposed(const std::vector<kv::LeaseRef>& leases);

  // While somebody else sees to the end of the lease it is not due.
  void hold(uint64_t id);
  void release(uint64_t id);

  // The lease has its full time again; false when there is none or it ends.
  bool renew(uint64_t id);

  std::optional<Lease> find(uint64_t id) const;
  // Granted leases with ids above `after`, in order of their ids.
  std::vector<Lease> list(uint64_t after, size_t limit) const;
  size_t size() const { return leases_.size(); }
  // Of them, TTLs of keys.
  size_t own_count() const { return own_count_; }
  // Leases that are gone since their time was over, while this node led.
  uint64_t ended() const { return ended_; }

 private:
  struct Entry {
    uint64_t ttl_ms = 0;
    uint64_t generation = 0;
    uint64_t deadline_ms = 0;  // on clock_ms_
    bool ending = false;       // by the state: a first piece is gone
    bool proposed = false;     // its end is on its way through the log
    bool overdue = false;      // and that because its time was over
    uint32_t holds = 0;
  };
  // When to look at a lease; it may have been renewed or gone since.
  struct Look {
    uint64_t at_ms = 0;
    uint64_t id = 0;
    bool operator<(const Look& other) const { return at_ms > other.at_ms; }
  };

  void apply(const kv::LeaseChange& change);
  // The end of a time that begins now; one more because the clock's milliseconds are cut.
  uint64_t full_time(uint64_t ttl_ms) const { return clock_ms_ + ttl_ms + 1; }
  Lease describe(uint64_t id, const Entry& entry) const;
  void look_at(uint64_t id, const Entry& entry);
  void look_at_all();

  std::map<uint64_t, Entry> leases_;
  size_t own_count_ = 0;
  uint64_t ended_ = 0;
  std::vector<Look> looks_;  // a heap, the earliest first
  uint64_t clock_ms_ = 0;
  uint64_t last_now_ms_ = 0;
};

}  // namespace kvstore::node
