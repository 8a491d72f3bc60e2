// bench.
#include <csignal>

#include "bench/runner.hpp"
#include "bench_report.hpp"
#include "commands.hpp"
#include "display.hpp"
#include "exit_code.hpp"
#include "progress.hpp"

namespace kvstore::cli {
namespace {

using bench::Config;
using bench::Results;

volatile std::sig_atomic_t interrupted = 0;

// Ctrl-C ends the test, and what was measured so far is still reported.  A second one ends the
// program.
class InterruptGuard {
 public:
  InterruptGuard() {
    interrupted = 0;
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted = 1; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigaction(SIGINT, &action, &before_);
  }
  ~InterruptGuard() { ::sigaction(SIGINT, &before_, nullptr); }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  struct sigaction before_ {};
};

// Writes every key once.
Config preload_of(const Config& config) {
  Config out = config;
  out.rate = 0;
  out.warmup = {};
  out.count = (config.keys + config.batch - 1) / config.batch;
  out.distribution = bench::Distribution::kSequential;
  out.percent = {100, 0, 0, 0};
  return out;
}

std::optional<std::string> run_phase(const Config& config, const char* title, Io& io,
                                     Results* results) {
  Progress progress(io, title);
  progress.set_total(1000, "");
  bench::Runner runner(config, [&](double share, uint64_t answered) {
    progress.update(static_cast<uint64_t>(share * 1000), std::to_string(answered) + " answers");
    return interrupted == 0;
  });
  return runner.run(results);
}

int fail_bench(const Options& options, Io& io, client::ErrorKind kind, const char* code,
               const std::string& message) {
  return fail(options, io, {kind, code, message});
}

}  // namespace

int run_bench(const Options& options, Io& io) {
  Config config = options.bench;
  config.consistency = options.read.consistency;
  config.timeout = options.timeout;
  for (const std::string& server : options.servers) {
    auto endpoint = client::parse_endpoint(server);
    if (!endpoint) return fail(options, io, endpoint.error());
    config.servers.push_back(std::move(*endpoint));
  }
  const InterruptGuard guard;
  if (options.preload) {
    Results loaded;
    const auto error = run_phase(preload_of(config), "loading", io, &loaded);
    if (error) {
      return fail_bench(options, io, client::ErrorKind::kUnreachable, "unreachable", *error);
    }
    if (loaded.error_count() != 0) {
      const auto& [kind, count] = *loaded.errors.begin();
      return fail_bench(options, io, client::ErrorKind::kRefused, "preload_failed",
                        std::to_string(loaded.error_count()) + " of " +
                            std::to_string(config.keys) + " keys could not be written (" + kind +
                            ": " + std::to_string(count) + ")");
    }
  }
  Results results;
  if (auto error = run_phase(config, "measuring", io, &results)) {
    return fail_bench(options, io, client::ErrorKind::kUnreachable, "unreachable", *error);
  }
  if (options.format == Format::kJson) {
    print_json(bench_document(config, results), io.out);
  } else {
    print_bench_table(config, results, io.out, io.colours);
  }
  if (results.answered() != 0 && results.error_share() * 100 <= options.max_error_percent) {
    return kExitDone;
  }
  io.err << "kvstore-client: bench: "
         << (results.answered() == 0 ? "no request succeeded"
                                     : "more errors than --max-errors allows")
         << '\n';
  return kExitNotFound;
}

}  // namespace kvstore::cli
