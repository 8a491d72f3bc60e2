#include "service.hpp"

#include <chrono>

#include <nlohmann/json.hpp>

#include "handlers/routes.hpp"
#include "text/json_text.hpp"

namespace kvstore::http {
namespace {

constexpr uint64_t kAskAgainNs = 1'000'000'000;
// An engine answers for its own status at once; one that does not must not keep the front end shut.
constexpr std::chrono::milliseconds kNameWait{500};

ApiError saturated(const char* option, uint64_t limit, const char* what = " requests at a time (") {
  return error_from_status(KVS_E_BUSY, "more than " + std::to_string(limit) + what + option + ")");
}

struct Limit {
  Places* places = nullptr;  // null: unlimited
  const char* option = "";
};

Load requests_of(const sdk::Host& host, std::string_view instance_name, const char* name,
                 uint64_t limit) {
  return Load(host, "kvstore_http_requests_open", "Requests under way.", instance_name,
              std::string(",class=\"") + name + "\"", limit);
}

}  // namespace

// Stands in for a client: the answer is the name.
class Service::NodeNameQuery final : public Exchange {
 public:
  void respond(Response) override {}
  void post(UniqueFunction<void()>) override {}
  void read_body(UniqueFunction<void(const BodyPiece&)>) override {}
};

Service::Service(std::shared_ptr<Engine> engine, const Config& config,
                 std::string_view instance_name)
    : context_{std::move(engine), config},
      router_(all_routes()),
      metrics_(context_.host(), router_, instance_name, config.max_parked_requests),
      connections_(context_.host(), "kvstore_http_connections",
                   "Connections open, without those that carry a watch or wait.", instance_name, "",
                   config.max_connections),
      data_load_(requests_of(context_.host(), instance_name, "data", config.max_data_requests)),
      waiting_load_(requests_of(context_.host(), instance_name, "administration",
                                config.max_waiting_requests)),
      watch_load_(requests_of(context_.host(), instance_name, "watch", config.max_watches)),
      data_requests_(config.max_data_requests, &data_load_),
      waiting_requests_(config.max_waiting_requests, &waiting_load_),
      watches_(config.max_watches, &watch_load_) {}

Service::Admission Service::admit(Request* request) {
  Admission admission;
  admission.started_ns = host().now_ns();
  Router::Match match = router_.match(request->method, request->path);
  if (match.route == nullptr) {
    refuse_unknown(*request, std::move(match), &admission);
    return admission;
  }
  admission.route = match.route;
  request->tail = match.tail;
  Limit limit;
  if (match.route->route_class == RouteClass::kData) {
    limit = {&data_requests_, "max_data_requests"};
    admission.refusal = refuse_waiting(*match.route, *request);
  } else if (match.route->route_class == RouteClass::kWaiting) {
    limit = {&waiting_requests_, "max_waiting_requests"};
  } else if (match.route->route_class == RouteClass::kWatch) {
    limit = {&watches_, "max_watches"};
  }
  if (limit.places != nullptr && !admission.refusal) {
    if (limit.places->enter()) {
      admission.place = Place(limit.places);
    } else {
      admission.refusal = saturated(limit.option, limit.places->limit());
    }
  }
  if (!admission.refusal && match.route->check_head != nullptr) {
    try {
      match.route->check_head(context_, *request);
    } catch (const ApiError& e) {
      admission.refusal = e;
    }
  }
  return admission;
}

// When so many wait, others that may have to wait are refused; who never waits is served.
std::optional<ApiError> Service::refuse_waiting(const Route& route, const Request& request) const {
  const Config& c = config();
  const bool many = parked_requests_.load(std::memory_order_relaxed) >= c.max_parked_requests;
  const bool large = parked_bytes_.load(std::memory_order_relaxed) >= c.max_parked_bytes;
  if (!many && !large) return std::nullopt;
  if (route.may_wait != nullptr && !route.may_wait(request)) return std::nullopt;
  if (many) return saturated("max_parked_requests", c.max_parked_requests, " requests wait (");
  return saturated("max_parked_bytes", c.max_parked_bytes, " bytes of requests wait (");
}

void Service::park(Admission* admission, uint64_t body_bytes) {
  const bool bounded = is_data(*admission);
  if (bounded) {
    parked_requests_.fetch_add(1, std::memory_order_relaxed);
    parked_bytes_.fetch_add(body_bytes, std::memory_order_relaxed);
    admission->place.give_back();
  }
  metrics_.parked();
  admission->parked = ParkedPlace(this, bounded, body_bytes);
}

bool Service::unpark(Admission* admission) {
  if (needs_place(*admission)) {
    if (!data_requests_.enter_wanted()) return false;
    admission->place = Place(&data_requests_);
  }
  admission->parked.give_back();
  return true;
}

void Service::ParkedPlace::give_back() {
  if (service_ == nullptr) return;
  Service& service = *std::exchange(service_, nullptr);
  service.metrics_.unparked();
  if (!bounded_) return;
  service.parked_requests_.fetch_sub(1, std::memory_order_relaxed);
  service.parked_bytes_.fetch_sub(body_bytes_, std::memory_order_relaxed);
}

void Service::refuse_unknown(const Request& request, Router::Match match,
                             Admission* admission) const {
  if (match.allow.empty()) {
    admission->refusal = ApiError(404, "unknown_route",
                                  "there is nothing at " + to_utf8(request.path.substr(0, 200)));
    return;
  }
  admission->refusal = ApiError(405, "method_not_allowed", "this path allows " + match.allow);
  admission->refusal->headers = "Allow: " + match.allow + "\r\n";
}

void Service::handle(const Admission& admission, const Request& request,
                     const ExchangePtr& exchange) {
  guarded(host(), *exchange, [&] { admission.route->handler(context_, request, exchange); });
}

void Service::count(const Admission& admission, int http_status, const std::string& error_code) {
  metrics_.count(admission.route, http_status, error_code, host().now_ns() - admission.started_ns);
}

void Service::learn_node_name() {
  ask_node_name();
  std::unique_lock lock(node_name_mutex_);
  node_name_learnt_.wait_for(lock, kNameWait, [this] { return node_name_known_.load(); });
}

std::string_view Service::node_name() {
  if (node_name_known_.load(std::memory_order_acquire)) return node_name_;
  ask_node_name();
  return {};
}

void Service::ask_node_name() {
  const uint64_t now = host().now_ns();
  uint64_t after = ask_after_ns_.load(std::memory_order_relaxed);
  if (now < after || !ask_after_ns_.compare_exchange_strong(after, now + kAskAgainNs)) return;
  kvs_call call{};
  call.struct_size = sizeof call;
  context_.engine->control(
      std::make_shared<NodeNameQuery>(), call, "cluster.status", "{}",
      [this](const kvs_result& result) {
        const auto status = nlohmann::json::parse(sdk::view(result.json), nullptr, false);
        const std::string name = status.at("node").at("node_id").get<std::string>();
        // The name goes into a header field.
        if (name.empty() || name.find_first_of("\r\n") != std::string::npos) return;
        std::lock_guard lock(node_name_mutex_);
        if (node_name_known_.load(std::memory_order_relaxed)) return;
        node_name_ = name;
        node_name_known_.store(true, std::memory_order_release);
        node_name_learnt_.notify_all();
      });
}

uint64_t Service::newest(std::atomic<uint64_t>* seen, uint64_t own) {
  uint64_t newest = seen->load(std::memory_order_relaxed);
  while (own > newest && !seen->compare_exchange_weak(newest, own)) {
  }
  return own != 0 ? own : newest;
}

}  // namespace kvstore::http
