// Goal: a plugin that cannot be used stops the start with one line that names the file, what is
// wrong and the remedy; a good one is loaded, listed and unloaded. Method: one source built into a
// shared object per defect (bad_plugins/), loaded for real.
#include "host/loader.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/metrics.hpp"
#include "host/services.hpp"
#include "support/temp_dir.hpp"

using namespace kvstore;
using host::Loader;

namespace {

const std::string kDir = KVS_TEST_PLUGIN_DIR;

struct Fixture {
  host::Services services{"0.1.0", nullptr, nullptr};
  Loader loader{kDir, &services};

  Status load_log(const std::string& plugin, const std::string& options = "{}") {
    return loader.log(plugin, options, "node1.json: /log/options").status();
  }
};

// Readable for others, whatever the umask.
struct OpenDir : test::TempDir {
  OpenDir() { std::filesystem::permissions(path(), std::filesystem::perms(0755)); }
};

// Whether fn is true in a child process without root's rights to read everything.
template <typename Fn>
bool as_ordinary_user(Fn fn) {
  constexpr uid_t kNobody = 65534;
  pid_t child = fork();
  if (child == 0) {
    bool ready = geteuid() != 0 || setuid(kNobody) == 0;
    _exit(ready && fn() ? 0 : 1);
  }
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool contains(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != text.npos;
}

// The whole message, one line, which names the file.
void check_message(const Status& status, Code code, const std::string& file,
                   const std::string& what, const std::string& remedy) {
  INFO(status.to_string());
  CHECK(status.code() == code);
  CHECK(status.message().find('\n') == std::string::npos);
  CHECK(contains(status.message(), kDir + '/' + file));
  CHECK(contains(status.message(), what));
  CHECK(contains(status.message(), remedy));
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a good plugin is loaded once, listed and unloaded") {
  CHECK(load_log("good"));
  CHECK(load_log(kDir + "/good.so", R"({"cache_bytes": 7})"));
  CHECK(load_log(kDir + "/../" + std::filesystem::path(kDir).filename().string() + "/good.so"));
  REQUIRE(loader.loaded().size() == 1);
  host::PluginInfo info = loader.loaded()[0];
  CHECK(info.name == "good");
  CHECK(info.path == kDir + "/good.so");
  CHECK(info.id == "test.plugin");
  CHECK(info.version == "1.2.3");
  CHECK(info.build == "some compiler");
  REQUIRE(info.interfaces.size() == 1);
  CHECK(info.interfaces[0].id == KVS_LOG_ID);
  CHECK(info.interfaces[0].minor == 7);
  CHECK(contains(info.to_string(),
                 "good id=test.plugin version=1.2.3 build=\"some compiler\" abi=0.0 "
                 "interfaces=kvstore.log/1.7 path="));
  loader.unload_all();
  CHECK(loader.loaded().empty());
  CHECK(load_log("good"));
}

TEST_CASE_FIXTURE(Fixture, "the file") {
  check_message(load_log("absent"), Code::kNotFound, "absent.so", "there is no such file",
                "good, ");
  check_message(load_log(kDir + "/absent.so"), Code::kNotFound, "absent.so",
                "there is no such file", "correct the path");

  OpenDir temp;
  Loader other(temp.path(), &services);
  auto fault = [&](const std::string& plugin) {
    return other.log(plugin, "{}", "").status().message();
  };
  CHECK(fault("x") ==
        "plugin " + temp.path() +
            "/x.so: there is no such file; that directory has no plugins; correct the "
            "name, or set plugin_dir");
  std::filesystem::create_directory(temp.path() + "/folder.so");
  CHECK(fault("folder") ==
        "plugin " + temp.path() + "/folder.so: is not a regular file; name the .so file");
  std::ofstream(temp.path() + "/text.so") << "not an object";
  CHECK(contains(fault("text"), "/text.so: cannot be loaded: "));
  CHECK(contains(fault("text"), "; rebuild it on this machine, or install what it needs"));

  std::filesystem::copy(kDir + "/good.so", temp.path() + "/secret.so");
  std::filesystem::permissions(temp.path() + "/secret.so", std::filesystem::perms::none);
  CHECK(as_ordinary_user([&] {
    return fault("secret") ==
           "plugin " + temp.path() +
               "/secret.so: may not be read by this user; change its permissions";
  }));
}

TEST_CASE_FIXTURE(Fixture, "the object") {
  check_message(load_log("unresolved"), Code::kInvalid, "unresolved.so",
                "kvs_test_function_that_exists_nowhere", "install what it needs");
  check_message(load_log("entry"), Code::kInvalid, "entry.so", "does not export kvs_plugin_entry",
                "KVS_PLUGIN_ENTRY");
}

TEST_CASE_FIXTURE(Fixture, "the manifest") {
  check_message(load_log("null_manifest"), Code::kInvalid, "null_manifest.so", "returned NULL",
                "rebuild");
  check_message(load_log("magic"), Code::kInvalid, "magic.so", "magic number", "it is none");
  check_message(load_log("small_manifest"), Code::kIncompatible, "small_manifest.so",
                "has 16 bytes", "rebuild it with this host's headers");
  check_message(load_log("major"), Code::kIncompatible, "major.so",
                "built for ABI 9.0, this host has 0.0", "rebuild");
  check_message(load_log("minor"), Code::kIncompatible, "minor.so",
                "built for ABI 0.99, this host has 0.0", "rebuild");
  check_message(load_log("pointers"), Code::kIncompatible, "pointers.so", "32-bit pointers",
                "rebuild it for this machine");
  check_message(load_log("endian"), Code::kIncompatible, "endian.so", "big-endian",
                "rebuild it for this machine");
  check_message(load_log("no_id"), Code::kInvalid, "no_id.so", "has no id", "fill it in");
  check_message(load_log("no_load"), Code::kInvalid, "no_load.so", "lacks load", "provide them");
  check_message(load_log("no_interfaces"), Code::kInvalid, "no_interfaces.so",
                "offers no interface", "list them");
}

TEST_CASE_FIXTURE(Fixture, "interfaces and tables") {
  check_message(load_log("interface"), Code::kUnsupported, "interface.so",
                "does not offer kvstore.log/1, only kvstore.other/1", "choose another plugin");
  check_message(loader.state("good", "{}", "").status(), Code::kUnsupported, "good.so",
                "does not offer kvstore.state/1", "choose another plugin");
  check_message(load_log("min_minor"), Code::kIncompatible, "min_minor.so",
                "needs kvstore.log/1 minor 7, this host has 0", "upgrade the host");
  check_message(load_log("null_interface"), Code::kInvalid, "null_interface.so",
                "get_interface returned NULL", "rebuild");
  check_message(load_log("small_table"), Code::kIncompatible, "small_table.so",
                "has 40 bytes and ends before compact", "rebuild");
  check_message(load_log("null_function"), Code::kInvalid, "null_function.so",
                "has no function reset", "provide it");
}

TEST_CASE_FIXTURE(Fixture, "load and options") {
  check_message(load_log("load"), Code::kUnsupported, "load.so",
                "load failed: the licence of the backend has expired", "");
  Status status = load_log("good", R"({"cache_bytes": 101})");
  CHECK(status.code() == Code::kInvalid);
  CHECK(
      contains(status.message(),
               "node1.json: /log/options/cache_bytes: must be 1..100, is 101 (option of plugin "));
  CHECK(contains(status.message(), "/good.so)"));
  CHECK(contains(load_log("good", R"({"cache_byte": 1})").message(),
                 "/log/options: unknown key \"cache_byte\"; did you mean \"cache_bytes\"?"));
  check_message(load_log("schema"), Code::kInvalid, "schema.so", "config_schema is unusable",
                "rebuild");
}
