// The templates of engine.hpp: trampolines between the C ABI's callbacks and closures.
#pragma once

#include <kvstore/sdk/guard.hpp>

#include "engine.hpp"

namespace kvstore::http {

template <typename Fn>
void guarded(const sdk::Host& host, Exchange& exchange, Fn&& fn) noexcept {
  try {
    try {
      std::forward<Fn>(fn)();
    } catch (const ApiError& e) {
      exchange.respond(e);
    } catch (const std::exception& e) {
      host.log(KVS_LEVEL_ERROR, std::string("request failed inside: ").append(e.what()));
      exchange.respond(error_from_status(KVS_E_INTERNAL, e.what()));
    }
  } catch (...) {
    // Not even the error could be built (no memory): an empty answer needs none.
    Response empty;
    empty.status = 500;
    exchange.respond(std::move(empty));
  }
}

// Lives from the call to its completion.
template <typename Fn, bool kAnyStatus>
struct Engine::Completion {
  std::shared_ptr<Engine> engine;
  ExchangePtr exchange;
  Fn fn;

  static void done(void* user, const kvs_result* result) noexcept {
    std::unique_ptr<Completion> self(static_cast<Completion*>(user));
    const std::shared_ptr<Engine> engine = self->engine;
    guarded(engine->host_, *self->exchange, [&] {
      if (!kAnyStatus && result->status != KVS_OK) throw error_from_result(*result);
      self->fn(*result);
    });
    self.reset();
    engine->finish();
  }

  // Runs submit(done, user, error); what was not taken is answered.
  template <typename Submit>
  static void start_or_answer(std::shared_ptr<Engine> engine, const ExchangePtr& exchange, Fn fn,
                              Submit&& submit) {
    auto self = std::make_unique<Completion>(Completion{engine, exchange, std::move(fn)});
    kvs_error err = sdk::make_error();
    engine->begin();
    const kvs_status status = submit(&Completion::done, self.get(), &err);
    if (status == KVS_OK) {
      static_cast<void>(self.release());
      return;
    }
    engine->finish();
    exchange->respond(error_from_status(status, err.message));
  }
};

template <typename Fn>
void Engine::txn(const ExchangePtr& exchange, const kvs_call& call, const kvs_txn& txn, Fn fn) {
  auto checked = [fn = std::move(fn),
                  has_id = call.request_id.len != 0](const kvs_result& result) mutable {
    if (result.status != KVS_OK) throw error_from_txn(result, has_id);
    fn(result);
  };
  Completion<decltype(checked), true>::start_or_answer(
      shared_from_this(), exchange, std::move(checked),
      [&](kvs_done done, void* user, kvs_error* err) {
        return table_->txn(table_->ctx, &call, &txn, done, user, err);
      });
}

template <typename Fn>
void Engine::txn_any(const ExchangePtr& exchange, const kvs_call& call, const kvs_txn& txn, Fn fn) {
  using Pending = Completion<Fn, true>;
  auto self = std::make_unique<Pending>(Pending{shared_from_this(), exchange, std::move(fn)});
  kvs_error err = sdk::make_error();
  begin();
  const kvs_status status = table_->txn(table_->ctx, &call, &txn, &Pending::done, self.get(), &err);
  if (status == KVS_OK) {
    static_cast<void>(self.release());
    return;
  }
  finish();
  kvs_result refused{};
  refused.struct_size = sizeof refused;
  refused.status = status;
  refused.message = sdk::slice(err.message);
  self->fn(refused);
}

template <typename Fn>
void Engine::control(const ExchangePtr& exchange, const kvs_call& call, const char* verb,
                     std::string_view json, Fn fn) {
  const kvs_slice document = sdk::slice(json);
  Completion<Fn, false>::start_or_answer(
      shared_from_this(), exchange, std::move(fn), [&](kvs_done done, void* user, kvs_error* err) {
        return table_->control(table_->ctx, &call, verb, &document, done, user, err);
      });
}

template <typename Fn>
void Engine::control_any(const ExchangePtr& exchange, const kvs_call& call, const char* verb,
                         std::string_view json, Fn fn) {
  const kvs_slice document = sdk::slice(json);
  Completion<Fn, true>::start_or_answer(
      shared_from_this(), exchange, std::move(fn), [&](kvs_done done, void* user, kvs_error* err) {
        return table_->control(table_->ctx, &call, verb, &document, done, user, err);
      });
}

template <typename Fn>
void Engine::upload_write(const ExchangePtr& exchange, const Upload& upload, std::string_view chunk,
                          Fn fn) {
  const kvs_slice bytes = sdk::slice(chunk);
  Completion<Fn, false>::start_or_answer(
      shared_from_this(), exchange, std::move(fn), [&](kvs_done done, void* user, kvs_error* err) {
        return table_->upload_write(upload.raw(), &bytes, done, user, err);
      });
}

template <typename Fn>
struct Engine::ReadCompletion {
  std::shared_ptr<Engine> engine;
  ExchangePtr exchange;
  Fn fn;
  UniqueFunction<void(const ApiError&)> on_error;  // empty: the exchange gets the error
  bool past = false;                               // a revision was named

