#include "node/runtime/damage_mark.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "base/log.hpp"
#include "node/runtime/durable_file.hpp"

namespace kvstore::node::runtime {
namespace {
constexpr const char* kName = "DAMAGED";
}

void mark_damaged(const std::string& data_dir, const Status& why) {
  Status written = write_durable_file(data_dir, kName, why.message() + "\n");
  if (!written) KVS_LOG(kError, "server", "the damage was not recorded: {}", written.message());
}

Status check_not_damaged(const std::string& data_dir) {
  errno = 0;
  std::ifstream in(data_dir + "/" + kName);
  if (!in.is_open()) {
    if (errno == ENOENT) return Status::ok();
    return {Code::kIo, fmt::format("cannot read {}/{}: {}", data_dir, kName, std::strerror(errno))};
  }
  std::string why(std::istreambuf_iterator<char>(in), {});
  while (!why.empty() && why.back() == '\n') why.pop_back();
  return {Code::kCorrupt,
          fmt::format("{} was found damaged ({}); {}", data_dir, why, rebuild_advice(data_dir))};
}

std::string rebuild_advice(const std::string& data_dir) {
  return fmt::format(
      "to rebuild the node from its peers, remove it from the cluster (DELETE "
      "/api/v1/cluster/nodes/NAME), empty {} and add it again",
      data_dir);
}

}  // namespace kvstore::node::runtime
