#include "front/connection_set.hpp"

#include "front/connection.hpp"

namespace kvstore::http {

bool ConnectionSet::add(Connection* connection, const std::string& address) {
  std::lock_guard lock(mutex_);
  if (stopping_) return false;
  connections_.insert(connection);
  served_.store(connections_.size(), std::memory_order_relaxed);
  ++by_address_[address];
  return true;
}

void ConnectionSet::remove(Connection* connection, const std::string& address) {
  std::lock_guard lock(mutex_);
  connections_.erase(connection);
  served_.store(connections_.size(), std::memory_order_relaxed);
  const auto count = by_address_.find(address);
  if (--count->second == 0) by_address_.erase(count);
  if (connections_.empty()) empty_.notify_all();
}

size_t ConnectionSet::open() const {
  const auto waiting = static_cast<size_t>(queued_());
  std::lock_guard lock(mutex_);
  return connections_.size() + waiting;
}

size_t ConnectionSet::open_of(const std::string& address) const {
  std::lock_guard lock(mutex_);
  const auto count = by_address_.find(address);
  return count == by_address_.end() ? 0 : count->second;
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
