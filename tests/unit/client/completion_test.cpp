// Goal: a shell that sources the completion script completes every command and option, and nothing
// else. Method: bash runs the script's function on command lines; what it has to offer is read from
// the program's own help.
#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <set>

#include <doctest/doctest.h>

#include "cli_fixture.hpp"
#include "support/temp_dir.hpp"

namespace kvstore::cli {
namespace {

using test::run_cli;
using Words = std::vector<std::string>;

std::string run_shell(const std::string& command) {
  std::FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string out;
  std::array<char, 4096> buffer{};
  while (const size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    out.append(buffer.data(), got);
  }
  CHECK(::pclose(pipe) == 0);
  return out;
}

std::set<std::string> lines_of(const std::string& text) {
  std::set<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) out.insert(line);
  }
  return out;
}

class Bash {
 public:
  Bash() {
    const auto result = run_cli({"completion", "bash"});
    REQUIRE(result.code == 0);
    REQUIRE(result.err.empty());
    std::ofstream(script_) << result.out;
  }

  // What is offered for the last of these words.
  std::set<std::string> complete(const Words& words) {
    std::string line =
        "cd " + dir_.path() + " && bash --norc -euc '. " + script_ + "; COMP_WORDS=(kvstore-client";
    for (const std::string& word : words) line += " \"" + word + "\"";
    line += "); COMP_CWORD=" + std::to_string(words.size()) +
            "; _kvstore_client; printf \"%s\\n\" \"${COMPREPLY[@]}\"'";
    return lines_of(run_shell(line));
  }

  const std::string& dir() const { return dir_.path(); }

 private:
  test::TempDir dir_{"completion"};
  const std::string script_ = dir_.path() + "/script";
};

// The subcommands and long options that the help of a command shows.
struct Help {
  explicit Help(Words command) {
    command.emplace_back("--help");
    const auto result = run_cli(command);
    REQUIRE(result.code == 0);
    bool in_commands = false;
    for (const std::string& line : lines_in_order(result.out)) {
      if (line == "Subcommands:") in_commands = true;
      const size_t begin = line.find_first_not_of(' ');
      if (begin != 2) continue;
      const size_t end = std::min(line.find_first_of(" =", begin), line.size());
      const std::string word = line.substr(begin, end - begin);
      const size_t dashes = word.find("--");
      if (dashes != std::string::npos) {
        options.insert(word.substr(dashes));
      } else if (in_commands) {
        commands.insert(word);
      }
    }
  }

  static Words lines_in_order(const std::string& text) {
    Words out;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) out.push_back(line);
    return out;
  }

  std::set<std::string> commands, options;
};

// Every command, "member add" included.
std::vector<Words> all_commands() {
  std::vector<Words> out;
  for (const std::string& name : Help({}).commands) {
    out.push_back({name});
    for (const std::string& below : Help({name}).commands) out.push_back({name, below});
  }
  return out;
}

TEST_CASE("bash completes every command and every option that the help shows") {
  Bash bash;
  CHECK(bash.complete({""}).count("put") == 1);
  const Help program({});
  CHECK(program.commands.size() >= 11);
  for (const std::string& command : program.commands) {
    CAPTURE(command);
    CHECK(bash.complete({command.substr(0, 4)}).count(command) == 1);
  }
  const auto commands = all_commands();
  CHECK(commands.size() >= 15);
  for (const Words& command : commands) {
    CAPTURE(command.back());
    Words line = command;
    line.emplace_back("--");
    std::set<std::string> expected = Help(command).options;
    // What is the program's stands behind a command as well.
    expected.insert(program.options.begin(), program.options.end());
    CHECK(bash.complete(line) == expected);
  }
}

TEST_CASE("bash completes what stands behind options and commands") {
  Bash bash;
  const std::set<std::string> formats = {"json", "table"};
  CHECK(bash.complete({"--format", ""}) == formats);
  CHECK(bash.complete({"--format", "=", "j"}) == std::set<std::string>{"json"});
  CHECK(bash.complete({"--format", "="}) == formats);
  CHECK(bash.complete({"--format", "json", "mem"}) == std::set<std::string>{"member"});
  CHECK(bash.complete({"--server", "http", ":", "//a", ":", "1", "mem"}) ==
        std::set<std::string>{"member"});
  CHECK(bash.complete({"member", "pr"}) == std::set<std::string>{"promote"});
  CHECK(bash.complete({"completion", ""}).count("zsh") == 1);
  CHECK(bash.complete({"bench", "--distribution", ""}) ==
        std::set<std::string>{"sequential", "uniform", "zipfian"});
  CHECK(bash.complete({"--server", ""}).empty());
  CHECK(bash.complete({"put", "--", "-"}).empty());
  CHECK(bash.complete({"get", "put", "--keys"}).empty());
  std::ofstream(bash.dir() + "/a file") << "x";
  CHECK(bash.complete({"put", "k", "--file", "a"}) == std::set<std::string>{"a file"});
  CHECK(bash.complete({"txn", "a"}) == std::set<std::string>{"a file"});
  CHECK(bash.complete({"get", "a"}).empty());
}

TEST_CASE("the zsh script defines the same") {
  const auto result = run_cli({"completion", "zsh"});
  CHECK(result.code == 0);
  CHECK(result.out.rfind("#compdef kvstore-client\n", 0) == 0);
  for (const Words& command : all_commands()) {
    CAPTURE(command.back());
    CHECK(result.out.find("'" + command.back() + ":") != std::string::npos);
    for (const std::string& option : Help(command).options) {
      CAPTURE(option);
      CHECK(result.out.find("'" + option + ":") != std::string::npos);
    }
  }
  CHECK(result.out.find("files=1") != std::string::npos);
  CHECK(run_cli({"completion", "fish"}).code == 2);
}

}  // namespace
}  // namespace kvstore::cli
