#include <string>
#include <vector>

#include "host/daemon/daemon.hpp"

int main(int argc, char** argv) {
  return kvstore::host::run_daemon(std::vector<std::string>(argv, argv + argc));
}
