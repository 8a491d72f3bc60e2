#include "faults/damage.hpp"

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include "support/cluster.hpp"

namespace kvstore::test {
namespace {

namespace fs = std::filesystem;

std::string read_all(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + file.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_all(const fs::path& file, const std::string& content) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << content;
  if (!out.flush()) throw std::runtime_error("cannot write " + file.string());
}

constexpr size_t kPage = 4096;  // of SQLite's files, and of most disks

void swap_pages(std::string* content) {
  // A file of fewer pages is exchanged by thirds.
  const size_t size = content->size() < 3 * kPage ? content->size() / 3 : kPage;
  const size_t first = size == 0 ? 0 : content->size() / 3 / size * size;
  const auto begin = content->begin() + static_cast<std::ptrdiff_t>(first);
  std::swap_ranges(begin, begin + static_cast<std::ptrdiff_t>(size),
                   begin + static_cast<std::ptrdiff_t>(size));
}

}  // namespace

std::string name_of(Damage damage) {
  switch (damage) {
    case Damage::kFlip:
      return "flip a bit of";
    case Damage::kTruncate:
      return "cut in half";
    case Damage::kZero:
      return "zero the middle of";
    case Damage::kGarbage:
      return "overwrite the middle of";
    case Damage::kSwap:
      return "exchange two pages of";
    case Damage::kEmpty:
      return "empty";
    case Damage::kRemove:
      return "remove";
  }
  return "";
}

void inflict(Damage damage, const fs::path& file) {
  if (damage == Damage::kRemove) {
    fs::remove(file);
    return;
  }
  std::string content = read_all(file);
  const size_t begin = content.size() / 3, length = std::max<size_t>(content.size() / 3, 1);
  switch (damage) {
    case Damage::kFlip:
      content[content.size() / 2] = static_cast<char>(content[content.size() / 2] ^ 0x10);
      break;
    case Damage::kTruncate:
      content.resize(content.size() / 2);
      break;
    case Damage::kZero:
      content.replace(begin, length, length, '\0');
      break;
    case Damage::kGarbage:
      content.replace(begin, length, pattern(length, 99));
      break;
    case Damage::kSwap:
      swap_pages(&content);
      break;
    default:
      content.clear();
  }
  write_all(file, content);
}

std::vector<fs::path> files_below(const fs::path& dir) {
  std::vector<fs::path> out;
  for (const auto& entry : fs::recursive_directory_iterator(dir)) {
    if (entry.is_regular_file() && entry.file_size() > 0) {
      out.push_back(fs::relative(entry.path(), dir));
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

void copy_tree(const fs::path& from, const fs::path& to) {
  fs::remove_all(to);
  fs::copy(from, to, fs::copy_options::recursive);
}

}  // namespace kvstore::test
