#include "faults/machine.hpp"

#include <cstdlib>
#include <iostream>

#include <doctest/doctest.h>

#include "faults/disk.hpp"
#include "faults/packet_network.hpp"

namespace kvstore::test {
namespace {

constexpr int kSkippedExit = 77;
bool g_skipped = false;

// Turns the exit code of a run that skipped something and failed in nothing into "skipped".
class SkipListener : public doctest::IReporter {
 public:
  explicit SkipListener(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats& stats) override {
    if (!g_skipped || stats.numTestCasesFailed > 0) return;
    std::cout.flush();
    std::_Exit(kSkippedExit);
  }
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};

REGISTER_LISTENER("skips", 1, SkipListener);

}  // namespace

std::optional<std::string> no_packet_network() {
  return PacketNetwork::why_impossible();
}

std::optional<std::string> no_loop_disk() {
  return LoopDisk::why_impossible();
}

void note_skipped(const std::string& reason) {
  g_skipped = true;
  std::cout << "SKIPPED on this machine: " << reason << std::endl;
}

}  // namespace kvstore::test
