// Text for people: columns, escapes of bytes that are no text, colours.
#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace kvstore::cli {

bool is_utf8(std::string_view bytes);

// True for UTF-8 without control characters; tabs and line ends count as text when `lines`.
bool is_text(std::string_view bytes, bool lines);

// Bytes on one line: text as it is; control characters, backslashes and bytes that are no UTF-8 as
// escapes of C.
std::string escape(std::string_view bytes);

// `escape`, cut after `columns` characters with "..." in place of the rest; never inside an escape.
std::string shorten(std::string_view bytes, size_t columns);

enum class Colour { kNone, kGood, kBad, kStrong };

struct Cell {
  std::string text;  // already escaped
  Colour colour = Colour::kNone;
};

// Left-aligned columns, two spaces apart; the last one is not padded.
class Table {
 public:
  explicit Table(std::vector<std::string> titles);
  // As many cells as there are titles.
  void add(std::vector<Cell> cells);
  void print(std::ostream& out, bool colours) const;

 private:
  std::vector<std::string> titles_;
  std::vector<std::vector<Cell>> rows_;
};

std::string paint(const Cell& cell, bool colours);

}  // namespace kvstore::cli
