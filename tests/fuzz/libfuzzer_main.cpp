// The entry points of libFuzzer.  KVS_FUZZ_TARGET names the target.
#include <cstdio>
#include <cstdlib>

#include "target.hpp"

namespace {

const kvstore::fuzz::Target* target = nullptr;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* name = std::getenv("KVS_FUZZ_TARGET");
  target = name == nullptr ? nullptr : kvstore::fuzz::find_target(name);
  if (target != nullptr) return 0;
  std::fprintf(stderr, "KVS_FUZZ_TARGET must name a target (fuzz_replay --list)\n");
  std::exit(2);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  target->run(kvstore::as_bytes(data, size));
  return 0;
}
