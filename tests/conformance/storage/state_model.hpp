// What a state must look like: the reference that plugins are compared with.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <kvstore/abi/state.h>

#include "log_model.hpp"

namespace kvstore::conformance {

struct Op {
  uint32_t kind = KVS_KV_PUT;
  uint32_t space = 0;
  std::string key;
  std::string value;
};
inline Op put(std::string key, std::string value, uint32_t space = 0) {
  return {KVS_KV_PUT, space, std::move(key), std::move(value)};
}
inline Op del(std::string key, uint32_t space = 0) {
  return {KVS_KV_DELETE, space, std::move(key), ""};
}
inline Op del_range(std::string begin, std::string end, uint32_t space = 0) {
  return {KVS_KV_DELETE_RANGE, space, std::move(begin), std::move(end)};
}

// One write.
struct Batch {
  std::vector<Op> ops;
  kvs_log_id at{};
  std::string meta;
  bool sync = false;
};

struct StateModel {
  using Space = std::map<std::string, std::string>;  // std::string compares as unsigned bytes
  std::array<Space, 16> spaces;
  kvs_log_id applied{};
  std::string meta;

  void apply(const Batch& batch);
};

// Where they differ, or empty.
std::string difference(const StateModel& expected, const StateModel& found);

}  // namespace kvstore::conformance
