#include "display.hpp"

#include <algorithm>
#include <cassert>
#include <cstdint>

namespace kvstore::cli {
namespace {

// Length of the UTF-8 character that `bytes` begins with; 0 when it begins with none (overlong
// forms, surrogates and values above U+10FFFF are none).
size_t utf8_length(std::string_view bytes) {
  const auto at = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const uint8_t lead = at(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || bytes.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xC0) != 0x80) return 0;
  }
  if (lead == 0xE0 && at(1) < 0xA0) return 0;
  if (lead == 0xED && at(1) > 0x9F) return 0;
  if (lead == 0xF0 && at(1) < 0x90) return 0;
  if (lead == 0xF4 && at(1) > 0x8F) return 0;
  return length;
}

// ASCII controls, and the C1 controls that some terminals obey.
bool is_control(std::string_view character) {
  const auto first = static_cast<uint8_t>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7F;
  return character.size() == 2 && first == 0xC2 && static_cast<uint8_t>(character[1]) < 0xA0;
}

std::string escape_byte(char c) {
  constexpr std::string_view kHex = "0123456789abcdef";
  if (c == '\n') return "\\n";
  if (c == '\r') return "\\r";
  if (c == '\t') return "\\t";
  if (c == '\\') return "\\\\";
  const auto byte = static_cast<uint8_t>(c);
  return {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
}

// The next character of `bytes` as shown, and how many bytes it took.
std::pair<std::string, size_t> show_next(std::string_view bytes) {
  const size_t length = utf8_length(bytes);
  if (length == 0) return {escape_byte(bytes[0]), 1};
  const std::string_view character = bytes.substr(0, length);
  if (!is_control(character) && character != "\\") return {std::string(character), length};
  std::string out;
  for (const char c : character) out += escape_byte(c);
  return {out, length};
}

size_t width_of(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

}  // namespace

bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t length = utf8_length(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

bool is_text(std::string_view bytes, bool lines) {
  while (!bytes.empty()) {
    const size_t length = utf8_length(bytes);
    if (length == 0) return false;
    const std::string_view character = bytes.substr(0, length);
    const bool layout = character == "\n" || character == "\r" || character == "\t";
    if (is_control(character) && !(lines && layout)) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::string escape(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const auto [shown, taken] = show_next(bytes);
    out += shown;
    bytes.remove_prefix(taken);
  }
  return out;
}

std::string shorten(std::string_view bytes, size_t columns) {
  std::string out;
  size_t width = 0;
  while (!bytes.empty()) {
    const auto [shown, taken] = show_next(bytes);
    width += width_of(shown);
    if (width > columns) return out + "...";
    out += shown;
    bytes.remove_prefix(taken);
  }
  return out;
}

std::string paint(const Cell& cell, bool colours) {
  if (!colours || cell.colour == Colour::kNone) return cell.text;
  const char* code = cell.colour == Colour::kGood  ? "\x1b[32m"
                     : cell.colour == Colour::kBad ? "\x1b[31m"
                                                   : "\x1b[1m";
  return code + cell.text + "\x1b[0m";
}

Table::Table(std::vector<std::string> titles) : titles_(std::move(titles)) {}

void Table::add(std::vector<Cell> cells) {
  assert(cells.size() == titles_.size());
  rows_.push_back(std::move(cells));
}

void Table::print(std::ostream& out, bool colours) const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < titles_.size(); ++i) {
    size_t width = width_of(titles_[i]);
    for (const auto& row : rows_) width = std::max(width, width_of(row[i].text));
    widths.push_back(width);
  }
  const auto print_row = [&](const std::vector<Cell>& row) {
    for (size_t i = 0; i < row.size(); ++i) {
      out << paint(row[i], colours);
      if (i + 1 < row.size()) out << std::string(widths[i] - width_of(row[i].text) + 2, ' ');
    }
    out << '\n';
  };
  std::vector<Cell> head;
  for (const auto& title : titles_) head.push_back({title, Colour::kStrong});
  print_row(head);
  for (const auto& row : rows_) print_row(row);
}

}  // namespace kvstore::cli
