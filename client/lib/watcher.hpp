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

#include "change_lines.hpp"
#include "http.hpp"

namespace kvstore::client {

class Watcher {
 public:
  // The options and the sink are borrowed.
  Watcher(std::vector<Endpoint> servers, std::chrono::milliseconds timeout,
          const CallLimits& limits, const WatchOptions& options, const ChangeSink& sink);

  Result<WatchEnd> run();

 private:
  // Whether the watch goes on after a piece of an answer, or a connection.
  bool take_text(std::string_view text);
  bool judge(const Exchange& exchange, const Endpoint& server);
  bool stop(Error error);
  Exchange connect(HttpConnection& connection);
  std::string target() const;
  void alive();

  std::vector<HttpConnection> connections_;
  const CallLimits limits_;
  const WatchOptions& options_;
  const std::chrono::milliseconds timeout_;

  ChangeLines lines_;
  std::string server_;  // that is asked
  std::string notes_;   // what went wrong since the last sign of life
  Deadline give_up_;
  uint64_t opened_ = 0;
  bool heard_ = false;  // something came over this connection
  std::optional<Result<WatchEnd>> result_;
};

}  // namespace kvstore::client
