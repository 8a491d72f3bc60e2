// Goal: no schedule of faults breaks a promise.  Method: each seed is one run of a whole cluster in
// virtual time (run.hpp); seeds that failed once are run always, then as many as asked.
//
//   sim_test [--seeds N] [--first SEED] [--seed SEED] [--trace]
//
// KVS_SIM_SEEDS sets the number of seeds, KVS_SIM_FIRST where they begin.  --seed runs one alone.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

#include "sim/run.hpp"

namespace kvstore::sim {
namespace {

constexpr uint64_t kDefaultSeeds = 300;
constexpr size_t kFailuresMax = 10;  // then the search ends

std::string program;
char replay_line[512];

void set_replay(uint64_t seed) {
  std::snprintf(replay_line, sizeof replay_line, "  replay: %s --seed %llu --trace\n",
                program.c_str(), static_cast<unsigned long long>(seed));
}

// A failed assertion or a crash of the product ends the program: say which seed it was.
void on_fatal(int signal) {
  const char head[] = "the product crashed in this run\n";
  (void)!write(STDERR_FILENO, head, sizeof head - 1);
  (void)!write(STDERR_FILENO, replay_line, std::strlen(replay_line));
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

uint64_t number_from(const char* variable, uint64_t fallback) {
  const char* text = std::getenv(variable);
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

struct Arguments {
  uint64_t seeds = number_from("KVS_SIM_SEEDS", kDefaultSeeds);
  uint64_t first = number_from("KVS_SIM_FIRST", 1);
  uint64_t only = 0;
  bool trace = false;
  bool good = true;

  Arguments(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
      const std::string name = argv[i];
      if (name == "--trace") {
        trace = true;
      } else if (i + 1 < argc && name == "--seeds") {
        seeds = std::strtoull(argv[++i], nullptr, 10);
      } else if (i + 1 < argc && name == "--first") {
        first = std::strtoull(argv[++i], nullptr, 10);
      } else if (i + 1 < argc && name == "--seed") {
        only = std::strtoull(argv[++i], nullptr, 10);
      } else {
        good = false;
      }
    }
  }
};

// One seed a line; '#' begins a comment.
std::vector<uint64_t> regressions() {
  std::vector<uint64_t> seeds;
  std::ifstream file(KVS_SIM_REGRESSIONS);
  if (!file) {
    std::fprintf(stderr, "cannot read %s\n", KVS_SIM_REGRESSIONS);
    std::exit(2);
  }
  for (std::string line; std::getline(file, line);) {
    if (const uint64_t seed = std::strtoull(line.c_str(), nullptr, 10); seed != 0)
      seeds.push_back(seed);
  }
  return seeds;
}

struct Totals {
  Coverage coverage;
  uint64_t runs = 0;
  uint64_t failures = 0;
  uint64_t operations = 0;
  uint64_t acknowledged = 0;
  uint64_t unknown = 0;
  uint64_t virtual_us = 0;
};

void run_seed(uint64_t seed, bool trace, Totals* totals) {
  RunOptions options;
  options.seed = seed;
  if (trace) options.trace = [](const std::string& line) { std::printf("%s\n", line.c_str()); };
  set_replay(seed);
  const RunResult result = run(options);
  ++totals->runs;
  totals->coverage.add(result.coverage);
  totals->operations += result.operations;
  totals->acknowledged += result.acknowledged;
  totals->unknown += result.unknown;
  totals->virtual_us += result.virtual_us;
  if (result.good()) return;
  ++totals->failures;
  std::printf("seed %llu: VIOLATED %s: %s\n  plan: %s\n%s", static_cast<unsigned long long>(seed),
              result.invariant.c_str(), result.what.c_str(), result.plan.c_str(), replay_line);
  std::fflush(stdout);
}

void print(const Totals& totals, double seconds) {
  fmt::print(
      "{} schedules, {} violations, {:.1f} schedules/s\n"
      "{} operations, {} acknowledged, {} unknown; {:.0f} s of virtual time\n"
      "faults injected:\n{}",
      totals.runs, totals.failures, static_cast<double>(totals.runs) / seconds, totals.operations,
      totals.acknowledged, totals.unknown, static_cast<double>(totals.virtual_us) / 1e6,
      totals.coverage.table());
}

int search(const Arguments& arguments) {
  Totals totals;
  const auto begin = std::chrono::steady_clock::now();
  if (arguments.only != 0) {
    run_seed(arguments.only, arguments.trace, &totals);
  } else {
    for (uint64_t seed : regressions()) run_seed(seed, arguments.trace, &totals);
    const uint64_t end = arguments.first + arguments.seeds;
    for (uint64_t seed = arguments.first; seed < end && totals.failures < kFailuresMax; ++seed)
      run_seed(seed, arguments.trace, &totals);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  print(totals, took.count());
  // A run in which nothing succeeds would show nothing.
  const bool useful = totals.acknowledged > 5 * totals.runs || arguments.only != 0;
  if (!useful) std::printf("too few operations succeeded\n");
  return totals.failures == 0 && useful ? 0 : 1;
}

}  // namespace
}  // namespace kvstore::sim

int main(int argc, char** argv) {
  kvstore::sim::program = argv[0];
  const kvstore::sim::Arguments arguments(argc, argv);
  if (!arguments.good) {
    std::fprintf(stderr, "usage: %s [--seeds N] [--first SEED] [--seed SEED] [--trace]\n", argv[0]);
    return 2;
  }
  for (int fatal : {SIGABRT, SIGSEGV}) std::signal(fatal, kvstore::sim::on_fatal);
  return kvstore::sim::search(arguments);
}
