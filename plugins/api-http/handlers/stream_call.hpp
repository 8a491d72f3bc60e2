// What long answers keep of the call that asked for them.
#pragma once

#include <string>

#include "context.hpp"

namespace kvstore::http {

// Who asks for a stream: what is left of a kvs_call when its request is gone.
struct StreamCall {
  explicit StreamCall(const kvs_call& call)
      : flags(call.flags),
        principal(sdk::view(call.principal)),
        credential(sdk::view(call.credential)),
        remote_address(sdk::view(call.remote_address)) {}

  // Borrows from this.
  kvs_call make(uint64_t deadline_ns) const {
    kvs_call call{};
    call.struct_size = sizeof call;
    call.flags = flags;
    call.deadline_ns = deadline_ns;
    call.principal = sdk::slice(principal);
    call.credential = sdk::slice(credential);
    call.remote_address = sdk::slice(remote_address);
    return call;
  }

  uint32_t flags;
  std::string principal, credential, remote_address;
};

}  // namespace kvstore::http
