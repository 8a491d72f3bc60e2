#include "front/streams.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <kvstore/sdk/guard.hpp>

#include <Poco/Net/StreamSocketImpl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front/connection.hpp"

namespace kvstore::http {
namespace {

constexpr int kEventsAtOnce = 256;
constexpr int kTickMs = 100;  // how exactly deadlines are kept
// Pieces that one stream may send before it is another's turn.
constexpr int kPiecesAtOnce = 4;
constexpr uint64_t kNsPerMs = 1'000'000;
constexpr uint64_t kWakeId = 0;  // of the eventfd among the streams
// What clients get for taking their last answers when the server stops, all together.
constexpr uint64_t kStopPatienceMs = 1000;

// False when there is no time left.
bool wait_writable(int fd, uint64_t now_ns, uint64_t until_ns) {
  if (now_ns >= until_ns) return false;
  pollfd entry{fd, POLLOUT, 0};
  return ::poll(&entry, 1, static_cast<int>((until_ns - now_ns) / kNsPerMs) + 1) > 0;
}

}  // namespace

struct Streams::Inbox {
  std::mutex mutex;
  std::vector<Guest> adopted;
  std::vector<std::unique_ptr<Connection>> parked;
  std::vector<uint64_t> woken;
  bool stopping = false;
  bool signalled = false;
  const int wake_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

  ~Inbox() { ::close(wake_fd); }
  // With the lock held.
  void signal() {
    if (std::exchange(signalled, true)) return;
    const uint64_t one = 1;
    static_cast<void>(!::write(wake_fd, &one, sizeof one));
  }
  void wake(uint64_t id) {
    std::lock_guard lock(mutex);
    woken.push_back(id);
    signal();
  }
};

struct Streams::Entry {
  Poco::Net::StreamSocket socket;
  Service::Admission admission;
  AnswerContext context;
  std::unique_ptr<Stream> stream;
  std::unique_ptr<Connection> parked;  // until it is answered; instead of a stream
  std::string out;                     // being sent
  size_t sent = 0;                     // of it
  uint64_t moved_ns = 0;               // when the client last took something
  uint64_t due_ns = 0;
  bool deferred = false;  // the head too is the stream's
  bool ended = false;     // `out` is the last
  bool gone = false;      // the client

  explicit Entry(Poco::Net::StreamSocket of)
      : socket(std::move(of)), fd_(socket.impl()->sockfd()) {}
  int fd() const { return fd_; }

 private:
  const int fd_;
};

Streams::Streams(Service* service, ConnectionSet* connections, Lobby* lobby, Resume resume)
    : service_(service),
      connections_(connections),
      lobby_(lobby),
      resume_(std::move(resume)),
      epoll_fd_(::epoll_create1(EPOLL_CLOEXEC)),
      inbox_(std::make_shared<Inbox>()) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWakeId;
  if (epoll_fd_ < 0 || inbox_->wake_fd < 0 ||
      ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, inbox_->wake_fd, &event) != 0) {
    throw sdk::Error(KVS_E_IO, std::string("cannot make an epoll set: ") + std::strerror(errno));
  }
  service_->set_on_place([inbox = inbox_] {
    std::lock_guard lock(inbox->mutex);
    inbox->signal();
  });
}

Streams::~Streams() {
  stop();
  ::close(epoll_fd_);
}

void Streams::start() {
  thread_ = std::thread([this] { run(); });
}

void Streams::stop() {
  if (stopped_.exchange(true)) return;
  {
    std::lock_guard lock(inbox_->mutex);
    inbox_->stopping = true;
    inbox_->signal();
  }
  if (thread_.joinable()) thread_.join();
  closing_ = true;
  take_adopted();
  close_all();
}

void Streams::close_all() {
  for (std::unique_ptr<Connection>& connection : std::exchange(ready_, {}))
    open_parked(std::move(connection));
  for (const auto& [id, entry] : entries_) {
    if (entry->parked != nullptr) entry->parked->stop();
  }
  const uint64_t until_ns = service_->host().now_ns() + kStopPatienceMs * kNsPerMs;
  while (!entries_.empty()) {
    const uint64_t id = entries_.begin()->first;
    Entry& entry = *entries_.begin()->second;
    pump(id);
    while (entries_.count(id) != 0 && entry.sent < entry.out.size() &&
           wait_writable(entry.fd(), service_->host().now_ns(), until_ns)) {
      pump(id);
    }
    if (entries_.count(id) != 0) close(id);
  }
}

