// DELETE /api/v1/kv: a range of keys, in one transaction when it fits, else piece by piece.
//
// Under an Idempotency-Key each piece takes effect once, and a repetition gets the results of those
// that were done: it goes on where they end, and comes to the same end once there is one.  So a
// piece is given up before smaller ones take its place (once.hpp); the sizes follow from that.
#include <array>
#include <optional>

#include "context.hpp"
#include "handlers/kv_common.hpp"
#include "handlers/once.hpp"
#include "handlers/range_params.hpp"
#include "handlers/routes.hpp"
#include "text/json_text.hpp"

namespace kvstore::http {
namespace {

// Keys that the engine takes in one transaction.
constexpr uint64_t kPieceKeysMax = 10'000;
// What a piece shrinks by when its keys and values are too many bytes for one transaction.
constexpr uint64_t kShrink = 8;
// For a request that names no timeout.
constexpr uint64_t kDefaultDeadlineMs = 30'000;
constexpr uint64_t kNsPerMs = 1'000'000;

struct RangePlan {
  KeyRange range;
  uint64_t limit = 0;   // keys at most, in one transaction; 0: all of them
  bool atomic = false;  // all or none
};

// What one transaction came to.
struct Piece {
  std::optional<ApiError> error;
  kvs_status status = KVS_OK;
  bool replayed = false;
  bool is_mark = false;  // it has no operation
  uint64_t deleted = 0, revision = 0, term = 0;
};

// Runs on the exchange's thread.
class RangeDelete : public std::enable_shared_from_this<RangeDelete> {
 public:
  // key: the Idempotency-Key; empty: none.
  RangeDelete(Context& context, ExchangePtr exchange, const kvs_call& call, RangePlan plan,
              std::string key)
      : context_(context),
        exchange_(std::move(exchange)),
        call_(call),
        credential_(sdk::view(call.credential)),
        remote_address_(sdk::view(call.remote_address)),
        plan_(std::move(plan)),
        piece_keys_(plan_.limit != 0 ? plan_.limit : kPieceKeysMax) {
    call_.credential = sdk::slice(credential_);
    call_.remote_address = sdk::slice(remote_address_);
    if (call_.deadline_ns == 0) {
      call_.deadline_ns = context_.host().now_ns() + kDefaultDeadlineMs * kNsPerMs;
    }
    if (!key.empty()) once_.emplace(std::move(key), digest_of(plan_));
  }

  void start_piece() {
    if (context_.host().now_ns() >= call_.deadline_ns) {
      fail(error_from_status(KVS_E_TIMEOUT, "the time of the request is over"));
      return;
    }
    kvs_op op{};
    op.kind = KVS_OP_DELETE;
    op.range = plan_.range.to_abi();
    op.limit = plan_.atomic ? 0 : piece_keys_;
    kvs_txn txn{};
    txn.struct_size = sizeof txn;
    txn.then_ops = &op;
    txn.then_count = 1;
    std::array<kvs_compare, 2> compares{};
    if (once_) {
      compares = once_->compares(OnceRequest::kAnyKey);
      txn.compares = compares.data();
      txn.compare_count = static_cast<uint32_t>(compares.size());
    }
    submit(txn, &RangeDelete::take);
  }

 private:
  using Then = void (RangeDelete::*)(const Piece& piece);

  static RequestDigest digest_of(const RangePlan& plan) {
    DigestBuilder digest;
    digest.add("delete range").add(plan.range.lower);
    digest.add(plan.range.upper ? 1 : 0).add(plan.range.upper.value_or(""));
    return digest.add(plan.limit).add(plan.atomic ? 1 : 0).sum();
  }

  // Of the piece under way.  The first one at its first size has the key itself.
  std::string id() const {
    if (!once_) return {};
    return number_ == 0 && shrunk_ == 0 ? once_->key() : once_->piece('d', number_, shrunk_);
  }

  // `then` runs on the exchange's thread.
  void submit(const kvs_txn& txn, Then then) {
    const std::string request_id = id();
    kvs_call call = call_;
    call.request_id = sdk::slice(request_id);
    context_.engine->txn_any(
        exchange_, call, txn, [self = shared_from_this(), then](const kvs_result& result) {
          Piece piece = self->read_piece(result);
          self->exchange_->post([self, then, piece = std::move(piece)] {
            guarded(self->context_.host(), *self->exchange_, [&] { ((*self).*then)(piece); });
          });
        });
  }

  Piece read_piece(const kvs_result& result) const {
    Piece piece;
    piece.status = result.status;
    piece.replayed = result.replayed != 0;
    piece.revision = result.revision;
    piece.term = result.at.term;
    if (result.status != KVS_OK) {
      piece.error = error_from_txn(result, once_.has_value());
    } else if (result.op_count == 1) {
      piece.deleted = result.ops[0].count;
    } else {
      piece.is_mark = true;
    }
    return piece;
  }

