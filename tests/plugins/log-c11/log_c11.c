/* kvstore.log/1 in memory, in plain C11 without the SDK: the ABI needs no C++.  Nothing survives a
 * close. */
#include <kvstore/abi/log.h>
#include <kvstore/abi/plugin.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
  kvs_log_id id;
  uint32_t kind;
  uint32_t crc32c;
  uint8_t* data;
  size_t len;
} entry;

struct kvs_log {
  pthread_mutex_t mutex;
  kvs_hard_state hard;
  kvs_log_id base;
  entry* entries; /* base.index + 1 ... */
  size_t count;
  size_t capacity;
};

static kvs_status fail(kvs_error* err, kvs_status code, const char* message) {
  if (err != NULL && err->struct_size >= sizeof *err) {
    err->code = code;
    err->sys_errno = 0;
    snprintf(err->message, sizeof err->message, "%s", message);
  }
  return code;
}

static kvs_log_id last_of(const kvs_log* l) {
  return l->count == 0 ? l->base : l->entries[l->count - 1].id;
}

static uint64_t term_of(const kvs_log* l, uint64_t index) {
  return index == l->base.index ? l->base.term : l->entries[index - l->base.index - 1].id.term;
}

/* Drops the entries from position `from` on. */
static void cut(kvs_log* l, size_t from) {
  for (size_t i = from; i < l->count; ++i) free(l->entries[i].data);
  l->count = from;
}

/* Only white space or an empty object: this plugin has no options. */
static int has_options(const kvs_slice* json) {
  size_t braces = 0;
  for (size_t i = 0; i < json->len; ++i) {
    char c = (char)json->data[i];
    if (c == '{' || c == '}') {
      ++braces;
    } else if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
      return 1;
    }
  }
  return braces != 0 && braces != 2;
}

static kvs_status log_open(const kvs_host* host, const kvs_storage_options* opt, kvs_log** out,
                           kvs_error* err) {
  (void)host;
  if (has_options(&opt->config_json)) {
    return fail(err, KVS_E_INVALID, "/: this plugin has no options");
  }
  if ((opt->flags & KVS_STORAGE_CREATE) == 0) {
    return fail(err, KVS_E_NOT_FOUND, "a memory instance exists only once created");
  }
  kvs_log* l = calloc(1, sizeof *l);
  if (l == NULL) return fail(err, KVS_E_NO_MEMORY, "out of memory");
  if (pthread_mutex_init(&l->mutex, NULL) != 0) {
    free(l);
    return fail(err, KVS_E_INTERNAL, "no mutex");
  }
  *out = l;
  return KVS_OK;
}

static void log_close(kvs_log* l) {
  cut(l, 0);
  free(l->entries);
  pthread_mutex_destroy(&l->mutex);
  free(l);
}

static const void* log_get_extension(kvs_log* l, const char* id) {
  (void)l;
  (void)id;
  return NULL;
}

static kvs_status check_write(const kvs_log* l, const kvs_log_write* w, kvs_error* err) {
  kvs_log_id tail = last_of(l);
  if ((w->flags & ~(uint32_t)(KVS_LOG_SYNC | KVS_LOG_SET_HARD_STATE | KVS_LOG_TRUNCATE)) != 0)
    return fail(err, KVS_E_UNSUPPORTED, "unknown flag");
  if (w->entries == NULL && w->entry_count != 0) return fail(err, KVS_E_INVALID, "no entries");
  if ((w->flags & KVS_LOG_TRUNCATE) != 0) {
    if (w->truncate_from <= l->base.index || w->truncate_from > tail.index + 1) {
      return fail(err, KVS_E_INVALID, "truncate_from is out of range");
    }
    tail.index = w->truncate_from - 1;
    tail.term = term_of(l, tail.index);
  }
  for (uint64_t i = 0; i < w->entry_count; ++i) {
    const kvs_entry* e = &w->entries[i];
    if (e->id.index != tail.index + 1) return fail(err, KVS_E_INVALID, "entries leave a gap");
    if (e->id.term < tail.term) return fail(err, KVS_E_INVALID, "a term goes back");
    if (e->data.data == NULL && e->data.len != 0) return fail(err, KVS_E_INVALID, "no data");
    tail = e->id;
  }
  return KVS_OK;
}

