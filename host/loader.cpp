#include "host/loader.hpp"

#define BOOST_DLL_USE_STD_FS
#include <algorithm>
#include <filesystem>
#include <system_error>

#include <boost/dll/shared_library.hpp>
#include <unistd.h>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "host/config.hpp"
#include "host/manifest_check.hpp"
#include "host/services.hpp"
#include "plugin/status.hpp"

namespace kvstore::host {
namespace {

namespace fs = std::filesystem;
using boost::dll::shared_library;

Status bad(Code code, const std::string& path, const std::string& what) {
  return Status(code, "plugin " + path + ": " + what);
}

std::string stem_of(const fs::path& path) {
  return path.extension() == ".so" ? path.stem().string() : path.filename().string();
}

// Keeps shared objects mapped until the process ends.  Never destroyed: what a plugin's libraries
// registered (thread-local destructors, atexit handlers) may run after main().
void keep_for_ever(shared_library library) {
  static auto* const kept = new std::vector<shared_library>;
  kept->push_back(std::move(library));
}

// dlerror's text without the path in front, which the message has already.
std::string reason(const std::string& what, const std::string& path) {
  std::string text = what;
  for (size_t at; (at = text.find(path + ": ")) != text.npos;) text.erase(at, path.size() + 2);
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

Status check_file(const fs::path& path, const std::string& remedy) {
  std::error_code error;
  fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) {
    return bad(Code::kNotFound, path, "there is no such file; " + remedy);
  }
  if (error) return bad(Code::kIo, path, "cannot be looked at: " + error.message());
  if (!fs::is_regular_file(status)) {
    return bad(Code::kInvalid, path, "is not a regular file; name the .so file");
  }
  if (access(path.c_str(), R_OK) != 0) {
    return bad(Code::kInvalid, path, "may not be read by this user; change its permissions");
  }
  return Status();
}

// Opens the object and returns its manifest, checked.
Result<const kvs_plugin_manifest*> open_object(const std::string& path) {
  shared_library library;
  std::error_code error;
  try {
    library.load(path, boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
  } catch (const std::system_error& e) {
    return bad(Code::kInvalid, path,
               "cannot be loaded: " + reason(e.what(), path) +
                   "; rebuild it on this machine, or install what it needs");
  }
  if (!library.has(KVS_PLUGIN_ENTRY_NAME)) {
    keep_for_ever(std::move(library));
    return bad(Code::kInvalid, path,
               "it does not export " KVS_PLUGIN_ENTRY_NAME
               "; it is no kvstore plugin, or its entry is hidden (use KVS_PLUGIN_ENTRY)");
  }
  auto entry = reinterpret_cast<kvs_plugin_entry_fn>(
      &library.get<const kvs_plugin_manifest*()>(KVS_PLUGIN_ENTRY_NAME));
  keep_for_ever(std::move(library));
  const kvs_plugin_manifest* manifest = entry();
  if (Status status = check_manifest(path, manifest); !status) return status;
  return manifest;
}

PluginInfo describe(const fs::path& path, const kvs_plugin_manifest& m) {
  PluginInfo info;
  info.name = stem_of(path);
  info.path = path;
  info.id = m.id;
  info.version = m.version;
  info.summary = m.summary;
  info.build = m.build;
  info.abi_major = m.abi_major;
  info.abi_minor = m.abi_minor;
  for (uint32_t i = 0; i < m.interface_count; ++i) {
    const kvs_interface_ref& one = m.interfaces[i];
    info.interfaces.push_back({one.id, one.minor, one.min_minor});
  }
  return info;
}

}  // namespace

struct Loader::Plugin {
  PluginInfo info;
  const kvs_plugin_manifest* manifest = nullptr;
  bool active = false;  // between load() and unload()
};

std::string PluginInfo::to_string() const {
  std::string text = name + " id=" + id + " version=" + version + " build=\"" + build +
                     "\" abi=" + std::to_string(abi_major) + '.' + std::to_string(abi_minor) +
                     " interfaces=";
  for (size_t i = 0; i < interfaces.size(); ++i) {
    if (i > 0) text += ',';
    text += interfaces[i].id + '.' + std::to_string(interfaces[i].minor);
  }
  return text + " path=" + path;
}

Loader::Loader(std::string plugin_dir, Services* services)
    : plugin_dir_(std::move(plugin_dir)), services_(services) {
  KVS_ASSERT(services_ != nullptr);
}

Loader::~Loader() {
  unload_all();
}

std::vector<std::string> Loader::available() const {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(plugin_dir_, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().extension() == ".so") names.push_back(it->path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<Loader::Plugin*> Loader::load(const std::string& name) {
  const bool by_path = name.find('/') != name.npos;
  fs::path path = by_path ? fs::path(name) : fs::path(plugin_dir_) / (name + ".so");
  std::error_code error;
  path = fs::absolute(path, error).lexically_normal();
  std::string remedy = "correct the path";
  if (!by_path) {
    std::string all;
    for (const std::string& one : available()) all += (all.empty() ? "" : ", ") + one;
    remedy = (all.empty() ? "that directory has no plugins" : "that directory has " + all) +
             "; correct the name, or set plugin_dir";
  }
  if (Status status = check_file(path, remedy); !status) return status;
  if (fs::path real = fs::canonical(path, error); !error) path = real;
  for (const auto& plugin : plugins_) {
    if (plugin->info.path == path) return plugin.get();
  }

  Result<const kvs_plugin_manifest*> manifest = open_object(path);
  if (!manifest) return manifest.status();
  auto plugin = std::make_unique<Plugin>();
  plugin->manifest = *manifest;
  plugin->info = describe(path, **manifest);
  plugin::CallError load_error;
  kvs_status status = plugin->manifest->load(services_->make(plugin->info.name), load_error.raw());
  if (status != KVS_OK) {
    return bad(plugin::to_code(status), path, load_error.status(status, "load failed").message());
  }
  plugin->active = true;
  KVS_LOG(kInfo, "loader", "loaded plugin {}", plugin->info.to_string());
  plugins_.push_back(std::move(plugin));
  return plugins_.back().get();
}

Result<const void*> Loader::interface(const std::string& name, const char* id,
                                      const std::string& options_json, const std::string& where) {
  Result<Plugin*> loaded = load(name);
  if (!loaded) return loaded.status();
  const Plugin& plugin = **loaded;
  if (Status status = check_offers(plugin.info.path, *plugin.manifest, id); !status) return status;
  if (plugin.manifest->config_schema != nullptr) {
    Status valid = validate_options(plugin.manifest->config_schema, options_json, where);
    if (valid.code() == Code::kInternal) {
      return bad(Code::kInvalid, plugin.info.path,
                 "its config_schema is unusable (" + valid.message() + "); correct it and rebuild");
    }
    if (!valid) {
      return Status(valid.code(), valid.message() + " (option of plugin " + plugin.info.path + ")");
    }
  }
  const void* table = plugin.manifest->get_interface(id);
  if (Status status = check_table(plugin.info.path, id, table); !status) return status;
  return table;
}

namespace {

template <typename Table>
Result<const Table*> typed(Result<const void*> found) {
  if (!found) return found.status();
  return static_cast<const Table*>(*found);
}

}  // namespace

Result<const kvs_log_api*> Loader::log(const std::string& plugin, const std::string& options_json,
                                       const std::string& where) {
  return typed<kvs_log_api>(interface(plugin, KVS_LOG_ID, options_json, where));
}

Result<const kvs_state_api*> Loader::state(const std::string& plugin,
                                           const std::string& options_json,
                                           const std::string& where) {
  return typed<kvs_state_api>(interface(plugin, KVS_STATE_ID, options_json, where));
}

Result<const kvs_transport_api*> Loader::transport(const std::string& plugin,
                                                   const std::string& options_json,
                                                   const std::string& where) {
  return typed<kvs_transport_api>(interface(plugin, KVS_TRANSPORT_ID, options_json, where));
}

Result<const kvs_api_api*> Loader::api(const std::string& plugin, const std::string& options_json,
                                       const std::string& where) {
  return typed<kvs_api_api>(interface(plugin, KVS_API_ID, options_json, where));
}

Result<PluginInfo> Loader::inspect(const std::string& plugin) {
  Result<Plugin*> loaded = load(plugin);
  if (!loaded) return loaded.status();
  return (*loaded)->info;
}

std::vector<PluginInfo> Loader::loaded() const {
  std::vector<PluginInfo> all;
  for (const auto& plugin : plugins_) {
    if (plugin->active) all.push_back(plugin->info);
  }
  return all;
}

void Loader::unload_all() {
  for (auto it = plugins_.rbegin(); it != plugins_.rend(); ++it) {
    if (!(*it)->active) continue;
    (*it)->active = false;
    (*it)->manifest->unload();
  }
  plugins_.clear();
}

}  // namespace kvstore::host
