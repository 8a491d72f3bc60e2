#include "host/manifest_check.hpp"

#include <cstddef>
#include <cstring>
#include <span>

#include <kvstore/abi/api.h>
#include <kvstore/abi/log.h>
#include <kvstore/abi/state.h>
#include <kvstore/abi/transport.h>

namespace kvstore::host {
namespace {

Status bad(Code code, const std::string& path, const std::string& what) {
  return Status(code, "plugin " + path + ": " + what);
}

std::string version_text(uint16_t major, uint16_t minor) {
  return std::to_string(major) + '.' + std::to_string(minor);
}

// While the major is 0 every minor may differ in layout.
bool abi_fits(const kvs_plugin_manifest& m) {
  return m.abi_major == KVS_ABI_MAJOR && (KVS_ABI_MAJOR != 0 || m.abi_minor == KVS_ABI_MINOR);
}

Status check_strings(const std::string& path, const kvs_plugin_manifest& m) {
  const std::pair<const char*, const char*> required[] = {
      {"id", m.id}, {"version", m.version}, {"summary", m.summary}, {"build", m.build}};
  for (const auto& [name, text] : required) {
    if (text == nullptr || *text == '\0') {
      return bad(Code::kInvalid, path,
                 std::string("its manifest has no ") + name + "; fill it in and rebuild");
    }
  }
  return Status();
}

Status check_functions(const std::string& path, const kvs_plugin_manifest& m) {
  if (m.load == nullptr || m.unload == nullptr || m.get_interface == nullptr) {
    return bad(Code::kInvalid, path,
               "its manifest lacks load, unload or get_interface; provide them and rebuild");
  }
  if (m.interface_count == 0 || m.interfaces == nullptr) {
    return bad(Code::kInvalid, path, "its manifest offers no interface; list them and rebuild");
  }
  for (uint32_t i = 0; i < m.interface_count; ++i) {
    if (m.interfaces[i].id == nullptr) {
      return bad(Code::kInvalid, path, "its manifest lists an interface without an id; fill it in");
    }
  }
  return Status();
}

std::string offered(const kvs_plugin_manifest& m) {
  std::string all;
  for (uint32_t i = 0; i < m.interface_count; ++i) {
    if (i > 0) all += ", ";
    all += m.interfaces[i].id;
  }
  return all;
}

// ---- tables

struct Slot {
  const char* name;
  size_t offset;
};

#define KVS_SLOT(table, fn)  \
  Slot {                     \
#fn, offsetof(table, fn) \
  }

constexpr Slot kLogSlots[] = {KVS_SLOT(kvs_log_api, open),          KVS_SLOT(kvs_log_api, close),
                              KVS_SLOT(kvs_log_api, get_extension), KVS_SLOT(kvs_log_api, write),
                              KVS_SLOT(kvs_log_api, compact),       KVS_SLOT(kvs_log_api, reset),
                              KVS_SLOT(kvs_log_api, state),         KVS_SLOT(kvs_log_api, read),
                              KVS_SLOT(kvs_log_api, term),          KVS_SLOT(kvs_log_api, stats)};
constexpr Slot kStateSlots[] = {
    KVS_SLOT(kvs_state_api, open),          KVS_SLOT(kvs_state_api, close),
    KVS_SLOT(kvs_state_api, capabilities),  KVS_SLOT(kvs_state_api, get_extension),
    KVS_SLOT(kvs_state_api, write),         KVS_SLOT(kvs_state_api, sync),
    KVS_SLOT(kvs_state_api, get_many),      KVS_SLOT(kvs_state_api, view_open),
    KVS_SLOT(kvs_state_api, view_close),    KVS_SLOT(kvs_state_api, view_applied),
    KVS_SLOT(kvs_state_api, view_get),      KVS_SLOT(kvs_state_api, iter_open),
    KVS_SLOT(kvs_state_api, iter_next),     KVS_SLOT(kvs_state_api, iter_seek),
    KVS_SLOT(kvs_state_api, iter_close),    KVS_SLOT(kvs_state_api, restore_begin),
    KVS_SLOT(kvs_state_api, restore_put),   KVS_SLOT(kvs_state_api, restore_commit),
    KVS_SLOT(kvs_state_api, restore_abort), KVS_SLOT(kvs_state_api, stats)};
constexpr Slot kTransportSlots[] = {
    KVS_SLOT(kvs_transport_api, open),          KVS_SLOT(kvs_transport_api, start),
    KVS_SLOT(kvs_transport_api, stop),          KVS_SLOT(kvs_transport_api, close),
    KVS_SLOT(kvs_transport_api, get_extension), KVS_SLOT(kvs_transport_api, set_hello),
    KVS_SLOT(kvs_transport_api, bound_address), KVS_SLOT(kvs_transport_api, stats),
    KVS_SLOT(kvs_transport_api, peer_set),      KVS_SLOT(kvs_transport_api, peer_remove),
    KVS_SLOT(kvs_transport_api, send),          KVS_SLOT(kvs_transport_api, stream_open),
    KVS_SLOT(kvs_transport_api, stream_write),  KVS_SLOT(kvs_transport_api, stream_finish),
    KVS_SLOT(kvs_transport_api, stream_abort)};
constexpr Slot kApiSlots[] = {KVS_SLOT(kvs_api_api, open), KVS_SLOT(kvs_api_api, start),
                              KVS_SLOT(kvs_api_api, stop), KVS_SLOT(kvs_api_api, close),
                              KVS_SLOT(kvs_api_api, bound_address)};

#undef KVS_SLOT

std::span<const Slot> slots_of(const std::string& id) {
  if (id == KVS_LOG_ID) return kLogSlots;
  if (id == KVS_STATE_ID) return kStateSlots;
  if (id == KVS_TRANSPORT_ID) return kTransportSlots;
  return kApiSlots;
}

}  // namespace

Status check_manifest(const std::string& path, const kvs_plugin_manifest* m) {
  if (m == nullptr) {
    return bad(Code::kInvalid, path,
               "kvs_plugin_entry returned NULL; return the manifest and rebuild");
  }
  if (m->magic != KVS_PLUGIN_MAGIC) {
    return bad(
        Code::kInvalid, path,
        "its manifest does not begin with the magic number of a kvstore plugin; it is none, or "
        "was damaged");
  }
  if (m->struct_size < sizeof *m) {
    return bad(Code::kIncompatible, path,
               "its manifest has " + std::to_string(m->struct_size) + " bytes, this host needs " +
                   std::to_string(sizeof *m) + "; rebuild it with this host's headers");
  }
  if (!abi_fits(*m)) {
    return bad(Code::kIncompatible, path,
               "it was built for ABI " + version_text(m->abi_major, m->abi_minor) +
                   ", this host has " + version_text(KVS_ABI_MAJOR, KVS_ABI_MINOR) +
                   "; rebuild it with this host's headers or use the host it was made for");
  }
  if (m->pointer_bits != sizeof(void*) * 8 || m->little_endian != 1) {
    return bad(Code::kIncompatible, path,
               "it was built for a machine with " + std::to_string(m->pointer_bits) +
                   "-bit pointers" + (m->little_endian == 1 ? "" : " and big-endian numbers") +
                   ", this host is 64-bit little-endian; rebuild it for this machine");
  }
  if (Status status = check_strings(path, *m); !status) return status;
  return check_functions(path, *m);
}

Status check_offers(const std::string& path, const kvs_plugin_manifest& m,
                    const std::string& interface_id) {
  for (uint32_t i = 0; i < m.interface_count; ++i) {
    const kvs_interface_ref& one = m.interfaces[i];
    if (one.id != interface_id) continue;
    if (one.min_minor <= kInterfaceMinor) return Status();
    return bad(Code::kIncompatible, path,
               "it needs " + interface_id + " minor " + std::to_string(one.min_minor) +
                   ", this host has " + std::to_string(kInterfaceMinor) + "; upgrade the host");
  }
  return bad(Code::kUnsupported, path,
             "it does not offer " + interface_id + ", only " + offered(m) +
                 "; choose another plugin for this role");
}

Status check_table(const std::string& path, const std::string& interface_id, const void* table) {
  if (table == nullptr) {
    return bad(
        Code::kInvalid, path,
        "its manifest lists " + interface_id + ", but get_interface returned NULL; rebuild it");
  }
  uint32_t size;
  std::memcpy(&size, table, sizeof size);  // every table begins with its struct_size
  for (const Slot& slot : slots_of(interface_id)) {
    if (size < slot.offset + sizeof(void*)) {
      return bad(Code::kIncompatible, path,
                 "its " + interface_id + " table has " + std::to_string(size) +
                     " bytes and ends before " + slot.name +
                     "; rebuild it with this host's headers");
    }
    const void* function;
    std::memcpy(&function, static_cast<const char*>(table) + slot.offset, sizeof function);
    if (function == nullptr) {
      return bad(Code::kInvalid, path,
                 "its " + interface_id + " table has no function " + slot.name +
                     "; provide it and rebuild");
    }
  }
  return Status();
}

}  // namespace kvstore::host
