// Cases about the log's writer.  Method: each case does steps on the plugin and on a model,
// compares them, closes, opens again and compares once more.
#include <limits>

#include "log_driver.hpp"
#include "plugin_file.hpp"

namespace kvstore::conformance {
namespace {

void new_log_is_empty(Context& c) {
  MirroredLog log(c);
  log.check_after_reopen();
  const kvs_log_state s = log.driver.state();
  KIT_CHECK(s.base.index == 0 && s.base.term == 0 && s.last.index == 0 && s.hard.term == 0 &&
            s.hard.voted_for == 0 && s.hard.commit == 0);
}

void append_one(Context& c) {
  MirroredLog log(c);
  log.append(1, 1);
  log.check_after_reopen();
  log.append(1, 1, 0);
  log.append(1, 2);
  log.check_after_reopen();
}

void append_thousand(Context& c) {
  MirroredLog log(c);
  log.append(1000, 3, 100);
  log.check_after_reopen();
  for (int i = 0; i < 50; ++i) log.append(20, 4, 300, i % 10 == 9);
  log.check_after_reopen();
}

void entry_sizes(Context& c) {
  MirroredLog log(c);
  for (size_t bytes : {0u, 1u, 15u, 4095u, 4096u, 65536u, (1u << 20) + 64u, 8u << 20}) {
    log.append(1, 1, bytes);
  }
  log.check_after_reopen();
}

void fields_are_verbatim(Context& c) {
  MirroredLog log(c);
  LogStep step;
  step.sync = true;
  const uint64_t large = std::numeric_limits<uint64_t>::max();
  Entry e = make_entry(large - 1, 1, 3);
  e.kind = std::numeric_limits<uint32_t>::max();
  e.crc32c = 0xDEADBEEFu;
  e.data = std::string("\0\xFF\0", 3);
  step.entries.push_back(e);
  step.hard = kvs_hard_state{large, large - 2, large - 3};
  log.apply(step);
  log.check_after_reopen();
}

void hard_state(Context& c) {
  MirroredLog log(c);
  log.vote(1, 7);
  log.check_after_reopen();
  log.append(3, 1);
  log.vote(2, 0);
  log.check_after_reopen();
  log.vote(2, 9);
  log.append(1, 2);
  log.check_after_reopen();
}

void vote_and_entries_in_one_write(Context& c) {
  MirroredLog log(c);
  LogStep step;
  step.sync = true;
  step.hard = kvs_hard_state{4, 2, 0};
  step.entries = {make_entry(4, 1, 10), make_entry(4, 2, 10)};
  log.apply(step);
  log.check_after_reopen();
}

void empty_sync(Context& c) {
  MirroredLog log(c);
  LogStep step;
  step.sync = true;
  log.apply(step);
  log.append(2, 1, 20, false);
  log.apply(step);
  log.check_after_reopen();
  step.sync = false;
  log.apply(step);
  log.check();
}

void gap_is_refused(Context& c) {
  MirroredLog log(c);
  log.append(3, 2);
  for (uint64_t index : {0u, 1u, 3u, 5u, 100u}) {
    LogStep step;
    step.sync = true;
    step.hard = kvs_hard_state{50, 1, 1};
    step.entries = {make_entry(2, index, 5)};
    log.refuse(step, KVS_E_INVALID);
  }
  LogStep second;
  second.entries = {make_entry(2, 4, 5), make_entry(2, 6, 5)};
  log.refuse(second, KVS_E_INVALID);
  log.driver.reopen();
  log.append(1, 2);
  log.check_after_reopen();
}

void term_going_back_is_refused(Context& c) {
  MirroredLog log(c);
  log.append(3, 5);
  LogStep step;
  step.sync = true;
  step.entries = {make_entry(4, 4, 5)};
  log.refuse(step, KVS_E_INVALID);
  step.entries = {make_entry(6, 4, 5), make_entry(5, 5, 5)};
  log.refuse(step, KVS_E_INVALID);
  step.truncate_from = 3;
  step.entries = {make_entry(4, 3, 5)};
  log.refuse(step, KVS_E_INVALID);
  log.compact(3);
  step.truncate_from.reset();
  step.entries = {make_entry(4, 4, 5)};
  log.refuse(step, KVS_E_INVALID);
  log.append(1, 5);
  log.check_after_reopen();
}

void unknown_flag_is_refused(Context& c) {
  MirroredLog log(c);
  log.append(1, 1);
  const Entry e = make_entry(1, 2, 4);
  const kvs_entry raw{
      e.id, e.kind, e.crc32c, {reinterpret_cast<const uint8_t*>(e.data.data()), e.data.size()}};
  for (uint32_t flag : {8u, 0x10000u, 0x80000000u}) {
    kvs_log_write w{};
    w.struct_size = sizeof w;
    w.flags = KVS_LOG_SYNC | flag;
    w.entries = &raw;
    w.entry_count = 1;
    KIT_STATUS(KVS_E_UNSUPPORTED, log.driver.api().write(log.driver.handle(), &w, nullptr));
  }
  log.check();
}

void truncate_positions(Context& c) {
  for (uint64_t from : {1u, 2u, 6u, 10u, 11u}) {
    MirroredLog log(c, "log" + std::to_string(from));
    log.append(5, 1);
    log.append(5, 2);
    log.truncate(from, 0, 0);
    log.check_after_reopen();
    log.append(2, 3);
    log.check_after_reopen();
  }
}

void truncate_and_append(Context& c) {
  for (uint64_t from : {1u, 5u, 10u, 11u}) {
    for (uint64_t count : {1u, 3u, 20u}) {
      MirroredLog log(c, "log" + std::to_string(from) + "-" + std::to_string(count));
      log.append(10, 1);
      log.truncate(from, count, 4);
      log.check_after_reopen();
    }
  }
}

void truncate_out_of_range(Context& c) {
  MirroredLog log(c);
  log.append(10, 1);
  log.compact(4);
  for (uint64_t from : {0u, 1u, 4u, 12u, 1000u}) {
    LogStep step;
    step.sync = true;
    step.hard = kvs_hard_state{9, 9, 9};
    step.truncate_from = from;
    step.entries = {make_entry(9, from, 5)};
    log.refuse(step, KVS_E_INVALID);
  }
  log.truncate(5, 0, 0);  // down to the base
  log.check_after_reopen();
  log.truncate(5, 2, 3);  // nothing to truncate
  log.check_after_reopen();
}

void vote_truncate_append_in_one(Context& c) {
  MirroredLog log(c);
  log.append(10, 1);
  LogStep step;
  step.sync = true;
  step.hard = kvs_hard_state{3, 1, 5};
  step.truncate_from = 6;
  step.entries = {make_entry(2, 6, 30, 9), make_entry(3, 7, 0, 9)};
  log.apply(step);
  log.check_after_reopen();
}

}  // namespace

std::vector<Case> log_cases() {
  return {
      {"log-new-is-empty", "A new log has base, last and hard state zero.", Needs::kLog, false,
       new_log_is_empty},
      {"log-append-one", "Single entries are read back, also after a reopen.", Needs::kLog, false,
       append_one},
      {"log-append-thousand", "Large batches and unsynced ones are read back.", Needs::kLog, false,
       append_thousand},
      {"log-entry-sizes", "Entries of 0 bytes to 8 MiB are read back.", Needs::kLog, false,
       entry_sizes},
      {"log-fields-are-verbatim", "Kind, checksum, terms and any bytes come back as given.",
       Needs::kLog, false, fields_are_verbatim},
      {"log-hard-state", "The hard state is kept across other writes and reopens.", Needs::kLog,
       false, hard_state},
      {"log-vote-and-entries-in-one-write", "Hard state and entries go in one step.", Needs::kLog,
       false, vote_and_entries_in_one_write},
      {"log-empty-sync", "A step with nothing but SYNC, or nothing at all, is legal.", Needs::kLog,
       false, empty_sync},
      {"log-gap-is-refused", "An entry that does not follow is INVALID and changes nothing.",
       Needs::kLog, false, gap_is_refused},
      {"log-term-going-back-is-refused", "A term that goes back is INVALID and changes nothing.",
       Needs::kLog, false, term_going_back_is_refused},
      {"log-unknown-flag-is-refused", "An unknown flag is UNSUPPORTED and changes nothing.",
       Needs::kLog, false, unknown_flag_is_refused},
      {"log-truncate-positions", "Truncation at the first, a middle, the last entry and behind it.",
       Needs::kLog, false, truncate_positions},
      {"log-truncate-and-append", "Truncation and new entries, fewer or more, in one step.",
       Needs::kLog, false, truncate_and_append},
      {"log-truncate-out-of-range",
       "Truncation at or below the base or beyond last + 1 is INVALID.", Needs::kLog, false,
       truncate_out_of_range},
      {"log-vote-truncate-append-in-one", "All three parts of a step together.", Needs::kLog, false,
       vote_truncate_append_in_one},
  };
}

}  // namespace kvstore::conformance
