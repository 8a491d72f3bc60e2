// How options.cpp and its parts share the parser's definitions.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "options.hpp"

namespace kvstore::cli {

inline constexpr const char* kProgram = "kvstore-client";

// The numbers of `bench` as text: the parser takes any, convert_bench() names what is wrong.
struct BenchTexts {
  std::string connections = "16", rate = "0", duration = "10s", warmup = "1s", count = "0";
  std::string keys = "10000", distribution = "uniform", theta = "0.99", value_bytes = "256";
  std::string mix = "get=100", list_limit = "100", seed = "1", max_errors = "1";
  std::string batch = "1";
  CLI::Option* duration_option = nullptr;
};

// What the parser fills; checked and converted afterwards.
struct Parsed {
  Options options;
  std::string servers = "http://127.0.0.1:8081";
  std::string protocol = "http";
  std::string format = "table";
  std::string timeout = "5s";
  std::string consistency = "linearizable";
  std::string max_staleness;
  std::string shell;
  std::string ttl;  // of put and lease grant; empty: none
  BenchTexts bench;
  CLI::Option* value_option = nullptr;
  CLI::Option* delete_key_option = nullptr;
  CLI::Option* delete_prefix_option = nullptr;
  CLI::Option* revision_option = nullptr;
};

CLI::App& add_command(CLI::App& parent, Parsed& parsed, Command command, const std::string& name,
                      const std::string& description);

// The parser itself would take "-1" for a very large number.  Empty: fine.
std::string check_whole_number(const std::string& text);

void add_consistency(CLI::App& app, Parsed& parsed);

// --ttl and --lease of put; the commands of `lease`.
void add_lifetime(CLI::App& app, Parsed& parsed);
void add_lease_commands(CLI::App& app, Parsed& parsed);
// Empty: done; otherwise the usage error.
std::string convert_lease(Parsed& parsed);

void add_snapshot_commands(CLI::App& app, Parsed& parsed);
// Empty: fine.
std::string check_snapshot(const Options& options);

void add_bench_command(CLI::App& app, Parsed& parsed);
// Empty: done; otherwise the usage error.
std::string convert_bench(Parsed& parsed);

// The completion script of "bash" or "zsh" for everything that `app` defines.
std::string completion_script(const CLI::App& app, const std::string& shell);

}  // namespace kvstore::cli
