// Exit codes of kvstore-client; scripts rely on them.
#pragma once

#include <kvstore/client/result.hpp>

namespace kvstore::cli {

inline constexpr int kExitDone = 0;
inline constexpr int kExitNotFound = 1;  // or a condition does not hold, or the node is not healthy
inline constexpr int kExitUsage = 2;
inline constexpr int kExitUnreachable = 3;  // or the cluster has no leader
inline constexpr int kExitUnknown = 4;      // the write may or may not take effect
inline constexpr int kExitRefused = 5;      // by the server, or a file cannot be read or written

inline int exit_code(client::ErrorKind kind) {
  switch (kind) {
    case client::ErrorKind::kInvalidArgument:
      return kExitUsage;
    case client::ErrorKind::kNotFound:
    case client::ErrorKind::kConditionFailed:
      return kExitNotFound;
    case client::ErrorKind::kUnreachable:
    case client::ErrorKind::kNoLeader:
    case client::ErrorKind::kOverloaded:
      return kExitUnreachable;
    case client::ErrorKind::kUnknownOutcome:
      return kExitUnknown;
    case client::ErrorKind::kRefused:
    case client::ErrorKind::kCancelled:
    case client::ErrorKind::kMalformedAnswer:
      return kExitRefused;
  }
  return kExitRefused;
}

}  // namespace kvstore::cli
