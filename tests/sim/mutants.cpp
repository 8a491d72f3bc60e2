// Goal: the simulator finds classic bugs, each within a bounded number of seeds.  Method: this
// program contains a second build of the core's files that have switchable bugs
// (core/base/mutation.hpp); one bug at a time is on while seeds are run, each in a process of its
// own since some bugs end in an assertion.  A bug that no seed finds fails the test.
//
//   sim_mutants [--seeds N] [--only NAME]
//
// KVS_MUTANT_SEEDS sets how many seeds each bug may take.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mutation.hpp"
#include "sim/run.hpp"

namespace kvstore::sim {
namespace {

constexpr uint64_t kDefaultSeeds = 6'000;

struct Mutant {
  const char* name;
  Mutation core = Mutation::kNone;
  StorageBug storage = StorageBug::kNone;
};

const std::vector<Mutant>& mutants() {
  using M = Mutation;
  using S = StorageBug;
  static const std::vector<Mutant> all = {
      {"vote not stored", M::kForgetVote, S::kNone},
      {"term not stored", M::kForgetTerm, S::kNone},
      {"vote and term sent before they are durable", M::kSendBeforeDurable, S::kNone},
      {"vote for a candidate with an older log", M::kIgnoreOlderLog, S::kNone},
      {"logs compared by length alone", M::kCompareIndexOnly, S::kNone},
      {"second vote in a term", M::kVoteTwice, S::kNone},
      {"old term's entry committed by counting", M::kCommitOldTerm, S::kNone},
      {"quorum one too small", M::kQuorumTooSmall, S::kNone},
      {"leader counts itself before its fsync", M::kCountOwnUnsynced, S::kNone},
      {"acknowledgement before fsync", M::kAckBeforeDurable, S::kNone},
      {"previous entry not checked", M::kSkipLogCheck, S::kNone},
      {"truncation by a late, short append", M::kTruncateOnShortAppend, S::kNone},
      {"commit beyond what the leader vouched for", M::kCommitBeyondMatch, S::kNone},
      {"match kept over a change of term", M::kKeepMatchedOverTerms, S::kNone},
      {"read answered by the leader alone", M::kReadWithoutQuorum, S::kNone},
      {"read before the term's first commit", M::kReadBeforeNoop, S::kNone},
      {"read confirmed by an earlier round", M::kReadWithOldRound, S::kNone},
      {"read served before the state caught up", M::kReadBeforeApplied, S::kNone},
      {"lease counted from the answers", M::kLeaseFromReceipt, S::kNone},
      {"lease kept over a transfer", M::kLeaseOverTransfer, S::kNone},
      {"age counted from the heartbeat", M::kFreshFromReceipt, S::kNone},
      {"stale snapshot installed", M::kInstallStaleSnapshot, S::kNone},
      {"snapshot drops the log behind it", M::kSnapshotDropsSuffix, S::kNone},
      {"snapshot keeps a conflicting log", M::kSnapshotKeepsConflict, S::kNone},
      {"damaged snapshot stream accepted", M::kSnapshotUnchecked, S::kNone},
      {"two membership changes at once", M::kTwoChangesAtOnce, S::kNone},
      {"truncated configuration stays in force", M::kConfigurationNotRolledBack, S::kNone},
      {"learners count for commitment", M::kLearnersCount, S::kNone},
      {"client answered for another entry", M::kAckByIndexAlone, S::kNone},
      {"unknown outcome answered as not done", M::kUnknownSaidNotDone, S::kNone},
      {"write of unknown outcome sent again", M::kRetryUnknown, S::kNone},
      {"conditions ignored", M::kCompareAlwaysHolds, S::kNone},
      {"revisions depend on batches", M::kRevisionPerBatch, S::kNone},
      {"old version lost in a batch", M::kHistoryForgotten, S::kNone},
      {"one revision too many compacted", M::kCompactTooMuch, S::kNone},
      {"watch passes over the newest revision", M::kWatchSkipsLast, S::kNone},
      {"slow watch goes on one revision too late", M::kWatchResumesLate, S::kNone},
      {"expiry ends a later lease of the same id", M::kLeaseEndsAnyGeneration, S::kNone},
      {"new leader goes on with an old clock", M::kLeaseClockGoesOn, S::kNone},
      {"keep-alive without a read round", M::kKeepAliveUnconfirmed, S::kNone},
      {"keep-alive after the expiry was proposed", M::kKeepAliveAfterEnd, S::kNone},
      {"request answered although it differs", M::kFingerprintIgnored, S::kNone},
      {"requests forgotten after their batch", M::kRequestsForgotten, S::kNone},
      {"snapshot without requests", M::kSnapshotNoRequests, S::kNone},
      {"log write reported before its fsync", M::kNone, S::kReportBeforeSync},
      {"failed log write reported as done", M::kNone, S::kIgnoreWriteError},
      {"applied mark outside the batch", M::kNone, S::kMarkOutsideBatch},
      {"acknowledged tail cut at restart", M::kNone, S::kCutTail},
      {"state reported durable too early", M::kNone, S::kSyncTooEarly},
      {"snapshot put on top of the old state", M::kNone, S::kMergeSnapshot},
      {"hard state not stored by the engine", M::kNone, S::kForgetHardState},
      {"truncated entries return after a restart", M::kNone, S::kIgnoreTruncation},
      {"emptied disk comes back under its old id", M::kNone, S::kWipeKeepsId},
  };
  return all;
}

// What a run of this seed shows with the bug on; empty: nothing.
std::string find(const Mutant& mutant, uint64_t seed) {
  int ends[2];
  if (pipe(ends) != 0) return "(no pipe)";
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    active_mutation = mutant.core;
    RunOptions options;
    options.seed = seed;
    options.bug = mutant.storage;
    const RunResult result = run(options);
    if (!result.good()) (void)!write(ends[1], result.invariant.data(), result.invariant.size());
    _exit(result.good() ? 0 : 1);
  }
  close(ends[1]);
  std::string shown;
  char buffer[512];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
    shown.append(buffer, static_cast<size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status)) return WEXITSTATUS(status) == 0 ? "" : shown;
  const size_t at = shown.find("assertion failed: ");
  shown = at == std::string::npos ? shown : shown.substr(at);
  return shown.substr(0, std::min(shown.find(" (node"), shown.find('\n')));
}