static int reserve(kvs_log* l, uint64_t more) {
  if (l->capacity - l->count >= more) return 1;
  size_t capacity = l->capacity * 2 + (size_t)more;
  entry* grown = realloc(l->entries, capacity * sizeof *grown);
  if (grown == NULL) return 0;
  l->entries = grown;
  l->capacity = capacity;
  return 1;
}

/* Copies the entries behind the present ones; on failure the count is as before. */
static int stage(kvs_log* l, const kvs_log_write* w) {
  if (!reserve(l, w->entry_count)) return 0;
  for (uint64_t i = 0; i < w->entry_count; ++i) {
    const kvs_entry* in = &w->entries[i];
    entry copy = {in->id, in->kind, in->crc32c, malloc(in->data.len + 1), in->data.len};
    if (copy.data == NULL) {
      while (i-- > 0) free(l->entries[l->count + i].data);
      return 0;
    }
    if (copy.len > 0) memcpy(copy.data, in->data.data, copy.len);
    l->entries[l->count + i] = copy;
  }
  return 1;
}

static void commit(kvs_log* l, const kvs_log_write* w) {
  size_t staged = l->count;
  if ((w->flags & KVS_LOG_SET_HARD_STATE) != 0) l->hard = w->hard;
  if ((w->flags & KVS_LOG_TRUNCATE) != 0) cut(l, (size_t)(w->truncate_from - l->base.index - 1));
  if (w->entry_count > 0) {
    memmove(l->entries + l->count, l->entries + staged, (size_t)w->entry_count * sizeof(entry));
  }
  l->count += (size_t)w->entry_count;
}

static kvs_status log_write(kvs_log* l, const kvs_log_write* w, kvs_error* err) {
  if (w->struct_size < sizeof *w) return fail(err, KVS_E_INVALID, "struct_size is too small");
  pthread_mutex_lock(&l->mutex);
  kvs_status status = check_write(l, w, err);
  if (status == KVS_OK && !stage(l, w)) status = fail(err, KVS_E_NO_MEMORY, "out of memory");
  if (status == KVS_OK) commit(l, w);
  pthread_mutex_unlock(&l->mutex);
  return status;
}

static kvs_status log_compact(kvs_log* l, const kvs_log_id* upto, kvs_error* err) {
  kvs_status status = KVS_OK;
  pthread_mutex_lock(&l->mutex);
  if (upto->index > last_of(l).index ||
      (upto->index > l->base.index && term_of(l, upto->index) != upto->term)) {
    status = fail(err, KVS_E_INVALID, "no such entry to compact to");
  } else if (upto->index > l->base.index) {
    size_t drop = (size_t)(upto->index - l->base.index);
    for (size_t i = 0; i < drop; ++i) free(l->entries[i].data);
    memmove(l->entries, l->entries + drop, (l->count - drop) * sizeof(entry));
    l->count -= drop;
    l->base = *upto;
  }
  pthread_mutex_unlock(&l->mutex);
  return status;
}

static kvs_status log_reset(kvs_log* l, const kvs_log_id* base, kvs_error* err) {
  (void)err;
  pthread_mutex_lock(&l->mutex);
  cut(l, 0);
  l->base = *base;
  pthread_mutex_unlock(&l->mutex);
  return KVS_OK;
}

static kvs_status log_state(kvs_log* l, kvs_log_state* out, kvs_error* err) {
  if (out->struct_size < sizeof *out) return fail(err, KVS_E_INVALID, "struct_size is too small");
  pthread_mutex_lock(&l->mutex);
  out->flags = 0;
  out->hard = l->hard;
  out->base = l->base;
  out->last = last_of(l);
  pthread_mutex_unlock(&l->mutex);
  return KVS_OK;
}

