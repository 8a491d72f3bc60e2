// Goal: nobody changes the ABI's layout unnoticed, and C and C++ agree on it.
// Method: sizes and offsets of every struct, as C and C++ compile them, against layout.golden.
// After an intended change: KVS_REWRITE=1 in the environment writes the file anew; look at the
// difference, and see core/abi/COMPATIBILITY.md.
#include "layout.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include <kvstore/abi/api.h>
#include <kvstore/abi/log.h>
#include <kvstore/abi/plugin.h>
#include <kvstore/abi/state.h>
#include <kvstore/abi/transport.h>

#include <doctest/doctest.h>

namespace {

const layout_line kLayoutInCpp[] = {
#include "layout_members.h"
    {nullptr, 0, 0}};

std::string text_of(const layout_line* line) {
  std::ostringstream text;
  for (; line->name != nullptr; ++line) {
    text << line->name;
    if (std::string(line->name).find('.') != std::string::npos) text << " at " << line->offset;
    text << " size " << line->size << '\n';
  }
  return text.str();
}

}  // namespace

TEST_CASE("C and C++ see the same layout, the one in layout.golden") {
  const std::string actual = text_of(kLayoutInCpp);
  CHECK(text_of(kLayoutInC) == actual);
  const std::string path = KVS_LAYOUT_GOLDEN;
  if (std::getenv("KVS_REWRITE") != nullptr) std::ofstream(path) << actual;
  std::ifstream in(path);
  std::ostringstream golden;
  golden << in.rdbuf();
  CHECK(actual == golden.str());
}

TEST_CASE("constants and macros") {
  CHECK(sizeof(kvs_error) == 256);
  CHECK(KVS_PLUGIN_MAGIC == 0x3153564Bu);
  CHECK(KVS_E_INTERNAL == -54);
  // A table from before a function existed does not have it; neither does one that leaves it out.
  kvs_log_api table{};
  table.struct_size = offsetof(kvs_log_api, stats);
  table.term = [](kvs_log*, uint64_t, uint64_t*, kvs_error*) noexcept -> kvs_status {
    return KVS_OK;
  };
  table.stats = [](kvs_log*, kvs_slice_sink, void*) noexcept -> kvs_status { return KVS_OK; };
  CHECK(KVS_HAS(&table, term));
  CHECK(!KVS_HAS(&table, read));
  CHECK(!KVS_HAS(&table, stats));
  kvs_call call{};
  call.struct_size = offsetof(kvs_call, span_id);
  CHECK(KVS_COVERS(&call, trace_id));
  CHECK(!KVS_COVERS(&call, span_id));
}