void Streams::adopt(Guest guest) {
  std::lock_guard lock(inbox_->mutex);
  inbox_->adopted.push_back(std::move(guest));
  inbox_->signal();
}

void Streams::park(std::unique_ptr<Connection> connection) {
  std::lock_guard lock(inbox_->mutex);
  inbox_->parked.push_back(std::move(connection));
  inbox_->signal();
}

void Streams::run() {
  epoll_event events[kEventsAtOnce];
  std::vector<uint64_t> woken;
  while (true) {
    const bool idle = entries_.empty() && ready_.empty();
    const int n = ::epoll_wait(epoll_fd_, events, kEventsAtOnce, idle ? -1 : kTickMs);
    for (int i = 0; i < n; ++i) {
      const uint64_t id = events[i].data.u64;
      if (id == kWakeId) {
        uint64_t count = 0;
        static_cast<void>(!::read(inbox_->wake_fd, &count, sizeof count));
      } else if ((events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        close(id);
      } else {
        pump(id);
      }
    }
    {
      std::lock_guard lock(inbox_->mutex);
      inbox_->signalled = false;
      if (inbox_->stopping) return;
      woken.swap(inbox_->woken);
    }
    take_adopted();
    for (const uint64_t id : woken) pump(id);
    woken.clear();
    resume_ready();
    tick(service_->host().now_ns());
  }
}

void Streams::take_adopted() {
  std::vector<Guest> adopted;
  std::vector<std::unique_ptr<Connection>> parked;
  {
    std::lock_guard lock(inbox_->mutex);
    adopted.swap(inbox_->adopted);
    parked.swap(inbox_->parked);
  }
  for (Guest& guest : adopted) open(std::move(guest));
  for (std::unique_ptr<Connection>& connection : parked) open_parked(std::move(connection));
}

void Streams::open(Guest guest) {
  const uint64_t id = next_id_++;
  auto owned = std::make_unique<Entry>(std::move(guest.socket));
  Entry& entry = *owned;
  entry.admission = std::move(guest.admission);
  entry.context = guest.context;
  entry.deferred = guest.response.deferred;
  entry.moved_ns = service_->host().now_ns();
  if (!entry.deferred) {
    entry.out = stream_head(guest.response, entry.context);
    service_->count(entry.admission, guest.response.status, guest.response.error_code);
  }
  entry.stream = std::move(guest.response.stream);
  entries_.emplace(id, std::move(owned));
  entry.stream->start([inbox = inbox_, id] { inbox->wake(id); });
  epoll_event event{};
  // Edge-triggered, and no EPOLLIN: what the client sends meanwhile is for later.
  event.events = EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u64 = id;
  if (::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, entry.fd(), &event) != 0) return close(id);
  pump(id);
}

void Streams::open_parked(std::unique_ptr<Connection> connection) {
  if (closing_) connection->stop();
  const uint64_t id = next_id_++;
  auto owned = std::make_unique<Entry>(connection->socket());
  Entry& entry = *owned;
  entry.parked = std::move(connection);
  entry.deferred = true;
  entry.due_ns = UINT64_MAX;
  entries_.emplace(id, std::move(owned));
  entry.parked->when_ready([inbox = inbox_, id] { inbox->wake(id); });
  epoll_event event{};
  // No EPOLLRDHUP: a client that has said everything may still want to hear the answer.
  event.events = EPOLLOUT | EPOLLET;
  event.data.u64 = id;
  if (::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, entry.fd(), &event) != 0) return close(id);
  // What has come before wakes nobody.
  pump(id);
}

void Streams::pump(uint64_t id) {
  const auto at = entries_.find(id);
  if (at == entries_.end()) return;
  switch (pump(at->second.get())) {
    case Pump::kIdle:
      break;
    case Pump::kBusy:
      inbox_->wake(id);
      break;
    case Pump::kClosed:
      close(id);
      break;
    case Pump::kThread:
      resume(id);
      break;
  }
}

Streams::Pump Streams::pump(Entry* entry) {
  for (int pieces = 0; pieces < kPiecesAtOnce; ++pieces) {
    if (!flush(entry)) return entry->gone ? Pump::kClosed : Pump::kIdle;
    if (entry->ended) return Pump::kClosed;
    entry->out.clear();
    entry->sent = 0;
    try {
      if (entry->parked == nullptr) {
        take_piece(entry);
      } else if (const Pump found = take_parked(entry); found != Pump::kBusy) {
        return found;
      }
    } catch (const std::exception& e) {
      // There is no other way left to tell the client that something is missing.
      service_->host().log(KVS_LEVEL_WARN, std::string("a stream ends: ").append(e.what()));
      entry->gone = true;
      return Pump::kClosed;
    }
    if (entry->out.empty() && !entry->ended) {
      // A large buffer is not kept for a quiet stream.
      std::string().swap(entry->out);
      return Pump::kIdle;
    }
    entry->moved_ns = service_->host().now_ns();
  }
  return Pump::kBusy;
}

