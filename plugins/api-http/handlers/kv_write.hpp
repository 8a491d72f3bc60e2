// PUT and DELETE as transactions: the conditional headers become compares.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "context.hpp"

namespace kvstore::http {

// One condition on the key, from If-Match or If-None-Match.
struct Condition {
  uint32_t target = KVS_CMP_VERSION;
  uint32_t op = KVS_CMP_EQ;
  uint64_t number = 0;
};

// A parsed write without its value.
struct WritePlan {
  std::string key;
  std::vector<Condition> conditions;
  bool want_previous = false;
  uint64_t lease = 0;      // of a put; 0: none
  uint64_t ttl_ms = 0;     // of a put; 0: none
  std::string request_id;  // empty: none

  // Throws ApiError(400).
  static WritePlan parse(const Context& context, const Request& request, const Params& params);
};

// Throws ApiError(400) for headers that cannot be expressed as conditions.
std::vector<Condition> parse_conditions(const Request& request);

// Proposes the put and answers with its outcome.  The value is `value` or, when upload is given,
// what was uploaded.  `keep` lives until the transaction is complete.
template <typename Keep>
void submit_put(Context& context, const ExchangePtr& exchange, const kvs_call& call,
                const WritePlan& plan, std::string_view value, kvs_upload* upload, Keep keep);

// The transaction of a plan: `op` and then a look at the key's versions, or only the look when a
// condition fails.  Its arrays point into this object.
class WriteTxn {
 public:
  WriteTxn(const WritePlan& plan, kvs_op op, bool look_after);
  WriteTxn(const WriteTxn&) = delete;
  WriteTxn& operator=(const WriteTxn&) = delete;
  const kvs_txn& get() const { return txn_; }

 private:
  kvs_op then_[2]{};
  kvs_op else_[1]{};
  std::vector<kvs_compare> compares_;
  kvs_txn txn_{};
};

// Answers of a completed transaction.
Response put_response(const kvs_result& result, std::string_view key, bool want_previous);
Response delete_response(const kvs_result& result, std::string_view key, bool want_previous);

// Takes over a PUT whose body is too large for one piece (kv_upload.cpp).
void start_upload(Context& context, const Request& request, const ExchangePtr& exchange,
                  WritePlan plan, const kvs_call& call);

template <typename Keep>
void submit_put(Context& context, const ExchangePtr& exchange, const kvs_call& call,
                const WritePlan& plan, std::string_view value, kvs_upload* upload, Keep keep) {
  kvs_op put{};
  put.kind = KVS_OP_PUT;
  put.flags = plan.want_previous ? uint32_t{KVS_OP_PREV} : 0u;
  put.value = sdk::slice(value);
  put.upload = upload;
  put.lease = plan.lease;
  put.ttl_ms = plan.ttl_ms;
  const WriteTxn txn(plan, put, true);
  context.engine->txn(
      exchange, call, txn.get(),
      [exchange, key = plan.key, previous = plan.want_previous, keep = std::move(keep)](
          const kvs_result& result) { exchange->respond(put_response(result, key, previous)); });
}

}  // namespace kvstore::http