bool hunt(const Mutant& mutant, uint64_t seeds) {
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    std::string found = find(mutant, seed);
    if (found.empty()) continue;
    fmt::print("{:<46}{:>7}  {}\n", mutant.name, seed, found.substr(0, 110));
    std::fflush(stdout);
    return true;
  }
  fmt::print("{:<46}{:>7}  NOT FOUND\n", mutant.name, seeds);
  std::fflush(stdout);
  return false;
}

int hunt_all(uint64_t seeds, const std::string& only) {
  size_t missed = 0;
  size_t tried = 0;
  fmt::print("{:<46}{:>7}  {}\n", "bug", "seeds", "found by");
  std::fflush(stdout);
  for (const Mutant& mutant : mutants()) {
    if (!only.empty() && only != mutant.name) continue;
    ++tried;
    if (!hunt(mutant, seeds)) ++missed;
  }
  fmt::print("{} of {} bugs found\n", tried - missed, tried);
  return missed == 0 && tried > 0 ? 0 : 1;
}

}  // namespace
}  // namespace kvstore::sim

int main(int argc, char** argv) {
  const char* variable = std::getenv("KVS_MUTANT_SEEDS");
  uint64_t seeds =
      variable != nullptr ? std::strtoull(variable, nullptr, 10) : kvstore::sim::kDefaultSeeds;
  std::string only;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (i + 1 < argc && name == "--seeds") {
      seeds = std::strtoull(argv[++i], nullptr, 10);
    } else if (i + 1 < argc && name == "--only") {
      only = argv[++i];
    } else {
      fmt::print(stderr, "usage: {} [--seeds N] [--only BUG]\n", argv[0]);
      return 2;
    }
  }
  return kvstore::sim::hunt_all(seeds, only);
}
