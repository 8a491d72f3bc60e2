#include "front/connection_set.hpp"

#include "front/connection.hpp"

namespace kvstore::http {

void ConnectionSet::enter(int fd, const std::string& address) {
  std::lock_guard lock(mutex_);
  open_[fd] = {address};
  ++by_address_[address];
  shown_->set(open_.size() - apart_);
}

void ConnectionSet::leave(int fd) {
  std::lock_guard lock(mutex_);
  const auto connection = open_.find(fd);
  if (connection == open_.end()) return;
  const auto count = by_address_.find(connection->second.address);
  if (--count->second == 0) by_address_.erase(count);
  if (connection->second.apart) --apart_;
  open_.erase(connection);
  shown_->set(open_.size() - apart_);
}

void ConnectionSet::set_apart(int fd, bool apart) {
  std::lock_guard lock(mutex_);
  const auto connection = open_.find(fd);
  if (connection == open_.end() || connection->second.apart == apart) return;
  connection->second.apart = apart;
  apart_ += apart ? 1 : size_t{0} - 1;
  shown_->set(open_.size() - apart_);
}

size_t ConnectionSet::open() const {
  std::lock_guard lock(mutex_);
  return open_.size() - apart_;
}

size_t ConnectionSet::open_of(const std::string& address) const {
  std::lock_guard lock(mutex_);
  const auto count = by_address_.find(address);
  return count == by_address_.end() ? 0 : count->second;
}

bool ConnectionSet::add(Connection* connection) {
  std::lock_guard lock(mutex_);
  if (stopping_) return false;
  connections_.insert(connection);
  return true;
}

void ConnectionSet::remove(Connection* connection) {
  lost();
  std::lock_guard lock(mutex_);
  connections_.erase(connection);
  if (connections_.empty()) empty_.notify_all();
}

void ConnectionSet::stop_all() {
  std::lock_guard lock(mutex_);
  stopping_ = true;
  for (Connection* connection : connections_) connection->stop();
}

bool ConnectionSet::wait_empty(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  return empty_.wait_for(lock, patience, [&] { return connections_.empty(); });
}

void ConnectionSet::abort_all() {
  std::lock_guard lock(mutex_);
  for (Connection* connection : connections_) connection->abort();
}

}  // namespace kvstore::http
