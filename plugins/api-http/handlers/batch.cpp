// POST /api/v1/batch: many independent operations, each with its own outcome, in few log entries.
#include <algorithm>
#include <deque>

#include "context.hpp"
#include "handlers/batch_plan.hpp"
#include "handlers/json_body.hpp"
#include "handlers/kv_common.hpp"
#include "handlers/routes.hpp"
#include "handlers/txn_result.hpp"
#include "text/json_text.hpp"

namespace kvstore::http {
namespace {

constexpr uint64_t kBodyBytesMax = 4 << 20;
// Values in one answer, those of `prev` included; base64 makes 4 MiB of it.
constexpr uint64_t kValueBytesMax = 3 << 20;
// Transactions of one batch that are under way at a time.
constexpr size_t kInFlightMax = 64;
// For a batch that names no timeout.
constexpr uint64_t kDefaultDeadlineMs = 10'000;
constexpr uint64_t kNsPerMs = 1'000'000;

// The transaction of a unit; borrows the operations.
class UnitTxn {
 public:
  UnitTxn(const std::vector<BatchOp>& ops, const BatchUnit& unit) {
    for (const uint32_t i : unit) then_.push_back(ops[i].op.to_abi());
    const BatchOp& first = ops[unit.front()];
    txn_.struct_size = sizeof txn_;
    txn_.then_ops = then_.data();
    txn_.then_count = static_cast<uint32_t>(then_.size());
    if (!first.is_conditional()) return;
    compare_.range = then_.front().range;
    compare_.op = KVS_CMP_EQ;
    compare_.target = first.if_absent ? uint32_t{KVS_CMP_VERSION} : uint32_t{KVS_CMP_MOD_REVISION};
    compare_.number = first.if_mod_revision.value_or(0);
    look_.kind = KVS_OP_GET;
    look_.flags = KVS_OP_KEYS_ONLY;
    look_.range = then_.front().range;
    txn_.compares = &compare_;
    txn_.compare_count = 1;
    txn_.else_ops = &look_;
    txn_.else_count = 1;
  }
  UnitTxn(const UnitTxn&) = delete;
  UnitTxn& operator=(const UnitTxn&) = delete;
  const kvs_txn& get() const { return txn_; }

 private:
  std::vector<kvs_op> then_;
  kvs_compare compare_{};
  kvs_op look_{};
  kvs_txn txn_{};
};

// Runs on the exchange's thread; completions of transactions write the answers of their own
// operations and post the rest there.
class BatchRun : public std::enable_shared_from_this<BatchRun> {
 public:
  BatchRun(Context& context, ExchangePtr exchange, const kvs_call& call, std::vector<BatchOp> ops)
      : context_(context),
        exchange_(std::move(exchange)),
        call_(call),
        credential_(sdk::view(call.credential)),
        remote_address_(sdk::view(call.remote_address)),
        ops_(std::move(ops)),
        answers_(ops_.size()) {
    call_.credential = sdk::slice(credential_);
    call_.remote_address = sdk::slice(remote_address_);
    if (call_.deadline_ns == 0) {
      call_.deadline_ns = context_.host().now_ns() + kDefaultDeadlineMs * kNsPerMs;
    }
    BatchBounds bounds;
    bounds.unit_ops_max = context_.config.max_txn_operations;
    waves_ = plan_batch(ops_, bounds);
  }

  void go_on() {
    while (true) {
      while (!queue_.empty() && in_flight_ < kInFlightMax) {
        BatchUnit unit = std::move(queue_.front());
        queue_.pop_front();
        submit(std::move(unit));
      }
      if (in_flight_ != 0) return;
      if (!gets_.empty()) {
        if (start_reading()) return;
        continue;
      }
      if (next_wave_ == waves_.size()) break;
      BatchWave& wave = waves_[next_wave_++];
      std::move(wave.writes.begin(), wave.writes.end(), std::back_inserter(queue_));
      gets_ = std::move(wave.gets);
    }
    finish();
  }

 private:
  struct Answer {
    std::string text;
    bool failed = false;
  };

  bool is_late() const { return context_.host().now_ns() >= call_.deadline_ns; }
  static ApiError late() {
    return error_from_status(KVS_E_TIMEOUT, "the time of the batch was over before this operation");
  }

  void submit(BatchUnit unit) {
    if (is_late()) {
      for (const uint32_t i : unit) set_error(i, late(), nullptr);
      return;
    }
    ++in_flight_;
    const UnitTxn txn(ops_, unit);
    context_.engine->txn_any(
        exchange_, call_, txn.get(),
        [self = shared_from_this(), unit = std::move(unit)](const kvs_result& result) {
          const bool split = self->record(unit, result);
          self->exchange_->post(
              [self, unit, split, revision = result.revision, term = result.at.term] {
                guarded(self->context_.host(), *self->exchange_, [&] {
                  --self->in_flight_;
                  self->note(revision, term);
                  for (const uint32_t i : split ? unit : BatchUnit()) self->queue_.push_back({i});
                  self->go_on();
                });
              });
        });
  }

