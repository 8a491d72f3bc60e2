// GET /api/v1/watch: changes as they happen, as Server-Sent Events, lines of JSON, or a long poll.
#include "handlers/kv_common.hpp"
#include "handlers/routes.hpp"
#include "handlers/watch_stream.hpp"
#include "text/key_range.hpp"
#include "text/scalar.hpp"

namespace kvstore::http {
namespace {

constexpr std::string_view kLines = "application/x-ndjson";
constexpr std::string_view kEventStream = "text/event-stream";
constexpr uint64_t kWaitMaxMs = 600'000;

// What is watched: a single key, or a range.
struct Target {
  std::string key;
  KeyRange range;
  bool single = false;

  kvs_range to_abi() const { return single ? one_key(key) : range.to_abi(); }
};

Target parse_target(const Context& context, const Params& params) {
  const std::string* key = params.text("key");
  const std::string* prefix = params.text("prefix");
  const std::string* start = params.text("start");
  const std::string* end = params.text("end");
  for (const std::string* bound : {key, prefix, start, end}) {
    if (bound != nullptr && bound->size() > context.config.max_key_bytes) {
      throw ApiError(400, "key_too_large",
                     "key, prefix, start and end are limited to " +
                         std::to_string(context.config.max_key_bytes) + " bytes (max_key_bytes)");
    }
  }
  const bool bounds = start != nullptr || end != nullptr;
  if ((key != nullptr) + (prefix != nullptr) + bounds > 1) {
    throw bad_request(
        "only one of the parameters \"key\", \"prefix\", and \"start\" with \"end\" can be given");
  }
  Target target;
  if (key != nullptr) {
    if (key->empty()) throw bad_request("parameter \"key\" is empty");
    target.single = true;
    target.key = *key;
    return target;
  }
  target.range = KeyRange::of_prefix(prefix == nullptr ? std::string() : *prefix);
  if (start != nullptr) target.range.lower = *start;
  if (end != nullptr && !end->empty()) target.range.upper = *end;
  return target;
}

// 0: from now on.
uint64_t parse_from(const Request& request, const Params& params) {
  const std::string_view last_id = request.header("Last-Event-ID");
  if (!last_id.empty()) {
    const auto last = parse_unsigned(last_id);
    if (!last || *last >= UINT64_MAX - 1) {
      throw bad_request("the header Last-Event-ID must be a revision");
    }
    return *last + 1;
  }
  const auto from = params.unsigned_integer("from_revision");
  if (from && (*from == 0 || *from >= UINT64_MAX - 1)) {
    throw bad_request(
        "parameter \"from_revision\" must be 1 or more; without it the watch begins now");
  }
  return from.value_or(0);
}

WatchPlan parse_plan(const Context& context, const Request& request, const Params& params) {
  WatchPlan plan;
  plan.from_revision = parse_from(request, params);
  plan.with_prev = params.boolean("prev", false);
  plan.heartbeat_ms = context.config.watch_heartbeat_ms;
  if (const auto wait = params.duration_ms("wait")) {
    if (*wait == 0 || *wait > kWaitMaxMs) {
      throw bad_request("parameter \"wait\" must be a duration from 1ms to 10m");
    }
    if (params.text("progress") != nullptr) {
      throw bad_request("parameter \"wait\" excludes \"progress\"");
    }
    plan.wait_ms = *wait;
    plan.format = WatchFormat::kDocument;
    return plan;
  }
  if (request.accepts(kLines)) plan.format = WatchFormat::kLines;
  // Lines have no other sign of life that every client passes over.
  plan.with_progress = params.boolean("progress", plan.format == WatchFormat::kLines);
  return plan;
}

Response stream_response(WatchFormat format) {
  Response response;
  response.deferred = format == WatchFormat::kDocument;
  if (format == WatchFormat::kLines) response.content_type = kLines;
  if (format == WatchFormat::kEvents) response.content_type = kEventStream;
  if (!response.deferred) response.set_header("Cache-Control", "no-store");
  return response;
}

void handle_watch(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {"key", "prefix", "start", "end", "from_revision", "prev",
                                      "progress", "wait"});
  const kvs_call call = make_call(context, request, params);
  Target target = parse_target(context, params);
  WatchPlan plan = parse_plan(context, request, params);
  const bool head_only = request.method == Method::kHead;
  kvs_read_options now{};
  now.struct_size = sizeof now;
  now.consistency = KVS_READ_STALE;
  // What this node has: a watch is served from it.
  context.engine->read_open(exchange, call, now,
                            [&context, exchange, head_only, plan, target = std::move(target),
                             credential = std::string(sdk::view(call.credential)),
                             remote = std::string(request.remote_address)](Reader reader) mutable {
                              const uint64_t revision = reader.revision();
                              reader = Reader();
                              Response response = stream_response(plan.format);
                              response.revision = revision;
                              if (!head_only) {
                                if (plan.from_revision == 0) plan.from_revision = revision + 1;
                                plan.range = target.to_abi();
                                kvs_call watch_call{};
                                watch_call.struct_size = sizeof watch_call;
                                watch_call.credential = sdk::slice(credential);
                                watch_call.remote_address = sdk::slice(remote);
                                response.stream =
                                    WatchStream::open(context.engine, watch_call, plan);
                              }
                              exchange->respond(std::move(response));
                            });
}

}  // namespace

void add_watch_routes(Router* router) {
  router->add({Method::kGet, "/api/v1/watch", RouteClass::kWatch, "watch", handle_watch});
}

}  // namespace kvstore::http
