// Lines of JSON that arrive in pieces, as items.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <kvstore/client/result.hpp>
#include <kvstore/client/types.hpp>

namespace kvstore::client {

class ItemLines {
 public:
  explicit ItemLines(const ItemSink* sink) : sink_(sink) {}

  // Takes the next bytes and delivers the items that are complete; false ends the stream: the sink
  // had enough, or error() says what came instead of an item.
  bool take(std::string_view bytes);

  // The line that ends a whole stream has come.
  bool ended() const { return ended_; }
  bool more() const { return more_; }
  uint64_t revision() const { return revision_; }
  uint64_t count() const { return count_; }  // delivered
  const std::optional<Error>& error() const { return error_; }
  bool stopped() const { return stopped_; }

 private:
  bool take_line(const std::string& line);

  const ItemSink* sink_;
  std::string line_;  // so far
  bool ended_ = false;
  bool more_ = false;
  bool stopped_ = false;
  uint64_t revision_ = 0;
  uint64_t count_ = 0;
  std::optional<Error> error_;
};

}  // namespace kvstore::client
