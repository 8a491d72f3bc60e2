// What goes into and comes out of the calls of kvstore::client::Client.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvstore::client {

struct ClientOptions {
  // Base URLs, "http://host:port" or "host:port", tried in this order.  At least one, at most 64.
  std::vector<std::string> servers{"http://127.0.0.1:8081"};
  // Time for one call with all its retries, 1 ms..1 h.  A large value extends it by a second per 4
  // MiB.
  std::chrono::milliseconds timeout{5000};
  // Writes of keys, whether one or many, carry a random request id, under which they take effect
  // once: so those whose outcome is unknown are repeated, with the next server, until the timeout.
  // Without ids such a write ends with kUnknownOutcome at once.
  bool request_ids = true;
  // Also repeat writes without an id whose outcome is unknown.  Such a write may take effect twice,
  // and the second time after a later write of somebody else: only for writes where that does no
  // harm.  When the repetition does not succeed either, the error stays kUnknownOutcome.
  bool repeat_unknown_writes = false;
};

// Which of the servers answered, and what the store looked like to it.
struct AnswerInfo {
  std::string server;     // the URL that answered
  std::string node;       // its node name, empty when the answer does not say
  uint64_t revision = 0;  // the store's revision, 0 when the answer does not say
  // An earlier attempt under the same request id took effect, and this is its answer.
  bool replayed = false;
  // The same, without values (or items) that the cluster does not keep for repetitions: above 4
  // KiB.
  bool shortened = false;
};

// A condition on the key that a write changes; both unset: none.
struct Condition {
  std::optional<uint64_t> mod_revision;  // the key's current mod_revision is this one
  bool absent = false;                   // the key does not exist
};

// How long a put lets its key live; both unset: until it is deleted.  At most one is set.  A later
// put decides anew: without a lifetime the key stays.
struct Lifetime {
  uint64_t lease = 0;                // the key goes with this lease
  std::chrono::milliseconds ttl{0};  // the key goes after this time, 100 ms..365 days
};

enum class Consistency {
  kLinearizable,  // sees every write acknowledged before the call
  kLease,         // the same as long as clocks run at about the same speed; saves a round
  kStale,         // whatever the asked node has applied
};

struct ReadOptions {
  Consistency consistency = Consistency::kLinearizable;
  // With kStale: refuse what may be older than this, 1 ms or more.  Unset: any age.
  std::optional<std::chrono::milliseconds> max_staleness;
  // Wait until the node has applied this revision; 0: any.
  uint64_t min_revision = 0;
  // As it was at this revision; 0: the newest.  kRefused with the code "compacted" when it is given
  // up, "future_revision" when it does not exist yet.
  uint64_t revision = 0;
  // Of a read into a sink: told the value's size before its bytes, if the answer announces it.
  std::function<void(uint64_t bytes)> on_size;
};

// A value on its way up.  `read` copies bytes at `offset` into `buffer` and returns how many, 0
// only on failure.  It is called again from offset 0 when the request is repeated with another
// server.
struct ValueSource {
  uint64_t bytes = 0;
  std::function<size_t(uint64_t offset, char* buffer, size_t capacity)> read;

  // Borrows `value` until the call returns.
  static ValueSource of(std::string_view value);
};

// A value on its way down.  Offsets grow without gaps, but for a new start at 0 when the read is
// repeated with another server.  false ends the call with kCancelled.
using ValueSink = std::function<bool(uint64_t offset, std::string_view bytes)>;

struct PutResult {
  uint64_t revision = 0;  // of the write
  AnswerInfo info;
};

struct DeleteResult {
  uint64_t deleted = 0;  // 0 or 1
  AnswerInfo info;
};

// A key with its value.  Revisions are 0 where the answer does not carry them.
struct Item {
  std::string key;
  std::string value;
  // The value's size, also where the value itself is left out: lists leave out large ones.
  uint64_t value_bytes = 0;
  bool value_omitted = false;
  uint64_t create_revision = 0;
  uint64_t mod_revision = 0;
  uint64_t version = 0;
  uint64_t lease = 0;                // 0: none
  std::chrono::milliseconds ttl{0};  // of its own; 0: none
};

struct GetResult {
  Item item;  // without the value after a read into a sink
  AnswerInfo info;
};

struct ListOptions {
  std::string prefix;
  uint64_t limit = 1000;  // 0: everything
  bool keys_only = false;
  bool reverse = false;  // from the last key to the first
  ReadOptions read;
};

// false ends the listing with kCancelled.
using ItemSink = std::function<bool(const Item& item)>;

struct ListResult {
  uint64_t count = 0;  // items delivered
  bool more = false;   // the limit ended the listing before the last key
  AnswerInfo info;
};

struct PluginUse {
  std::string role;  // "log", "state" or "transport"
  std::string id, version;
};

struct Member {
  std::string node_id;  // the name
  std::string address;  // of the Raft transport
  std::string role;     // "voter", "learner" or "pending"
  std::string state;    // "probe", "replicate", "snapshot"; empty when unknown
  bool is_leader = false;
  bool reported = false;  // the answer carries the leader's view: what follows
  bool healthy = false;
  uint64_t match_index = 0;
  uint64_t lag = 0;
  std::vector<PluginUse> plugins;  // empty while the asked node does not know them
};

// The state of a node that is durable at least up to here.
struct TakenSnapshot {
  uint64_t index = 0, term = 0, revision = 0;
  uint64_t first_index = 0;  // of the node's log
  AnswerInfo info;
};

struct ClusterStatus {
  std::string cluster_name, cluster_id;
  std::string node_id, role;       // of the node that answered
  std::string leader;              // name; empty: none known
  std::string leader_api_address;  // empty: unknown
  uint64_t term = 0, commit_index = 0, applied_index = 0, first_index = 0, last_index = 0;
  uint64_t revision = 0;
  std::vector<Member> members;
  std::string source;  // "leader", or "local" when the leader did not tell how far the members are
  std::string json;    // the whole answer
  AnswerInfo info;
};

struct AddResult {
  std::string node_id, address;
  std::string state;  // "voter", "learner" or "pending": the rest happens by itself
  std::string json;
  AnswerInfo info;
};

// A lease lives for `ttl` from the last time that it was granted or kept alive, counted from when
// that call was sent; a change of the leader may let it live longer.  Its keys go with it.
struct Lease {
  uint64_t id = 0;
  std::chrono::milliseconds ttl{0};
  std::chrono::milliseconds remaining{0};  // as the leader counts; 0 after grant and keep-alive
  std::vector<std::string> keys;           // filled by get_lease() alone, at most 1,000
  bool more_keys = false;
  AnswerInfo info;
};

struct LeaseList {
  std::vector<Lease> leases;  // by id
  AnswerInfo info;
};

struct RevokeResult {
  uint64_t deleted = 0;  // keys
  AnswerInfo info;
};

struct HealthCheck {
  std::string name;
  bool ok = false;
  std::string message;
};

struct Health {
  bool ok = false;        // it serves
  bool degraded = false;  // it serves, but a check fails
  std::string node_id, role;
  std::vector<HealthCheck> checks;
  std::string json;
  AnswerInfo info;
};

}  // namespace kvstore::client
