// Byte strings: borrowed views and reference-counted immutable buffers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace kvstore {

// Borrowed bytes are std::string_view throughout: keys and values compare as unsigned bytes.
using Bytes = std::string_view;

inline const uint8_t* as_u8(Bytes b) {
  return reinterpret_cast<const uint8_t*>(b.data());
}
inline Bytes as_bytes(const uint8_t* data, size_t len) {
  return {reinterpret_cast<const char*>(data), len};
}

// Immutable bytes with shared ownership: copying bumps a count, slicing shares the owner.  An entry
// keeps the buffer alive that it was received or encoded in, from the socket to the log to the
// peers. Thread-safe like shared_ptr: distinct copies may be used and dropped on any thread.
class SharedBytes {
 public:
  SharedBytes() = default;

  // Takes over a string.
  explicit SharedBytes(std::string bytes) {
    auto owner = std::make_shared<const std::string>(std::move(bytes));
    view_ = *owner;
    owner_ = std::move(owner);
  }
  // `view` must stay valid while `owner` lives.
  SharedBytes(std::shared_ptr<const void> owner, Bytes view)
      : owner_(std::move(owner)), view_(view) {}

  static SharedBytes copy_of(Bytes bytes) { return SharedBytes(std::string(bytes)); }

  Bytes view() const { return view_; }
  const char* data() const { return view_.data(); }
  size_t size() const { return view_.size(); }
  bool empty() const { return view_.empty(); }
  const std::shared_ptr<const void>& owner() const { return owner_; }

  // Shares this buffer's owner; the range must lie inside.
  SharedBytes slice(size_t offset, size_t count) const {
    return SharedBytes(owner_, view_.substr(offset, count));
  }

  friend bool operator==(const SharedBytes& a, const SharedBytes& b) { return a.view_ == b.view_; }

 private:
  std::shared_ptr<const void> owner_;
  Bytes view_;
};

}  // namespace kvstore
