// kvstore-client: the command line of a kvstore cluster.
#include <cstdlib>
#include <iostream>
#include <string_view>

#include <unistd.h>

#include "commands.hpp"

namespace {

bool wants_colours() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  const bool dumb = term == nullptr || std::string_view(term) == "dumb";
  return ::isatty(STDOUT_FILENO) != 0 && (no_color == nullptr || *no_color == '\0') && !dumb;
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  kvstore::cli::Io io{std::cin, std::cout, std::cerr, wants_colours()};
  return kvstore::cli::run(argc, argv, io);
}
