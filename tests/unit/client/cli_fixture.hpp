// Runs kvstore-client inside the test, against a scripted server.
#pragma once

#include <initializer_list>
#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "scripted_server.hpp"

namespace kvstore::test {

struct CliResult {
  int code;
  std::string out, err;

  // `out` as the one JSON document that it has to be.
  nlohmann::json document() const {
    CAPTURE(out);
    auto parsed = nlohmann::json::parse(out, nullptr, false);
    REQUIRE_FALSE(parsed.is_discarded());
    return parsed;
  }
};

inline CliResult run_cli(std::vector<std::string> arguments, const std::string& input = "",
                         bool colours = false) {
  arguments.insert(arguments.begin(), "kvstore-client");
  std::vector<const char*> argv;
  for (const auto& argument : arguments) argv.push_back(argument.c_str());
  std::istringstream in(input);
  std::ostringstream out, err;
  cli::Io io{in, out, err, colours};
  const int code = cli::run(static_cast<int>(argv.size()), argv.data(), io);
  return {code, out.str(), err.str()};
}

}  // namespace kvstore::test
