// One watch over as many connections as it takes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <kvstore/client/limits.hpp>
#include <kvstore/client/result.hpp>
#include <kvstore/client/watch.hpp>

#include "http.hpp"
#include "json.hpp"

namespace kvstore::client {

class Watcher {
 public:
  // The options and the sink are borrowed.
  Watcher(std::vector<Endpoint> servers, std::chrono::milliseconds timeout,
          const CallLimits& limits, const WatchOptions& options, const ChangeSink& sink);

  Result<WatchEnd> run();

 private:
  // Whether the watch goes on after a line or a connection.
  bool take_text(std::string_view text);
  bool take_line(const std::string& line);
  bool take_change(const Json& line);
  bool take_progress(uint64_t revision);
  bool take_end(const Json& line);
  bool judge(const Exchange& exchange, const Endpoint& server);
  bool stop(Error error);
  Exchange connect(HttpConnection& connection);
  std::string target() const;
  void alive();

  std::vector<HttpConnection> connections_;
  const CallLimits limits_;
  const WatchOptions& options_;
  const ChangeSink& sink_;
  const std::chrono::milliseconds timeout_;

  uint64_t next_;         // the first revision not delivered whole; 0: not known yet
  uint64_t partial_ = 0;  // changes of it that were delivered
  uint64_t skip_ = 0;     // of those, how many this connection will repeat
  std::string rest_;      // of a line
  std::string server_;    // that is asked
  std::string notes_;     // what went wrong since the last sign of life
  Deadline give_up_;
  uint64_t opened_ = 0;
  bool heard_ = false;  // something came over this connection
  std::optional<Result<WatchEnd>> result_;
};

}  // namespace kvstore::client
