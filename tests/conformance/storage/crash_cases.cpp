// Cases about crashes of the process.  Method: children that acknowledge their steps and are killed
// at random moments; and pictures of the directory before every single system call of one
// operation, each of which must open as the old or the new state.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <thread>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "interpose.hpp"
#include "log_driver.hpp"
#include "plugin_file.hpp"
#include "scripts.hpp"
#include "state_driver.hpp"

extern char** environ;

namespace kvstore::conformance {
namespace {

// ---- kill -9

void acknowledge(uint64_t done, uint64_t synced) {
  char line[64];
  const int n =
      std::snprintf(line, sizeof line, "%llu %llu\n", static_cast<unsigned long long>(done),
                    static_cast<unsigned long long>(synced));
  if (::write(STDOUT_FILENO, line, static_cast<size_t>(n)) != n) std::_Exit(3);
}

void log_child(Context& c) {
  LogDriver log(c);
  LogScript script(c.seed, true);
  uint64_t synced = 0;
  for (uint64_t done = 1;; ++done) {
    const LogStep step = script.next();
    KIT_STATUS(KVS_OK, log.step(step));
    if (step.durable_on_return()) synced = done;
    acknowledge(done, synced);
  }
}

void state_child(Context& c) {
  StateDriver state(c);
  StateScript script(c.seed);
  uint64_t synced = 0;
  for (;;) {
    const Batch batch = script.next();
    KIT_STATUS(KVS_OK, state.write(batch));
    if (batch.sync) synced = batch.at.index;
    if (batch.at.index % 40 == 0) synced = state.sync().index;
    acknowledge(batch.at.index, synced);
  }
}

struct Acked {
  uint64_t done = 0;
  uint64_t synced = 0;
};

// Runs a child in `dir`, kills it some time after its first acknowledgement and returns its last
// one.
Acked run_and_kill(const Context& c, const std::string& child, const std::string& dir,
                   uint64_t seed, uint64_t after_ms) {
  int pipe_fds[2];
  KIT_CHECK(::pipe2(pipe_fds, O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDOUT_FILENO);
  std::vector<std::string> args = {
      c.self,     "--plugin", c.plugin_path, "--child",           child, "--dir", dir,
      "--config", c.config,   "--seed",      std::to_string(seed)};
  std::vector<char*> argv;
  for (std::string& a : args) argv.push_back(a.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  KIT_CHECK(::posix_spawn(&pid, c.self.c_str(), &actions, nullptr, argv.data(), environ) == 0);
  posix_spawn_file_actions_destroy(&actions);
  ::close(pipe_fds[1]);
  FILE* in = ::fdopen(pipe_fds[0], "r");
  std::thread killer;
  Acked acked;
  unsigned long long done = 0;
  unsigned long long synced = 0;
  char line[128];
  while (std::fgets(line, sizeof line, in) != nullptr) {
    if (std::sscanf(line, "%llu %llu\n", &done, &synced) != 2) continue;
    acked = {done, synced};
    if (!killer.joinable()) {
      killer = std::thread([pid, after_ms] {
        std::this_thread::sleep_for(std::chrono::milliseconds(after_ms));
        ::kill(pid, SIGKILL);
      });
    }
  }
  std::fclose(in);
  if (killer.joinable()) killer.join();
  int status = 0;
  KIT_CHECK(::waitpid(pid, &status, 0) == pid);
  KIT_CHECK_MSG(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the child ended by itself");
  KIT_CHECK(acked.done > 0);
  return acked;
}

void log_kill_9(Context& c) {
  Random random(c.seed);
  for (uint64_t round = 0; round < 6; ++round) {
    const uint64_t seed = c.seed + round;
    const std::string dir = c.sub("round" + std::to_string(round));
    std::filesystem::create_directory(dir);
    const Acked acked = run_and_kill(c, "log", dir, seed, 1 + random.below(120));
    LogDriver log(c, dir + "/log", 0);
    const std::string wrong = judge_log(seed, true, acked.done, acked.synced, log.contents());
    KIT_CHECK_MSG(wrong.empty(), wrong);
    // And it works on, from wherever it is.
    LogStep step;
    step.sync = true;
    step.entries = {make_entry(1000, log.state().last.index + 1, 10)};
    KIT_STATUS(KVS_OK, log.step(step));
  }
}

void state_kill_9(Context& c) {
  Random random(c.seed);
  for (uint64_t round = 0; round < 6; ++round) {
    const uint64_t seed = c.seed + round;
    const std::string dir = c.sub("round" + std::to_string(round));
    std::filesystem::create_directory(dir);
    const Acked acked = run_and_kill(c, "state", dir, seed, 1 + random.below(120));
    StateDriver state(c, dir + "/state", 0);
    const StateModel found = state.contents();
    const std::string wrong = judge_state(seed, acked.done, acked.synced, found);
    KIT_CHECK_MSG(wrong.empty(), wrong);
    KIT_STATUS(KVS_OK,
               state.write({{put("on", "it goes")}, {1000, found.applied.index + 1}, "", true}));
  }
}

// ---- a crash at every call

// Pictures of both kinds, taken before every `every`-th call that changes a file while `work` runs,
// and two after it.
std::vector<std::string> pictures(Context& c, const std::string& label,
                                  interpose::Recorder& recorder, const std::function<void()>& work,
                                  size_t every = 1) {
  constexpr size_t kPicturesMax = 400;
  std::vector<std::string> dirs;
  size_t calls = 0;
  auto take = [&] {
    const std::string name = c.sub(label + std::to_string(dirs.size()));
    recorder.kill_image(name + "-kill");
    recorder.power_image(name + "-power");
    dirs.push_back(name + "-kill");
    dirs.push_back(name + "-power");
  };
  recorder.set_hook([&] {
    if (calls++ % every == 0 && dirs.size() < kPicturesMax) take();
  });
  work();
  recorder.set_hook(nullptr);
  take();
  KIT_CHECK_MSG(dirs.size() > 2, "the operation touched no file");
  return dirs;
}

// Every picture but the last two must be one of `allowed`, those two the last allowed one.
void expect_logs(Context& c, const std::vector<std::string>& dirs,
                 const std::vector<LogModel>& allowed, bool durable_on_return) {
  for (size_t i = 0; i < dirs.size(); ++i) {
    const LogModel found = LogDriver(c, dirs[i], 0).contents();
    const bool after = i + 2 >= dirs.size() && (durable_on_return || i + 2 == dirs.size());
    bool ok = false;
    for (size_t k = after ? allowed.size() - 1 : 0; k < allowed.size(); ++k) {
      ok = ok || difference(allowed[k], found, allowed[k].base.index).empty();
    }
    KIT_CHECK_MSG(ok, dirs[i] + " of " + std::to_string(dirs.size()) +
                          " is neither the old nor the new log: " +
                          difference(allowed.back(), found, allowed.back().base.index));
  }
}

// The models after each part of a step.
std::vector<LogModel> stages(const LogModel& before, const LogStep& step) {
  std::vector<LogModel> out{before};
  for (size_t parts = 1; step.kind == LogStep::kWrite && parts < LogModel::part_count(step);
       ++parts) {
    out.push_back(before);
    out.back().apply_parts(step, parts);
  }
  out.push_back(before);
  out.back().apply(step);
  return out;
}

void crash_in_log_step(Context& c, const LogStep& step) {
  interpose::Recorder recorder(c.sub("log"));
  MirroredLog log(c);
  for (uint64_t term = 1; term <= 4; ++term) log.append(20, term, 50);
  log.vote(5, 2);
  const std::vector<LogModel> allowed = stages(log.model, step);
  const auto dirs = pictures(c, "picture", recorder, [&] { log.apply(step); });
  expect_logs(c, dirs, allowed, step.durable_on_return());
}

void crash_in_log_write(Context& c) {
  LogStep step;
  step.sync = true;
  step.hard = kvs_hard_state{6, 3, 70};
  step.truncate_from = 61;
  for (uint64_t i = 61; i < 75; ++i) step.entries.push_back(make_entry(6, i, 3000, 1));
  crash_in_log_step(c, step);
}

void crash_in_log_compact(Context& c) {
  LogStep step;
  step.kind = LogStep::kCompact;
  step.id = {3, 55};
  crash_in_log_step(c, step);
}

void crash_in_log_reset(Context& c) {
  LogStep step;
  step.kind = LogStep::kReset;
  step.id = {9, 200};
  crash_in_log_step(c, step);
}

void expect_states(Context& c, const std::vector<std::string>& dirs, const StateModel& before,
                   const StateModel& after, bool durable_on_return) {
  for (size_t i = 0; i < dirs.size(); ++i) {
    StateDriver state(c, dirs[i], 0);
    const StateModel found = state.contents();
    const bool must_be_new = i + 2 >= dirs.size() && (durable_on_return || i + 2 == dirs.size());
    const std::string wrong = difference(after, found);
    const bool ok = wrong.empty() || (!must_be_new && difference(before, found).empty());
    KIT_CHECK_MSG(ok, dirs[i] + " of " + std::to_string(dirs.size()) +
                          " is neither the old nor the new state: " + wrong);
    // A restore that was cut off leaves nothing in the way of the next.
    RestoreDriver restore(state);
    restore.put(0, {{"x", "y"}});
    KIT_STATUS(KVS_OK, restore.commit({100, 100000}, "m"));
  }
}

void fill(MirroredState& state) {
  for (int i = 0; i < 30; ++i) {
    state.write(
        {put("key" + std::to_string(i), std::string(200, 'v')), put("same", std::to_string(i))},
        true, "old meta");
  }
}

void crash_in_state_write(Context& c) {
  interpose::Recorder recorder(c.sub("state"));
  MirroredState state(c);
  fill(state);
  const StateModel before = state.model;
  const auto dirs = pictures(c, "picture", recorder, [&] {
    state.write({del_range("key1", "key2"), put("key15", "again"),
                 put("big", std::string(40000, 'b')), del("key3")},
                true, "new meta");
  });
  expect_states(c, dirs, before, state.model, true);
}

void crash_in_large_delete(Context& c) {
  interpose::Recorder recorder(c.sub("state"));
  MirroredState state(c);
  // Long keys, so that their deletion takes several pieces where a plugin makes pieces.
  const std::string prefix(150, 'p');
  constexpr int kKeys = 18000;
  for (int i = 0; i < kKeys; i += 6000) {
    std::vector<Op> ops;
    for (int k = i; k < i + 6000; ++k) ops.push_back(put(prefix + std::to_string(100000 + k), ""));
    state.write(std::move(ops), true);
  }
  state.write({put("other", "kept")}, true);
  const StateModel before = state.model;
  const auto work = [&] {
    state.write({put(prefix + "z", "goes"), del_range("p", "q"), put(prefix + "a", "stays")}, true);
  };
  const auto dirs = pictures(c, "picture", recorder, work, 60);
  expect_states(c, dirs, before, state.model, true);
}

void crash_in_restore(Context& c) {
  interpose::Recorder recorder(c.sub("state"));
  MirroredState state(c);
  fill(state);
  const StateModel before = state.model;
  StateModel next;
  next.applied = {9, 900};
  next.meta = "restored";
  for (uint64_t i = 0; i < 100; ++i)
    next.spaces[i % 3]["r" + std::to_string(i)] = make_entry(1, i, 300).data;
  const auto dirs = pictures(c, "picture", recorder, [&] {
    RestoreDriver restore(state.driver);
    restore.put(next);
    KIT_STATUS(KVS_OK, restore.commit(next.applied, next.meta));
  });
  expect_states(c, dirs, before, next, true);
}

// A creation that was cut off is not found, or complete; and CREATE finishes it.
void crash_in_creation(Context& c) {
  if (c.plugin->log() != nullptr) {
    interpose::Recorder recorder(c.sub("log"));
    const auto dirs = pictures(c, "made-log", recorder, [&] { LogDriver log(c); });
    for (const std::string& dir : dirs) {
      kvs_log* log = nullptr;
      const kvs_status status = open_log(*c.plugin, dir, c.config, 0, &log);
      KIT_CHECK_MSG(status == KVS_OK || status == KVS_E_NOT_FOUND,
                    dir + ": " + status_name(status));
      if (status == KVS_OK) c.plugin->log()->close(log);
      MirroredLog(c, dir).append(3, 1);
    }
  }
  if (c.plugin->state() != nullptr) {
    interpose::Recorder recorder(c.sub("state"));
    const auto dirs = pictures(c, "made-state", recorder, [&] { StateDriver state(c); });
    for (const std::string& dir : dirs) {
      kvs_state* state = nullptr;
      const kvs_status status = open_state(*c.plugin, dir, c.config, 0, &state);
      KIT_CHECK_MSG(status == KVS_OK || status == KVS_E_NOT_FOUND,
                    dir + ": " + status_name(status));
      if (status == KVS_OK) c.plugin->state()->close(state);
      MirroredState(c, dir).write({put("a", "b")});
    }
  }
}

}  // namespace

std::vector<Case> crash_cases() {
  return {
      {"log-kill-9-keeps-acked",
       "A killed writer's log is a prefix of its steps with all that was synced.", Needs::kLog,
       true, log_kill_9},
      {"state-kill-9-keeps-acked",
       "A killed writer's state is that of some write, none synced is lost.", Needs::kState, true,
       state_kill_9},
      {"log-crash-in-write", "A crash at any call of a write keeps its parts in order.",
       Needs::kLog, true, crash_in_log_write},
      {"log-crash-in-compact",
       "A crash at any call of a compaction leaves the old or the new base.", Needs::kLog, true,
       crash_in_log_compact},
      {"log-crash-in-reset", "A crash at any call of a reset leaves the old or the new log.",
       Needs::kLog, true, crash_in_log_reset},
      {"state-crash-in-write", "A crash at any call of a write leaves the old or the new state.",
       Needs::kState, true, crash_in_state_write},
      {"state-crash-in-large-delete",
       "The same for the deletion of a range too large for one piece.", Needs::kState, true,
       crash_in_large_delete},
      {"restore-crash-at-each-step",
       "A crash at any call of a restore leaves the old or the new state.", Needs::kState, true,
       crash_in_restore},
      {"open-crash-in-creation",
       "A creation cut off at any call is not found or complete, and repeatable.", Needs::kAny,
       true, crash_in_creation},
  };
}

std::vector<Child> crash_children() {
  return {{"log", log_child}, {"state", state_child}};
}

}  // namespace kvstore::conformance
