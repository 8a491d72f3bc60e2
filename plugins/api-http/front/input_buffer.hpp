// Bytes received and not yet used; what follows one request is the beginning of the next.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "front/client_socket.hpp"

namespace kvstore::http {

class InputBuffer {
 public:
  std::string_view view() const { return std::string_view(bytes_).substr(used_); }
  bool empty() const { return used_ == bytes_.size(); }
  void consume(size_t n) { used_ += n; }

  // Receives into the buffer by receive(to, room, &got).  Moves what is left to the front first,
  // so views into the buffer become invalid.
  template <typename Receive>
  ClientSocket::Io fill(Receive&& receive) {
    bytes_.erase(0, used_);
    used_ = 0;
    const size_t size = bytes_.size();
    bytes_.resize(size + kRoom);
    size_t got = 0;
    const ClientSocket::Io io = receive(bytes_.data() + size, kRoom, &got);
    bytes_.resize(size + (io == ClientSocket::Io::kOk ? got : 0));
    return io;
  }

  // Gives the memory back while nothing is in it.
  void release() {
    if (!empty()) return;
    std::string().swap(bytes_);
    used_ = 0;
  }

 private:
  static constexpr size_t kRoom = 16384;
  std::string bytes_;
  size_t used_ = 0;
};

}  // namespace kvstore::http
