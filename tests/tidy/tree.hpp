// The files of the source tree, as the checks see them.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace kvstore::tidy {

struct SourceFile {
  std::string path;  // relative to the top, with "/"
  std::string text;
};

// Every file below the top but for hidden folders, build folders and data; sorted by path.
const std::vector<SourceFile>& tree();

std::filesystem::path top();

bool starts_with(std::string_view text, std::string_view prefix);
bool ends_with(std::string_view text, std::string_view suffix);
// .c, .cpp, .h, .hpp
bool is_code(std::string_view path);
std::vector<std::string_view> lines_of(std::string_view text);

}  // namespace kvstore::tidy
