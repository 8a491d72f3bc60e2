// The C++ client of kvstore: blocking calls over HTTP with failover between servers.
//
// A Client keeps one connection per server and uses it again.  Calls are blocking and bounded by
// the timeout of the options.  Not thread-safe: one Client per thread; several Clients know nothing
// of each other.
//
// Failover.  Every call goes to the server that answered last and moves on along the list.  Reads
// are repeated with the next server on any failure.  So are writes of keys (put, del, txn, batch,
// delete_range), which carry a request id under which the cluster executes them once, whatever
// becomes of their answers; a cluster remembers ids for a day, or until 100,000 further ones came.
// Another write, or one without an id
// (ClientOptions::request_ids), is repeated only when it provably had no effect: the connection
// could not be made, or the answer says so (committed "no", retryable); when its answer is lost it
// ends with kUnknownOutcome.  An answer that names the leader is followed there.
//
// <kvstore/client/async.hpp> has calls that do not block.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <kvstore/client/limits.hpp>
#include <kvstore/client/result.hpp>
#include <kvstore/client/txn.hpp>
#include <kvstore/client/types.hpp>
#include <kvstore/client/watch.hpp>

namespace kvstore::client {

class Client {
 public:
  // Checks the options; connects to nobody.  Errors: kInvalidArgument.
  static Result<Client> create(const ClientOptions& options);

  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  // Bounds all calls from now on, until the next limits; {} removes them.
  void limit_calls(CallLimits limits);

  // Keys are 1 byte to the server's limit (4096 by default), any bytes.
  //
  // request_id: 1..128 characters of visible ASCII, kept by a program that wants to repeat the
  // write in another call, or another life; empty: a random one, unless the options say otherwise.
  // The same id with another key, value or condition is kRefused, code "idempotency_mismatch".
  Result<PutResult> put(std::string_view key, const ValueSource& value,
                        const Condition& condition = {}, const Lifetime& lifetime = {},
                        std::string_view request_id = {});
  Result<PutResult> put(std::string_view key, std::string_view value,
                        const Condition& condition = {}, const Lifetime& lifetime = {},
                        std::string_view request_id = {});

  // The value and all revisions; kNotFound when there is no such key.
  Result<GetResult> get(std::string_view key, const ReadOptions& options = {});
  // The value's bytes alone, in bounded memory.
  Result<GetResult> get(std::string_view key, const ReadOptions& options, const ValueSink& sink);

  // An absent key is no error: deleted is 0.
  Result<DeleteResult> del(std::string_view key, const Condition& condition = {},
                           std::string_view request_id = {});

  // Delivers keys in byte order, page by page.
  Result<ListResult> list(const ListOptions& options, const ItemSink& sink);
  // The same as one stream of one revision, large values included, in bounded memory.  Not repeated
  // with another server once an item was delivered: kUnreachable then, with what arrived so far.
  Result<ListResult> stream(const ListOptions& options, const ItemSink& sink);

  // Delivers every change, once and in order, from a revision on, until the sink returns false.  A
  // connection that ends is replaced by another one, to any of the servers, which goes on where the
  // last one ended.  Blocks; a token of limit_calls() ends it with kCancelled, a deadline does not
  // count.  Errors: kRefused with the code "compacted" when the history that it needs is gone,
  // kUnreachable when no server serves it for options.patience.
  Result<WatchEnd> watch(const WatchOptions& options, const ChangeSink& sink);
  // A lease for keys to be put under, with `id` in 1..2^53-1 or, with 0, one that the server
  // chooses; kConditionFailed when the id is taken.
  Result<Lease> grant_lease(std::chrono::milliseconds ttl, uint64_t id = 0);
  // These give kNotFound, code "lease_not_found", when there is no such lease (any more).
  Result<Lease> keep_alive(uint64_t id);
  Result<Lease> get_lease(uint64_t id);
  // Deletes the keys of the lease, up to 1,000 in one revision.
  Result<RevokeResult> revoke_lease(uint64_t id);
  Result<LeaseList> list_leases();

  // Atomic.  A compare that does not hold is no error: `succeeded` is false then, and the results
  // are those of else_ops.  The request id is that of put(); without writes none is sent.  Of
  // results above 4 KiB a repetition (info.replayed) may lack the values.
  Result<TxnResult> txn(const Txn& txn, std::string_view request_id = {});
  // The same with the document of POST /txn, which the server checks.
  Result<TxnResult> txn_json(std::string_view document, std::string_view request_id = {});

  // Independent operations, each with its own outcome: an error of one is in its result.  Not
  // atomic together; operations on the same key take effect in their order.
  //
  // request_id: as of put.  Under it what the cluster could not do at the moment is tried again,
  // and nothing else, until the timeout: then an error kNoLeader or kUnknownOutcome is left.
  Result<BatchResult> batch(const std::vector<Operation>& operations,
                            std::string_view request_id = {});

  // Deletes piece by piece, each piece of up to 10,000 keys atomic, under an id of its own and with
  // the whole timeout.  After an error the keys that are gone stay gone; a repetition goes on.
  Result<DeleteRangeResult> delete_range(const KeyRange& range,
                                         const DeleteRangeOptions& options = {});

  // Gives up the history below `revision` (1 or more).
  Result<CompactResult> compact(uint64_t revision);

  // The whole state of one node as a file, from which a new cluster can begin ("kvstore-client
  // snapshot restore"): of one moment, in bounded memory.  The sink's offset 0 begins a new file:
  // another server was asked.  kUnreachable, code "connection_lost", when the file was cut; what is
  // in it is for the reader of the file to check, by its checksums.  info.revision: one that it
  // certainly holds.
  Result<AnswerInfo> save_snapshot(const ReadOptions& options, const ValueSink& sink);

  // Makes the state of the asked node durable now and compacts its log behind it.  Harmless to
  // repeat.
  Result<TakenSnapshot> take_snapshot();

  Result<ClusterStatus> status();

  // Admits a node and waits, within the timeout, until it takes part.
  Result<AddResult> add_member(const std::string& name, const std::string& address, bool learner);

  // Makes a learner a voter, now or as soon as it has caught up; a voter stays one.  kNotFound when
  // there is no such member.
  Result<AddResult> promote_member(const std::string& name);

  // kNotFound when there is no such member.  `force` overrides the protection of the quorum.
  Result<AnswerInfo> remove_member(const std::string& name, bool force);

  // Returns when `name` leads.
  Result<AnswerInfo> transfer_leader(const std::string& name);

  // The health of the first server that answers; being unhealthy is an answer, no error.
  Result<Health> health();

  // Prometheus text of the first server that answers.
  Result<std::string> metrics();

 private:
  class Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvstore::client
