// POST /api/v1/batch: many independent operations, each with its own outcome, in few log entries.
#include <algorithm>
#include <deque>
#include <optional>
#include <string_view>
#include <unordered_set>

#include "context.hpp"
#include "handlers/batch_plan.hpp"
#include "handlers/batch_txn.hpp"
#include "handlers/json_body.hpp"
#include "handlers/kv_common.hpp"
#include "handlers/once.hpp"
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

// Runs on the exchange's thread; completions of transactions write the answers of their own
// operations and post the rest there.
class BatchRun : public std::enable_shared_from_this<BatchRun> {
 public:
  // key: the Idempotency-Key; empty: none.
  BatchRun(Context& context, ExchangePtr exchange, const kvs_call& call, std::vector<BatchOp> ops,
           std::string key)
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
    if (key.empty()) {
      bounds.unit_ops_max = context_.config.max_txn_operations;
    } else {
      // The bounds are constants then: every node has to divide the batch in the same way.
      once_.emplace(std::move(key), digest_of_batch(ops_));
    }
    waves_ = plan_batch(ops_, bounds);
    for (const BatchWave& wave : waves_) units_ += wave.writes.size();
  }

  void start() {
    if (once_ && units_ > 1) {
      claim();
    } else {
      go_on();
    }
  }

 private:
  // A transaction.
  struct Piece {
    BatchUnit ops;
    std::string id;  // empty: none
  };
  using PiecePtr = std::shared_ptr<const Piece>;

  // What is to be done about a piece that ended.
  enum class Next {
    kNothing,   // its operations have their answers
    kUndone,    // the same, and a repetition may still do them
    kDivide,    // none of them was done: they are tried one by one
    kGiveUp,    // the same, once the log says so
    kFindOut,   // its id is taken: by the same piece given up, or by another request
    kAgain,     // it was done meanwhile, by another attempt: its answer is there
    kMismatch,  // the key was used for another request
  };

  struct Answer {
    std::string text;
    bool failed = false;
  };

  void go_on() {
    while (true) {
      while (!queue_.empty() && in_flight_ < kInFlightMax) {
        PiecePtr piece = std::move(queue_.front());
        queue_.pop_front();
        submit(std::move(piece));
      }
      if (in_flight_ != 0) return;
      if (!gets_.empty()) {
        if (start_reading()) return;
        continue;
      }
      if (next_wave_ == waves_.size()) break;
      BatchWave& wave = waves_[next_wave_++];
      for (BatchUnit& unit : wave.writes) queue_.push_back(unit_piece(std::move(unit)));
      gets_ = std::move(wave.gets);
    }
    finish();
  }

  PiecePtr unit_piece(BatchUnit unit) {
    const uint64_t number = next_unit_++;
    std::string id;
    if (once_) id = units_ == 1 ? once_->key() : once_->piece('u', number);
    return std::make_shared<const Piece>(Piece{std::move(unit), std::move(id)});
  }

  PiecePtr single_piece(uint32_t i) const {
    return std::make_shared<const Piece>(Piece{{i}, once_ ? once_->piece('o', i) : std::string()});
  }

  bool is_only(const Piece& piece) const { return once_ && piece.id == once_->key(); }

  kvs_call call_under(const std::string& id) const {
    kvs_call call = call_;
    call.request_id = sdk::slice(id);
    return call;
  }

  bool is_late() const { return context_.host().now_ns() >= call_.deadline_ns; }
  static ApiError late() {
    return error_from_status(KVS_E_TIMEOUT, "the time of the batch was over before this operation");
  }

  // Under a key a repetition does what is undone and not what was done.  So that operations on one
  // key keep their order, those behind an undone one wait for the repetition as well.
  bool is_withheld(const Piece& piece) const {
    return std::any_of(piece.ops.begin(), piece.ops.end(),
                       [this](uint32_t i) { return undone_.count(ops_[i].op.range.key) != 0; });
  }
  void note_undone(const Piece& piece) {
    if (!once_) return;
    for (const uint32_t i : piece.ops) undone_.insert(ops_[i].op.range.key);
  }
  static ApiError withheld() {
    return error_from_status(
        KVS_E_TIMEOUT,
        "not tried, since an earlier operation on the same key, or on one that "
        "goes with it, was not done");
  }

  // Before a batch of several transactions: another batch under the key is refused as a whole.
  void claim() {
    const OnceRequest::Mark mark(*once_);
    context_.engine->txn_any(
        exchange_, call_under(once_->key()), mark.get(),
        [self = shared_from_this()](const kvs_result& result) {
          if (result.status != KVS_OK) {
            self->exchange_->respond(error_from_txn(result, true));
            return;
          }
          self->exchange_->post(
              [self] { guarded(self->context_.host(), *self->exchange_, [&] { self->go_on(); }); });
        });
  }

  void submit(PiecePtr piece) {
    if (is_late() || is_withheld(*piece)) {
      set_errors(*piece, is_late() ? late() : withheld());
      note_undone(*piece);
      return;
    }
    ++in_flight_;
    const UnitTxn txn(ops_, piece->ops, once_ ? &*once_ : nullptr);
    context_.engine->txn_any(exchange_, call_under(piece->id), txn.get(),
                             [self = shared_from_this(), piece](const kvs_result& result) {
                               self->settle(piece, self->record(*piece, result), result);
                             });
  }

  // Makes sure that no attempt, now or later, carries out the piece as it is.
  void give_up(PiecePtr piece, bool id_is_taken) {
    ++in_flight_;
    const OnceRequest::Mark mark(*once_);
    context_.engine->txn_any(
        exchange_, call_under(piece->id), mark.get(),
        [self = shared_from_this(), piece, id_is_taken](const kvs_result& result) {
          Next next = Next::kDivide;
          if (result.status == KVS_E_CONFLICT) {
            next = id_is_taken ? Next::kMismatch : Next::kAgain;
          } else if (result.status != KVS_OK) {
            self->set_errors(*piece, error_from_txn(result, true));
            next = Next::kUndone;
          }
          self->settle(piece, next, result);
        });
  }

  // Any thread.
  Next record(const Piece& piece, const kvs_result& result) {
    const BatchUnit& unit = piece.ops;
    if (result.status != KVS_OK) {
      const ApiError error = error_from_txn(result, once_.has_value());
      const bool divisible = unit.size() > 1;
      if (once_ && result.status == KVS_E_CONFLICT) {
        if (divisible) return Next::kFindOut;
        if (is_only(piece)) return Next::kMismatch;
      } else if (divisible && !error.committed_unknown && !error.retryable) {
        // What one of them is refused for is no fault of the others.
        return once_ ? Next::kGiveUp : Next::kDivide;
      }
      set_errors(piece, error);
      return error.retryable ? Next::kUndone : Next::kNothing;
    }
    const bool holds = result.succeeded != 0;
    check_op_count(result, holds ? unit.size() : 1);
    if (!holds) {
      set_error(unit.front(), failed_condition(result), &result);
      return Next::kNothing;
    }
    for (size_t n = 0; n < unit.size(); ++n) {
      std::string& out = answers_[unit[n]].text;
      out.append("{\"status\":200,");
      if (result.replayed != 0) out.append("\"replayed\":true,");
      append_op_result(ops_[unit[n]].op, result.ops[n], result.revision, &budget_, &out);
      out.push_back('}');
    }
    return Next::kNothing;
  }

  // Any thread.
  void settle(PiecePtr piece, Next next, const kvs_result& result) {
    const uint32_t replayed =
        next == Next::kNothing && result.status == KVS_OK ? result.replayed : 0;
    exchange_->post([self = shared_from_this(), piece = std::move(piece), next, replayed,
                     revision = result.revision, term = result.at.term] {
      guarded(self->context_.host(), *self->exchange_, [&] {
        --self->in_flight_;
        self->note(revision, term);
        if (replayed != 0) self->replayed_ += piece->ops.size();
        self->shortened_ = self->shortened_ || replayed == KVS_REPLAYED_SHORTENED;
        self->go_on_after(piece, next);
      });
    });
  }

  void go_on_after(const PiecePtr& piece, Next next) {
    switch (next) {
      case Next::kNothing:
        break;
      case Next::kUndone:
        note_undone(*piece);
        break;
      case Next::kDivide:
        for (const uint32_t i : piece->ops) queue_.push_back(single_piece(i));
        break;
      case Next::kGiveUp:
      case Next::kFindOut:
        give_up(piece, next == Next::kFindOut);
        return;
      case Next::kAgain:
        queue_.push_back(piece);
        break;
      case Next::kMismatch:
        if (is_only(*piece)) {
          exchange_->respond(idempotency_mismatch());
          return;
        }
        set_errors(*piece, idempotency_mismatch());
        break;
    }
    go_on();
  }

  void set_errors(const Piece& piece, const ApiError& error) {
    for (const uint32_t i : piece.ops) set_error(i, error, nullptr);
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
    if (looked != nullptr && looked->replayed != 0) out.append(",\"replayed\":true");
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
    const auto writes =
        std::count_if(ops_.begin(), ops_.end(), [](const BatchOp& op) { return op.op.writes(); });
    if (replayed_ != 0 && replayed_ == static_cast<size_t>(writes)) {
      response.headers.append(replayed_header(shortened_));
    }
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
  std::optional<OnceRequest> once_;
  std::vector<Answer> answers_;  // by operation; written by one thread each
  ValueBudget budget_{kValueBytesMax};
  std::vector<BatchWave> waves_;
  size_t next_wave_ = 0;
  uint64_t units_ = 0, next_unit_ = 0;  // of all waves
  std::deque<PiecePtr> queue_;          // of the wave that is under way
  std::vector<uint32_t> gets_;
  size_t in_flight_ = 0;
  std::unordered_set<std::string_view> undone_;  // keys
  size_t replayed_ = 0;                          // operations that an earlier attempt did
  bool shortened_ = false;
  uint64_t revision_ = 0, term_ = 0;
};

void handle_batch(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {});
  std::string key = request_id_of(request);
  auto ops = parse_batch_document(request.body, context.config);
  std::make_shared<BatchRun>(context, exchange, make_call(context, request, params), std::move(ops),
                             std::move(key))
      ->start();
}

}  // namespace

void add_batch_routes(Router* router) {
  Route batch{Method::kPost, "/api/v1/batch", RouteClass::kData, "batch", handle_batch};
  batch.body_bytes_max = kBodyBytesMax;
  batch.check_head = check_is_json;
  router->add(batch);
}

}  // namespace kvstore::http