static kvs_status read_locked(kvs_log* l, uint64_t first, uint64_t max_count, uint64_t max_bytes,
                              kvs_entry_sink sink, void* ctx) {
  if (first <= l->base.index) return KVS_E_COMPACTED;
  if (first > last_of(l).index) return KVS_E_END;
  uint64_t bytes = 0;
  for (size_t i = (size_t)(first - l->base.index - 1), n = 0; i < l->count && n < max_count;
       ++i, ++n) {
    const entry* e = &l->entries[i];
    if (n > 0 && (bytes >= max_bytes || e->len > max_bytes - bytes)) break;
    kvs_entry out = {e->id, e->kind, e->crc32c, {e->data, e->len}};
    kvs_status status = sink(ctx, &out);
    if (status != KVS_OK) return status;
    bytes += e->len;
  }
  return KVS_OK;
}

static kvs_status log_read(kvs_log* l, uint64_t first, uint64_t max_count, uint64_t max_bytes,
                           kvs_entry_sink sink, void* ctx, kvs_error* err) {
  if (max_count == 0) return fail(err, KVS_E_INVALID, "max_count is 0");
  pthread_mutex_lock(&l->mutex);
  kvs_status status = read_locked(l, first, max_count, max_bytes, sink, ctx);
  pthread_mutex_unlock(&l->mutex);
  return status;
}

static kvs_status log_term(kvs_log* l, uint64_t index, uint64_t* term, kvs_error* err) {
  (void)err;
  kvs_status status = KVS_OK;
  pthread_mutex_lock(&l->mutex);
  if (index < l->base.index) {
    status = KVS_E_COMPACTED;
  } else if (index > last_of(l).index) {
    status = KVS_E_END;
  } else {
    *term = term_of(l, index);
  }
  pthread_mutex_unlock(&l->mutex);
  return status;
}

static kvs_status log_stats(kvs_log* l, kvs_slice_sink sink, void* ctx) {
  static const char json[] = "{\"engine\":\"memory-c11\"}";
  const kvs_slice slice = {(const uint8_t*)json, sizeof json - 1};
  (void)l;
  return sink(ctx, &slice);
}

static const kvs_log_api table = {
    .struct_size = sizeof(kvs_log_api),
    .open = log_open,
    .close = log_close,
    .get_extension = log_get_extension,
    .write = log_write,
    .compact = log_compact,
    .reset = log_reset,
    .state = log_state,
    .read = log_read,
    .term = log_term,
    .stats = log_stats,
};

static kvs_status plugin_load(const kvs_host* host, kvs_error* err) {
  (void)host;
  (void)err;
  return KVS_OK;
}

static void plugin_unload(void) {}

static const void* plugin_get_interface(const char* id) {
  return strcmp(id, KVS_LOG_ID) == 0 ? &table : NULL;
}

static const kvs_interface_ref interfaces[] = {{KVS_LOG_ID, 0, 0}};

static const kvs_plugin_manifest manifest = {
    .struct_size = sizeof(kvs_plugin_manifest),
    .magic = KVS_PLUGIN_MAGIC,
    .abi_major = KVS_ABI_MAJOR,
    .abi_minor = KVS_ABI_MINOR,
    .pointer_bits = (uint8_t)(sizeof(void*) * 8),
    .little_endian = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
    .id = "kvstore.log-c11",
    .version = "0.1.0",
    .summary = "Log in memory, in C11, for tests",
    .build = "C11, " __VERSION__,
    .config_schema = "{\"type\": \"object\", \"additionalProperties\": false}",
    .interfaces = interfaces,
    .interface_count = 1,
    .load = plugin_load,
    .unload = plugin_unload,
    .get_interface = plugin_get_interface,
};

KVS_EXPORT const kvs_plugin_manifest* kvs_plugin_entry(void) {
  return &manifest;
}
