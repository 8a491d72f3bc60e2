// Goal: an exchange is answered exactly once, whoever answers, and runs its tasks on one thread.
// Method: handlers played by hand, answers from the own and from other threads.
#include "front/front_exchange.hpp"

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
  CHECK(exchange->wait(&feed).body == "first");
}

TEST_CASE("dropped without an answer: 500") {
  const auto exchange = FrontExchange::make();
  exchange->handle();
  NoBody feed;
  CHECK(exchange->wait(&feed).status == 500);
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
  CHECK(exchange->wait(&feed).body == "done");
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
  CHECK(exchange->wait(&feed).body == "piecepiecepiece");
}

TEST_CASE("an answer from another thread wakes the waiting one") {
  for (int i = 0; i < 200; ++i) {
    const auto exchange = FrontExchange::make();
    NoBody feed;
    std::thread other([handle = exchange->handle()] { handle->respond(with_body("x")); });
    CHECK(exchange->wait(&feed).body == "x");
    other.join();
  }
}
