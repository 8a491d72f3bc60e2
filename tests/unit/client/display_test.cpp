// Goal: bytes become text that is safe and unambiguous, and columns line up.
// Method: tables of inputs and outputs.
#include "display.hpp"

#include <sstream>

#include <doctest/doctest.h>

namespace kvstore::cli {
namespace {

using namespace std::string_literals;

TEST_CASE("escape") {
  CHECK(escape("plain text") == "plain text");
  CHECK(escape("Grüße €𝄞") == "Grüße €𝄞");
  CHECK(escape("a\nb\tc\r\\") == "a\\nb\\tc\\r\\\\");
  CHECK(escape("\0\x1f\x7f"s) == "\\x00\\x1f\\x7f");
  CHECK(escape("\xc2\x9b") == "\\xc2\\x9b");                    // a control character in two bytes
  CHECK(escape("\xff\xc3") == "\\xff\\xc3");                    // no UTF-8; cut in the middle
  CHECK(escape("\xc0\xaf") == "\\xc0\\xaf");                    // overlong
  CHECK(escape("\xed\xa0\x80") == "\\xed\\xa0\\x80");           // a surrogate
  CHECK(escape("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");  // above U+10FFFF
}

TEST_CASE("is_text and is_utf8") {
  CHECK(is_text("a\nb", true));
  CHECK_FALSE(is_text("a\nb", false));
  CHECK_FALSE(is_text("a\x1b", true));
  CHECK_FALSE(is_text("a\xff", true));
  CHECK(is_text("", false));
  CHECK(is_utf8("a\x1b\nü"));
  CHECK_FALSE(is_utf8("\xe2\x82"));
  CHECK_FALSE(is_utf8("\xe0\x80\x80"));
}

TEST_CASE("shorten counts characters and keeps escapes whole") {
  CHECK(shorten("abcdef", 6) == "abcdef");
  CHECK(shorten("abcdefg", 6) == "abcdef...");
  CHECK(shorten("üüüü", 3) == "üüü...");
  CHECK(shorten("ab\xff", 5) == "ab...");
  CHECK(shorten("", 0) == "");
}

TEST_CASE("table") {
  Table table({"NAME", "N"});
  table.add({{"ü"}, {"1"}});
  table.add({{"longer", Colour::kGood}, {"2", Colour::kBad}});
  std::ostringstream plain, coloured;
  table.print(plain, false);
  CHECK(plain.str() == "NAME    N\nü       1\nlonger  2\n");
  table.print(coloured, true);
  CHECK(coloured.str().find("\x1b[32mlonger\x1b[0m  \x1b[31m2\x1b[0m\n") != std::string::npos);
}

}  // namespace
}  // namespace kvstore::cli