// kBusy: there is an answer to send.
Streams::Pump Streams::take_parked(Entry* entry) {
  if (!closing_) {
    switch (entry->parked->next()) {
      case FrontExchange::Next::kNothing:
        return Pump::kIdle;
      case FrontExchange::Next::kThread:
        return Pump::kThread;
      case FrontExchange::Next::kAnswer:
        break;
    }
  }
  entry->out = entry->parked->take_answer(&entry->context);
  entry->ended = true;
  entry->parked.reset();
  return Pump::kBusy;
}

void Streams::resume(uint64_t id) {
  const auto at = entries_.find(id);
  const std::unique_ptr<Entry> entry = std::move(at->second);
  entries_.erase(at);
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, entry->fd(), nullptr);
  connections_->set_apart(entry->fd(), false);
  if (entry->parked->needs_place()) {
    ready_.push_back(std::move(entry->parked));
  } else {
    ready_.push_front(std::move(entry->parked));
  }
  resume_ready();
}

void Streams::resume_ready() {
  if (ready_.empty()) return;
  while (!ready_.empty()) {
    // Before looking for one: a place that is given back from here on wakes this thread.
    service_->want_places(ready_.size());
    // Where there is no thread to be had the next tick tries again.
    if (!ready_.front()->unpark() || !resume_(&ready_.front())) return;
    ready_.pop_front();
  }
  service_->want_places(0);
}

void Streams::take_piece(Entry* entry) {
  StreamPiece piece = entry->stream->take(service_->host().now_ns());
  entry->due_ns = piece.due_ns;
  if (piece.answer) {
    Response& answer = *piece.answer;
    if (answer.close) entry->context.keep_alive = false;
    entry->context.term = service_->newest_term(answer.term);
    entry->out = answer_text(answer, entry->context);
    entry->ended = true;
    service_->count(entry->admission, answer.status, answer.error_code);
    return;
  }
  append_stream_piece(piece.text, entry->context, &entry->out);
  if (!piece.end) return;
  append_stream_end(entry->context, &entry->out);
  entry->ended = true;
}

bool Streams::flush(Entry* entry) {
  while (entry->sent < entry->out.size()) {
    const ssize_t n = ::send(entry->fd(), entry->out.data() + entry->sent,
                             entry->out.size() - entry->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) {
      entry->sent += static_cast<size_t>(n);
      entry->moved_ns = service_->host().now_ns();
    } else if (n < 0 && errno != EINTR) {
      entry->gone = errno != EAGAIN && errno != EWOULDBLOCK;
      return false;
    }
  }
  return true;
}

void Streams::tick(uint64_t now_ns) {
  if (now_ns < next_tick_ns_) return;
  next_tick_ns_ = now_ns + kTickMs * kNsPerMs;
  const uint64_t patience_ns = service_->config().send_timeout_ms * kNsPerMs;
  std::vector<uint64_t> due, silent;
  for (const auto& [id, entry] : entries_) {
    if (entry->sent < entry->out.size()) {
      if (now_ns > entry->moved_ns + patience_ns) silent.push_back(id);
    } else if (now_ns >= entry->due_ns) {
      due.push_back(id);
    }
  }
  for (const uint64_t id : silent) close(id);
  for (const uint64_t id : due) pump(id);
}

// Also the way of an answer that is complete: its connection goes back to the lobby if it may.
void Streams::close(uint64_t id) {
  const auto at = entries_.find(id);
  if (at == entries_.end()) return;
  const std::unique_ptr<Entry> entry = std::move(at->second);
  entries_.erase(at);
  const int fd = entry->fd();
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
  entry->stream.reset();
  if (entry->parked != nullptr) entry->parked->count_gone();
  const bool whole = entry->ended && entry->sent == entry->out.size() && !entry->gone;
  if (whole && entry->deferred && entry->context.keep_alive && !stopped_) {
    connections_->set_apart(fd, false);
    lobby_->take_back(entry->socket);
    return;
  }
  if (whole) ::shutdown(fd, SHUT_WR);
  connections_->leave(fd);
}

}  // namespace kvstore::http
