// Cases about the plugin as a whole: what the loader and the config rely on.
#include <cstring>
#include <filesystem>

#include "log_driver.hpp"
#include "plugin_file.hpp"
#include "state_driver.hpp"

namespace kvstore::conformance {
namespace {

void manifest_fields(Context& c) {
  const kvs_plugin_manifest& m = c.plugin->manifest();
  KIT_CHECK(m.id != nullptr && m.id[0] != '\0');
  KIT_CHECK(m.version != nullptr && m.version[0] != '\0');
  KIT_CHECK(m.summary != nullptr && m.build != nullptr);
  KIT_CHECK(m.pointer_bits == sizeof(void*) * 8 && m.little_endian == 1);
  KIT_CHECK(m.load != nullptr && m.unload != nullptr && m.get_interface != nullptr);
  KIT_CHECK(m.interface_count > 0 && m.interfaces != nullptr);
  for (uint32_t i = 0; i < m.interface_count; ++i) {
    const kvs_interface_ref& r = m.interfaces[i];
    KIT_CHECK(r.id != nullptr && r.min_minor <= r.minor);
    KIT_CHECK_MSG(m.get_interface(r.id) != nullptr, std::string("declared but absent: ") + r.id);
  }
}

void unknown_interface_is_null(Context& c) {
  for (const char* id :
       {"", "kvstore", "kvstore.log", "kvstore.log/", "kvstore.log/10", "kvstore.log/1 ",
        "kvstore.state/11", "KVSTORE.LOG/1", "kvstore.state/2"}) {
    KIT_CHECK_MSG(c.plugin->manifest().get_interface(id) == nullptr, id);
  }
}

bool is_null(const void* p) {
  return p == nullptr;
}

void tables_are_complete(Context& c) {
  if (const kvs_log_api* t = c.plugin->log()) {
    KIT_CHECK(t->struct_size >= sizeof *t);
    const void* functions[] = {
        reinterpret_cast<const void*>(t->open),  reinterpret_cast<const void*>(t->close),
        reinterpret_cast<const void*>(t->write), reinterpret_cast<const void*>(t->compact),
        reinterpret_cast<const void*>(t->reset), reinterpret_cast<const void*>(t->state),
        reinterpret_cast<const void*>(t->read),  reinterpret_cast<const void*>(t->term),
        reinterpret_cast<const void*>(t->stats), reinterpret_cast<const void*>(t->get_extension)};
    for (const void* f : functions) KIT_CHECK(!is_null(f));
  }
  if (const kvs_state_api* t = c.plugin->state()) {
    KIT_CHECK(t->struct_size >= sizeof *t);
    const auto* first = reinterpret_cast<const void* const*>(&t->open);
    const auto* last = reinterpret_cast<const void* const*>(&t->stats);
    for (const auto* f = first; f <= last; ++f) KIT_CHECK(!is_null(*f));
  }
}

// Opens whatever the plugin offers with a config, in a directory of its own.
void expect_config(Context& c, const std::string& config, const char* named) {
  std::string message;
  if (c.plugin->log() != nullptr) {
    kvs_log* log = nullptr;
    KIT_STATUS(KVS_E_INVALID,
               open_log(*c.plugin, c.sub("l"), config, KVS_STORAGE_CREATE, &log, &message));
    KIT_CHECK(log == nullptr);
    KIT_CHECK_MSG(message.find(named) != std::string::npos,
                  "the message does not say where: " + message);
  }
  if (c.plugin->state() != nullptr) {
    kvs_state* state = nullptr;
    KIT_STATUS(KVS_E_INVALID,
               open_state(*c.plugin, c.sub("s"), config, KVS_STORAGE_CREATE, &state, &message));
    KIT_CHECK(state == nullptr);
    KIT_CHECK_MSG(message.find(named) != std::string::npos,
                  "the message does not say where: " + message);
  }
}

void config_unknown_key_rejected(Context& c) {
  expect_config(c, R"({"no_such_option": 1})", "/");
}
void config_not_an_object_rejected(Context& c) {
  expect_config(c, "[1, 2]", "/");
  expect_config(c, "{\"a\":", "/");
}

void error_null_is_ok(Context& c) {
  kvs_storage_options options{};
  options.struct_size = sizeof options;  // no directory, no CREATE
  if (c.plugin->log() != nullptr) {
    kvs_log* log = nullptr;
    KIT_CHECK(c.plugin->log()->open(test_host(), &options, &log, nullptr) != KVS_OK);
    LogDriver driver(c);
    kvs_log_write w{};
    w.struct_size = sizeof w;
    w.flags = KVS_LOG_TRUNCATE;
    w.truncate_from = 99;
    KIT_STATUS(KVS_E_INVALID, c.plugin->log()->write(driver.handle(), &w, nullptr));
  }
  if (c.plugin->state() != nullptr) {
    kvs_state* state = nullptr;
    KIT_CHECK(c.plugin->state()->open(test_host(), &options, &state, nullptr) != KVS_OK);
  }
}

void error_text_is_terminated(Context& c) {
  struct {
    kvs_error err;
    char guard[16];
  } out;
  std::memset(&out, 0x5A, sizeof out);
  out.err.struct_size = sizeof out.err;
  const std::string long_key(1000, 'x');
  const std::string config = "{\"" + long_key + "\": 1}";
  kvs_storage_options options{};
  options.struct_size = sizeof options;
  options.flags = KVS_STORAGE_CREATE;
  const std::string dir = c.sub("d");
  options.data_dir = {reinterpret_cast<const uint8_t*>(dir.data()), dir.size()};
  options.config_json = {reinterpret_cast<const uint8_t*>(config.data()), config.size()};
  if (c.plugin->log() != nullptr) {
    kvs_log* log = nullptr;
    KIT_STATUS(KVS_E_INVALID, c.plugin->log()->open(test_host(), &options, &log, &out.err));
  } else {
    kvs_state* state = nullptr;
    KIT_STATUS(KVS_E_INVALID, c.plugin->state()->open(test_host(), &options, &state, &out.err));
  }
  KIT_CHECK(out.err.code == KVS_E_INVALID);
  KIT_CHECK(std::memchr(out.err.message, '\0', sizeof out.err.message) != nullptr);
  for (char g : out.guard) KIT_CHECK(g == 0x5A);
}

void log_state_respects_struct_size(Context& c) {
  LogDriver driver(c);
  struct {
    kvs_log_state s;
    char guard[32];
  } out;
  std::memset(&out, 0x5A, sizeof out);
  out.s.struct_size = sizeof out.s;
  KIT_STATUS(KVS_OK, driver.api().state(driver.handle(), &out.s, nullptr));
  KIT_CHECK(out.s.struct_size == sizeof out.s);
  for (char g : out.guard) KIT_CHECK(g == 0x5A);
}

void two_instances_are_independent(Context& c) {
  if (c.plugin->log() != nullptr) {
    MirroredLog a(c, "a");
    MirroredLog b(c, "b");
    a.append(5, 1);
    b.append(2, 7);
    a.compact(3);
    b.vote(9, 4);
    a.check();
    b.check();
  }
  if (c.plugin->state() != nullptr) {
    MirroredState a(c, "sa");
    MirroredState b(c, "sb");
    a.write({put("k", "a")});
    b.write({put("k", "b"), put("l", "b")});
    a.check();
    b.check();
  }
}

size_t count_entries(const char* dir) {
  size_t n = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) n += entry.exists() ? 1 : 0;
  return n;
}

void use_everything(Context& c, const std::string& name) {
  if (c.plugin->log() != nullptr) {
    MirroredLog log(c, "log" + name);
    log.append(20, 1);
    log.check();
  }
  if (c.plugin->state() != nullptr) {
    MirroredState state(c, "state" + name);
    state.write({put("a", "1"), put("b", "2")}, true);
    RestoreDriver(state.driver).put(0, {{"x", "y"}});
    state.check();
  }
}

void nothing_left_after_close(Context& c) {
  use_everything(c, "1");  // libraries may keep things from the first use
  const size_t threads = count_entries("/proc/self/task");
  const size_t files = count_entries("/proc/self/fd");
  use_everything(c, "2");
  use_everything(c, "3");
  KIT_CHECK_MSG(count_entries("/proc/self/task") == threads, "a thread is left after close");
  KIT_CHECK_MSG(count_entries("/proc/self/fd") == files, "a file is left open after close");
}

kvs_status take_json(void* ctx, const kvs_slice* s) noexcept {
  *static_cast<bool*>(ctx) = s->len >= 2 && s->data[0] == '{' && s->data[s->len - 1] == '}';
  return KVS_OK;
}

void stats_are_json(Context& c) {
  bool ok = false;
  if (c.plugin->log() != nullptr) {
    LogDriver log(c);
    KIT_STATUS(KVS_OK, log.api().stats(log.handle(), take_json, &ok));
    KIT_CHECK(ok);
    KIT_CHECK(log.api().get_extension(log.handle(), "no.such.extension/1") == nullptr);
  }
  if (c.plugin->state() != nullptr) {
    ok = false;
    StateDriver state(c);
    KIT_STATUS(KVS_OK, state.api().stats(state.handle(), take_json, &ok));
    KIT_CHECK(ok);
    KIT_CHECK(state.api().get_extension(state.handle(), "no.such.extension/1") == nullptr);
  }
}

}  // namespace

