// Cases about compaction, reset and the windows of read().
#include <limits>

#include "log_driver.hpp"
#include "plugin_file.hpp"

namespace kvstore::conformance {
namespace {

constexpr uint64_t kAll = std::numeric_limits<uint64_t>::max();

void compact_positions(Context& c) {
  for (uint64_t upto : {1u, 5u, 9u, 10u}) {
    MirroredLog log(c, "log" + std::to_string(upto));
    log.append(5, 1);
    log.append(5, 2);
    log.vote(3, 1);
    log.compact(upto);
    log.check_after_reopen();
    log.append(3, 3);
    log.check_after_reopen();
  }
}

void compact_repeatedly(Context& c) {
  MirroredLog log(c);
  log.append(10, 1);
  log.compact(4);
  log.compact(4);
  log.check();
  log.compact(2);  // backwards: nothing happens
  log.check_after_reopen();
  log.compact(10);
  log.check_after_reopen();
  log.compact(10);
  log.append(5, 2);
  log.compact(12);
  log.check_after_reopen();
}

void compact_beyond_last(Context& c) {
  MirroredLog log(c);
  LogStep step;
  step.kind = LogStep::kCompact;
  step.id = {1, 1};
  log.refuse(step, KVS_E_INVALID);
  log.append(5, 1);
  step.id = {1, 6};
  log.refuse(step, KVS_E_INVALID);
  log.check_after_reopen();
}

// More than any one call sweeps, so that the lazy part shows.
void compact_many(Context& c) {
  MirroredLog log(c);
  for (int i = 0; i < 10; ++i) log.append(2000, 1, 8, false);
  log.compact(19990);
  log.check_after_reopen();
  for (int i = 0; i < 30; ++i) log.append(5, 2, 8, false);
  log.compact(20100);
  log.check_after_reopen();
  for (int i = 0; i < 30; ++i) log.append(200, 2, 8, false);
  log.compact(26000);
  log.check_after_reopen();
}

void compact_then_truncate(Context& c) {
  MirroredLog log(c);
  log.append(20, 1);
  log.compact(10);
  log.truncate(11, 0, 0);
  log.check_after_reopen();
  log.append(5, 4);
  log.compact(12);
  log.truncate(14, 3, 5);
  log.check_after_reopen();
}

void reset_positions(Context& c) {
  MirroredLog log(c);
  log.vote(6, 3);
  log.append(10, 6);
  log.reset(7, 100);  // ahead
  log.check_after_reopen();
  log.append(5, 7);
  log.reset(7, 103);  // inside
  log.check_after_reopen();
  log.append(2, 8);
  log.reset(2, 50);  // behind
  log.check_after_reopen();
  log.append(60, 2);
  log.check_after_reopen();
  log.reset(0, 0);
  log.check_after_reopen();
  log.append(3, 1);
  log.check_after_reopen();
}

void reset_after_many(Context& c) {
  MirroredLog log(c);
  for (int round = 1; round <= 4; ++round) {
    const auto term = static_cast<uint64_t>(round);
    for (int i = 0; i < 5; ++i) log.append(1000, term, 4, false);
    log.compact(log.model.base.index + 10);
    log.reset(term, log.model.last().index + 500 - 300 * term);
    log.append(50, term, 4);
  }
  log.check_after_reopen();
  for (int i = 0; i < 100; ++i) log.append(10, 9, 4, false);
  log.check_after_reopen();
}

void read_windows(Context& c) {
  MirroredLog log(c);
  log.append(20, 1, 100);
  log.compact(5);
  std::vector<Entry> got;
  auto expect = [&](uint64_t first, uint64_t count, uint64_t bytes, uint64_t want) {
    KIT_STATUS(KVS_OK, log.driver.read(first, count, bytes, &got));
    KIT_CHECK_MSG(got.size() == want, "read " + std::to_string(got.size()) + " entries, expected " +
                                          std::to_string(want));
    for (size_t i = 0; i < got.size(); ++i) KIT_CHECK(got[i] == log.model.entries[first - 6 + i]);
  };
  expect(6, kAll, kAll, 15);
  expect(6, 1, kAll, 1);
  expect(6, 14, kAll, 14);
  expect(20, 10, kAll, 1);
  expect(10, 3, kAll, 3);
  for (uint64_t bytes : {0u, 1u, 99u, 100u, 199u}) expect(7, kAll, bytes, 1);
  expect(7, kAll, 200, 2);
  expect(7, kAll, 350, 3);
  expect(7, 2, 350, 2);
  for (uint64_t first : {0u, 1u, 5u}) {
    KIT_STATUS(KVS_E_COMPACTED, log.driver.read(first, kAll, kAll, &got));
    KIT_CHECK(got.empty());
  }
  for (uint64_t first : {uint64_t{21}, uint64_t{22}, uint64_t{1} << 40, kAll}) {
    KIT_STATUS(KVS_E_END, log.driver.read(first, kAll, kAll, &got));
    KIT_CHECK(got.empty());
  }
}

void read_mixed_sizes(Context& c) {
  MirroredLog log(c);
  for (size_t bytes : {0u, 0u, 500u, 10u, 0u, 300u}) log.append(1, 1, bytes);
  std::vector<Entry> got;
  KIT_STATUS(KVS_OK, log.driver.read(1, kAll, 400, &got));
  KIT_CHECK(got.size() == 2);
  KIT_STATUS(KVS_OK, log.driver.read(3, kAll, 400, &got));
  KIT_CHECK_MSG(got.size() == 1, "the first entry comes even if larger, and alone");
  KIT_STATUS(KVS_OK, log.driver.read(4, kAll, 310, &got));
  KIT_CHECK(got.size() == 3);
}

struct StopAfter {
  int left;
  kvs_status with;
};
kvs_status stop_after(void* ctx, const kvs_entry*) noexcept {
  auto& s = *static_cast<StopAfter*>(ctx);
  return --s.left > 0 ? KVS_OK : s.with;
}

void sink_stops_read(Context& c) {
  MirroredLog log(c);
  log.append(10, 1);
  for (kvs_status with : {KVS_E_CANCELLED, KVS_E_NO_MEMORY, KVS_E_INTERNAL}) {
    StopAfter s{3, with};
    KIT_STATUS(with,
               log.driver.api().read(log.driver.handle(), 1, kAll, kAll, stop_after, &s, nullptr));
    KIT_CHECK(s.left == 0);
  }
  // What the sink says is the host's business: the log works on.
  log.append(1, 1);
  log.check();
}

void term_lookups(Context& c) {
  MirroredLog log(c);
  for (uint64_t term = 1; term <= 9; ++term) log.append(3, term);
  log.compact(8);
  uint64_t term = 0;
  KIT_STATUS(KVS_OK, log.driver.api().term(log.driver.handle(), 8, &term, nullptr));
  KIT_CHECK_MSG(term == 3, "the term of the base");
  KIT_STATUS(KVS_E_COMPACTED, log.driver.api().term(log.driver.handle(), 7, &term, nullptr));
  KIT_STATUS(KVS_E_COMPACTED, log.driver.api().term(log.driver.handle(), 0, &term, nullptr));
  KIT_STATUS(KVS_E_END, log.driver.api().term(log.driver.handle(), 28, &term, nullptr));
  KIT_STATUS(KVS_E_END, log.driver.api().term(log.driver.handle(), kAll, &term, nullptr));
  log.check_after_reopen();
}

}  // namespace

std::vector<Case> log_edge_cases() {
  return {
      {"log-compact-positions", "Compaction to the first, a middle and the last entry.",
       Needs::kLog, false, compact_positions},
      {"log-compact-repeatedly", "Compaction twice, backwards and in turn with appends.",
       Needs::kLog, false, compact_repeatedly},
      {"log-compact-beyond-last-is-refused", "Compaction beyond the last entry is INVALID.",
       Needs::kLog, false, compact_beyond_last},
      {"log-compact-many", "A compaction of many thousand entries is complete at once for readers.",
       Needs::kLog, false, compact_many},
      {"log-compact-then-truncate", "Truncation down to a compacted base, and appends after it.",
       Needs::kLog, false, compact_then_truncate},
      {"log-reset-positions", "Reset ahead, inside, behind and to zero keeps the hard state only.",
       Needs::kLog, false, reset_positions},
      {"log-reset-after-many", "No entry of before a reset ever comes back.", Needs::kLog, false,
       reset_after_many},
      {"log-read-windows", "Windows by count and bytes; COMPACTED below and END above.",
       Needs::kLog, false, read_windows},
      {"log-read-mixed-sizes", "The byte limit counts data and never withholds the first entry.",
       Needs::kLog, false, read_mixed_sizes},
      {"log-sink-stops-read", "A sink's status ends the read, is returned, and harms nothing.",
       Needs::kLog, false, sink_stops_read},
      {"log-term-lookups", "term() at the base, inside, below and above.", Needs::kLog, false,
       term_lookups},
  };
}

}  // namespace kvstore::conformance
