// kvstore-client: the command line of a kvstore cluster.
#include <cstdlib>
#include <iostream>
#include <string_view>

#include <unistd.h>

#include "commands.hpp"

namespace {

bool is_terminal(int fd) {
  const char* term = std::getenv("TERM");
  return ::isatty(fd) != 0 && term != nullptr && std::string_view(term) != "dumb";
}

bool wants_colours() {
  const char* no_color = std::getenv("NO_COLOR");
  return is_terminal(STDOUT_FILENO) && (no_color == nullptr || *no_color == '\0');
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  kvstore::cli::Io io{std::cin,
                      std::cout,
                      std::cerr,
                      wants_colours(),
                      is_terminal(STDERR_FILENO),
                      ::isatty(STDOUT_FILENO) != 0};
  return kvstore::cli::run(argc, argv, io);
}
