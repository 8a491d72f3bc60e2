// Health: whether this node can serve, check by check, and whether it lives at all.
#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "context.hpp"
#include "handlers/kv_common.hpp"
#include "handlers/routes.hpp"
#include "text/json_text.hpp"
#include "text/percent.hpp"

namespace kvstore::http {
namespace {

using nlohmann::ordered_json;

// How long ?sync waits unless `timeout` says otherwise, and how many may: probes are not limited
// otherwise, and must not take every thread.
constexpr uint64_t kSyncMs = 5'000;
constexpr uint32_t kSyncWaitersMax = 16;

// A place among them.
class SyncSlot {
 public:
  explicit SyncSlot(std::atomic<uint32_t>* waiters) : waiters_(waiters) {
    if (waiters_->fetch_add(1) < kSyncWaitersMax) return;
    waiters_->fetch_sub(1);
    throw error_from_status(KVS_E_BUSY, "too many health requests wait for this node to catch up");
  }
  SyncSlot(SyncSlot&& other) noexcept : waiters_(std::exchange(other.waiters_, nullptr)) {}
  SyncSlot& operator=(SyncSlot&&) = delete;
  ~SyncSlot() {
    if (waiters_ != nullptr) waiters_->fetch_sub(1);
  }

 private:
  std::atomic<uint32_t>* waiters_;
};

// What a client wants to know of the checks.
struct HealthPlan {
  bool every_check = true;  // in the answer; otherwise those that fail
  std::vector<std::string> excluded;
  std::string only;  // the one check of a sub-path; empty: all
};

std::vector<std::string> split_names(const std::string& text) {
  std::vector<std::string> names;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    if (comma > begin) names.push_back(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return names;
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_ok(const ordered_json& check) {
  return check.is_object() && check.value("ok", false);
}

// A failing check that does not keep the node from serving says so.
bool is_required(const ordered_json& check) {
  return !check.is_object() || check.value("required", true);
}

std::string known_names(const ordered_json& checks) {
  std::string names;
  for (const auto& [name, check] : checks.items()) names += (names.empty() ? "" : ", ") + name;
  return names;
}

void check_names(const HealthPlan& plan, const ordered_json& checks) {
  for (const std::string& name : plan.excluded) {
    if (checks.contains(name)) continue;
    throw bad_request("parameter \"exclude\": there is no check \"" + to_utf8(name) +
                      "\"; there are " + known_names(checks));
  }
  if (!plan.only.empty() && !checks.contains(plan.only)) {
    throw ApiError(
        404, "unknown_check",
        "there is no check \"" + to_utf8(plan.only) + "\"; there are " + known_names(checks));
  }
}

// Judges the checks that the client asks for.
Response judge(const HealthPlan& plan, ordered_json document, bool node_serves) {
  Response response;
  const ordered_json checks = document.value("checks", ordered_json::object());
  check_names(plan, checks);
  bool whole = true;
  // With a choice of checks these alone decide.
  bool serves = node_serves || !plan.only.empty() || !plan.excluded.empty();
  ordered_json shown = ordered_json::object();
  for (const auto& [name, check] : checks.items()) {
    const bool asked = plan.only.empty() ? !contains(plan.excluded, name) : name == plan.only;
    if (!asked) continue;
    const bool ok = is_ok(check);
    whole = whole && ok;
    if (!ok && (is_required(check) || !plan.only.empty())) serves = false;
    if (plan.every_check || !ok) shown[name] = check;
  }
  document["status"] = !serves ? "unavailable" : whole ? "ok" : "degraded";
  document["checks"] = std::move(shown);
  response.body = document.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  response.body.push_back('\n');
  if (!serves) {
    response.status = 503;
    response.set_header("Retry-After", "1");
  }
  return response;
}

void answer_health(const ExchangePtr& exchange, const HealthPlan& plan, const kvs_result& result) {
  if (result.status != KVS_OK && result.json.len == 0) throw error_from_result(result);
  ordered_json document = ordered_json::parse(sdk::view(result.json), nullptr, false);
  if (!document.is_object())
    throw error_from_status(KVS_E_INTERNAL, "the health document is malformed");
  Response response = judge(plan, std::move(document), result.status == KVS_OK);
  response.revision = result.revision;
  response.term = result.at.term;
  exchange->respond(std::move(response));
}

void ask_health(Context& context, const ExchangePtr& exchange, const kvs_call& call,
                HealthPlan plan) {
  context.engine->control_any(exchange, call, "health", "{}",
                              [exchange, plan = std::move(plan)](const kvs_result& result) {
                                answer_health(exchange, plan, result);
                              });
}

// A linearizable read can be opened when this node has applied what the cluster had when asked.
void sync_first(Context& context, const Request& request, const Params& params,
                const ExchangePtr& exchange, HealthPlan plan) {
  kvs_read_options options{};
  options.struct_size = sizeof options;
  const kvs_call call = make_call(context, request, params, kSyncMs);
  context.engine->read_open(exchange, call, options,
                            [&context, exchange, plan = std::move(plan),
                             slot = SyncSlot(&context.sync_waiters)](Reader) mutable {
                              kvs_call ask{};
                              ask.struct_size = sizeof ask;
                              ask_health(context, exchange, ask, std::move(plan));
                            });
}

void serve(Context& context, const Request& request, const ExchangePtr& exchange,
           const Params& params, HealthPlan plan) {
  if (const std::string* names = params.text("exclude")) plan.excluded = split_names(*names);
  if (params.boolean("sync", false)) {
    sync_first(context, request, params, exchange, std::move(plan));
  } else {
    ask_health(context, exchange, make_call(context, request, params), std::move(plan));
  }
}

void handle_health(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {"exclude", "sync"});
  serve(context, request, exchange, params, {});
}

// As health, but the checks that hold are shown only on demand.
void handle_ready(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {"verbose", "exclude", "sync"});
  HealthPlan plan;
  plan.every_check = params.boolean("verbose", false);
  serve(context, request, exchange, params, std::move(plan));
}

std::string check_name(const Request& request) {
  std::string name;
  if (!percent_decode(request.tail, &name) || name.empty()) {
    throw ApiError(404, "unknown_check", "the path names no check");
  }
  return name;
}

void handle_ready_check(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {"sync"});
  HealthPlan plan;
  plan.only = check_name(request);
  serve(context, request, exchange, params, std::move(plan));
}

// Says only that this process answers, so "process" is its one check.
void answer_live(const ExchangePtr& exchange, bool verbose) {
  Response response;
  response.body = verbose ? "{\"status\":\"ok\",\"checks\":{\"process\":{\"ok\":true,"
                            "\"message\":\"answers\"}}}\n"
                          : "{\"status\":\"ok\"}\n";
  exchange->respond(std::move(response));
}

void handle_live(Context&, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {"verbose"});
  answer_live(exchange, params.boolean("verbose", false));
}

void handle_live_check(Context&, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {});
  const std::string name = check_name(request);
  if (name != "process") {
    throw ApiError(404, "unknown_check",
                   "there is no check \"" + to_utf8(name) + "\"; there is process");
  }
  answer_live(exchange, true);
}

}  // namespace

void add_health_routes(Router* router) {
  struct Path {
    std::string_view path, under_api;
    std::string_view name;
    Route::Handler handler;
  };
  for (const Path& p : {Path{"/health", "/api/v1/health", "health", handle_health},
                        Path{"/readyz", "/api/v1/readyz", "readyz", handle_ready},
                        Path{"/readyz/*", "/api/v1/readyz/*", "readyz", handle_ready_check},
                        Path{"/livez", "/api/v1/livez", "livez", handle_live},
                        Path{"/livez/*", "/api/v1/livez/*", "livez", handle_live_check}}) {
    router->add({Method::kGet, p.path, RouteClass::kProbe, p.name, p.handler});
    router->add({Method::kGet, p.under_api, RouteClass::kProbe, p.name, p.handler});
  }
}

}  // namespace kvstore::http
