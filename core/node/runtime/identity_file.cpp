#include "node/runtime/identity_file.hpp"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <boost/uuid/random_generator.hpp>
#include <boost/uuid/string_generator.hpp>
#include <boost/uuid/uuid.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <unistd.h>

#include "node/runtime/durable_file.hpp"

namespace kvstore::node::runtime {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kName = "node.json";

Status io_error(const std::string& doing, const std::string& path) {
  return {Code::kIo, fmt::format("{} {}: {}", doing, path, std::strerror(errno))};
}

Result<IdentityFile> parse(const json& j) {
  IdentityFile out;
  if (j.at("format").get<uint32_t>() != IdentityFile::kFormat) {
    return Status(Code::kIncompatible, "written by another version of kvstore");
  }
  out.name = j.at("node_id").get<std::string>();
  out.log_plugin = j.at("log_plugin").get<std::string>();
  out.state_plugin = j.at("state_plugin").get<std::string>();
  std::string id = j.at("id").get<std::string>();
  auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), out.id.value, 16);
  if (error != std::errc() || end != id.data() + id.size() || !out.id || is_provisional(out.id)) {
    return Status(Code::kCorrupt, "'id' is not a node id");
  }
  if (j.contains("restored_file")) out.restored_file = j["restored_file"].get<uint32_t>();
  std::string cluster = j.at("cluster_id").get<std::string>();
  if (!cluster.empty()) {
    boost::uuids::uuid uuid = boost::uuids::string_generator()(cluster);
    std::copy(uuid.begin(), uuid.end(), out.cluster.begin());
  }
  return out;
}

}  // namespace

Result<std::optional<IdentityFile>> read_identity(const std::string& data_dir) {
  std::string path = data_dir + "/" + kName;
  std::error_code error;
  if (!fs::exists(path, error)) {
    if (error)
      return Status(Code::kIo, fmt::format("cannot look at {}: {}", path, error.message()));
    return std::optional<IdentityFile>();
  }
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  if (!in) return io_error("cannot read", path);
  try {
    Result<IdentityFile> identity = parse(json::parse(text.str()));
    if (!identity) {
      return Status(identity.status().code(), path + ": " + identity.status().message());
    }
    return std::optional<IdentityFile>(std::move(*identity));
  } catch (const std::exception& e) {
    return Status(Code::kCorrupt, fmt::format("{} is damaged: {}", path, e.what()));
  }
}

Status write_identity(const std::string& data_dir, const IdentityFile& identity) {
  nlohmann::ordered_json j;
  j["format"] = IdentityFile::kFormat;
  j["node_id"] = identity.name;
  j["id"] = fmt::format("{:016x}", identity.id.value);
  j["cluster_id"] = identity.cluster == wire::ClusterId{} ? "" : cluster_id_text(identity.cluster);
  j["log_plugin"] = identity.log_plugin;
  j["state_plugin"] = identity.state_plugin;
  if (identity.restored_file) j["restored_file"] = *identity.restored_file;
  return write_durable_file(data_dir, kName, j.dump(2) + "\n");
}

raft::NodeId make_node_id() {
  wire::ClusterId random = make_cluster_id();
  uint64_t high = 0;
  uint64_t low = 0;
  std::memcpy(&high, random.data(), 8);
  std::memcpy(&low, random.data() + 8, 8);
  // A UUID has six fixed bits; mixing both halves leaves none of them fixed in the result.
  uint64_t id = (high * 0x9e3779b97f4a7c15u ^ low) & ~(uint64_t{1} << 63);
  return {id == 0 ? 1 : id};
}

wire::ClusterId make_cluster_id() {
  boost::uuids::uuid uuid = boost::uuids::random_generator_pure()();
  wire::ClusterId id{};
  std::copy(uuid.begin(), uuid.end(), id.begin());
  return id;
}

Result<DataDirLock> DataDirLock::acquire(const std::string& data_dir) {
  std::error_code error;
  fs::create_directories(data_dir, error);
  if (error) {
    return Status(Code::kIo, fmt::format("cannot create the data directory {}: {}", data_dir,
                                         error.message()));
  }
  std::string path = data_dir + "/LOCK";
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return io_error("cannot write to the data directory:", path);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    ::close(fd);
    return Status(Code::kBusy, fmt::format("another process uses the data directory {}", data_dir));
  }
  return DataDirLock(fd);
}

DataDirLock::~DataDirLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace kvstore::node::runtime
