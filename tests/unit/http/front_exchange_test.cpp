// Goal: an exchange is answered exactly once, whoever answers, and runs its tasks on the thread
// that waits; one that is parked tells of the first thing that happens and loses nothing. Method:
// handlers played by hand, answers from the own and from other threads, many of them in the moment
// of parking.
#include "front/front_exchange.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

using namespace kvstore::http;

namespace {

class NoBody final : public BodyFeed {
 public:
  void next(UniqueFunction<void(const BodyPiece&)>& done) override {
    BodyPiece piece;
    piece.bytes = "piece";
    piece.end = ++pieces == 3;
    done(piece);
  }
  int pieces = 0;
};

constexpr std::chrono::milliseconds kLong{3'600'000};
using Next = FrontExchange::Next;

Response with_body(const char* text) {
  Response response;
  response.body = text;
  return response;
}

}  // namespace

TEST_CASE("the first answer counts") {
  const auto exchange = FrontExchange::make();
  const ExchangePtr handle = exchange->handle();
  handle->respond(with_body("first"));
  handle->respond(with_body("second"));
  NoBody feed;
  CHECK(exchange->wait(&feed, kLong)->body == "first");
}

TEST_CASE("dropped without an answer: 500") {
  const auto exchange = FrontExchange::make();
  exchange->handle();
  NoBody feed;
  CHECK(exchange->wait(&feed, kLong)->status == 500);
}

TEST_CASE("tasks run in order on the waiting thread, those after the answer never") {
  const auto exchange = FrontExchange::make();
  NoBody feed;
  std::vector<int> order;
  const auto here = std::this_thread::get_id();
  auto owned = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = owned;
  std::thread other([&, handle = exchange->handle()]() mutable {
    handle->post([&] { order.push_back(std::this_thread::get_id() == here ? 1 : -1); });
    handle->post([&, handle] {
      order.push_back(2);
      handle->post([&, owned] { order.push_back(3); });
      owned.reset();
      handle->respond(with_body("done"));
      handle->post([&] { order.push_back(4); });
    });
    handle.reset();
  });
  CHECK(exchange->wait(&feed, kLong)->body == "done");
  other.join();
  CHECK(order == std::vector<int>{1, 2});
  // What was not run is gone, with everything it owned.
  CHECK(watched.expired());
}

TEST_CASE("the body comes piece by piece, as it is asked for") {
  const auto exchange = FrontExchange::make();
  NoBody feed;
  struct Handler : std::enable_shared_from_this<Handler> {
    explicit Handler(ExchangePtr x) : exchange(std::move(x)) {}
    void ask() {
      exchange->read_body([self = shared_from_this()](const BodyPiece& piece) {
        self->text.append(piece.bytes);
        if (piece.end) {
          self->exchange->respond(with_body(self->text.c_str()));
        } else {
          self->ask();
        }
      });
    }
    ExchangePtr exchange;
    std::string text;
  };
  std::make_shared<Handler>(exchange->handle())->ask();
  CHECK(exchange->wait(&feed, kLong)->body == "piecepiecepiece");
}

TEST_CASE("nothing to do for so long: the waiting thread may go, and nothing is lost") {
  const auto exchange = FrontExchange::make();
  const ExchangePtr handle = exchange->handle();
  NoBody feed;
  CHECK_FALSE(exchange->wait(&feed, std::chrono::milliseconds(1)));
  CHECK(exchange->next() == Next::kNothing);
  int woken = 0;
  exchange->park([&] { ++woken; });
  int done = 0;
  handle->post([&] { ++done; });
  handle->post([&] { ++done; });
  CHECK(woken == 1);
  CHECK(done == 0);
  CHECK(exchange->next() == Next::kThread);
  exchange->unpark();
  CHECK_FALSE(exchange->wait(&feed, std::chrono::milliseconds(1)));
  CHECK(done == 2);
  exchange->park([&] { ++woken; });
  handle->respond(with_body("late"));
  CHECK(woken == 2);
  CHECK(exchange->next() == Next::kAnswer);
  CHECK(exchange->take_answer().body == "late");
}

TEST_CASE("what takes a thread is told from what does not") {
  class Source final : public BodySource {
    kvs_status next(std::string*) override { return KVS_E_END; }
  };
  NoBody feed;
  const auto pulled = FrontExchange::make();
  Response response;
  response.source = std::make_unique<Source>();
  pulled->handle()->respond(std::move(response));
  CHECK(pulled->next() == Next::kThread);
  const auto body = FrontExchange::make();
  const ExchangePtr handle = body->handle();
  handle->read_body([](const BodyPiece&) {});
  CHECK(body->next() == Next::kThread);
  const auto dropped = FrontExchange::make();
  bool woken = false;
  ExchangePtr last = dropped->handle();
  dropped->park([&] { woken = true; });
  last.reset();
  CHECK(woken);
  CHECK(dropped->next() == Next::kAnswer);
  CHECK(dropped->take_answer().status == 500);
}

TEST_CASE("an exchange that nobody waits for any more keeps nothing") {
  auto owned = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = owned;
  const auto exchange = FrontExchange::make();
  const std::weak_ptr<FrontExchange> itself = exchange;
  bool woken = false;
  {
    const ExchangePtr handle = exchange->handle();
    handle->post([owned, handle] {});  // which owns its own exchange
    exchange->park([&] { woken = true; });
    exchange->give_up();
    handle->post([owned, handle] {});
    handle->respond(with_body("late"));
  }
  owned.reset();
  CHECK(watched.expired());
  CHECK_FALSE(woken);
  CHECK(itself.use_count() == 1);
}

// Whoever parks looks once more and then trusts the wake.
TEST_CASE("an answer in the moment of parking is seen or told, never neither") {
  for (int i = 0; i < 2000; ++i) {
    const auto exchange = FrontExchange::make();
    std::atomic<bool> woken{false};
    std::thread other([&, handle = exchange->handle()]() mutable {
      for (int spin = i % 50; spin > 0; --spin) std::this_thread::yield();
      if (i % 2 == 0) {
        handle->respond(with_body("x"));
      } else {
        handle->post([] {});
      }
      handle.reset();
    });
    exchange->park([&] { woken.store(true); });
    const bool seen = exchange->next() != Next::kNothing;
    other.join();
    const bool found = seen || woken.load();
    CHECK(found);
    exchange->give_up();
  }
}

TEST_CASE("an answer from another thread wakes the waiting one") {
  for (int i = 0; i < 200; ++i) {
    const auto exchange = FrontExchange::make();
    NoBody feed;
    std::thread other([handle = exchange->handle()] { handle->respond(with_body("x")); });
    CHECK(exchange->wait(&feed, kLong)->body == "x");
    other.join();
  }
}
