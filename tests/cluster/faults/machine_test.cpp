// Goal: the tools of the fault tests do what the fault tests believe.
// Method: each fault is applied to a process or a file of its own and looked at from outside, with
// a control that shows the difference.
#include "faults/machine.hpp"

#include <fstream>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults/disk.hpp"
#include "faults/packet_network.hpp"
#include "faults/proxy_network.hpp"
#include "support/io_faults/io_faults.hpp"

namespace kvstore::test {
namespace {

void write_file(const std::filesystem::path& path, const std::string& text, bool sync) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  REQUIRE(fd >= 0);
  REQUIRE(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  if (sync) REQUIRE(::fsync(fd) == 0);
  ::close(fd);
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST_CASE("a-power-cut-loses-what-was-not-synced") {
  KVS_NEEDS(no_loop_disk());
  Cluster scratch("power-cut");
  LoopDisk disk(scratch.dir(), "disk", uint64_t{16} << 20);
  write_file(disk.path() / "both", "synced", true);
  write_file(disk.path() / "both", " and not synced", false);
  write_file(disk.path() / "never", "never synced", false);
  disk.cut_power();
  disk.restore_power();
  CHECK(read_file(disk.path() / "both") == "synced");
  CHECK_FALSE(std::filesystem::exists(disk.path() / "never"));
  // And the disk works again.
  write_file(disk.path() / "both", " again", true);
  CHECK(read_file(disk.path() / "both") == "synced again");
}

TEST_CASE("a-full-disk-is-full-and-a-frozen-one-waits") {
  KVS_NEEDS(no_loop_disk());
  Cluster scratch("full-disk");
  LoopDisk disk(scratch.dir(), "disk", uint64_t{16} << 20);
  disk.fill();
  const int fd = ::open((disk.path() / "f").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  REQUIRE(fd >= 0);
  const std::string block(256 * 1024, 'x');
  ssize_t last = 1;
  for (int i = 0; i < 8 && last > 0; ++i) last = ::write(fd, block.data(), block.size());
  CHECK(last < 0);
  CHECK(errno == ENOSPC);
  disk.free_space();
  CHECK(::write(fd, block.data(), block.size()) > 0);

  disk.freeze();
  std::atomic<bool> done = false;
  std::thread writer([&] {
    (void)!::write(fd, block.data(), 1);
    (void)::fsync(fd);
    done = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  CHECK_FALSE(done);
  disk.thaw();
  writer.join();
  CHECK(done);
  ::close(fd);
}

// What a process under the library does with a file: a shell that syncs it, says so, and goes on.
int run_under(const IoFaults& faults, const std::string& command) {
  return std::system(("LD_PRELOAD=" + faults.library() + " KVS_IO_FAULTS=" + faults.file() +
                      " sh -c '" + command + "' 2>/dev/null")
                         .c_str());
}

TEST_CASE("ordered-faults-reach-the-aimed-files-only") {
  Cluster scratch("io-faults");
  IoFaults faults(scratch.dir() / "orders");
  faults.aim_at(scratch.dir() / "aimed");
  const std::string aimed = (scratch.dir() / "aimed").string();
  const std::string other = (scratch.dir() / "other").string();
  const auto copy = [&](const std::string& to) {
    return run_under(faults, "dd if=/dev/zero of=" + to + " bs=4096 count=2 conv=fsync");
  };
  CHECK(copy(aimed) == 0);
  faults.fail_syncs(EIO, 1);
  CHECK(copy(other) == 0);
  CHECK(copy(aimed) != 0);
  CHECK(faults.seen().failed_syncs == 1);
  CHECK(copy(aimed) == 0);  // it was ordered once
  faults.clear();
  faults.fail_writes(ENOSPC, -1);
  CHECK(copy(aimed) != 0);
  CHECK(copy(aimed) != 0);
  CHECK(faults.seen().failed_writes == 2);
  faults.clear();
  CHECK(copy(aimed) == 0);
  faults.set_wall_offset(std::chrono::hours(24 * 365 * 20));
  CHECK(run_under(faults, "test $(date +%Y) -gt 2040") == 0);
  faults.clear();
  CHECK(run_under(faults, "test $(date +%Y) -lt 2040") == 0);
}

void check_links(Cluster& cluster, Network& network) {
  cluster.boot();
  cluster.put("k", "v");
  // A leader that nobody hears is replaced, although it hears everybody.
  Node& old = cluster.leader();
  const size_t index = static_cast<size_t>(old.name().back() - '1');
  for (size_t i = 0; i < 3; ++i) {
    if (i != index) network.cut(index, i);
  }
  cluster.wait_until("another leader", [&] {
    for (size_t i = 0; i < 3; ++i) {
      const auto status = cluster[i].client(std::chrono::seconds(1)).status();
      if (i != index && status && status->leader == cluster[i].name()) return true;
    }
    return false;
  });
  network.heal();
  cluster.put("k", "w");
  cluster.wait_caught_up({&old});
  // Alone, it answers nobody with what may be old.
  network.isolate(index);
  CHECK_FALSE(old.client(std::chrono::seconds(3)).get("k"));
  network.heal();
  CHECK(cluster.get(old, "k") == "w");
}

TEST_CASE("links-of-a-packet-network") {
  KVS_NEEDS(no_packet_network());
  Cluster cluster("packets");
  PacketNetwork network(cluster.dir());
  for (int i = 0; i < 3; ++i) network.attach(cluster.make_node());
  check_links(cluster, network);
  CHECK(network.dropped() > 0);
  // Late, lost, twice and in another order: TCP makes up for it.
  for (size_t a = 0; a < 3; ++a) {
    for (size_t b = 0; b < 3; ++b) {
      network.set_link(a, b,
                       {.delay = std::chrono::milliseconds(5),
                        .jitter = std::chrono::milliseconds(10),
                        .loss_percent = 3,
                        .duplicate_percent = 5});
    }
  }
  cluster.put("k", "slow");
  network.heal();
  CHECK(cluster.get(cluster[0], "k") == "slow");
}

TEST_CASE("links-of-a-proxy-network") {
  Cluster cluster("proxies");
  ProxyNetwork network;
  for (int i = 0; i < 3; ++i) network.attach(cluster.make_node());
  check_links(cluster, network);
  CHECK(network.recognised() > 0);
  for (size_t a = 0; a < 3; ++a) {
    for (size_t b = 0; b < 3; ++b) {
      network.set_link(a, b, {.delay = std::chrono::milliseconds(5)});
    }
  }
  cluster.put("k", "slow");
  CHECK(cluster.get(cluster[0], "k") == "slow");
}

}  // namespace
}  // namespace kvstore::test
