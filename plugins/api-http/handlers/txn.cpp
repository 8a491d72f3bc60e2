// POST /api/v1/txn: compares, and one of two lists of operations, atomically.
#include "context.hpp"
#include "handlers/json_body.hpp"
#include "handlers/kv_common.hpp"
#include "handlers/routes.hpp"
#include "handlers/txn_document.hpp"
#include "handlers/txn_result.hpp"
#include "text/json_text.hpp"

namespace kvstore::http {
namespace {

// Base64 of what the engine takes in one transaction, and the fields around it.
constexpr uint64_t kBodyBytesMax = 2 << 20;
// Above what one transaction delivers (4 MiB): nothing is left out.
constexpr uint64_t kValueBytesMax = 8 << 20;

// The transaction of a document, whose strings it borrows.
class TxnArrays {
 public:
  explicit TxnArrays(const TxnDocument& document) {
    for (const CompareSpec& compare : document.compares) compares_.push_back(compare.to_abi());
    for (const OpSpec& op : document.then_ops) then_.push_back(op.to_abi());
    for (const OpSpec& op : document.else_ops) else_.push_back(op.to_abi());
    txn_.struct_size = sizeof txn_;
    txn_.compares = compares_.data();
    txn_.compare_count = static_cast<uint32_t>(compares_.size());
    txn_.then_ops = then_.data();
    txn_.then_count = static_cast<uint32_t>(then_.size());
    txn_.else_ops = else_.data();
    txn_.else_count = static_cast<uint32_t>(else_.size());
  }
  TxnArrays(const TxnArrays&) = delete;
  TxnArrays& operator=(const TxnArrays&) = delete;
  const kvs_txn& get() const { return txn_; }

 private:
  std::vector<kvs_compare> compares_;
  std::vector<kvs_op> then_, else_;
  kvs_txn txn_{};
};

Response txn_response(const TxnDocument& document, const kvs_result& result) {
  const bool succeeded = result.succeeded != 0;
  const std::vector<OpSpec>& ops = succeeded ? document.then_ops : document.else_ops;
  check_op_count(result, ops.size());
  Response response;
  describe(result, &response);
  ValueBudget budget(kValueBytesMax);
  std::string& out = response.body;
  out.append("{\"succeeded\":").append(succeeded ? "true" : "false");
  out.append(",\"revision\":");
  append_number(result.revision, &out);
  out.append(",\"results\":[");
  for (size_t i = 0; i < ops.size(); ++i) {
    out.append(i == 0 ? "{" : ",{");
    append_op_result(ops[i], result.ops[i], result.revision, &budget, &out);
    out.push_back('}');
  }
  out.append("]}\n");
  return response;
}

void handle_txn(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {});
  const std::string request_id = request_id_of(request);
  kvs_call call = make_call(context, request, params);
  call.request_id = sdk::slice(request_id);
  auto document =
      std::make_shared<const TxnDocument>(parse_txn_document(request.body, context.config));
  const TxnArrays arrays(*document);
  context.engine->txn(exchange, call, arrays.get(), [exchange, document](const kvs_result& result) {
    exchange->respond(txn_response(*document, result));
  });
}

}  // namespace

void add_txn_routes(Router* router) {
  Route txn{Method::kPost, "/api/v1/txn", RouteClass::kData, "txn", handle_txn};
  txn.body_bytes_max = kBodyBytesMax;
  txn.check_head = check_is_json;
  router->add(txn);
}

}  // namespace kvstore::http
