// GET /api/v1/kv: pages of items as one JSON document; kv_stream.cpp has the lines.
#include "handlers/kv_list.hpp"

#include <algorithm>

#include "handlers/kv_common.hpp"
#include "handlers/kv_read.hpp"
#include "handlers/range_params.hpp"
#include "handlers/routes.hpp"
#include "text/json_text.hpp"
#include "text/key_range.hpp"

namespace kvstore::http {
namespace {

constexpr uint64_t kDefaultLimit = 1000;
// Keys that a count looks at before it checks its deadline.
constexpr uint64_t kCountStep = 10000;

ListPlan parse_plan(const Context& context, const Params& params, bool lines) {
  ListPlan plan;
  plan.range = parse_range(context, params);
  plan.range.reverse = params.boolean("reverse", false);
  plan.rest = plan.range;
  plan.keys_only = params.boolean("keys_only", false);
  const uint64_t limit_max = context.config.max_list_items;
  const auto limit = params.unsigned_integer("limit");
  plan.limit = limit.value_or(lines ? 0 : std::min(kDefaultLimit, limit_max));
  if (limit && (*limit == 0 || (*limit > limit_max && !lines))) {
    throw bad_request("parameter \"limit\" must be 1.." + std::to_string(limit_max));
  }
  if (const std::string* cursor = params.text("cursor")) {
    const auto last_key = decode_cursor(plan.range, *cursor);
    if (!last_key) {
      throw ApiError(400, "invalid_cursor",
                     "parameter \"cursor\" does not belong to this range and direction");
    }
    plan.rest.continue_after(*last_key);
  }
  return plan;
}

Response page_response(const ListPlan& plan, const Reader& reader) {
  Response response;
  std::string& out = response.body;
  std::string last_key;
  uint64_t count = 0;
  out.append("{\"items\":[");
  const bool more = reader.scan(plan.rest.to_abi(), plan.flags(), plan.limit, kPageBytes,
                                [&](const kvs_item& item) {
                                  if (count++ != 0) out.push_back(',');
                                  append_item(item, !plan.keys_only, &out);
                                  last_key = sdk::view(item.key);
                                  return true;
                                });
  out.append("],\"count\":");
  append_number(count, &out);
  out.append(",\"more\":").append(more ? "true" : "false");
  if (more) {
    out.append(",\"cursor\":");
    append_json_string(encode_cursor(plan.range, last_key), &out);
  }
  out.append(",\"revision\":");
  append_number(reader.revision(), &out);
  out.append("}\n");
  return response;
}

Response count_response(const Context& context, ListPlan plan, const Reader& reader,
                        uint64_t deadline_ns, bool lines) {
  uint64_t count = 0;
  plan.keys_only = true;
  for (bool more = true; more;) {
    if (deadline_ns != 0 && context.host().now_ns() > deadline_ns) {
      throw error_from_status(KVS_E_TIMEOUT, "counting took longer than the request's timeout");
    }
    std::string last_key;
    more = reader.scan(plan.rest.to_abi(), plan.flags(), kCountStep, kPageBytes,
                       [&](const kvs_item& item) {
                         ++count;
                         last_key = sdk::view(item.key);
                         return true;
                       });
    plan.rest.continue_after(last_key);
  }
  Response response;
  if (lines) {
    response.content_type = kLines;
    append_end_line(reader.revision(), count, "", &response.body);
    return response;
  }
  response.body.append("{\"count\":");
  append_number(count, &response.body);
  response.body.append(",\"revision\":");
  append_number(reader.revision(), &response.body);
  response.body.append("}\n");
  return response;
}

void handle_list(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {"prefix", "start", "end", "limit", "cursor", "keys_only",
                                      "count_only", "reverse", KVS_HTTP_READ_PARAMS});
  const bool lines = request.accepts(kLines);
  const bool count_only = params.boolean("count_only", false);
  const kvs_call call = make_call(context, request, params);
  context.engine->read_open(
      exchange, call, parse_read_options(params),
      [&context, exchange, plan = parse_plan(context, params, lines), lines, count_only,
       deadline_ns = call.deadline_ns, stream = StreamCall(call)](Reader reader) mutable {
        if (lines && !count_only) {
          exchange->respond(
              stream_response(context, std::move(stream), std::move(plan), std::move(reader)));
          return;
        }
        Response response = count_only ? count_response(context, plan, reader, deadline_ns, lines)
                                       : page_response(plan, reader);
        response.revision = reader.revision();
        response.term = reader.term();
        exchange->respond(std::move(response));
      });
}

}  // namespace

void add_kv_list_routes(Router* router) {
  Route list{Method::kGet, "/api/v1/kv", RouteClass::kData, "kv_list", handle_list};
  list.may_wait = read_may_wait;
  router->add(list);
}

}  // namespace kvstore::http
