// Calls that do not block: a bounded queue before a few threads, each with a Client of its own.
//
//   auto client = AsyncClient::create({});
//   std::future<Result<PutResult>> put = client->put("k", "v");
//   auto refused = client->submit_then([](Client& c) { return c.get("k"); },
//                                      [](Result<GetResult> got) { ... });
//
// Order.  Calls begin in the order in which they were submitted, but run at the same time: wait for
// a write before a read that has to see it.
//
// Bounds.  At most `threads` calls run and `queue_max` wait; one more is refused with kOverloaded
// at once.  A call that has waited for the whole timeout of the client's options, or until its
// deadline, is not sent: it ends with kUnreachable, code "timeout".  Its timeout itself begins when
// it leaves the queue.
//
// Callbacks run on the threads, exactly once per accepted call, never within submit_then().  They
// may submit further calls; they hold a thread up while they run, and must not destroy the
// AsyncClient or throw.
//
// Threads: all functions but the destructor from any, at the same time.
#pragma once

#include <cstddef>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <kvstore/client/client.hpp>

namespace kvstore::client {

struct AsyncOptions {
  ClientOptions client;
  size_t threads = 4;       // 1..256: connections per server, too
  size_t queue_max = 1024;  // 1..1,000,000
};

class AsyncClient {
 public:
  // Checks the options and starts the threads; connects to nobody.  Errors: kInvalidArgument.
  static Result<AsyncClient> create(const AsyncOptions& options);

  AsyncClient(AsyncClient&&) noexcept;
  AsyncClient& operator=(AsyncClient&&) = delete;
  // Calls that wait end with kCancelled; those that run are waited for, no longer than their
  // timeout.
  ~AsyncClient();

  // Runs `call`, any copyable function of a Client& that gives a Result.  An exception that it
  // throws comes out of the future.
  template <typename F>
  std::future<std::invoke_result_t<F&, Client&>> submit(F call, const CallLimits& limits = {}) {
    using Outcome = std::invoke_result_t<F&, Client&>;
    auto promise = std::make_shared<std::promise<Outcome>>();
    auto future = promise->get_future();
    auto refused = enqueue(
        [promise, call = std::move(call)](Client* client, const Error* error) mutable {
          try {
            promise->set_value(error != nullptr ? Outcome(*error) : call(*client));
          } catch (...) {
            promise->set_exception(std::current_exception());
          }
        },
        limits);
    if (refused) promise->set_value(Outcome(*refused));
    return future;
  }

  // The same with a callback that takes the result.  An error: refused, and `done` is never called.
  template <typename F, typename D>
  std::optional<Error> submit_then(F call, D done, const CallLimits& limits = {}) {
    using Outcome = std::invoke_result_t<F&, Client&>;
    return enqueue(
        [call = std::move(call), done = std::move(done)](Client* client,
                                                         const Error* error) mutable {
          done(error != nullptr ? Outcome(*error) : call(*client));
        },
        limits);
  }

  // The calls of Client that are needed most.
  std::future<Result<PutResult>> put(std::string key, std::string value, Condition condition = {},
                                     const CallLimits& limits = {});
  std::future<Result<GetResult>> get(std::string key, ReadOptions options = {},
                                     const CallLimits& limits = {});
  std::future<Result<DeleteResult>> del(std::string key, Condition condition = {},
                                        const CallLimits& limits = {});

 private:
  // Called once, with a client or with the reason why there is none.
  using Task = std::function<void(Client* client, const Error* error)>;
  class Pool;

  explicit AsyncClient(std::unique_ptr<Pool> pool);
  std::optional<Error> enqueue(Task task, const CallLimits& limits);

  std::unique_ptr<Pool> pool_;
};

}  // namespace kvstore::client
