// The API without any HTTP server: which handler, whether there is room for it, what is counted.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "context.hpp"
#include "load.hpp"
#include "places.hpp"
#include "request_metrics.hpp"
#include "router.hpp"

namespace kvstore::http {

// How the front uses it, per request: admit() by the head alone; then, unless refused, read the
// body as route->body_bytes_max and streams_body say and call handle(); park() and unpark() around
// a time without a thread; count() when the answer was sent.
//
// Concurrency: [any-thread].
class Service {
 public:
  Service(std::shared_ptr<Engine> engine, const Config& config, std::string_view instance_name);

  // A place among the requests that wait without a thread, given back by the destructor.
  class ParkedPlace {
   public:
    ParkedPlace() = default;
    // bounded: it counts among those that max_parked_requests and max_parked_bytes bound.
    ParkedPlace(Service* service, bool bounded, uint64_t body_bytes)
        : service_(service), bounded_(bounded), body_bytes_(body_bytes) {}
    ParkedPlace(ParkedPlace&& other) noexcept
        : service_(std::exchange(other.service_, nullptr)),
          bounded_(other.bounded_),
          body_bytes_(other.body_bytes_) {}
    ParkedPlace& operator=(ParkedPlace&& other) noexcept {
      std::swap(service_, other.service_);
      std::swap(bounded_, other.bounded_);
      std::swap(body_bytes_, other.body_bytes_);
      return *this;
    }
    ~ParkedPlace() { give_back(); }
    void give_back();

   private:
    Service* service_ = nullptr;
    bool bounded_ = false;
    uint64_t body_bytes_ = 0;
  };

  struct Admission {
    const Route* route = nullptr;  // NULL: unknown path or method
    Place place;
    ParkedPlace parked;
    std::optional<ApiError> refusal;  // answer with it; there is no handler to call
    uint64_t started_ns = 0;
  };
  // Sets request->tail.
  Admission admit(Request* request);
  // Never throws; the exchange is answered, now or later.
  void handle(const Admission& admission, const Request& request, const ExchangePtr& exchange);
  // error_code: the answer's; empty when it is no error.
  void count(const Admission& admission, int http_status, const std::string& error_code);

  // The request waits without a thread from now on: others get its place among the data requests.
  // body_bytes: what its handler may hold.
  void park(Admission* admission, uint64_t body_bytes);
  // It has something to do again.  False when it needs a place and none is free: those who wait for
  // one are kept places by want_places(), and set_on_place() says who is told of one.
  bool unpark(Admission* admission);
  bool needs_place(const Admission& admission) const {
    return is_data(admission) && !admission.place;
  }
  void want_places(uint64_t requests) { data_requests_.want(requests); }
  // [before the first request]
  void set_on_place(std::function<void()> on_place) {
    data_requests_.set_on_free(std::move(on_place));
  }

  // Asks the engine for the node's name and waits for the answer, but not for long.
  void learn_node_name();
  // For X-Kvstore-Node; empty while unknown: then the engine is asked again in the background.
  std::string_view node_name();
  // For X-Kvstore-Term and X-Kvstore-Revision: the answer's own, or the newest seen when it has
  // none (0).
  uint64_t newest_term(uint64_t term) { return newest(&newest_term_, term); }
  uint64_t newest_revision(uint64_t revision) { return newest(&newest_revision_, revision); }

  // For the front, which counts them.
  Load* connections() { return &connections_; }

  const Config& config() const { return context_.config; }
  const sdk::Host& host() const { return context_.host(); }

 private:
  class NodeNameQuery;
  static uint64_t newest(std::atomic<uint64_t>* seen, uint64_t own);
  static bool is_data(const Admission& admission) {
    return admission.route != nullptr && admission.route->route_class == RouteClass::kData;
  }
  void ask_node_name();
  std::optional<ApiError> refuse_waiting(const Route& route, const Request& request) const;
  void refuse_unknown(const Request& request, Router::Match match, Admission* admission) const;

  Context context_;
  const Router router_;
  RequestMetrics metrics_;
  Load connections_, data_load_, waiting_load_, watch_load_;
  Places data_requests_, waiting_requests_, watches_;
  std::atomic<uint64_t> parked_requests_{0}, parked_bytes_{0};  // the bounded ones
  std::atomic<uint64_t> newest_term_{0}, newest_revision_{0};

  std::atomic<bool> node_name_known_{false};
  std::atomic<uint64_t> ask_after_ns_{0};
  std::mutex node_name_mutex_;
  std::condition_variable node_name_learnt_;
  std::string node_name_;  // written once, before node_name_known_
};

}  // namespace kvstore::http
