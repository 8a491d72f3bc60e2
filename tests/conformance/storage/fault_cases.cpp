// Cases about disks that fail.  Method: system calls fail by plan (interpose.hpp), or files are
// damaged while the instance is closed; then the statuses, the latch and what a reopen finds are
// judged.
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <optional>

#include <kvstore/sdk/slice.hpp>

#include "interpose.hpp"
#include "log_driver.hpp"
#include "plugin_file.hpp"
#include "scripts.hpp"
#include "state_driver.hpp"

namespace kvstore::conformance {
namespace {

namespace fs = std::filesystem;
using interpose::Fault;
using interpose::Kind;

struct Plan {
  Kind kind;
  int sys_errno;
  kvs_status expected;
};
const Plan kPlans[] = {{Kind::kSync, EIO, KVS_E_IO},
                       {Kind::kWrite, EIO, KVS_E_IO},
                       {Kind::kWrite, ENOSPC, KVS_E_NO_SPACE}};

LogStep one_entry(uint64_t index) {
  LogStep step;
  step.sync = true;
  step.entries = {make_entry(1, index, 200)};
  return step;
}

// One failed call, then the disk is fine again: the instance must not be.
void log_failure_latches(Context& c) {
  int round = 0;
  for (const Plan& plan : kPlans) {
    MirroredLog log(c, "log" + std::to_string(round++));
    log.append(10, 1);
    std::string message;
    {
      const Fault fault(log.driver.dir(), plan.kind, 1, plan.sys_errno, false);
      KIT_STATUS(plan.expected, log.driver.step(one_entry(11), &message));
      KIT_CHECK(fault.hits() == 1 && !message.empty());
    }
    for (int i = 0; i < 5; ++i) {
      KIT_STATUS(plan.expected, log.driver.step(one_entry(11), &message));
      KIT_STATUS(plan.expected, log.driver.step(one_entry(12), &message));
    }
    LogStep reset;
    reset.kind = LogStep::kReset;
    reset.id = {5, 100};
    KIT_STATUS(plan.expected, log.driver.step(reset));
    if (plan.expected == KVS_E_NO_SPACE) {
      std::vector<Entry> got;  // readers go on
      KIT_STATUS(KVS_OK, log.driver.read(1, 10, 1u << 20, &got));
      KIT_CHECK(got.size() == 10);
    }
    log.driver.reopen();
    const LogModel found = log.driver.contents();
    KIT_CHECK_MSG(found.last().index == 10 || found.last().index == 11,
                  "an acknowledged entry is lost");
  }
}

void state_failure_latches(Context& c) {
  int round = 0;
  for (const Plan& plan : kPlans) {
    MirroredState state(c, "state" + std::to_string(round++));
    state.write({put("a", "1")}, true);
    const Batch next{{put("b", "2")}, {1, 2}, "", true};
    {
      const Fault fault(state.driver.dir(), plan.kind, 1, plan.sys_errno, false);
      KIT_STATUS(plan.expected, state.driver.write(next));
    }
    KIT_STATUS(plan.expected, state.driver.write(next));
    kvs_log_id durable{};
    KIT_STATUS(plan.expected, state.driver.api().sync(state.driver.handle(), &durable, nullptr));
    state.driver.reopen();
    const StateModel found = state.driver.contents();
    KIT_CHECK(found.spaces[0].at("a") == "1" && found.applied.index <= 2);
    KIT_CHECK((found.applied.index == 2) == (found.spaces[0].count("b") == 1));
  }
}

void state_sync_failure(Context& c) {
  MirroredState state(c);
  state.write({put("a", "1")});
  kvs_log_id durable{};
  {
    const Fault fault(state.driver.dir(), Kind::kSync, 1, EIO, false);
    KIT_STATUS(KVS_E_IO, state.driver.api().sync(state.driver.handle(), &durable, nullptr));
  }
  KIT_STATUS(KVS_E_IO, state.driver.api().sync(state.driver.handle(), &durable, nullptr));
  KIT_STATUS(KVS_E_IO, state.driver.write({{put("b", "2")}, {1, 2}, "", false}));
}

// Fails the n-th call of an open: that open may fail, the next one finds everything.
void open_fault_loop(Context& c) {
  { MirroredLog(c).append(20, 1); }
  const LogModel before = LogDriver(c).contents();
  for (const Plan& plan : kPlans) {
    uint64_t hits = 1;
    for (uint64_t n = 1; hits > 0; ++n) {
      {
        const Fault fault(c.sub("log"), plan.kind, n, plan.sys_errno, false);
        kvs_log* log = nullptr;
        if (open_log(*c.plugin, c.sub("log"), c.config, 0, &log) == KVS_OK)
          c.plugin->log()->close(log);
        hits = fault.hits();
      }
      const LogModel found = LogDriver(c, "log", 0).contents();
      const std::string wrong = difference(before, found, before.base.index);
      KIT_CHECK_MSG(wrong.empty(), "n=" + std::to_string(n) + ": " + wrong);
    }
  }
}

// Fails the n-th call for n = 1, 2, ...: whatever the call belonged to, nothing acknowledged may be
// lost.
void log_fault_loop(Context& c) {
  for (const Plan& plan : kPlans) {
    for (uint64_t n = 1; n <= 60; n += 1 + n / 6) {
      const std::string dir = c.sub("log");
      fs::remove_all(dir);
      uint64_t done = 0;
      uint64_t synced = 0;
      {
        LogDriver log(c);
        LogScript script(c.seed + n, true);
        const Fault fault(dir, plan.kind, n, plan.sys_errno, true);
        for (int i = 0; i < 80; ++i) {
          const LogStep step = script.next();
          if (log.step(step) != KVS_OK) break;
          ++done;
          if (step.durable_on_return()) synced = done;
        }
        log.close();
      }
      LogDriver log(c, "log", 0);
      const std::string wrong = judge_log(c.seed + n, true, done, synced, log.contents());
      KIT_CHECK_MSG(wrong.empty(), "n=" + std::to_string(n) + ": " + wrong);
    }
  }
}

void state_fault_loop(Context& c) {
  for (const Plan& plan : kPlans) {
    for (uint64_t n = 1; n <= 60; n += 1 + n / 6) {
      const std::string dir = c.sub("state");
      fs::remove_all(dir);
      uint64_t done = 0;
      uint64_t synced = 0;
      {
        StateDriver state(c);
        StateScript script(c.seed + n);
        const Fault fault(dir, plan.kind, n, plan.sys_errno, true);
        for (int i = 0; i < 80; ++i) {
          const Batch batch = script.next();
          if (state.write(batch) != KVS_OK) break;
          done = batch.at.index;
          if (batch.sync) synced = done;
        }
        state.close();
      }
      StateDriver state(c, "state", 0);
      const std::string wrong = judge_state(c.seed + n, done, synced, state.contents());
      KIT_CHECK_MSG(wrong.empty(), "n=" + std::to_string(n) + ": " + wrong);
    }
  }
}

// A restore that fails leaves the old state in use, unless it failed at the very switch.
void restore_fault_loop(Context& c) {
  for (const Plan& plan : kPlans) {
    for (uint64_t n = 1; n <= 24; ++n) {
      fs::remove_all(c.sub("state"));
      MirroredState state(c);
      state.write({put("old", "1")}, true, "m");
      const StateModel before = state.model;
      kvs_status status = KVS_OK;
      {
        const Fault fault(state.driver.dir(), plan.kind, n, plan.sys_errno, false);
        kvs_restore* restore = nullptr;
        status = state.driver.api().restore_begin(state.driver.handle(), &restore, nullptr);
        const kvs_pair pair{{reinterpret_cast<const uint8_t*>("k"), 1},
                            {reinterpret_cast<const uint8_t*>("v"), 1}};
        if (status == KVS_OK) {
          status = state.driver.api().restore_put(restore, 0, &pair, 1, nullptr);
          kvs_applied applied{};
          applied.struct_size = sizeof applied;
          applied.at = {2, 50};
          if (status == KVS_OK) {
            status = state.driver.api().restore_commit(restore, &applied, nullptr);
          } else {
            state.driver.api().restore_abort(restore);
          }
        }
      }
      state.driver.reopen();
      const StateModel found = state.driver.contents();
      const bool is_new =
          found.applied.index == 50 && found.spaces[0] == StateModel::Space{{"k", "v"}};
      const bool is_old = difference(before, found).empty();
      KIT_CHECK_MSG(is_new || is_old,
                    "n=" + std::to_string(n) + ": neither the old nor the new state");
      KIT_CHECK_MSG(status != KVS_OK || is_new, "a committed restore is lost");
    }
  }
}

// ---- damage

std::vector<std::string> data_files(const std::string& dir) {
  std::vector<std::string> files;
  for (const auto& e : fs::recursive_directory_iterator(dir)) {
    if (e.is_regular_file() && e.file_size() > 4096) files.push_back(e.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

void damage(const std::string& path, uint64_t at, Random& random) {
  std::fstream f(path, std::ios::in | std::ios::out | std::ios::binary);
  f.seekp(static_cast<std::streamoff>(at));
  for (int i = 0; i < 16; ++i) f.put(static_cast<char>(random.below(256)));
}

// Where `dir` is damaged in turn: all over its large files.
template <typename Judge>
void damage_everywhere(Context& c, const std::string& dir, Judge&& judge) {
  Random random(c.seed);
  const auto files = data_files(dir);
  KIT_CHECK(!files.empty());
  uint64_t detected = 0;
  for (const std::string& file : files) {
    const uint64_t size = fs::file_size(file);
    for (int i = 0; i < 12; ++i) {
      const std::string copy = c.sub("damaged");
      fs::remove_all(copy);
      fs::copy(dir, copy, fs::copy_options::recursive);
      damage(copy + "/" + fs::relative(file, dir).string(), random.below(size - 16), random);
      if (judge(copy)) ++detected;
    }
  }
  KIT_CHECK_MSG(detected > 0, "no damage was ever noticed");
}

void log_damage(Context& c) {
  MirroredLog log(c);
  for (int i = 0; i < 40; ++i) log.append(20, 1, 300, i % 10 == 9);
  log.driver.close();
  damage_everywhere(c, c.sub("log"), [&](const std::string& dir) {
    kvs_log* handle = nullptr;
    const kvs_status status = open_log(*c.plugin, dir, c.config, 0, &handle);
    if (status != KVS_OK) {
      KIT_CHECK_MSG(status == KVS_E_CORRUPT, "open of a damaged log: " + status_name(status));
      return true;
    }
    c.plugin->log()->close(handle);
    LogDriver found(c, dir, 0);
    const kvs_log_state s = found.state();
    KIT_CHECK_MSG(s.last == log.model.last(), "damage shortened the log silently");
    std::vector<Entry> got;
    for (uint64_t i = 1; i <= s.last.index; ++i) {
      const kvs_status read = found.read(i, 1, 1u << 20, &got);
      if (read != KVS_OK) {
        KIT_CHECK_MSG(read == KVS_E_CORRUPT, "read of a damaged entry: " + status_name(read));
        return true;
      }
      // The core's checksum covers the fields of an entry; the position is the plugin's to keep.
      KIT_CHECK(got.size() == 1 && got[0].id.index == i);
      if (!(got[0] == log.model.entries[i - 1])) return true;
    }
    return false;
  });
}

void state_damage(Context& c) {
  MirroredState state(c);
  for (uint64_t i = 0; i < 800; ++i) {
    state.write({put("key" + std::to_string(i), make_entry(1, i, 300).data)}, i % 200 == 199);
  }
  state.driver.close();
  damage_everywhere(c, c.sub("state"), [&](const std::string& dir) {
    kvs_state* handle = nullptr;
    const kvs_status status = open_state(*c.plugin, dir, c.config, 0, &handle);
    if (status != KVS_OK) {
      KIT_CHECK_MSG(status == KVS_E_CORRUPT, "open of a damaged state: " + status_name(status));
      return true;
    }
    c.plugin->state()->close(handle);
    StateDriver found(c, dir, 0);
    kvs_view* view = nullptr;
    kvs_status read = found.api().view_open(found.handle(), &view, nullptr);
    if (read != KVS_OK) {
      KIT_CHECK_MSG(read == KVS_E_CORRUPT, "view_open on a damaged state: " + status_name(read));
      return true;
    }
    std::optional<std::string> wrong;
    for (const auto& [key, value] : state.model.spaces[0]) {
      std::string got;
      const kvs_slice k = sdk::slice(key);
      read = found.api().view_get(view, 0, &k, sdk::append_to_string, &got, nullptr);
      if (read != KVS_OK) break;
      if (got != value) wrong = key;
    }
    found.api().view_close(view);
    KIT_CHECK_MSG(!wrong.has_value(), "a damaged value was served as valid");
    // A key that damage made unreachable is missing: detected by the core's comparison of hashes,
    // not here.
    KIT_CHECK_MSG(read == KVS_OK || read == KVS_E_CORRUPT || read == KVS_E_NOT_FOUND,
                  status_name(read));
    return read == KVS_E_CORRUPT;
  });
}

// Every file missing in turn, and every file empty in turn.
void lost_files(Context& c) {
  if (c.plugin->log() != nullptr) {
    MirroredLog log(c);
    for (int i = 0; i < 30; ++i) log.append(20, 1, 300);
    log.driver.close();
    for (const auto& e : fs::recursive_directory_iterator(c.sub("log"))) {
      if (!e.is_regular_file() || e.file_size() == 0) continue;
      const std::string copy = c.sub("copy");
      fs::remove_all(copy);
      fs::copy(c.sub("log"), copy, fs::copy_options::recursive);
      fs::remove(fs::path(copy) / fs::relative(e.path(), c.sub("log")));
      kvs_log* handle = nullptr;
      const kvs_status status = open_log(*c.plugin, copy, c.config, 0, &handle);
      if (status != KVS_OK) {
        KIT_CHECK_MSG(status == KVS_E_CORRUPT || status == KVS_E_NOT_FOUND,
                      "open without " + e.path().filename().string() + ": " + status_name(status));
        continue;
      }
      c.plugin->log()->close(handle);
      LogDriver found(c, copy, 0);
      std::vector<Entry> got;
      const kvs_status read = found.read(1, 1000, 1u << 30, &got);
      KIT_CHECK_MSG(
          read == KVS_E_CORRUPT || (read == KVS_OK && got.size() == log.model.entries.size()),
          "entries are lost silently without " + e.path().filename().string());
    }
  }
}

}  // namespace

std::vector<Case> fault_cases() {
  return {
      {"log-failure-latches",
       "After one failed write or sync every later write fails; reopen heals.", Needs::kLog, true,
       log_failure_latches},
      {"state-failure-latches",
       "After one failed write or sync every later one fails; reopen heals.", Needs::kState, true,
       state_failure_latches},
      {"state-sync-failure-latches", "A failed sync() is reported and latched.", Needs::kState,
       true, state_sync_failure},
      {"open-fault-loop", "An open that failed at the n-th call leaves what the next one finds.",
       Needs::kLog, true, open_fault_loop},
      {"log-fault-loop", "Failing the n-th call loses nothing acknowledged, for many n.",
       Needs::kLog, true, log_fault_loop},
      {"state-fault-loop", "Failing the n-th call leaves the state of some write, for many n.",
       Needs::kState, true, state_fault_loop},
      {"restore-fault-loop", "A restore failing at the n-th call leaves the old or the new state.",
       Needs::kState, true, restore_fault_loop},
      {"log-damage-is-corrupt", "Damaged files are CORRUPT at open or read, never a shorter log.",
       Needs::kLog, true, log_damage},
      {"state-damage-is-corrupt", "Damaged files are CORRUPT; a damaged value is never served.",
       Needs::kState, true, state_damage},
      {"log-lost-files-are-noticed", "A missing file never makes the log shorter silently.",
       Needs::kLog, true, lost_files},
  };
}

}  // namespace kvstore::conformance
