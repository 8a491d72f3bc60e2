// Lines of a watch that arrive in pieces, over one connection after the other, as changes: each
// once and in order.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <kvstore/client/result.hpp>
#include <kvstore/client/watch.hpp>

#include "json.hpp"

namespace kvstore::client {

class ChangeLines {
 public:
  // The sink is borrowed; on_progress may be empty.
  ChangeLines(uint64_t from_revision, const ChangeSink* sink,
              std::function<void(uint64_t)> on_progress)
      : sink_(sink), on_progress_(std::move(on_progress)), next_(from_revision) {}

  // What comes now is another connection's, which was asked for changes from next() on: what the
  // last one delivered of that revision is passed over.
  void reconnect();

  // Takes the next bytes and delivers the changes that are complete; false ends the watch: the sink
  // had enough, or error() says why.
  bool take(std::string_view bytes);

  // The first revision not delivered whole; 0: not known yet.
  uint64_t next() const { return next_; }
  const std::optional<Error>& error() const { return error_; }
  // Why the server ended the last connection, as far as it said so.
  const std::string& last_word() const { return last_word_; }

 private:
  bool take_line(const std::string& line);
  bool take_change(const Json& line);
  bool take_progress(uint64_t revision);
  bool take_end(const Json& line);
  bool fail(const char* what);

  const ChangeSink* sink_;
  const std::function<void(uint64_t)> on_progress_;
  uint64_t next_;
  uint64_t partial_ = 0;  // changes of next_ that were delivered
  uint64_t skip_ = 0;     // of those, how many this connection will repeat
  std::string rest_;      // of a line
  std::string last_word_;
  std::optional<Error> error_;
};

}  // namespace kvstore::client