std::vector<Case> plugin_cases() {
  return {
      {"manifest-fields", "The manifest is complete and every declared interface is there.",
       Needs::kAny, false, manifest_fields},
      {"unknown-interface-is-null", "An interface id is matched exactly, without trailing garbage.",
       Needs::kAny, false, unknown_interface_is_null},
      {"tables-are-complete", "Every function of an offered interface is there.", Needs::kAny,
       false, tables_are_complete},
      {"config-unknown-key-rejected", "An unknown option is INVALID and the message names it.",
       Needs::kAny, false, config_unknown_key_rejected},
      {"config-not-an-object-rejected", "Options that are no JSON object are INVALID.", Needs::kAny,
       false, config_not_an_object_rejected},
      {"error-null-is-ok", "Failures may be asked for without a kvs_error.", Needs::kAny, false,
       error_null_is_ok},
      {"error-text-is-terminated", "A long message is cut inside the caller's kvs_error.",
       Needs::kAny, false, error_text_is_terminated},
      {"log-state-respects-struct-size", "state() writes nothing beyond the caller's struct.",
       Needs::kLog, false, log_state_respects_struct_size},
      {"two-instances-are-independent", "Two instances in one process do not see each other.",
       Needs::kAny, false, two_instances_are_independent},
      {"nothing-left-after-close", "After close no thread and no descriptor is left.", Needs::kAny,
       false, nothing_left_after_close},
      {"stats-are-json", "stats() delivers a JSON object; an unknown extension is NULL.",
       Needs::kAny, false, stats_are_json},
  };
}

}  // namespace kvstore::conformance
