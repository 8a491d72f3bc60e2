#include "runner.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include <netdb.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

namespace kvstore::bench {
namespace {

constexpr uint64_t kTickNs = 50'000'000;
constexpr uint64_t kReconnectNs = 100'000'000;
constexpr size_t kBufferBytes = size_t{256} << 10;
constexpr int kEventsMax = 256;
constexpr uint32_t kTimerTag = ~uint32_t{0};

// CLOCK_MONOTONIC, as the timer below.
uint64_t now_ns() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

uint64_t ns_of(std::chrono::nanoseconds duration) {
  return static_cast<uint64_t>(duration.count());
}

std::optional<std::string> resolve(const client::Endpoint& endpoint, Address* out) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(endpoint.port);
  const int error = ::getaddrinfo(endpoint.host.c_str(), port.c_str(), &hints, &found);
  if (error != 0) return endpoint.url() + ": " + ::gai_strerror(error);
  std::memcpy(&out->storage, found->ai_addr, found->ai_addrlen);
  out->bytes = found->ai_addrlen;
  ::freeaddrinfo(found);
  out->host = endpoint.url().substr(std::strlen("http://"));
  return std::nullopt;
}

Pacer::Plan plan_of(const Config& config) {
  return {config.rate, ns_of(config.warmup), ns_of(config.duration), config.count};
}

}  // namespace

struct Runner::Link {
  explicit Link(Connection c) : connection(std::move(c)) {}
  Connection connection;
  Operation operation = Operation::kGet;
  Pacer::Start start;
  uint64_t since_ns = 0;  // kConnecting, kBusy: since when; kClosed: when to connect again
};

Runner::Runner(const Config& config, OnTick on_tick)
    : config_(config), on_tick_(std::move(on_tick)), workload_(config), buffer_(kBufferBytes) {}

Runner::~Runner() {
  links_.clear();
  if (epoll_fd_ >= 0) ::close(epoll_fd_);
  if (timer_fd_ >= 0) ::close(timer_fd_);
}

std::optional<std::string> Runner::run(Results* results) {
  results_ = results;
  if (auto error = prepare()) return error;
  started_ns_ = now_ns();
  pacer_.emplace(plan_of(config_), started_ns_);
  for (size_t i = 0; i < links_.size(); ++i) connect(links_[i], i, started_ns_);
  loop();
  const uint64_t end = now_ns();
  if (!stopped_) count_unfinished(end);
  // Time without answers at the end counts when requests were meant to be made in it.
  const uint64_t planned = std::min(pacer_->end_ns(), end);
  const uint64_t last = config_.count != 0 ? last_answer_ns_ : std::max(planned, last_answer_ns_);
  const uint64_t first = std::min(pacer_->measure_ns(), last);
  results_->seconds = static_cast<double>(last - first) / 1e9;
  if (last_connected_ns_ == 0) return "no server could be reached";
  return std::nullopt;
}

// Requests without an answer when the test is given up.
void Runner::count_unfinished(uint64_t now) {
  const uint64_t unsent =
      config_.count != 0 ? config_.count - pacer_->measured_count() : pacer_->overdue(now);
  if (unsent != 0) results_->errors["not_sent"] += unsent;
  for (const Link& link : links_) {
    if (link.connection.state() == Connection::State::kBusy) fail(link, "timeout");
  }
}

std::optional<std::string> Runner::prepare() {
  epoll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
  timer_fd_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u32 = kTimerTag;
  if (epoll_fd_ < 0 || timer_fd_ < 0 ||
      ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, timer_fd_, &event) != 0) {
    return std::string("no epoll instance: ") + std::strerror(errno);
  }
  addresses_.resize(config_.servers.size());
  for (size_t i = 0; i < addresses_.size(); ++i) {
    if (auto error = resolve(config_.servers[i], &addresses_[i])) return error;
  }
  links_.reserve(config_.connections);
  for (size_t i = 0; i < config_.connections; ++i) {
    links_.emplace_back(
        Connection(addresses_[i % addresses_.size()], epoll_fd_, static_cast<uint32_t>(i)));
  }
  return std::nullopt;
}

void Runner::loop() {
  epoll_event events[kEventsMax];
  while (true) {
    const uint64_t now = now_ns();
    if (now >= next_tick_ns_) tick(now);
    dispatch();
    if (stopped_ || is_over(now)) return;
    wait(now);
    const int timeout_ms = static_cast<int>(kTickNs / 1'000'000);
    const int count = ::epoll_wait(epoll_fd_, events, kEventsMax, timeout_ms);
    for (int i = 0; i < count; ++i) {
      const uint32_t tag = events[i].data.u32;
      if (tag != kTimerTag) handle_events(tag);
    }
  }
}

bool Runner::is_over(uint64_t now) const {
  // Where a server never answers, or none is there, somebody has to say that it is enough.
  const uint64_t timeout = ns_of(config_.timeout);
  const uint64_t open_ns = std::max(last_connected_ns_, started_ns_);
  const bool hopeless = last_connected_ns_ == 0 || config_.count != 0;
  if (hopeless && now > open_ns + timeout) return true;
  if (busy_ == 0 && pacer_->next_ns(now) == Pacer::kNever) return true;
  return pacer_->end_ns() != Pacer::kNever && now > pacer_->end_ns() + timeout;
}