  // Any thread.  True when none of the operations was done and they are to be tried one by one:
  // what one of them is refused for is no fault of the others.
  bool record(const BatchUnit& unit, const kvs_result& result) {
    if (result.status != KVS_OK) {
      const ApiError error = error_from_result(result);
      if (unit.size() > 1 && !error.committed_unknown && !error.retryable) return true;
      for (const uint32_t i : unit) set_error(i, error, nullptr);
      return false;
    }
    const bool holds = result.succeeded != 0;
    check_op_count(result, holds ? unit.size() : 1);
    if (!holds) {
      set_error(unit.front(), failed_condition(result), &result);
      return false;
    }
    for (size_t n = 0; n < unit.size(); ++n) {
      std::string& out = answers_[unit[n]].text;
      out.append("{\"status\":200,");
      append_op_result(ops_[unit[n]].op, result.ops[n], result.revision, &budget_, &out);
      out.push_back('}');
    }
    return false;
  }

  static ApiError failed_condition(const kvs_result& result) {
    const kvs_op_result& look = result.ops[0];
    return ApiError(412, "precondition_failed",
                    look.item_count == 0 ? "the key does not exist"
                                         : "the key is at mod_revision " +
                                               std::to_string(look.items[0].mod_revision));
  }

  // looked: of a failed condition, with the key's current version.
  void set_error(uint32_t i, const ApiError& error, const kvs_result* looked) {
    Answer& answer = answers_[i];
    answer.failed = true;
    std::string& out = answer.text;
    out.append("{\"status\":");
    append_number(static_cast<uint64_t>(error.http_status), &out);
    out.append(",\"op\":\"").append(op_name(ops_[i].op.name)).append("\",\"error\":");
    append_error(error, &out);
    if (looked != nullptr) {
      const kvs_op_result& look = looked->ops[0];
      out.append(",\"current_revision\":");
      append_number(look.item_count == 0 ? 0 : look.items[0].mod_revision, &out);
    }
    out.push_back('}');
  }

  // False when there is nothing to wait for.
  bool start_reading() {
    auto gets = std::make_shared<const std::vector<uint32_t>>(std::exchange(gets_, {}));
    const auto fail = [this, gets](const ApiError& error) {
      for (const uint32_t i : *gets) set_error(i, error, nullptr);
    };
    if (is_late()) {
      fail(late());
      return false;
    }
    kvs_read_options options{};
    options.struct_size = sizeof options;
    try {
      context_.engine->read_open(
          exchange_, call_, options,
          [self = shared_from_this(), gets](Reader reader) {
            for (const uint32_t i : *gets) self->read(i, reader);
            self->note(reader.revision(), reader.term());
            self->go_on();
          },
          [self = shared_from_this(), fail](const ApiError& error) {
            fail(error);
            self->go_on();
          });
      return true;
    } catch (const ApiError& error) {
      fail(error);
      return false;
    }
  }

  void read(uint32_t i, const Reader& reader) {
    const OpSpec& op = ops_[i].op;
    std::string& out = answers_[i].text;
    try {
      const bool found = reader.get(op.range.key, [&](const kvs_item& item) {
        out.append("{\"status\":200,\"op\":\"get\",");
        append_item_field("item", item, !op.has(KVS_OP_KEYS_ONLY), &budget_, &out);
        out.push_back('}');
      });
      if (!found) set_error(i, ApiError(404, "not_found", "the key does not exist"), nullptr);
    } catch (const ApiError& error) {
      out.clear();
      set_error(i, error, nullptr);
    }
  }

  void note(uint64_t revision, uint64_t term) {
    revision_ = std::max(revision_, revision);
    term_ = std::max(term_, term);
  }

  void finish() {
    Response response;
    response.revision = revision_;
    response.term = term_;
    uint64_t failed = 0;
    std::string& out = response.body;
    out.append("{\"results\":[");
    for (size_t i = 0; i < answers_.size(); ++i) {
      if (i != 0) out.push_back(',');
      out.append(answers_[i].text);
      failed += answers_[i].failed ? 1 : 0;
    }
    out.append("],\"succeeded\":");
    append_number(answers_.size() - failed, &out);
    out.append(",\"failed\":");
    append_number(failed, &out);
    out.append(",\"revision\":");
    append_number(revision_, &out);
    out.append("}\n");
    if (failed != 0) response.status = 207;
    exchange_->respond(std::move(response));
  }

  Context& context_;
  ExchangePtr exchange_;
  kvs_call call_;
  const std::string credential_, remote_address_;
  const std::vector<BatchOp> ops_;
  std::vector<Answer> answers_;  // by operation; written by one thread each
  ValueBudget budget_{kValueBytesMax};
  std::vector<BatchWave> waves_;
  size_t next_wave_ = 0;
  std::deque<BatchUnit> queue_;  // of the wave that is under way
  std::vector<uint32_t> gets_;
  size_t in_flight_ = 0;
  uint64_t revision_ = 0, term_ = 0;
};

void handle_batch(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {});
  refuse_idempotency_key(request);
  auto ops = parse_batch_document(request.body, context.config);
  std::make_shared<BatchRun>(context, exchange, make_call(context, request, params), std::move(ops))
      ->go_on();
}

}  // namespace

void add_batch_routes(Router* router) {
  Route batch{Method::kPost, "/api/v1/batch", RouteClass::kData, "batch", handle_batch};
  batch.body_bytes_max = kBodyBytesMax;
  batch.check_head = check_is_json;
  router->add(batch);
}

}  // namespace kvstore::http
