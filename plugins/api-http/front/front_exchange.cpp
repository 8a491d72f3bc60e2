#include "front/front_exchange.hpp"

#include <utility>

namespace kvstore::http {

ExchangePtr FrontExchange::handle() {
  return ExchangePtr(this, [self = shared_from_this()](Exchange*) { self->abandon(); });
}

// The waiting thread is woken without the lock, so that it does not wake only to wait for it.
// Whoever calls holds a reference, so the exchange is still there.
template <typename Fn>
void FrontExchange::change(Fn&& fn) {
  UniqueFunction<void()> wake;
  {
    std::lock_guard lock(mutex_);
    if (answered_) return;
    fn();
    wake = std::move(wake_);
  }
  if (wake) {
    wake();
  } else {
    changed_.notify_one();
  }
}

void FrontExchange::abandon() noexcept {
  change([&] {
    answered_ = true;
    response_.emplace();
    response_->status = 500;
    try {
      response_ = error_response(
          error_from_status(KVS_E_INTERNAL, "the request was dropped without an answer"));
    } catch (...) {
      // No memory for a text: the status alone says it.
    }
  });
}

void FrontExchange::respond(Response response) {
  change([&] {
    answered_ = true;
    response_ = std::move(response);
  });
}

void FrontExchange::post(UniqueFunction<void()> task) {
  change([&] { tasks_.push_back(std::move(task)); });
}

void FrontExchange::read_body(UniqueFunction<void(const BodyPiece&)> done) {
  change([&] { body_wanted_ = std::move(done); });
}

std::optional<Response> FrontExchange::wait(BodyFeed* feed, std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  while (!answered_) {
    if (!tasks_.empty()) {
      UniqueFunction<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      task = {};
      lock.lock();
    } else if (body_wanted_) {
      UniqueFunction<void(const BodyPiece&)> done = std::exchange(body_wanted_, {});
      lock.unlock();
      feed->next(done);
      done = {};
      lock.lock();
    } else if (changed_.wait_for(lock, patience) == std::cv_status::timeout && !answered_ &&
               tasks_.empty() && !body_wanted_) {
      return std::nullopt;
    }
  }
  return take(std::move(lock));
}

void FrontExchange::park(UniqueFunction<void()> wake) {
  std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
}

void FrontExchange::unpark() {
  park({});
}

FrontExchange::Next FrontExchange::next() const {
  std::lock_guard lock(mutex_);
  if (answered_) {
    const bool pulled = response_->source != nullptr || response_->stream != nullptr;
    return pulled ? Next::kThread : Next::kAnswer;
  }
  return tasks_.empty() && !body_wanted_ ? Next::kNothing : Next::kThread;
}

Response FrontExchange::take_answer() {
  return take(std::unique_lock(mutex_));
}

Response FrontExchange::take(std::unique_lock<std::mutex> lock) {
  Response response = std::move(*response_);
  // What will not run any more is destroyed without the lock: it may own the exchange's handle.
  const auto tasks = std::exchange(tasks_, {});
  const auto body_wanted = std::exchange(body_wanted_, {});
  lock.unlock();
  return response;
}

void FrontExchange::give_up() {
  std::unique_lock lock(mutex_);
  answered_ = true;
  const auto response = std::exchange(response_, std::nullopt);
  const auto tasks = std::exchange(tasks_, {});
  const auto body_wanted = std::exchange(body_wanted_, {});
  const auto wake = std::exchange(wake_, {});
  lock.unlock();
}

}  // namespace kvstore::http
