// Goal: every room explains itself, links lead somewhere, and nothing unfinished is left in the
// code. Method: reads the tree; README.md files are looked for, Markdown links resolved against the
// file system.
#include <map>
#include <set>

#include <doctest/doctest.h>

#include "tree.hpp"

namespace kvstore::tidy {
namespace {

namespace fs = std::filesystem;

// Folders down to this depth are rooms; what is deeper is explained by the room's README.
constexpr int kRoomDepth = 2;
constexpr size_t kCodeLinesMax = 600;

// What a room is divided into at large is explained by the room itself.
bool needs_readme(const std::string& folder) {
  static const std::set<std::string> kParts = {"cmake", "include", "cli", "lib", "daemon"};
  return kParts.count(fs::path(folder).filename().string()) == 0;
}

std::set<std::string> rooms() {
  std::set<std::string> out;
  for (const SourceFile& file : tree()) {
    fs::path folder = fs::path(file.path).parent_path();
    while (std::distance(folder.begin(), folder.end()) > kRoomDepth) folder = folder.parent_path();
    for (; !folder.empty(); folder = folder.parent_path()) {
      if (needs_readme(folder.generic_string())) out.insert(folder.generic_string());
    }
  }
  return out;
}

// The targets of [text](target) outside of code.
std::vector<std::string> links_of(const std::string& text) {
  std::vector<std::string> out;
  bool fenced = false;
  for (std::string_view line : lines_of(text)) {
    if (starts_with(line, "```")) fenced = !fenced;
    if (fenced) continue;
    for (size_t at = line.find("]("); at != std::string_view::npos; at = line.find("](", at + 2)) {
      const size_t end = line.find(')', at);
      if (end != std::string_view::npos) out.emplace_back(line.substr(at + 2, end - at - 2));
    }
  }
  return out;
}

bool is_local(const std::string& target) {
  return !target.empty() && target[0] != '#' && target.find("://") == std::string::npos &&
         !starts_with(target, "mailto:");
}

TEST_CASE("every room has a README") {
  for (const std::string& room : rooms()) {
    CAPTURE(room);
    CHECK(fs::is_regular_file(top() / room / "README.md"));
  }
  CHECK(fs::is_regular_file(top() / "README.md"));
  CHECK(fs::is_regular_file(top() / "LICENSE"));
}

TEST_CASE("links in documents resolve") {
  for (const SourceFile& file : tree()) {
    if (!ends_with(file.path, ".md")) continue;
    for (const std::string& target : links_of(file.text)) {
      if (!is_local(target)) continue;
      const std::string path = target.substr(0, target.find('#'));
      CAPTURE(file.path);
      CAPTURE(target);
      CHECK(fs::exists((top() / file.path).parent_path() / path));
    }
  }
}

TEST_CASE("links are found in text and not in code") {
  CHECK(links_of("a [b](c.md) [d](e#f)\n```\n[x](y)\n```\n[z](#q)") ==
        std::vector<std::string>{"c.md", "e#f", "#q"});
}

// A text without line breaks, comment marks at their beginnings and breaks of string literals.
std::string flowing(const std::string& text) {
  std::string out;
  for (std::string_view line : lines_of(text)) {
    for (std::string_view mark : {" ", "//", "#"}) {
      while (starts_with(line, mark)) line.remove_prefix(mark.size());
    }
    while (starts_with(line, " ")) line.remove_prefix(1);
    if (ends_with(out, "\" ") && starts_with(line, "\"")) {
      out.resize(out.size() - 2);
      line.remove_prefix(1);
    }
    out.append(line).push_back(' ');
  }
  return out;
}

// "`file: words`" outside of code, as PITFALLS.md names tests.
std::vector<std::pair<std::string, std::string>> named_tests(const std::string& document) {
  std::vector<std::pair<std::string, std::string>> out;
  for (size_t begin = document.find('`'); begin != std::string::npos;) {
    const size_t end = document.find('`', begin + 1);
    if (end == std::string::npos) break;
    const std::string quoted = document.substr(begin + 1, end - begin - 1);
    const std::string file = quoted.substr(0, quoted.find(": "));
    const bool names = file.size() < quoted.size() && file.find(' ') == std::string::npos;
    if (names) out.emplace_back(file, quoted.substr(file.size() + 2));
    begin = document.find('`', end + 1);
  }
  return out;
}

TEST_CASE("the tests that PITFALLS.md names exist") {
  std::map<std::string, std::string> texts;
  for (const SourceFile& file : tree()) texts.emplace(file.path, file.text);
  const auto named = named_tests(texts["tests/PITFALLS.md"]);
  CHECK(named.size() > 100);
  for (const auto& [file, words] : named) {
    CAPTURE(file);
    CAPTURE(words);
    const std::string folder = ends_with(file, ".txt") ? "tests/datadriven/raft/traces/" : "tests/";
    CHECK(flowing(texts[folder + file]).find(words) != std::string::npos);
  }
}

TEST_CASE("no marker of unfinished work") {
  // Put together here, so that this file does not find itself.
  const std::string markers[] = {std::string("TO") + "DO", std::string("FIX") + "ME"};
  for (const SourceFile& file : tree()) {
    if (!is_code(file.path) && !ends_with(file.path, "CMakeLists.txt")) continue;
    CAPTURE(file.path);
    for (const std::string& marker : markers) CHECK(file.text.find(marker) == std::string::npos);
  }
}

TEST_CASE("code files stay of a size that can be read") {
  for (const SourceFile& file : tree()) {
    if (!is_code(file.path)) continue;
    CAPTURE(file.path);
    CHECK(lines_of(file.text).size() <= kCodeLinesMax);
  }
}

}  // namespace
}  // namespace kvstore::tidy
