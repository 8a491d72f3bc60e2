// Goal: the observable behaviour of the raft core, written down step by step and reviewed as text.
// Method: every file in traces/ is run by TraceRunner and compared with the output it holds.  With
// KVS_REWRITE=1 in the environment the files are rewritten instead; read the difference before
// committing it.
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include <doctest/doctest.h>

#include "trace_runner.hpp"

namespace {

std::string read_file(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

void check_trace(const std::string& path) {
  const std::string expected = read_file(path);
  REQUIRE(!expected.empty());
  const std::string actual = kvstore::raft::testing::run_trace(expected);
  CHECK(actual.find("error:") == std::string::npos);
  if (std::getenv("KVS_REWRITE") != nullptr) {
    std::ofstream(path) << actual;
    return;
  }
  size_t line = 1, column = 0;
  while (column < expected.size() && column < actual.size() && expected[column] == actual[column])
    line += expected[column++] == '\n';
  INFO("first difference in " << path << ":" << line);
  CHECK(actual == expected);
}

}  // namespace

#include "trace_cases.inc"
