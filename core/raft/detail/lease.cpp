// What allows a leader to answer reads by itself for a while (§6.4.1), as rounds and promises; the
// clock belongs to the caller.
#include <algorithm>

#include "base/mutation.hpp"
#include "raft/detail/impl.hpp"

namespace kvstore::raft {

LeaderLease RaftNode::Impl::lease() {
  if (!is_ready() || change_pending() || !configuration().is_voter(options_.id)) return {};
  const bool handing_over = transfer_target_ || told_to_campaign_;
  if (handing_over && !KVS_MUTATED(kLeaseOverTransfer)) return {};
  if (is_sole_voter()) return {read_round_, UINT64_MAX};
  // One that promises nothing has echoed nothing, as far as a lease goes.
  LeaderLease lease{quorum_value(read_round_,
                                 [](const Progress& peer) {
                                   return peer.promise_ms == 0 ? 0 : peer.round_acked;
                                 }),
                    UINT64_MAX};
  for (const Progress& peer : peers_) {
    if (peer.voter && peer.promise_ms != 0)
      lease.promise_ms = std::min(lease.promise_ms, peer.promise_ms);
  }
  return lease;
}

}  // namespace kvstore::raft