  void take(const Piece& piece) {
    const bool can_shrink = !plan_.atomic && piece_keys_ > 1;
    const bool id_is_taken = once_ && piece.status == KVS_E_CONFLICT;
    if (can_shrink && (piece.status == KVS_E_INVALID || id_is_taken)) {
      if (once_) {
        give_up(id_is_taken);
      } else {
        shrink();
      }
    } else if (piece.error) {
      fail(*piece.error);
    } else if (piece.is_mark) {
      fail(error_from_status(KVS_E_INTERNAL, "the delete was done without a result"));
    } else {
      all_replayed_ = all_replayed_ && piece.replayed;
      deleted_ += piece.deleted;
      revision_ = piece.revision;
      term_ = piece.term;
      transactions_ += piece.deleted != 0 ? 1 : 0;
      const bool may_be_more = !plan_.atomic && piece.deleted == piece_keys_;
      if (may_be_more && plan_.limit == 0) {
        ++number_;
        start_piece();
      } else {
        finish(may_be_more);
      }
    }
  }

  void shrink() {
    piece_keys_ = std::max<uint64_t>(1, piece_keys_ / kShrink);
    ++shrunk_;
    start_piece();
  }

  // Makes sure that no attempt, now or later, carries out the piece at this size.
  void give_up(bool id_is_taken) {
    const OnceRequest::Mark mark(*once_);
    submit(mark.get(), id_is_taken ? &RangeDelete::go_on_smaller : &RangeDelete::go_on_given_up);
  }

  void go_on_given_up(const Piece& mark) {
    if (mark.status == KVS_E_CONFLICT) {
      start_piece();  // it was done meanwhile, by another attempt: its result is there
    } else {
      go_on_smaller(mark);
    }
  }

  void go_on_smaller(const Piece& mark) {
    if (mark.error) {
      fail(*mark.error);
    } else {
      shrink();
    }
  }

  void fail(const ApiError& why) {
    if (deleted_ == 0) {
      exchange_->respond(why);
      return;
    }
    const std::string at_least = why.committed_unknown ? "at least " : "";
    ApiError error(
        503, "incomplete",
        at_least + std::to_string(deleted_) +
            " keys are deleted, the others are not; repeat the request to go on: " + why.what());
    error.retryable = true;
    error.retry_after_s = 1;
    error.deleted = deleted_;
    error.revision = revision_;
    error.term = term_;
    exchange_->respond(error);
  }

  void finish(bool may_be_more) {
    Response response;
    response.revision = revision_;
    response.term = term_;
    if (all_replayed_) response.headers.append(replayed_header(false));
    std::string& out = response.body;
    out.append("{\"deleted\":");
    append_number(deleted_, &out);
    out.append(",\"more\":").append(may_be_more ? "true" : "false");
    out.append(",\"transactions\":");
    append_number(transactions_, &out);
    out.append(",\"revision\":");
    append_number(revision_, &out);
    out.append("}\n");
    exchange_->respond(std::move(response));
  }

  Context& context_;
  ExchangePtr exchange_;
  kvs_call call_;
  const std::string credential_, remote_address_;
  const RangePlan plan_;
  std::optional<OnceRequest> once_;
  uint64_t piece_keys_;
  uint64_t number_ = 0, shrunk_ = 0;  // of the piece under way
  bool all_replayed_ = true;
  uint64_t deleted_ = 0, transactions_ = 0, revision_ = 0, term_ = 0;
};

RangePlan parse_plan(const Context& context, const Params& params) {
  RangePlan plan;
  plan.range = parse_range(context, params);
  const bool all = params.boolean("all", false);
  const bool is_all = plan.range.lower.empty() && !plan.range.upper;
  if (is_all && !all) {
    throw bad_request(
        "parameter \"prefix\", \"start\" or \"end\" must name a part of the keys, or all=true "
        "every "
        "key");
  }
  if (all && !is_all) throw bad_request("parameter \"all\" excludes prefix, start and end");
  plan.atomic = params.boolean("atomic", false);
  if (const auto limit = params.unsigned_integer("limit")) {
    if (*limit == 0 || *limit > kPieceKeysMax) {
      throw bad_request("parameter \"limit\" must be 1.." + std::to_string(kPieceKeysMax));
    }
    if (plan.atomic) throw bad_request("parameter \"limit\" excludes atomic");
    plan.limit = *limit;
  }
  return plan;
}

void handle_delete_range(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {"prefix", "start", "end", "all", "limit", "atomic"});
  std::string key = request_id_of(request);
  for (const char* name : {"If-Match", "If-None-Match"}) {
    if (request.headers->find(name)) {
      throw bad_request(std::string(name) + ": a range of keys takes no condition");
    }
  }
  RangePlan plan = parse_plan(context, params);
  std::make_shared<RangeDelete>(context, exchange, make_call(context, request, params),
                                std::move(plan), std::move(key))
      ->start_piece();
}

}  // namespace

void add_kv_range_routes(Router* router) {
  router->add(
      {Method::kDelete, "/api/v1/kv", RouteClass::kData, "kv_delete_range", handle_delete_range});
}

}  // namespace kvstore::http
