// The API without any HTTP server: which handler, whether there is room for it, what is counted.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "context.hpp"
#include "request_metrics.hpp"
#include "router.hpp"

namespace kvstore::http {

// How the front uses it, per request: admit() by the head alone; then, unless refused, read the
// body as route->body_bytes_max and streams_body say and call handle(); count() when the answer was
// sent.
//
// Concurrency: [any-thread].
class Service {
 public:
  Service(std::shared_ptr<Engine> engine, const Config& config, std::string_view instance_name);

  // A place among the requests under way, given back by the destructor.
  class Slot {
   public:
    Slot() = default;
    explicit Slot(std::atomic<uint64_t>* counter) : counter_(counter) {}
    Slot(Slot&& other) noexcept : counter_(std::exchange(other.counter_, nullptr)) {}
    Slot& operator=(Slot&& other) noexcept {
      std::swap(counter_, other.counter_);
      return *this;
    }
    ~Slot() {
      if (counter_ != nullptr) counter_->fetch_sub(1, std::memory_order_relaxed);
    }

   private:
    std::atomic<uint64_t>* counter_ = nullptr;
  };

  struct Admission {
    const Route* route = nullptr;  // NULL: unknown path or method
    Slot slot;
    std::optional<ApiError> refusal;  // answer with it; there is no handler to call
    uint64_t started_ns = 0;
  };
  // Sets request->tail.
  Admission admit(Request* request);
  // Never throws; the exchange is answered, now or later.
  void handle(const Admission& admission, const Request& request, const ExchangePtr& exchange);
  void count(const Admission& admission, int http_status);

  // Asks the engine for the node's name and waits for the answer, but not for long.
  void learn_node_name();
  // For X-Kvstore-Node; empty while unknown: then the engine is asked again in the background.
  std::string_view node_name();
  // For X-Kvstore-Term and X-Kvstore-Revision: the answer's own, or the newest seen when it has
  // none (0).
  uint64_t newest_term(uint64_t term) { return newest(&newest_term_, term); }
  uint64_t newest_revision(uint64_t revision) { return newest(&newest_revision_, revision); }

  const Config& config() const { return context_.config; }
  const sdk::Host& host() const { return context_.host(); }

 private:
  class NodeNameQuery;
  static uint64_t newest(std::atomic<uint64_t>* seen, uint64_t own);
  void ask_node_name();
  void refuse_unknown(const Request& request, Router::Match match, Admission* admission) const;

  Context context_;
  const Router router_;
  RequestMetrics metrics_;
  std::atomic<uint64_t> data_requests_{0};
  std::atomic<uint64_t> waiting_requests_{0};
  std::atomic<uint64_t> watches_{0};
  std::atomic<uint64_t> newest_term_{0}, newest_revision_{0};

  std::atomic<bool> node_name_known_{false};
  std::atomic<uint64_t> ask_after_ns_{0};
  std::mutex node_name_mutex_;
  std::condition_variable node_name_learnt_;
  std::string node_name_;  // written once, before node_name_known_
};

}  // namespace kvstore::http
