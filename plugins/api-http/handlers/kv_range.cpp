// DELETE /api/v1/kv: a range of keys, in one transaction when it fits, else piece by piece.
#include "context.hpp"
#include "handlers/kv_common.hpp"
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
  bool too_large = false;
  uint64_t deleted = 0, revision = 0, term = 0;
};

// Runs on the exchange's thread.
class RangeDelete : public std::enable_shared_from_this<RangeDelete> {
 public:
  RangeDelete(Context& context, ExchangePtr exchange, const kvs_call& call, RangePlan plan)
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
    context_.engine->txn_any(
        exchange_, call_, txn, [self = shared_from_this()](const kvs_result& result) {
          Piece piece = read_piece(result);
          self->exchange_->post([self, piece = std::move(piece)] {
            guarded(self->context_.host(), *self->exchange_, [&] { self->take(piece); });
          });
        });
  }

 private:
  static Piece read_piece(const kvs_result& result) {
    Piece piece;
    piece.revision = result.revision;
    piece.term = result.at.term;
    if (result.status != KVS_OK) {
      piece.error = error_from_result(result);
      piece.too_large = result.status == KVS_E_INVALID;
    } else if (result.op_count == 1) {
      piece.deleted = result.ops[0].count;
    } else {
      piece.error = error_from_status(KVS_E_INTERNAL, "the delete was done without a result");
    }
    return piece;
  }

  void take(const Piece& piece) {
    if (piece.too_large && !plan_.atomic && piece_keys_ > 1) {
      piece_keys_ = std::max<uint64_t>(1, piece_keys_ / kShrink);
      start_piece();
    } else if (piece.error) {
      fail(*piece.error);
    } else {
      deleted_ += piece.deleted;
      revision_ = piece.revision;
      term_ = piece.term;
      transactions_ += piece.deleted != 0 ? 1 : 0;
      const bool may_be_more = !plan_.atomic && piece.deleted == piece_keys_;
      if (may_be_more && plan_.limit == 0) {
        start_piece();
      } else {
        finish(may_be_more);
      }
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
  uint64_t piece_keys_;
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
  refuse_idempotency_key(request);
  for (const char* name : {"If-Match", "If-None-Match"}) {
    if (request.headers->find(name)) {
      throw bad_request(std::string(name) + ": a range of keys takes no condition");
    }
  }
  RangePlan plan = parse_plan(context, params);
  std::make_shared<RangeDelete>(context, exchange, make_call(context, request, params),
                                std::move(plan))
      ->start_piece();
}

}  // namespace

void add_kv_range_routes(Router* router) {
  router->add(
      {Method::kDelete, "/api/v1/kv", RouteClass::kData, "kv_delete_range", handle_delete_range});
}

}  // namespace kvstore::http
