// Cases about opening: what is found, made, refused.  Method: open in prepared directories and look
// at the status, the message and what is left.
#include <filesystem>
#include <fstream>

#include "log_driver.hpp"
#include "plugin_file.hpp"
#include "state_driver.hpp"

namespace kvstore::conformance {
namespace {

namespace fs = std::filesystem;

kvs_status try_log(Context& c, const std::string& dir, uint32_t flags, std::string* message) {
  kvs_log* log = nullptr;
  const kvs_status status = open_log(*c.plugin, dir, c.config, flags, &log, message);
  if (status == KVS_OK) c.plugin->log()->close(log);
  return status;
}

kvs_status try_state(Context& c, const std::string& dir, uint32_t flags, std::string* message) {
  kvs_state* state = nullptr;
  const kvs_status status = open_state(*c.plugin, dir, c.config, flags, &state, message);
  if (status == KVS_OK) c.plugin->state()->close(state);
  return status;
}

using TryOpen = kvs_status (*)(Context&, const std::string&, uint32_t, std::string*);

// Runs a check for each interface that the plugin offers.
template <typename Fn>
void for_each_interface(Context& c, Fn&& fn) {
  if (c.plugin->log() != nullptr) fn(&try_log, "log");
  if (c.plugin->state() != nullptr) fn(&try_state, "state");
}

void absent_without_create(Context& c) {
  for_each_interface(c, [&](TryOpen open, const std::string& name) {
    std::string message;
    KIT_STATUS(KVS_E_NOT_FOUND, open(c, c.sub(name + "-absent"), 0, &message));
    KIT_CHECK(!message.empty());
    KIT_CHECK_MSG(!fs::exists(c.sub(name + "-absent")), "a failed open left a directory");
  });
}

void empty_without_create(Context& c) {
  for_each_interface(c, [&](TryOpen open, const std::string& name) {
    const std::string dir = c.sub(name);
    fs::create_directory(dir);
    std::string message;
    KIT_STATUS(KVS_E_NOT_FOUND, open(c, dir, 0, &message));
    KIT_CHECK_MSG(fs::is_empty(dir), "a failed open left files");
    KIT_STATUS(KVS_OK, open(c, dir, KVS_STORAGE_CREATE, &message));
  });
}

void reopen_of_unused(Context& c) {
  for_each_interface(c, [&](TryOpen open, const std::string& name) {
    std::string message;
    KIT_STATUS(KVS_OK, open(c, c.sub(name), KVS_STORAGE_CREATE, &message));
    KIT_STATUS(KVS_OK, open(c, c.sub(name), 0, &message));
  });
}

void create_keeps_data(Context& c) {
  if (c.plugin->log() != nullptr) {
    MirroredLog log(c);
    log.append(3, 1);
    log.driver.close();
    KIT_CHECK(LogDriver(c).contents().last().index == 3);
  }
  if (c.plugin->state() != nullptr) {
    MirroredState state(c);
    state.write({put("a", "1")}, true);
    state.driver.close();
    KIT_CHECK(StateDriver(c).contents().spaces[0].at("a") == "1");
  }
}

void second_open_fails(Context& c) {
  auto check = [](kvs_status status, const std::string& message) {
    KIT_CHECK_MSG(status == KVS_E_BUSY || status == KVS_E_IO,
                  "the second open is " + status_name(status));
    KIT_CHECK(!message.empty());
  };
  std::string message;
  if (c.plugin->log() != nullptr) {
    MirroredLog log(c);
    log.append(2, 1);
    check(try_log(c, log.driver.dir(), 0, &message), message);
    check(try_log(c, log.driver.dir(), KVS_STORAGE_CREATE, &message), message);
    log.append(1, 5);
    log.check_after_reopen();
  }
  if (c.plugin->state() != nullptr) {
    MirroredState state(c);
    state.write({put("a", "b")});
    check(try_state(c, state.driver.dir(), 0, &message), message);
    check(try_state(c, state.driver.dir(), KVS_STORAGE_CREATE, &message), message);
    state.write({put("c", "d")});
    state.check_after_reopen();
  }
}

void other_interface_is_incompatible(Context& c) {
  { MirroredLog(c, "log").append(1, 1); }
  { MirroredState(c, "state").write({put("a", "b")}); }
  std::string message;
  KIT_STATUS(KVS_E_INCOMPATIBLE, try_state(c, c.sub("log"), 0, &message));
  KIT_STATUS(KVS_E_INCOMPATIBLE, try_state(c, c.sub("log"), KVS_STORAGE_CREATE, &message));
  KIT_STATUS(KVS_E_INCOMPATIBLE, try_log(c, c.sub("state"), 0, &message));
  KIT_STATUS(KVS_OK, try_log(c, c.sub("log"), 0, &message));
  KIT_STATUS(KVS_OK, try_state(c, c.sub("state"), 0, &message));
}

// The part of a plugin's id behind "storage-", which its messages must name.
std::string engine_of(const PluginFile& plugin) {
  const std::string id = plugin.manifest().id;
  return id.substr(id.find_last_of("-.") + 1);
}

void other_engine_is_incompatible(Context& c) {
  if (c.other == nullptr) return;
  kvs_log* log = nullptr;
  KIT_STATUS(KVS_OK, open_log(*c.other, c.sub("log"), "", KVS_STORAGE_CREATE, &log));
  c.other->log()->close(log);
  kvs_state* state = nullptr;
  KIT_STATUS(KVS_OK, open_state(*c.other, c.sub("state"), "", KVS_STORAGE_CREATE, &state));
  c.other->state()->close(state);
  for_each_interface(c, [&](TryOpen open, const std::string& name) {
    for (uint32_t flags : {0u, static_cast<uint32_t>(KVS_STORAGE_CREATE)}) {
      std::string message;
      KIT_STATUS(KVS_E_INCOMPATIBLE, open(c, c.sub(name), flags, &message));
      KIT_CHECK_MSG(message.find(engine_of(*c.other)) != std::string::npos &&
                        message.find(engine_of(*c.plugin)) != std::string::npos,
                    "the message does not name both engines: " + message);
    }
  });
}

void foreign_directory_is_left_alone(Context& c) {
  for_each_interface(c, [&](TryOpen open, const std::string& name) {
    const std::string dir = c.sub(name);
    fs::create_directory(dir);
    std::ofstream(dir + "/precious.txt") << "do not touch";
    std::string message;
    KIT_CHECK(open(c, dir, KVS_STORAGE_CREATE, &message) != KVS_OK);
    KIT_CHECK(fs::file_size(dir + "/precious.txt") == 12);
  });
}

// READ_ONLY may be beyond a backend; if not, nothing may change.
void read_only_changes_nothing(Context& c) {
  std::string message;
  if (c.plugin->log() != nullptr) {
    { MirroredLog(c).append(3, 1); }
    kvs_log* log = nullptr;
    const kvs_status status =
        open_log(*c.plugin, c.sub("log"), c.config, KVS_STORAGE_READ_ONLY, &log, &message);
    KIT_CHECK_MSG(status == KVS_OK || status == KVS_E_UNSUPPORTED, status_name(status));
    if (status == KVS_OK) {
      const kvs_log_id base{1, 2};
      KIT_STATUS(KVS_E_INVALID, c.plugin->log()->compact(log, &base, nullptr));
      KIT_STATUS(KVS_E_INVALID, c.plugin->log()->reset(log, &base, nullptr));
      c.plugin->log()->close(log);
    }
    KIT_CHECK(LogDriver(c).contents().entries.size() == 3);
  }
  if (c.plugin->state() != nullptr) {
    { MirroredState(c).write({put("a", "1")}); }
    kvs_state* state = nullptr;
    const kvs_status status =
        open_state(*c.plugin, c.sub("state"), c.config, KVS_STORAGE_READ_ONLY, &state, &message);
    KIT_CHECK_MSG(status == KVS_OK || status == KVS_E_UNSUPPORTED, status_name(status));
    if (status == KVS_OK) {
      kvs_restore* restore = nullptr;
      KIT_STATUS(KVS_E_INVALID, c.plugin->state()->restore_begin(state, &restore, nullptr));
      c.plugin->state()->close(state);
    }
    KIT_CHECK(StateDriver(c).contents().spaces[0].size() == 1);
  }
}

void unknown_flag_is_refused(Context& c) {
  for_each_interface(c, [&](TryOpen open, const std::string& name) {
    std::string message;
    KIT_CHECK(open(c, c.sub(name), KVS_STORAGE_CREATE | 0x40000000u, &message) != KVS_OK);
  });
}

}  // namespace

std::vector<Case> open_cases() {
  return {
      {"open-absent-without-create-is-not-found",
       "Without CREATE an absent directory is NOT_FOUND and stays absent.", Needs::kAny, false,
       absent_without_create},
      {"open-empty-without-create-is-not-found",
       "Without CREATE an empty directory is NOT_FOUND and stays empty.", Needs::kAny, false,
       empty_without_create},
      {"reopen-of-unused-instance", "A created instance opens again although nothing was written.",
       Needs::kAny, true, reopen_of_unused},
      {"create-on-existing-keeps-data", "CREATE on an existing instance opens it as it is.",
       Needs::kAny, true, create_keeps_data},
      {"second-open-of-same-dir-fails",
       "A directory that is open is refused, and the first instance does not notice.", Needs::kAny,
       true, second_open_fails},
      {"other-interface-dir-is-incompatible",
       "A log's directory is not taken for a state, nor the other way round.", Needs::kBoth, true,
       other_interface_is_incompatible},
      {"other-engine-dir-is-incompatible",
       "Another engine's directory is INCOMPATIBLE and the message names both engines.",
       Needs::kAny, true, other_engine_is_incompatible},
      {"foreign-directory-is-left-alone", "CREATE refuses a directory that holds other files.",
       Needs::kAny, true, foreign_directory_is_left_alone},
      {"read-only-changes-nothing", "READ_ONLY is UNSUPPORTED, or every writer is INVALID.",
       Needs::kAny, true, read_only_changes_nothing},
      {"open-unknown-flag-is-refused", "An unknown flag of open is refused.", Needs::kAny, true,
       unknown_flag_is_refused},
  };
}

}  // namespace kvstore::conformance
