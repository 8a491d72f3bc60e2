#include "handlers/kv_write.hpp"

#include "handlers/kv_common.hpp"
#include "handlers/routes.hpp"
#include "text/etag.hpp"
#include "text/json_text.hpp"
#include "text/put_body.hpp"

namespace kvstore::http {
namespace {

// Bodies up to this size are held and proposed in one piece; longer ones are uploaded in parts.
constexpr uint64_t kInlineBodyBytesMax = 1 << 20;

EntityTags entity_tags(const char* name, std::string_view value) {
  const auto tags = parse_entity_tags(value);
  if (!tags) {
    throw bad_request(std::string(name) + ": must be * or an entity tag such as \"12\"");
  }
  return *tags;
}

// The item that the GET at ops[index] found, or NULL.
const kvs_item* item_at(const kvs_result& result, uint32_t index) {
  if (index >= result.op_count || result.ops[index].item_count == 0) return nullptr;
  return &result.ops[index].items[0];
}

// The answer when a condition did not hold: the else branch looked at the key.
Response precondition_failed(const kvs_result& result) {
  const kvs_item* item = item_at(result, 0);
  ApiError error(412, "precondition_failed",
                 item == nullptr
                     ? "the key does not exist"
                     : "the key is at mod_revision " + std::to_string(item->mod_revision));
  error.revision = result.revision;
  error.term = result.at.term;
  if (item != nullptr) {
    error.headers.append("ETag: ").append(etag_of(item->mod_revision)).append("\r\n");
  }
  if (result.replayed != 0) error.headers.append(replayed_header(result));
  return error_response(error);
}

void append_previous(const kvs_result& result, bool wanted, std::string* out) {
  if (!wanted) return;
  out->append(",\"prev\":");
  if (const kvs_item* previous = item_at(result, 0)) {
    append_item(*previous, true, out);
  } else {
    out->append("null");
  }
}

void check_put_head(const Context& context, const Request& request) {
  if (!request.content_length) return;
  const uint64_t limit = context.config.max_value_bytes;
  // Base64 and JSON escapes can at most quadruple it; the exact size is known once decoded.
  const uint64_t body_limit = request.is_json() ? limit * 4 + kInlineBodyBytesMax : limit;
  if (*request.content_length > body_limit) throw too_large("the value", limit, "max_value_bytes");
}

void check_value(const Context& context, std::string_view value) {
  const uint64_t limit = context.config.max_value_bytes;
  if (value.size() > limit) throw too_large("the value", limit, "max_value_bytes");
}

void check_body_key(const PutBodyParser& parser, const std::string& key) {
  if (parser.has_key() && parser.key() != key) {
    throw bad_request("key: differs from the key in the path");
  }
}

void parse_lifetime(const Params& params, WritePlan* plan) {
  const auto ttl_ms = params.duration_ms("ttl", kTtlMaxMs);
  const auto lease = params.unsigned_integer("lease");
  if (ttl_ms && lease) throw bad_request("give either \"ttl\" or \"lease\", not both");
  if (ttl_ms && *ttl_ms == 0) throw bad_request("parameter \"ttl\" must be positive");
  if (lease && (*lease == 0 || *lease > kLeaseIdMax)) {
    throw bad_request("parameter \"lease\" must be in 1.." + std::to_string(kLeaseIdMax));
  }
  plan->ttl_ms = ttl_ms.value_or(0);
  plan->lease = lease.value_or(0);
}

void handle_put(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {"prev", "ttl", "lease"});
  WritePlan plan = WritePlan::parse(context, request, params);
  parse_lifetime(params, &plan);
  kvs_call call = make_call(context, request, params);
  call.request_id = sdk::slice(plan.request_id);
  if (!request.body_complete) {
    start_upload(context, request, exchange, std::move(plan), call);
    return;
  }
  if (!request.is_json()) {
    check_value(context, request.body);
    submit_put(context, exchange, call, plan, request.body, nullptr, 0);
    return;
  }
  PutBodyParser parser(context.config.max_key_bytes);
  std::string value;
  if (!parser.feed(request.body, &value) || !parser.finish()) throw bad_request(parser.error());
  check_body_key(parser, plan.key);
  check_value(context, value);
  submit_put(context, exchange, call, plan, value, nullptr, 0);
}

void handle_delete(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {"prev"});
  const WritePlan plan = WritePlan::parse(context, request, params);
  kvs_call call = make_call(context, request, params);
  call.request_id = sdk::slice(plan.request_id);
  kvs_op op{};
  op.kind = KVS_OP_DELETE;
  op.flags = plan.want_previous ? uint32_t{KVS_OP_PREV} : 0u;
  const WriteTxn txn(plan, op, false);
  context.engine->txn(
      exchange, call, txn.get(),
      [exchange, key = plan.key, previous = plan.want_previous](const kvs_result& result) {
        exchange->respond(delete_response(result, key, previous));
      });
}

}  // namespace