// Arms the timer for the next request of an open loop: epoll's own timeout is too coarse.
void Runner::wait(uint64_t now) {
  if (idle_.empty() || config_.rate <= 0) return;
  const uint64_t next = pacer_->next_ns(now);
  if (next == Pacer::kNever || next == armed_ns_) return;
  itimerspec spec{};
  spec.it_value.tv_sec = static_cast<time_t>(next / 1'000'000'000);
  spec.it_value.tv_nsec = static_cast<long>(next % 1'000'000'000);
  ::timerfd_settime(timer_fd_, TFD_TIMER_ABSTIME, &spec, nullptr);
  armed_ns_ = next;
}

void Runner::dispatch() {
  while (!idle_.empty()) {
    const auto start = pacer_->take(now_ns());
    if (!start) return;
    const size_t index = idle_.front();
    idle_.pop_front();
    begin(links_[index], index, *start);
  }
}

void Runner::begin(Link& link, size_t index, const Pacer::Start& start) {
  workload_.next(link.connection.host(), &request_);
  link.operation = request_.operation;
  link.start = start;
  link.since_ns = now_ns();
  ++busy_;
  settle(link, index, link.connection.send(request_));
}

void Runner::handle_events(size_t index) {
  Link& link = links_[index];
  settle(link, index, link.connection.handle_events(buffer_.data(), buffer_.size()));
}

void Runner::settle(Link& link, size_t index, Connection::Outcome outcome) {
  using Outcome = Connection::Outcome;
  if (outcome == Outcome::kNothing) return;
  const uint64_t now = now_ns();
  switch (outcome) {
    case Outcome::kNothing:
      return;
    case Outcome::kConnected:
      last_connected_ns_ = now;
      break;
    case Outcome::kConnectFailed:
      if (now >= pacer_->measure_ns()) ++results_->errors["connect"];
      link.since_ns = now + kReconnectNs;
      return;
    case Outcome::kAnswered:
      --busy_;
      record(link, now);
      break;
    case Outcome::kLost:
    case Outcome::kMalformed:
      --busy_;
      fail(link, outcome == Outcome::kLost ? "connection_lost" : "malformed");
      link.since_ns = now + kReconnectNs;
      return;
    case Outcome::kClosedIdle:
      idle_.erase(std::find(idle_.begin(), idle_.end(), index));
      link.since_ns = now + kReconnectNs;
      return;
  }
  if (link.connection.state() == Connection::State::kIdle) {
    idle_.push_back(static_cast<uint32_t>(index));
  } else {
    connect(link, index, now);
  }
}

void Runner::record(const Link& link, uint64_t now) {
  last_answer_ns_ = now;
  const int status = link.connection.answer().status();
  const bool miss = status == 404 && link.operation == Operation::kGet;
  // 207: some operations of a batch failed.
  if ((status / 100 != 2 || status == 207) && !miss) {
    if (link.start.measured) ++results_->errors["http_" + std::to_string(status)];
    return;
  }
  if (!link.start.measured) return;
  OperationResult& result = results_->operations[static_cast<size_t>(link.operation)];
  result.latency.record(now - link.start.intended_ns);
  result.bytes += link.connection.answer().body_bytes();
  if (miss) ++result.misses;
}

void Runner::fail(const Link& link, const char* kind) {
  if (link.start.measured) ++results_->errors[kind];
}

void Runner::connect(Link& link, size_t index, uint64_t now) {
  link.since_ns = now;
  settle(link, index, link.connection.connect());
}

void Runner::tick(uint64_t now) {
  next_tick_ns_ = now + kTickNs;
  const uint64_t timeout = ns_of(config_.timeout);
  for (size_t i = 0; i < links_.size(); ++i) {
    Link& link = links_[i];
    const auto state = link.connection.state();
    if (state == Connection::State::kClosed) {
      if (now >= link.since_ns) connect(link, i, now);
      continue;
    }
    if (state != Connection::State::kConnecting) last_connected_ns_ = now;
    if (state == Connection::State::kIdle || now < link.since_ns + timeout) continue;
    link.connection.close();
    if (state == Connection::State::kConnecting) {
      settle(link, i, Connection::Outcome::kConnectFailed);
      continue;
    }
    --busy_;
    fail(link, "timeout");
    connect(link, i, now);
  }
  if (on_tick_ && !on_tick_(share_done(now), results_->answered())) stopped_ = true;
}

double Runner::share_done(uint64_t now) const {
  if (config_.count != 0) {
    return static_cast<double>(pacer_->measured_count()) / static_cast<double>(config_.count);
  }
  const double length = static_cast<double>(pacer_->end_ns() - started_ns_);
  return length <= 0 ? 1 : std::min(1.0, static_cast<double>(now - started_ns_) / length);
}

}  // namespace kvstore::bench
