#include "cancel.hpp"

#include <algorithm>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace kvstore::client {

CancelToken::CancelToken() : state_(std::make_shared<CancelState>()) {}

void CancelToken::cancel() const {
  state_->cancel();
}

bool CancelToken::is_cancelled() const {
  return state_->is_cancelled();
}

void CancelState::cancel() {
  const std::lock_guard lock(mutex_);
  cancelled_ = true;
  for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
  changed_.notify_all();
}

bool CancelState::is_cancelled() const {
  const std::lock_guard lock(mutex_);
  return cancelled_;
}

void CancelState::sleep(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time, [&] { return cancelled_; });
}

CancelGuard::CancelGuard(CancelState* state, int socket) : state_(state) {
  if (state_ == nullptr) return;
  duplicate_ = ::fcntl(socket, F_DUPFD_CLOEXEC, 0);
  const std::lock_guard lock(state_->mutex_);
  if (duplicate_ < 0) return;
  state_->sockets_.push_back(duplicate_);
  if (state_->cancelled_) ::shutdown(duplicate_, SHUT_RDWR);
}

CancelGuard::~CancelGuard() {
  if (duplicate_ < 0) return;
  const std::lock_guard lock(state_->mutex_);
  state_->sockets_.erase(std::find(state_->sockets_.begin(), state_->sockets_.end(), duplicate_));
  ::close(duplicate_);
}

}  // namespace kvstore::client
