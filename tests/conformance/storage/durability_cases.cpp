// Cases about what must reach the disk.  Method: count the syncs, and open pictures of the
// directory as a power cut at random moments would leave it (interpose.hpp).
#include "interpose.hpp"
#include "log_driver.hpp"
#include "plugin_file.hpp"
#include "scripts.hpp"
#include "state_driver.hpp"

namespace kvstore::conformance {
namespace {

void log_sync_flag(Context& c) {
  MirroredLog log(c);
  for (int i = 0; i < 20; ++i) {
    const uint64_t before = interpose::sync_count();
    log.append(1, 1, 300, true);
    KIT_CHECK_MSG(interpose::sync_count() > before, "a synced write did not sync");
  }
  uint64_t before = interpose::sync_count();
  log.vote(2, 1);
  KIT_CHECK_MSG(interpose::sync_count() > before, "a synced vote did not sync");
  log.append(1, 2, 300, false);
  before = interpose::sync_count();
  LogStep only_sync;
  only_sync.sync = true;
  log.apply(only_sync);
  KIT_CHECK_MSG(interpose::sync_count() > before, "SYNC alone did not sync what came before");
  before = interpose::sync_count();
  log.reset(3, 50);
  KIT_CHECK_MSG(interpose::sync_count() > before, "reset did not sync");
  before = interpose::sync_count();
  for (int i = 0; i < 200; ++i) log.append(1, 3, 100, false);
  KIT_CHECK_MSG(interpose::sync_count() - before < 100, "writes without the flag sync one by one");
}

void state_sync_flag(Context& c) {
  MirroredState state(c);
  uint64_t before = interpose::sync_count();
  state.write({put("a", "1")}, true);
  KIT_CHECK_MSG(interpose::sync_count() > before, "a synced write did not sync");
  state.write({put("a", "2")});
  before = interpose::sync_count();
  (void)state.driver.sync();
  KIT_CHECK_MSG(interpose::sync_count() > before, "sync() did not sync");
  before = interpose::sync_count();
  for (int i = 0; i < 200; ++i) state.write({put("k" + std::to_string(i), std::string(100, 'v'))});
  KIT_CHECK_MSG(interpose::sync_count() - before < 100, "writes without the flag sync one by one");
  before = interpose::sync_count();
  RestoreDriver restore(state.driver);
  restore.put(0, {{"x", "y"}});
  KIT_STATUS(KVS_OK, restore.commit({1, 1000}, "m"));
  KIT_CHECK_MSG(interpose::sync_count() > before, "restore_commit did not sync");
}

void log_power_cut(Context& c) {
  constexpr int kImages = 12;
  const interpose::Recorder recorder(c.sub("log"));
  LogDriver log(c);
  LogScript script(c.seed, true);
  uint64_t done = 0;
  uint64_t synced = 0;
  Random random(c.seed + 1);
  for (int image = 0; image < kImages; ++image) {
    for (uint64_t steps = 20 + random.below(60); steps > 0; --steps) {
      const LogStep step = script.next();
      KIT_STATUS(KVS_OK, log.step(step));
      ++done;
      if (step.durable_on_return()) synced = done;
    }
    const std::string dir = c.sub("image" + std::to_string(image));
    recorder.power_image(dir);
    LogDriver found(c, dir, 0);
    const std::string wrong = judge_log(c.seed, true, done, synced, found.contents());
    KIT_CHECK_MSG(wrong.empty(), wrong);
  }
}

void state_power_cut(Context& c) {
  constexpr int kImages = 12;
  const interpose::Recorder recorder(c.sub("state"));
  StateDriver state(c);
  StateScript script(c.seed);
  uint64_t done = 0;
  uint64_t synced = 0;
  Random random(c.seed + 1);
  for (int image = 0; image < kImages; ++image) {
    for (uint64_t steps = 30 + random.below(100); steps > 0; --steps) {
      const Batch batch = script.next();
      KIT_STATUS(KVS_OK, state.write(batch));
      done = batch.at.index;
      if (batch.sync) synced = done;
      if (random.chance(3)) synced = state.sync().index;
    }
    const std::string dir = c.sub("image" + std::to_string(image));
    recorder.power_image(dir);
    StateDriver found(c, dir, 0);
    const std::string wrong = judge_state(c.seed, done, synced, found.contents());
    KIT_CHECK_MSG(wrong.empty(), wrong);
  }
}

// Nothing is synced by request: what survives is the backend's own doing, and must have no gap.
void state_power_cut_unsynced(Context& c) {
  const interpose::Recorder recorder(c.sub("state"));
  MirroredState state(c);
  StateScript script(c.seed);
  for (int image = 0; image < 10; ++image) {
    for (int i = 0; i < 80; ++i) {
      Batch batch = script.next();
      batch.sync = false;
      state.apply(batch);
    }
    const std::string dir = c.sub("image" + std::to_string(image));
    recorder.power_image(dir);
    StateDriver found(c, dir, 0);
    const std::string wrong = judge_state(c.seed, state.model.applied.index, 0, found.contents());
    KIT_CHECK_MSG(wrong.empty(), wrong);
  }
}

}  // namespace

std::vector<Case> durability_cases() {
  return {
      {"log-sync-flag-calls-fsync", "SYNC and reset sync; writes without the flag do not each.",
       Needs::kLog, true, log_sync_flag},
      {"state-sync-calls-fsync", "SYNC, sync() and restore_commit sync; other writes do not each.",
       Needs::kState, true, state_sync_flag},
      {"log-power-cut-keeps-synced",
       "A power cut at any moment leaves a prefix of the steps with everything synced.",
       Needs::kLog, true, log_power_cut},
      {"state-power-cut-keeps-synced",
       "A power cut leaves the state of some write, not before the last durable mark.",
       Needs::kState, true, state_power_cut},
      {"state-power-cut-leaves-no-gap",
       "Without any sync a power cut still leaves exactly the state of some write.", Needs::kState,
       true, state_power_cut_unsynced},
  };
}

}  // namespace kvstore::conformance
