// The first thing that two nodes tell each other on a connection.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/status.hpp"

namespace kvstore::wire {

using ClusterId = std::array<uint8_t, 16>;  // a UUID; all zero while a node belongs to none
std::string cluster_id_text(const ClusterId& id);

struct HelloMember {
  uint64_t id = 0;
  std::string name;
  std::string address;
  bool operator==(const HelloMember&) const = default;
};

struct Hello {
  ClusterId cluster{};
  uint64_t node = 0;
  std::string name;
  std::string raft_address;  // advertised
  std::vector<std::pair<std::string, std::string>>
      api_addresses;  // API instance -> advertised address
  uint32_t version_min = 0;
  uint32_t version_max = 0;
  std::vector<std::string> plugins;  // "role=id/version"
  // The members that the sender knows; cut at the end when they do not fit kHelloBytesMax.
  std::vector<HelloMember> members;
  bool operator==(const Hello&) const = default;
};

inline constexpr size_t kHelloBytesMax = 4096;

// At most kHelloBytesMax bytes, dropping trailing members and plugins when needed.  INVALID when it
// cannot fit.
Result<std::string> encode_hello(const Hello& hello);
// CORRUPT for anything malformed; INCOMPATIBLE, naming both version ranges, when they do not
// overlap ours.
Result<Hello> decode_hello(Bytes bytes);

}  // namespace kvstore::wire
