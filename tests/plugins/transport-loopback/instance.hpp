// What the parts of one loopback instance share.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include <kvstore/abi/transport.h>
#include <kvstore/sdk/host.hpp>

#include "endpoint.hpp"

namespace kvstore::loopback {

inline constexpr size_t kHelloBytesMax = 4096;

struct Shared {
  sdk::Host host;
  kvs_transport_events events{};
  uint64_t lane_queue_bytes_max = 0;
  uint64_t message_bytes_max = 0;
  std::shared_ptr<Endpoint> self = nullptr;
  std::atomic<uint64_t> next_session{1};
};

}  // namespace kvstore::loopback
