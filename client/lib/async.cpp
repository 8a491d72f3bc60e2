#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include <kvstore/client/async.hpp>

#include "http.hpp"

namespace kvstore::client {
namespace {

constexpr size_t kThreadsMax = 256;
constexpr size_t kQueueMax = 1'000'000;

Error invalid_argument(std::string message) {
  return {ErrorKind::kInvalidArgument, "invalid_argument", std::move(message)};
}

Error cancelled() {
  return {ErrorKind::kCancelled, "cancelled", "cancelled before it was sent"};
}

}  // namespace

class AsyncClient::Pool {
 public:
  Pool(std::vector<Client> clients, const AsyncOptions& options)
      : timeout_(options.client.timeout), queue_max_(options.queue_max) {
    threads_.reserve(clients.size());
    for (Client& client : clients) {
      threads_.emplace_back([this, owned = std::move(client)]() mutable { work(owned); });
    }
  }

  ~Pool() {
    std::deque<Entry> waiting;
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      waiting.swap(queue_);
    }
    changed_.notify_all();
    const Error error = cancelled();
    for (Entry& entry : waiting) entry.task(nullptr, &error);
    for (std::thread& thread : threads_) thread.join();
  }

  std::optional<Error> enqueue(Task task, const CallLimits& limits) {
    Deadline begin_by = Clock::now() + timeout_;
    if (limits.deadline) begin_by = std::min(begin_by, *limits.deadline);
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return cancelled();
      if (queue_.size() >= queue_max_) {
        return Error{ErrorKind::kOverloaded, "overloaded",
                     std::to_string(queue_max_) + " calls are waiting already"};
      }
      queue_.push_back({std::move(task), limits, begin_by});
    }
    changed_.notify_one();
    return std::nullopt;
  }

 private:
  struct Entry {
    Task task;
    CallLimits limits;
    Deadline begin_by;
  };

  void work(Client& client) {
    while (auto entry = next()) {
      if (auto error = obstacle(*entry)) {
        entry->task(nullptr, &*error);
        continue;
      }
      client.limit_calls(entry->limits);
      entry->task(&client, nullptr);
    }
  }

  std::optional<Entry> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return std::nullopt;
    Entry entry = std::move(queue_.front());
    queue_.pop_front();
    return entry;
  }

  // Why the call is not to begin any more.
  std::optional<Error> obstacle(const Entry& entry) const {
    if (entry.limits.cancel && entry.limits.cancel->is_cancelled()) return cancelled();
    if (Clock::now() < entry.begin_by) return std::nullopt;
    return Error{ErrorKind::kUnreachable, "timeout",
                 "no thread was free in time: nothing was sent"};
  }

  const std::chrono::milliseconds timeout_;
  const size_t queue_max_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Entry> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

AsyncClient::AsyncClient(std::unique_ptr<Pool> pool) : pool_(std::move(pool)) {}
AsyncClient::AsyncClient(AsyncClient&&) noexcept = default;
AsyncClient::~AsyncClient() = default;

Result<AsyncClient> AsyncClient::create(const AsyncOptions& options) {
  if (options.threads < 1 || options.threads > kThreadsMax) {
    return invalid_argument("threads is not from 1 to " + std::to_string(kThreadsMax));
  }
  if (options.queue_max < 1 || options.queue_max > kQueueMax) {
    return invalid_argument("queue_max is not from 1 to " + std::to_string(kQueueMax));
  }
  std::vector<Client> clients;
  for (size_t i = 0; i < options.threads; ++i) {
    auto client = Client::create(options.client);
    if (!client) return client.error();
    clients.push_back(std::move(*client));
  }
  return AsyncClient(std::make_unique<Pool>(std::move(clients), options));
}

std::optional<Error> AsyncClient::enqueue(Task task, const CallLimits& limits) {
  return pool_->enqueue(std::move(task), limits);
}

std::future<Result<PutResult>> AsyncClient::put(std::string key, std::string value,
                                                Condition condition, const CallLimits& limits) {
  return submit([key = std::move(key), value = std::move(value),
                 condition](Client& client) { return client.put(key, value, condition); },
                limits);
}

std::future<Result<GetResult>> AsyncClient::get(std::string key, ReadOptions options,
                                                const CallLimits& limits) {
  return submit([key = std::move(key),
                 options = std::move(options)](Client& client) { return client.get(key, options); },
                limits);
}

std::future<Result<DeleteResult>> AsyncClient::del(std::string key, Condition condition,
                                                   const CallLimits& limits) {
  return submit(
      [key = std::move(key), condition](Client& client) { return client.del(key, condition); },
      limits);
}

}  // namespace kvstore::client
