// A callable that is moved, never copied, so that it can own readers, uploads and exchanges.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace kvstore::http {

template <typename Signature>
class UniqueFunction;

template <typename... Args>
class UniqueFunction<void(Args...)> {
 public:
  UniqueFunction() = default;
  template <typename Fn>
  requires(!std::is_same_v<std::remove_cvref_t<Fn>, UniqueFunction>)
      UniqueFunction(Fn&& fn)  // NOLINT: implicit on purpose, like std::function
      : held_(std::make_unique<Holder<std::decay_t<Fn>>>(std::forward<Fn>(fn))) {}

  explicit operator bool() const { return held_ != nullptr; }
  void operator()(Args... args) { held_->call(std::forward<Args>(args)...); }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual void call(Args... args) = 0;
  };
  template <typename Fn>
  struct Holder final : Base {
    template <typename F>
    explicit Holder(F&& f) : fn(std::forward<F>(f)) {}
    void call(Args... args) override { fn(std::forward<Args>(args)...); }
    Fn fn;
  };
  std::unique_ptr<Base> held_;
};

}  // namespace kvstore::http