std::vector<Condition> parse_conditions(const Request& request) {
  std::vector<Condition> conditions;
  if (const auto value = request.headers->find("If-Match")) {
    const EntityTags tags = entity_tags("If-Match", *value);
    if (tags.weak) throw bad_request("If-Match: a weak entity tag never matches");
    if (tags.revisions.size() > 1) throw not_supported_yet("If-Match with several entity tags");
    if (tags.any) {
      conditions.push_back({KVS_CMP_VERSION, KVS_CMP_GT, 0});
    } else {
      // Revision 0 would mean "absent", which is not what a tag can say.
      conditions.push_back({KVS_CMP_VERSION, KVS_CMP_GT, 0});
      conditions.push_back({KVS_CMP_MOD_REVISION, KVS_CMP_EQ, tags.revisions[0]});
    }
  }
  if (const auto value = request.headers->find("If-None-Match")) {
    const EntityTags tags = entity_tags("If-None-Match", *value);
    if (tags.any) conditions.push_back({KVS_CMP_VERSION, KVS_CMP_EQ, 0});
    for (const uint64_t revision : tags.revisions) {
      conditions.push_back({KVS_CMP_MOD_REVISION, KVS_CMP_NE, revision});
    }
  }
  return conditions;
}

WritePlan WritePlan::parse(const Context& context, const Request& request, const Params& params) {
  WritePlan plan;
  plan.request_id = request_id_of(request);
  plan.key = key_of(context, request);
  plan.conditions = parse_conditions(request);
  plan.want_previous = params.boolean("prev", false);
  return plan;
}

WriteTxn::WriteTxn(const WritePlan& plan, kvs_op op, bool look_after) {
  kvs_op look{};
  look.kind = KVS_OP_GET;
  look.flags = KVS_OP_KEYS_ONLY;
  look.range = one_key(plan.key);
  op.range = look.range;
  then_[0] = op;
  then_[1] = look;
  else_[0] = look;
  compares_.reserve(plan.conditions.size());
  for (const Condition& condition : plan.conditions) {
    kvs_compare compare{};
    compare.target = condition.target;
    compare.op = condition.op;
    compare.range = look.range;
    compare.number = condition.number;
    compares_.push_back(compare);
  }
  txn_.struct_size = sizeof txn_;
  txn_.compares = compares_.data();
  txn_.compare_count = static_cast<uint32_t>(compares_.size());
  txn_.then_ops = then_;
  txn_.then_count = look_after ? 2 : 1;
  txn_.else_ops = else_;
  txn_.else_count = compares_.empty() ? 0 : 1;
}

Response put_response(const kvs_result& result, std::string_view key, bool want_previous) {
  if (result.succeeded == 0) return precondition_failed(result);
  const kvs_item* item = item_at(result, 1);
  if (item == nullptr) {
    throw error_from_status(KVS_E_INTERNAL, "the put was done, but its key was not found after");
  }
  Response response;
  describe(result, &response);
  response.set_header("ETag", etag_of(item->mod_revision));
  std::string& out = response.body;
  out.push_back('{');
  append_key(key, &out);
  out.append(",\"revision\":");
  append_number(result.revision, &out);
  append_versions(*item, &out);
  append_previous(result, want_previous, &out);
  out.append("}\n");
  return response;
}

Response delete_response(const kvs_result& result, std::string_view key, bool want_previous) {
  if (result.succeeded == 0) return precondition_failed(result);
  Response response;
  describe(result, &response);
  std::string& out = response.body;
  out.push_back('{');
  append_key(key, &out);
  out.append(",\"deleted\":");
  append_number(result.op_count == 0 ? 0 : result.ops[0].count, &out);
  out.append(",\"revision\":");
  append_number(result.revision, &out);
  append_previous(result, want_previous, &out);
  out.append("}\n");
  return response;
}

void add_kv_write_routes(Router* router) {
  Route put{Method::kPut, "/api/v1/kv/*", RouteClass::kData, "kv_put", handle_put};
  put.body_bytes_max = kInlineBodyBytesMax;
  put.streams_body = true;
  put.check_head = check_put_head;
  router->add(put);
  router->add({Method::kDelete, "/api/v1/kv/*", RouteClass::kData, "kv_delete", handle_delete});
}

}  // namespace kvstore::http
