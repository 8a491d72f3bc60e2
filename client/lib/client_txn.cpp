// The calls of Client that work on many keys.
#include <algorithm>
#include <optional>

#include "client_impl.hpp"
#include "codec.hpp"
#include "txn_codec.hpp"

namespace kvstore::client {
namespace {

// One transaction of the server, so that its answer says exactly what it did.
constexpr uint64_t kDeletePieceKeys = 10'000;
// Room for the number of a piece behind it.
constexpr size_t kDeleteIdBytesMax = 100;

bool writes(const Operation& operation) {
  return operation.kind == Operation::Kind::kPut || operation.kind == Operation::Kind::kDelete;
}

bool is_transient(const Error& error) {
  return error.kind == ErrorKind::kNoLeader || error.kind == ErrorKind::kUnknownOutcome;
}

bool is_incomplete_batch(const HttpResponse& response) {
  constexpr int kMultiStatus = 207;
  if (response.status != kMultiStatus) return false;
  const auto result = parse_batch_result(response.body);
  return result &&
         std::any_of(result->results.begin(), result->results.end(),
                     [](const OperationResult& r) { return r.error && is_transient(*r.error); });
}

}  // namespace

Result<TxnResult> Client::txn(const Txn& txn, std::string_view request_id) {
  return txn_json(txn_document(txn).dump(), request_id);
}

Result<TxnResult> Client::txn_json(std::string_view document, std::string_view request_id) {
  Call call = write_call("POST", kApi + "/txn");
  call.is_write = txn_writes(document);
  if (call.is_write) {
    if (auto error = impl_->identify(&call, request_id)) return *error;
  }
  auto answer = impl_->run_text(std::move(call), document);
  if (!answer) return answer.error();
  auto result = parse_txn_result(answer->response.body);
  if (!result) return malformed(answer->info, "result of a transaction");
  result->info = answer->info;
  return std::move(*result);
}

Result<BatchResult> Client::batch(const std::vector<Operation>& operations,
                                  std::string_view request_id) {
  Call call = write_call("POST", kApi + "/batch");
  call.is_write = std::any_of(operations.begin(), operations.end(), writes);
  if (call.is_write) {
    if (auto error = impl_->identify(&call, request_id)) return *error;
  }
  if (call.has_request_id) call.is_incomplete = is_incomplete_batch;
  auto answer = impl_->run_json(std::move(call), batch_document(operations));
  if (!answer) return answer.error();
  auto result = parse_batch_result(answer->response.body);
  if (!result || result->results.size() != operations.size()) {
    return malformed(answer->info, "result of a batch");
  }
  if (answer->is_repetition) {
    for (size_t i = 0; i < operations.size(); ++i) {
      // What this attempt did not do, an earlier one may have done.
      std::optional<Error>& error = result->results[i].error;
      if (error && is_transient(*error) && writes(operations[i])) {
        error->kind = ErrorKind::kUnknownOutcome;
      }
    }
  }
  result->info = answer->info;
  return std::move(*result);
}

Result<DeleteRangeResult> Client::delete_range(const KeyRange& range,
                                               const DeleteRangeOptions& options) {
  const bool unbounded = range.key.empty() && range.end.empty();
  if (range.kind != KeyRange::Kind::kAll && unbounded) {
    return invalid_argument("the range names every key; KeyRange::all() is for that");
  }
  const std::string target =
      kApi + "/kv?" + range_query(range) + "&limit=" + std::to_string(kDeletePieceKeys);
  if (options.request_id.size() > kDeleteIdBytesMax) {
    return invalid_argument("the request id has more than " + std::to_string(kDeleteIdBytesMax) +
                            " characters");
  }
  const std::string id = options.request_id.empty() && impl_->uses_request_ids()
                             ? random_request_id()
                             : options.request_id;
  DeleteRangeResult result;
  for (uint64_t piece = 0;; ++piece) {
    Call call = write_call("DELETE", target);
    if (!id.empty()) {
      if (auto error = impl_->identify(&call, id + "." + std::to_string(piece))) return *error;
    }
    auto answer = impl_->run(call);
    if (!answer) {
      Error error = answer.error();
      if (result.deleted != 0) {
        error.message += " (" + std::to_string(result.deleted) + " keys were deleted before)";
      }
      return error;
    }
    const auto document = parse_object(answer->response.body);
    if (!document || find_field(*document, "deleted") == nullptr) {
      return malformed(answer->info, "result of a delete");
    }
    result.deleted += get_number(*document, "deleted");
    result.info = answer->info;
    if (!get_bool(*document, "more")) return result;
    if (options.on_progress && !options.on_progress(result.deleted)) {
      return Error{ErrorKind::kCancelled, "cancelled",
                   "stopped by the caller after " + std::to_string(result.deleted) + " keys"};
    }
  }
}

Result<CompactResult> Client::compact(uint64_t revision) {
  auto answer =
      impl_->run_json(write_call("POST", kApi + "/admin/compact"), {{"revision", revision}});
  if (!answer) return answer.error();
  const auto document = parse_object(answer->response.body);
  if (!document) return malformed(answer->info, "result of compaction");
  CompactResult result;
  result.compacted_revision = get_number(*document, "compacted_revision");
  result.json = answer->response.body;
  result.info = answer->info;
  return result;
}

}  // namespace kvstore::client
