// Goal: the dependency rule of the architecture holds: base <- raft <- node; base <- wire, kv <-
// node; abi <- sdk <- plugins; abi <- plugin <- node/runtime <- host; what the simulator runs knows
// no thread, clock or Boost. Method: reads the #include lines of every source file and looks each
// one up in a table by folder.
#include <algorithm>
#include <optional>

#include <doctest/doctest.h>

#include "tree.hpp"

namespace kvstore::tidy {
namespace {

using Names = std::vector<std::string_view>;

const Names kRooms = {"base", "raft", "wire", "kv", "node", "plugin", "host"};

// Headers that code for virtual time must not see: threads, clocks, I/O, Boost.
const Names kImpure = {"thread",    "mutex",     "shared_mutex", "condition_variable", "future",
                       "semaphore", "barrier",   "latch",        "stop_token",         "chrono",
                       "ctime",     "time.h",    "fstream",      "iostream",           "filesystem",
                       "boost/",    "pthread.h", "unistd.h"};

struct Rule {
  std::string_view folder;
  std::string_view except;  // a folder below with a rule of its own
  Names rooms;              // whose headers may be included, as "room/file.hpp"
  Names kvstore;            // what may be included as <kvstore/...>
  Names forbidden;          // other headers, or prefixes that end with "/"
};

const Rule kRules[] = {
    {"core/abi/", "", {}, {"kvstore/abi/"}, {}},
    {"core/sdk/", "", {}, {"kvstore/abi/", "kvstore/sdk/"}, {"boost/"}},
    {"core/base/", "", {"base"}, {}, {"boost/"}},
    {"core/raft/", "", {"base", "raft"}, {}, kImpure},
    {"core/wire/", "", {"base", "raft", "kv", "wire"}, {}, kImpure},
    {"core/kv/", "", {"base", "kv"}, {}, kImpure},
    {"core/node/", "core/node/runtime/", {"base", "raft", "wire", "kv", "node"}, {}, kImpure},
    {"core/node/runtime/",
     "",
     {"base", "raft", "wire", "kv", "node", "plugin"},
     {"kvstore/abi/"},
     {}},
    {"core/plugin/", "", {"base", "plugin"}, {"kvstore/abi/"}, {"boost/"}},
    {"host/", "", kRooms, {"kvstore/abi/"}, {}},
    {"plugins/", "", {}, {"kvstore/abi/", "kvstore/sdk/"}, {"boost/"}},
    {"client/", "client/cli/", {}, {"kvstore/client/"}, {"boost/"}},
    // The program checks snapshot files, whose format is wire's.
    {"client/cli/", "", {"base", "wire"}, {"kvstore/client/"}, {"boost/"}},
};

struct Include {
  std::string_view name;
  bool quoted = false;
};

std::optional<Include> include_of(std::string_view line) {
  const size_t hash = line.find_first_not_of(" \t");
  if (hash == std::string_view::npos || line[hash] != '#') return std::nullopt;
  line.remove_prefix(hash + 1);
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  if (!starts_with(line, "include")) return std::nullopt;
  const size_t open = line.find_first_of("<\"");
  if (open == std::string_view::npos) return std::nullopt;
  const size_t close = line.find_first_of(">\"", open + 1);
  if (close == std::string_view::npos) return std::nullopt;
  return Include{line.substr(open + 1, close - open - 1), line[open] == '"'};
}

bool matches(std::string_view name, const Names& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](std::string_view pattern) {
    return ends_with(pattern, "/") ? starts_with(name, pattern) : name == pattern;
  });
}

bool is_allowed(const Rule& rule, const Include& include) {
  if (starts_with(include.name, "kvstore/")) return matches(include.name, rule.kvstore);
  if (matches(include.name, rule.forbidden)) return false;
  const std::string_view room = include.name.substr(0, include.name.find('/'));
  const bool names_room = include.quoted && room.size() < include.name.size() &&
                          std::find(kRooms.begin(), kRooms.end(), room) != kRooms.end();
  return !names_room || std::find(rule.rooms.begin(), rule.rooms.end(), room) != rule.rooms.end();
}

const Rule* rule_of(std::string_view path) {
  for (const Rule& rule : kRules) {
    const bool excepted = !rule.except.empty() && starts_with(path, rule.except);
    if (starts_with(path, rule.folder) && !excepted) return &rule;
  }
  return nullptr;
}

std::vector<std::string> violations(const SourceFile& file) {
  std::vector<std::string> out;
  const Rule* rule = rule_of(file.path);
  if (rule == nullptr || !is_code(file.path)) return out;
  for (const std::string_view line : lines_of(file.text)) {
    const auto include = include_of(line);
    if (include && !is_allowed(*rule, *include)) {
      out.push_back(file.path + " includes " + std::string(include->name));
    }
  }
  return out;
}

TEST_CASE("the rules catch what they are for") {
  const auto count = [](const char* path, const char* text) {
    return violations({path, text}).size();
  };
  CHECK(count("core/raft/a.cpp", "#include \"base/status.hpp\"\n#include <vector>\n") == 0);
  CHECK(count("core/raft/a.cpp", "#include \"node/node.hpp\"\n") == 1);
  CHECK(count("core/raft/a.cpp", "#include <chrono>\n") == 1);
  CHECK(count("core/kv/a.cpp", "  #  include <mutex>\n") == 1);
  CHECK(count("core/node/a.cpp", "#include <boost/asio.hpp>\n") == 1);
  CHECK(count("core/node/a.cpp", "#include \"node/runtime/engine.hpp\"\n") == 0);
  CHECK(count("core/node/runtime/a.cpp", "#include <boost/asio.hpp>\n#include <thread>\n") == 0);
  CHECK(count("core/node/runtime/a.cpp", "#include \"host/config.hpp\"\n") == 1);
  CHECK(count("core/base/a.cpp", "#include <kvstore/abi/base.h>\n") == 1);
  CHECK(count("plugins/x/a.cpp", "#include \"base/status.hpp\"\n") == 1);
  CHECK(count("client/cli/a.cpp", "#include \"wire/snapshot_file.hpp\"\n") == 0);
  CHECK(count("client/cli/a.cpp", "#include \"node/node.hpp\"\n") == 1);
  CHECK(count("client/lib/a.cpp", "#include \"wire/snapshot_file.hpp\"\n") == 1);
  CHECK(count("plugins/x/a.cpp",
              "#include \"text/percent.hpp\"\n#include <kvstore/sdk/guard.hpp>\n") == 0);
}

TEST_CASE("no file includes what its room must not know") {
  for (const SourceFile& file : tree()) {
    for (const std::string& violation : violations(file)) FAIL_CHECK(violation);
  }
}

TEST_CASE("node's logic does not reach into its runtime") {
  for (const SourceFile& file : tree()) {
    if (!starts_with(file.path, "core/node/") || starts_with(file.path, "core/node/runtime/")) {
      continue;
    }
    CAPTURE(file.path);
    CHECK(file.text.find("#include \"node/runtime/") == std::string::npos);
  }
}

TEST_CASE("every header says once that it is included once") {
  for (const SourceFile& file : tree()) {
    if (!ends_with(file.path, ".hpp") && !ends_with(file.path, ".h")) continue;
    if (file.path == "tests/abi/layout_members.h") continue;  // a list, included once per use
    CAPTURE(file.path);
    const bool pragma = file.text.find("#pragma once") != std::string::npos;
    const bool guard = file.text.find("#ifndef ") != std::string::npos;
    CHECK((pragma || guard));
  }
}

}  // namespace
}  // namespace kvstore::tidy
