// The checks of arguments that the storage contract demands of every plugin, made before anything
// changes. Each violation is an Error(INVALID), an unknown kind or flag an
// Error(UNSUPPORTED).
#pragma once

#include <cstdint>
#include <string>

#include <kvstore/abi/log.h>
#include <kvstore/abi/state.h>
#include <kvstore/sdk/guard.hpp>

namespace kvstore::sdk {

constexpr uint32_t kSpaceCount = 16;

inline void require(bool condition, const char* message) {
  if (!condition) throw Error(KVS_E_INVALID, message);
}

inline void check_flags(uint32_t flags, uint32_t known, const char* message) {
  if ((flags & ~known) != 0) throw Error(KVS_E_UNSUPPORTED, message);
}

inline void check_slice(const kvs_slice& s) {
  require(s.data != nullptr || s.len == 0, "a slice has a length but no data");
}

// Fills an out-parameter as far as the caller's struct_size reaches.
template <typename T>
void copy_result(T* out, T value) {
  require(out != nullptr && out->struct_size >= sizeof(uint32_t), "struct_size is not set");
  value.struct_size = out->struct_size;
  std::memcpy(static_cast<void*>(out), &value, std::min<size_t>(out->struct_size, sizeof value));
}

// Checks a log write against the log's ends and returns the last id after it.  term_of(index) gives
// the term of a present entry or of the base; it is asked at most once.
template <typename TermOf>
kvs_log_id check_log_write(const kvs_log_write& w, const kvs_log_id& base, const kvs_log_id& last,
                           TermOf&& term_of) {
  check_flags(w.flags, KVS_LOG_SYNC | KVS_LOG_SET_HARD_STATE | KVS_LOG_TRUNCATE,
              "unknown log write flag");
  require(w.entries != nullptr || w.entry_count == 0, "entries is NULL but entry_count is not 0");
  kvs_log_id tail = last;
  if ((w.flags & KVS_LOG_TRUNCATE) != 0) {
    if (w.truncate_from <= base.index || w.truncate_from > last.index + 1) {
      throw Error(KVS_E_INVALID, "truncate_from " + std::to_string(w.truncate_from) +
                                     " is not within " + std::to_string(base.index + 1) + ".." +
                                     std::to_string(last.index + 1));
    }
    if (w.truncate_from <= last.index) {
      tail = {term_of(w.truncate_from - 1), w.truncate_from - 1};
    }
  }
  for (uint64_t i = 0; i < w.entry_count; ++i) {
    const kvs_entry& e = w.entries[i];
    if (e.id.index != tail.index + 1) {
      throw Error(KVS_E_INVALID, "entry index " + std::to_string(e.id.index) + " does not follow " +
                                     std::to_string(tail.index));
    }
    if (e.id.term < tail.term) {
      throw Error(KVS_E_INVALID, "term " + std::to_string(e.id.term) + " of entry " +
                                     std::to_string(e.id.index) + " is below the term " +
                                     std::to_string(tail.term) + " before it");
    }
    check_slice(e.data);
    tail = e.id;
  }
  return tail;
}

// An applied mark may stand still (housekeeping) or advance in index without going back in term.
inline void check_applied(const kvs_applied* applied, const kvs_log_id& stored) {
  require(applied != nullptr && KVS_COVERS(applied, at), "applied is missing");
  const kvs_log_id& at = applied->at;
  const bool equal = at.index == stored.index && at.term == stored.term;
  if (!equal && (at.index <= stored.index || at.term < stored.term)) {
    throw Error(KVS_E_INVALID, "applied mark (term " + std::to_string(at.term) + ", index " +
                                   std::to_string(at.index) + ") does not follow (term " +
                                   std::to_string(stored.term) + ", index " +
                                   std::to_string(stored.index) + ")");
  }
  if (KVS_COVERS(applied, meta)) check_slice(applied->meta);
}

inline void check_space(uint32_t space) {
  require(space < kSpaceCount, "space is not below 16");
}

// Checks everything about a batch that does not need the stored data.
inline void check_kv_batch(const kvs_kv_batch& b, const kvs_log_id& stored) {
  check_flags(b.flags, KVS_KV_SYNC, "unknown batch flag");
  require(b.ops != nullptr || b.op_count == 0, "ops is NULL but op_count is not 0");
  check_applied(b.applied, stored);
  for (uint64_t i = 0; i < b.op_count; ++i) {
    const kvs_kv_op& op = b.ops[i];
    if (op.kind < KVS_KV_PUT || op.kind > KVS_KV_DELETE_RANGE) {
      throw Error(KVS_E_UNSUPPORTED, "unknown operation kind " + std::to_string(op.kind));
    }
    check_space(op.space);
    check_slice(op.key);
    check_slice(op.value);
  }
}

inline void check_iter_options(const kvs_iter_options& o) {
  check_flags(o.flags, KVS_ITER_REVERSE | KVS_ITER_KEYS_ONLY, "unknown iterator flag");
  check_space(o.space);
  check_slice(o.lower);
  check_slice(o.upper);
}

}  // namespace kvstore::sdk
