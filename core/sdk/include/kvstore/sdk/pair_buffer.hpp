// Copies of key-value pairs handed out by an iterator: the slices must live until its next call.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <kvstore/abi/base.h>

namespace kvstore::sdk {

// One thread at a time.  Memory above kKeepBytes is given back by the next clear().
class PairBuffer {
 public:
  void clear() {
    if (bytes_.capacity() > kKeepBytes) {
      std::string().swap(bytes_);
    } else {
      bytes_.clear();
    }
    ends_.clear();
  }

  void add(std::string_view key, std::string_view value) {
    bytes_.append(key);
    ends_.push_back(bytes_.size());
    bytes_.append(value);
    ends_.push_back(bytes_.size());
  }

  uint32_t count() const { return static_cast<uint32_t>(ends_.size() / 2); }
  uint64_t bytes() const { return bytes_.size(); }

  // Another pair of this size still fits into a call's limits; the first one always does.
  bool fits(uint64_t pair_bytes, uint32_t cap, uint64_t bytes_max) const {
    if (count() == 0) return cap > 0;
    return count() < cap && bytes() < bytes_max && pair_bytes <= bytes_max - bytes();
  }

  // Writes count() pairs that point into this buffer.
  void export_to(kvs_pair* out) const {
    const auto* data = reinterpret_cast<const uint8_t*>(bytes_.data());
    size_t begin = 0;
    for (size_t i = 0; i < ends_.size(); i += 2) {
      kvs_pair& pair = out[i / 2];
      pair.key = {data + begin, ends_[i] - begin};
      pair.value = {data + ends_[i], ends_[i + 1] - ends_[i]};
      begin = ends_[i + 1];
    }
  }

 private:
  static constexpr size_t kKeepBytes = 1u << 20;
  std::string bytes_;
  std::vector<size_t> ends_;  // of key, value, key, value, ...
};

}  // namespace kvstore::sdk
