// The calls of Client that work on many keys.
#include "client_impl.hpp"
#include "codec.hpp"
#include "txn_codec.hpp"

namespace kvstore::client {
namespace {

// One transaction of the server, so that its answer says exactly what it did.
constexpr uint64_t kDeletePieceKeys = 10'000;

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

Result<BatchResult> Client::batch(const std::vector<Operation>& operations) {
  auto answer = impl_->run_json(write_call("POST", kApi + "/batch"), batch_document(operations));
  if (!answer) return answer.error();
  auto result = parse_batch_result(answer->response.body);
  if (!result || result->results.size() != operations.size()) {
    return malformed(answer->info, "result of a batch");
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
  DeleteRangeResult result;
  while (true) {
    auto answer = impl_->run(write_call("DELETE", target));
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
