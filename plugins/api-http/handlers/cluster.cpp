// Cluster status and membership: JSON in, one control verb, JSON out.
#include <nlohmann/json.hpp>

#include "context.hpp"
#include "handlers/json_body.hpp"
#include "handlers/kv_common.hpp"
#include "handlers/routes.hpp"
#include "text/json_text.hpp"
#include "text/percent.hpp"

namespace kvstore::http {
namespace {

using nlohmann::json;

constexpr uint64_t kDefaultAdmissionMs = 10'000;
// The call outlives the wait that the verb itself does.
constexpr uint64_t kDeadlineSlackMs = 5'000;

std::string required_string(const json& document, const char* name) {
  const auto field = document.find(name);
  if (field == document.end()) throw bad_request(std::string(name) + ": missing");
  if (!field->is_string()) throw bad_request(std::string(name) + ": must be a string");
  std::string text = field->get<std::string>();
  if (text.empty()) throw bad_request(std::string(name) + ": must not be empty");
  return text;
}

bool optional_boolean(const json& document, const char* name) {
  const auto field = document.find(name);
  if (field == document.end()) return false;
  if (!field->is_boolean()) throw bad_request(std::string(name) + ": must be true or false");
  return field->get<bool>();
}

void pass_through(Context& context, const kvs_call& call, const ExchangePtr& exchange,
                  const char* verb, const json& document) {
  context.engine->control(
      exchange, call, verb, document.dump(),
      [exchange](const kvs_result& result) { exchange->respond(document_response(result)); });
}

void handle_status(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {});
  pass_through(context, make_call(context, request, params), exchange, "cluster.status",
               json::object());
}

// 200 when the node has the role that was asked for, 202 while that is still going on.
int admission_status(const kvs_result& result, bool learner) {
  const json document = json::parse(sdk::view(result.json), nullptr, false);
  if (!document.is_object()) return 200;
  const std::string state = document.value("state", "");
  return state == "voter" || (learner && state == "learner") ? 200 : 202;
}

void handle_add(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {});
  const json document = parse_document(request, {"node_id", "address", "learner"});
  const bool learner = optional_boolean(document, "learner");
  const uint64_t wait_ms = params.duration_ms("timeout").value_or(kDefaultAdmissionMs);
  const json command = {{"node_id", required_string(document, "node_id")},
                        {"address", required_string(document, "address")},
                        {"learner", learner},
                        {"timeout_ms", wait_ms}};
  const kvs_call call = make_call(context, request, params, wait_ms + kDeadlineSlackMs);
  context.engine->control(exchange, call, "cluster.add", command.dump(),
                          [exchange, learner](const kvs_result& result) {
                            Response response = document_response(result);
                            response.status = admission_status(result, learner);
                            exchange->respond(std::move(response));
                          });
}

void handle_remove(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {"force"});
  std::string name;
  if (!percent_decode(request.tail, &name)) {
    throw bad_request("the node's name in the path has a malformed % escape");
  }
  if (name.empty()) throw bad_request("the node's name in the path is empty");
  if (!is_utf8(name)) throw bad_request("the node's name in the path is not UTF-8");
  const json command = {{"node_id", name}, {"force", params.boolean("force", false)}};
  pass_through(context, make_call(context, request, params), exchange, "cluster.remove", command);
}

void handle_transfer(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {});
  const json document = parse_document(request, {"node_id"});
  const json command = {{"node_id", required_string(document, "node_id")}};
  pass_through(context, make_call(context, request, params), exchange, "cluster.transfer", command);
}

}  // namespace

void add_cluster_routes(Router* router) {
  router->add({Method::kGet, "/api/v1/cluster/status", RouteClass::kWaiting, "cluster_status",
               handle_status});
  Route add{Method::kPost, "/api/v1/cluster/nodes", RouteClass::kWaiting, "cluster_add",
            handle_add};
  add.body_bytes_max = kDocumentBytesMax;
  add.check_head = check_is_json;
  router->add(add);
  router->add({Method::kDelete, "/api/v1/cluster/nodes/*", RouteClass::kWaiting, "cluster_remove",
               handle_remove});
  Route transfer{Method::kPost, "/api/v1/cluster/leader", RouteClass::kWaiting, "cluster_transfer",
                 handle_transfer};
  transfer.body_bytes_max = kDocumentBytesMax;
  transfer.check_head = check_is_json;
  router->add(transfer);
}

}  // namespace kvstore::http
