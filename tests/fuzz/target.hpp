// One decoder under test: a function over arbitrary bytes that aborts when a property does not
// hold.
//
// Properties, with KVS_ASSERT: what is accepted is encoded again to the same bytes (or to bytes
// that mean the same), what is refused says why, results are bounded by the input, and how the
// input is cut into pieces does not matter.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "base/status.hpp"

namespace kvstore::fuzz {

using Seeds = std::vector<std::string>;

struct Target {
  const char* name;
  void (*run)(Bytes input);
  // Valid inputs, made by the real encoders.
  void (*seeds)(Seeds* out);
};

// One list per library whose decoders are reached.
std::span<const Target> wire_targets();
std::span<const Target> kv_targets();
std::span<const Target> node_targets();
std::span<const Target> host_targets();
std::span<const Target> http_text_targets();
std::span<const Target> http_front_targets();
std::span<const Target> thrift_targets();
std::span<const Target> storage_targets();
std::span<const Target> client_targets();

// All of them.
std::vector<Target> all_targets();
// Null when there is none of that name.
const Target* find_target(Bytes name);

// A refusal that says nothing helps nobody.
inline void assert_says_why(const Status& status) {
  KVS_ASSERT(!status.is_ok());
  KVS_ASSERT(!status.message().empty());
}

// The first byte of an input, taken off it, as a choice below `count`; 0 for empty input.
inline unsigned take_choice(Bytes* input, unsigned count) {
  if (input->empty()) return 0;
  const auto byte = static_cast<unsigned char>(input->front());
  input->remove_prefix(1);
  return byte % count;
}

}  // namespace kvstore::fuzz