  // Which is all that can be wrong with a read that was asked for well.
  static ApiError name_future(ApiError error, bool past) {
    if (past && error.code == status_name(KVS_E_INVALID)) error.code = "future_revision";
    return error;
  }

  // Hands the reader over to the exchange's thread.
  static void go_on(std::unique_ptr<ReadCompletion> self, Reader reader) {
    ExchangePtr exchange = self->exchange;
    exchange->post([self = std::move(self), reader = std::move(reader)]() mutable {
      guarded(self->engine->host_, *self->exchange, [&] { self->fn(std::move(reader)); });
    });
  }

  static void fail(std::unique_ptr<ReadCompletion> self, ApiError error) {
    if (!self->on_error) throw error;
    ExchangePtr exchange = self->exchange;
    exchange->post([self = std::move(self), error = std::move(error)] {
      guarded(self->engine->host_, *self->exchange, [&] { self->on_error(error); });
    });
  }

  static void done(void* user, const kvs_result* result, kvs_reader* raw) noexcept {
    std::unique_ptr<ReadCompletion> self(static_cast<ReadCompletion*>(user));
    const std::shared_ptr<Engine> engine = self->engine;
    ExchangePtr exchange = self->exchange;
    guarded(engine->host_, *exchange, [&] {
      Reader reader(engine, raw, result->at.term);
      if (result->status != KVS_OK) {
        fail(std::move(self), name_future(error_from_result(*result), self->past));
        return;
      }
      if (raw == nullptr) throw error_from_status(KVS_E_INTERNAL, "the engine gave no reader");
      go_on(std::move(self), std::move(reader));
    });
    self.reset();
    exchange.reset();
    engine->finish();
  }
};

template <typename Fn>
void Engine::read_open(const ExchangePtr& exchange, const kvs_call& call,
                       const kvs_read_options& options, Fn fn,
                       UniqueFunction<void(const ApiError&)> on_error) {
  using Pending = ReadCompletion<Fn>;
  const bool past = options.revision != 0 || options.min_revision != 0;
  auto self = std::make_unique<Pending>(
      Pending{shared_from_this(), exchange, std::move(fn), std::move(on_error), past});
  kvs_error err = sdk::make_error();
  kvs_reader* now = nullptr;
  begin();
  const kvs_status status =
      table_->read_open(table_->ctx, &call, &options, &Pending::done, self.get(), &now, &err);
  if (status == KVS_OK && now == nullptr) {
    static_cast<void>(self.release());
    return;
  }
  finish();
  if (status != KVS_OK) throw Pending::name_future(error_from_status(status, err.message), past);
  Pending::go_on(std::move(self), Reader(shared_from_this(), now, 0));
}

template <typename Sink>
bool Reader::get(std::string_view key, Sink&& sink) const {
  struct Context {
    std::remove_reference_t<Sink>& sink;
    bool found;
  } context{sink, false};
  const kvs_slice slice = sdk::slice(key);
  kvs_error err = sdk::make_error();
  const kvs_status status = engine_->table()->get(
      reader_, &slice,
      [](void* ctx, const kvs_item* item) noexcept -> kvs_status {
        return sdk::guard(nullptr, [&] {
          auto* c = static_cast<Context*>(ctx);
          c->found = true;
          c->sink(*item);
        });
      },
      &context, &err);
  if (status == KVS_E_NOT_FOUND) return false;
  if (status != KVS_OK) throw error_from_status(status, err.message);
  return context.found;
}

template <typename Sink>
bool Reader::scan(const kvs_range& range, uint32_t flags, uint64_t limit, uint64_t bytes_max,
                  Sink&& sink) const {
  struct Context {
    std::remove_reference_t<Sink>& sink;
    bool stopped;
    bool more;
  } context{sink, false, false};
  struct MoreSink {
    static kvs_status set(void* ctx, const kvs_slice* cursor) noexcept {
      static_cast<Context*>(ctx)->more = cursor->len != 0;
      return KVS_OK;
    }
  };
  kvs_error err = sdk::make_error();
  // The host calls both sinks with this one context.
  const kvs_status status = engine_->table()->scan(
      reader_, &range, flags, limit, bytes_max,
      [](void* ctx, const kvs_item* item) noexcept -> kvs_status {
        return sdk::guard(nullptr, [&] {
          auto* c = static_cast<Context*>(ctx);
          if (c->sink(*item)) return KVS_OK;
          c->stopped = true;
          return KVS_E_END;
        });
      },
      &context, &MoreSink::set, &err);
  if (context.stopped) return true;
  if (status != KVS_OK && status != KVS_E_END) throw error_from_status(status, err.message);
  return context.more;
}

}  // namespace kvstore::http
