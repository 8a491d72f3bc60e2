// The real kvstore-client.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include <doctest/doctest.h>
#include <sys/wait.h>

#include "support/cluster.hpp"

namespace kvstore::test {

struct Output {
  int code;
  std::string text;
};

// Runs kvstore-client; `arguments` go through the shell.
inline Output run_client(const std::string& servers, const std::string& arguments) {
  const char* given = std::getenv("KVS_CLIENT");
  const std::string program = given != nullptr ? given : KVS_CLIENT_DEFAULT;
  const std::string command = program + " --server " + servers + " " + arguments + " 2>&1";
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  Output out;
  char buffer[4096];
  for (size_t got; (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) {
    out.text.append(buffer, got);
  }
  out.code = WEXITSTATUS(::pclose(pipe));
  return out;
}

inline Output run_client(const Node& node, const std::string& arguments) {
  return run_client(node.url(), arguments);
}

}  // namespace kvstore::test
