#include "tree.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

namespace kvstore::tidy {
namespace {

namespace fs = std::filesystem;

bool is_skipped(const fs::path& relative) {
  const std::string name = relative.filename().string();
  if (starts_with(name, ".")) return true;
  if (relative.has_parent_path()) return false;
  return name == "build" || starts_with(name, "build-") || name == "data";
}

std::vector<SourceFile> read_tree() {
  std::vector<SourceFile> files;
  for (auto it = fs::recursive_directory_iterator(top()); it != fs::recursive_directory_iterator();
       ++it) {
    const fs::path relative = it->path().lexically_relative(top());
    if (is_skipped(relative)) {
      if (it->is_directory()) it.disable_recursion_pending();
      continue;
    }
    if (!it->is_regular_file()) continue;
    std::ifstream in(it->path(), std::ios::binary);
    files.push_back({relative.generic_string(), {std::istreambuf_iterator<char>(in), {}}});
  }
  std::sort(files.begin(), files.end(),
            [](const SourceFile& a, const SourceFile& b) { return a.path < b.path; });
  return files;
}

}  // namespace

fs::path top() {
  return KVS_SOURCE_DIR;
}

const std::vector<SourceFile>& tree() {
  static const std::vector<SourceFile> files = read_tree();
  return files;
}

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

bool ends_with(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

bool is_code(std::string_view path) {
  return ends_with(path, ".cpp") || ends_with(path, ".hpp") || ends_with(path, ".c") ||
         ends_with(path, ".h");
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace kvstore::tidy
