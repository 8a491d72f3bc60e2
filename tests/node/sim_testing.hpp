// What the tests on simulated clusters share.
#pragma once

#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "support/sim/sim_cluster.hpp"

namespace kvstore::sim {

// How doctest shows a code.
inline doctest::String toString(Code code) {
  return std::string(code_name(code)).c_str();
}

inline nlohmann::json json_of(const ControlCallPtr& call) {
  REQUIRE(call->outcome.has_value());
  nlohmann::json json = nlohmann::json::parse(call->outcome->json, nullptr, false);
  REQUIRE(json.is_object());
  return json;
}

// Every running node answers a linearizable read of `key` with `value`.
inline void check_everywhere(SimCluster& cluster, const std::string& key,
                             const std::string& value) {
  for (size_t i = 0; i < cluster.size(); ++i) {
    if (!cluster[i].running()) continue;
    ReadCallPtr read = cluster.get(i, key);
    CAPTURE(i);
    CAPTURE(key);
    CHECK(toString(cluster.wait(read)) == toString(Code::kOk));
    CHECK(read->value.value_or("(absent)") == value);
  }
}

}  // namespace kvstore::sim
