#include "plugin/checked_log.hpp"

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>

#include "plugin/probe.hpp"

namespace kvstore::plugin {
namespace {

enum Call : size_t { kOpen, kWrite, kCompact, kReset, kState, kRead, kTerm, kStats, kCallCount };
constexpr const char* kCallNames[kCallCount] = {"open",  "write", "compact", "reset",
                                                "state", "read",  "term",    "stats"};

// What the log must look like now, kept by the writers.  `changes` is odd while a writer is inside
// the plugin, so that a reader knows whether its call overlapped one: only then is an older or
// newer picture legal.
struct Mirror {
  kvs_hard_state hard{};
  kvs_log_id base{};
  kvs_log_id last{};
  uint64_t changes = 0;
  bool known = true;  // false after an environment error: the tail is then undefined until reopen
};

struct CheckedLog {
  CheckedLog(const kvs_log_api* t, const kvs_host* host, const ProxyOptions& options)
      : table(t), probe(host, options, "log", kCallNames) {}

  const kvs_log_api* const table;
  kvs_log* inner = nullptr;
  const Probe probe;
  Exclusive writer;
  std::mutex mutex;  // guards mirror; a leaf: never held across a call of the plugin
  Mirror mirror;

  Mirror picture() {
    std::lock_guard lock(mutex);
    return mirror;
  }
};

CheckedLog* self(kvs_log* log) {
  KVS_ASSERT(log != nullptr);
  return reinterpret_cast<CheckedLog*>(log);
}

bool same(const kvs_log_id& a, const kvs_log_id& b) {
  return a.term == b.term && a.index == b.index;
}

// Checks that hold for every call.
kvs_status outcome(const CheckedLog& log, Call call, kvs_status status, kvs_error* err) {
  if (!log.probe.checked()) return status;
  const char* name = kCallNames[call];
  if (!known_status(status)) {
    return log.probe.plugin_bug(
        err, name, "returned status " + std::to_string(status) + ", which is not in the ABI");
  }
  if (std::string wrong = error_form(err); !wrong.empty()) {
    return log.probe.plugin_bug(nullptr, name, wrong);
  }
  return status;
}

std::string id_text(const kvs_log_id& id) {
  return '(' + std::to_string(id.term) + ", " + std::to_string(id.index) + ')';
}

// ---- writers

// Marks the time a writer spends inside the plugin and judges what it returned.
class WriterCall {
 public:
  WriterCall(CheckedLog& log, Call call) : log_(log), call_(call), exclusive_(log.writer) {
    std::lock_guard lock(log_.mutex);
    ++log_.mirror.changes;
  }
  ~WriterCall() {
    std::lock_guard lock(log_.mutex);
    ++log_.mirror.changes;
  }

  // `update` brings the mirror to what an OK means.
  template <typename Update>
  kvs_status finish(kvs_status status, kvs_error* err, Update update) {
    status = outcome(log_, call_, status, err);
    if (!log_.probe.checked()) return status;
    if (status == KVS_OK && !log_.picture().known) {
      return log_.probe.plugin_bug(err, kCallNames[call_],
                                   "succeeded after an environment error: the failure must latch");
    }
    if (status == KVS_E_INVALID) {
      return log_.probe.plugin_bug(err, kCallNames[call_], "refused a valid request as INVALID");
    }
    std::lock_guard lock(log_.mutex);
    if (status == KVS_OK) update(log_.mirror);
    if (poisons(status)) log_.mirror.known = false;
    return status;
  }

 private:
  CheckedLog& log_;
  const Call call_;
  Exclusive::Scope exclusive_;
};

// The host's side of log.write: everything that the contract lets it ask for.
void assert_valid_write(const Mirror& now, const kvs_log_write& w) {
  if (!now.known) return;
  constexpr uint32_t kKnown = KVS_LOG_SYNC | KVS_LOG_SET_HARD_STATE | KVS_LOG_TRUNCATE;
  KVS_ASSERT(w.struct_size >= sizeof w && (w.flags & ~kKnown) == 0);
  KVS_ASSERT(w.entry_count == 0 || w.entries != nullptr);
  if ((w.flags & KVS_LOG_SET_HARD_STATE) != 0) {
    KVS_ASSERT(w.hard.term >= now.hard.term);
    // A vote is given once per term.
    KVS_ASSERT(w.hard.term > now.hard.term || now.hard.voted_for == 0 ||
               w.hard.voted_for == now.hard.voted_for);
  }
  uint64_t next = now.last.index + 1;
  uint64_t term = now.last.term;
  if ((w.flags & KVS_LOG_TRUNCATE) != 0) {
    KVS_ASSERT(w.truncate_from > now.base.index && w.truncate_from <= next);
    if (w.truncate_from < next)
      term = now.base.term;  // that of the new last entry is at least this
    next = w.truncate_from;
  }
  for (uint64_t i = 0; i < w.entry_count; ++i) {
    const kvs_entry& e = w.entries[i];
    KVS_ASSERT(e.id.index == next + i && e.id.term >= term && e.id.term > 0);
    KVS_ASSERT(valid_slice(&e.data));
    term = e.id.term;
  }
}

kvs_status write(kvs_log* handle, const kvs_log_write* w, kvs_error* err) noexcept {
  CheckedLog& log = *self(handle);
  WriterCall call(log, kWrite);
  KVS_ASSERT(w != nullptr);
  if (log.probe.checked()) assert_valid_write(log.picture(), *w);
  kvs_status status;
  {
    Probe::Timer timer(log.probe, kWrite);
    status = log.table->write(log.inner, w, err);
  }
  kvs_log_id truncated{};
  if (status == KVS_OK && log.probe.checked() && (w->flags & KVS_LOG_TRUNCATE) != 0 &&
      w->entry_count == 0) {
    // The mirror does not know the term of an older entry: ask for it.
    truncated.index = w->truncate_from - 1;
    status = log.table->term(log.inner, truncated.index, &truncated.term, err);
    if (status != KVS_OK) {
      return log.probe.plugin_bug(err, "write",
                                  "the new last entry after a truncation has no term");
    }
  }
  return call.finish(status, err, [&](Mirror& m) {
    if ((w->flags & KVS_LOG_SET_HARD_STATE) != 0) m.hard = w->hard;
    if (truncated.index != 0 || ((w->flags & KVS_LOG_TRUNCATE) != 0 && w->entry_count == 0)) {
      m.last = truncated;
    }
    if (w->entry_count > 0) m.last = w->entries[w->entry_count - 1].id;
  });
}

kvs_status compact(kvs_log* handle, const kvs_log_id* upto, kvs_error* err) noexcept {
  CheckedLog& log = *self(handle);
  WriterCall call(log, kCompact);
  KVS_ASSERT(upto != nullptr);
  if (log.probe.checked()) {
    const Mirror now = log.picture();
    KVS_ASSERT(!now.known || upto->index <= now.last.index);
  }
  kvs_status status;
  {
    Probe::Timer timer(log.probe, kCompact);
    status = log.table->compact(log.inner, upto, err);
  }
  return call.finish(status, err, [&](Mirror& m) {
    if (upto->index > m.base.index) m.base = *upto;
  });
}

kvs_status reset(kvs_log* handle, const kvs_log_id* base, kvs_error* err) noexcept {
  CheckedLog& log = *self(handle);
  WriterCall call(log, kReset);
  KVS_ASSERT(base != nullptr);
  kvs_status status;
  {
    Probe::Timer timer(log.probe, kReset);
    status = log.table->reset(log.inner, base, err);
  }
  return call.finish(status, err, [&](Mirror& m) { m.base = m.last = *base; });
}

// ---- readers

// True when no writer was inside the plugin at any time since `before` was taken.
bool undisturbed(CheckedLog& log, const Mirror& before) {
  return before.known && before.changes % 2 == 0 && log.picture().changes == before.changes;
}

std::string state_form(const kvs_log_state& s) {
  if (s.struct_size != sizeof s) return "changed struct_size of the caller's state";
  if (s.last.index < s.base.index || s.last.term < s.base.term) {
    return "last " + id_text(s.last) + " lies before base " + id_text(s.base);
  }
  if (s.last.index == s.base.index && s.last.term != s.base.term) {
    return "the log is empty but last " + id_text(s.last) + " is not base " + id_text(s.base);
  }
  return "";
}

kvs_status state(kvs_log* handle, kvs_log_state* out, kvs_error* err) noexcept {
  CheckedLog& log = *self(handle);
  KVS_ASSERT(out != nullptr && out->struct_size == sizeof *out);
  const Mirror before = log.picture();
  kvs_status status;
  {
    Probe::Timer timer(log.probe, kState);
    status = log.table->state(log.inner, out, err);
  }
  status = outcome(log, kState, status, err);
  if (status != KVS_OK || !log.probe.checked()) return status;
  if (std::string wrong = state_form(*out); !wrong.empty()) {
    return log.probe.plugin_bug(err, "state", wrong);
  }
  if (!undisturbed(log, before)) return status;
  if (!same(out->base, before.base) || !same(out->last, before.last)) {
    return log.probe.plugin_bug(err, "state",
                                "reports " + id_text(out->base) + ".." + id_text(out->last) +
                                    ", written was " + id_text(before.base) + ".." +
                                    id_text(before.last));
  }
  if (out->hard.term != before.hard.term || out->hard.voted_for != before.hard.voted_for) {
    return log.probe.plugin_bug(err, "state", "reports another hard state than was written");
  }
  return status;
}

// Stands between the plugin's read and the host's sink.
struct ReadCheck {
  kvs_entry_sink sink;
  void* ctx;
  uint64_t first;
  uint64_t max_count;
  uint64_t max_bytes;
  uint64_t count = 0;
  uint64_t bytes = 0;
  uint64_t term = 0;
  kvs_status stopped = KVS_OK;
  std::string wrong;
};

std::string entry_form(const ReadCheck& check, const kvs_entry* e) {
  if (check.stopped != KVS_OK) return "called the sink again after it had stopped the read";
  if (e == nullptr || !valid_slice(&e->data)) return "delivered an entry without data";
  if (e->id.index != check.first + check.count) {
    return "delivered index " + std::to_string(e->id.index) + " where " +
           std::to_string(check.first + check.count) + " is due";
  }
  if (e->id.term < check.term || e->id.term == 0) return "delivered a term that goes back";
  if (check.count == check.max_count) return "delivered more than max_count entries";
  if (check.count > 0 && check.bytes + e->data.len > check.max_bytes) {
    return "delivered more than max_bytes";
  }
  return "";
}

kvs_status check_entry(void* ctx, const kvs_entry* e) noexcept {
  ReadCheck& check = *static_cast<ReadCheck*>(ctx);
  if (check.wrong.empty()) check.wrong = entry_form(check, e);
  if (!check.wrong.empty()) return KVS_E_INTERNAL;
  ++check.count;
  check.bytes += e->data.len;
  check.term = e->id.term;
  check.stopped = check.sink(check.ctx, e);
  return check.stopped;
}

std::string read_outcome(const ReadCheck& check, kvs_status status, const Mirror* exact) {
  if (!check.wrong.empty()) return check.wrong;
  if (check.stopped != KVS_OK) {
    return status == check.stopped ? "" : "did not return the status with which the sink stopped";
  }
  if (status == KVS_OK && check.count == 0) return "succeeded without delivering an entry";
  bool nothing = status == KVS_E_END || status == KVS_E_COMPACTED;
  if (nothing && check.count != 0) return "delivered entries and reported that there are none";
  if (exact == nullptr) return "";
  if (status == KVS_E_COMPACTED && check.first > exact->base.index) {
    return "reports COMPACTED above the base";
  }
  if (status == KVS_E_END && check.first <= exact->last.index)
    return "reports END before the last entry";
  if (status == KVS_OK && check.first <= exact->base.index) return "delivered compacted entries";
  if (status == KVS_OK && check.first + check.count - 1 > exact->last.index) {
    return "delivered entries beyond the last one written";
  }
  return "";
}

kvs_status read(kvs_log* handle, uint64_t first, uint64_t max_count, uint64_t max_bytes,
                kvs_entry_sink sink, void* ctx, kvs_error* err) noexcept {
  CheckedLog& log = *self(handle);
  KVS_ASSERT(sink != nullptr && max_count > 0);
  if (!log.probe.checked()) {
    Probe::Timer timer(log.probe, kRead);
    return log.table->read(log.inner, first, max_count, max_bytes, sink, ctx, err);
  }
  const Mirror before = log.picture();
  ReadCheck check{sink, ctx, first, max_count, max_bytes, 0, 0, 0, KVS_OK, ""};
  kvs_status status;
  {
    Probe::Timer timer(log.probe, kRead);
    status = log.table->read(log.inner, first, max_count, max_bytes, check_entry, &check, err);
  }
  if (check.stopped == KVS_OK) status = outcome(log, kRead, status, err);
  std::string wrong = read_outcome(check, status, undisturbed(log, before) ? &before : nullptr);
  return wrong.empty() ? status : log.probe.plugin_bug(err, "read", wrong);
}

std::string term_outcome(const Mirror& exact, uint64_t index, kvs_status status, uint64_t term) {
  bool inside = index >= exact.base.index && index <= exact.last.index;
  if (status == KVS_OK && !inside) return "knows the term of an entry that is not in the log";
  if (status == KVS_E_COMPACTED && index >= exact.base.index)
    return "reports COMPACTED from the base on";
  if (status == KVS_E_END && index <= exact.last.index) return "reports END before the last entry";
  if (status != KVS_OK) return "";
  if (index == exact.base.index && term != exact.base.term) return "another term at the base";
  if (index == exact.last.index && term != exact.last.term) return "another term at the last entry";
  return "";
}

kvs_status term(kvs_log* handle, uint64_t index, uint64_t* out, kvs_error* err) noexcept {
  CheckedLog& log = *self(handle);
  KVS_ASSERT(out != nullptr);
  const Mirror before = log.picture();
  kvs_status status;
  {
    Probe::Timer timer(log.probe, kTerm);
    status = log.table->term(log.inner, index, out, err);
  }
  status = outcome(log, kTerm, status, err);
  if (!log.probe.checked() || !undisturbed(log, before)) return status;
  std::string wrong = term_outcome(before, index, status, *out);
  return wrong.empty() ? status : log.probe.plugin_bug(err, "term", wrong);
}

kvs_status stats(kvs_log* handle, kvs_slice_sink sink, void* ctx) noexcept {
  CheckedLog& log = *self(handle);
  KVS_ASSERT(sink != nullptr);
  Probe::Timer timer(log.probe, kStats);
  return outcome(log, kStats, log.table->stats(log.inner, sink, ctx), nullptr);
}

// ---- instance

void close(kvs_log* handle) noexcept {
  std::unique_ptr<CheckedLog> log(self(handle));
  KVS_ASSERT(!log->writer.busy());
  log->table->close(log->inner);
}

const void* get_extension(kvs_log* handle, const char* id) noexcept {
  CheckedLog& log = *self(handle);
  KVS_ASSERT(id != nullptr);
  return log.table->get_extension(log.inner, id);
}

// Instances come from open_log() only: the table's own open cannot know which plugin is meant.
kvs_status refuse_open(const kvs_host*, const kvs_storage_options*, kvs_log**,
                       kvs_error*) noexcept {
  return KVS_E_UNSUPPORTED;
}

constexpr kvs_log_api kTable = {sizeof(kvs_log_api),
                                0,
                                refuse_open,
                                close,
                                get_extension,
                                write,
                                compact,
                                reset,
                                state,
                                read,
                                term,
                                stats};

kvs_status check_opened(CheckedLog& log, kvs_error* err) {
  if (log.inner == nullptr) return log.probe.plugin_bug(err, "open", "succeeded without a handle");
  kvs_log_state found{};
  found.struct_size = sizeof found;
  kvs_status status = log.table->state(log.inner, &found, err);
  if (status == KVS_OK) {
    if (std::string wrong = state_form(found); !wrong.empty()) {
      status = log.probe.plugin_bug(err, "state", wrong);
    }
  }
  if (status != KVS_OK) {
    log.table->close(log.inner);
    return status;
  }
  log.mirror = {found.hard, found.base, found.last, 0, true};
  return KVS_OK;
}

}  // namespace

kvs_status open_log(const kvs_log_api* table, const kvs_host* host,
                    const kvs_storage_options& options, const ProxyOptions& proxy, OpenedLog* out,
                    kvs_error* err) {
  *out = {table, nullptr};
  if (!Probe::wanted(host, proxy)) return table->open(host, &options, &out->log, err);
  auto log = std::make_unique<CheckedLog>(table, host, proxy);
  kvs_status status;
  {
    Probe::Timer timer(log->probe, kOpen);
    status = table->open(host, &options, &log->inner, err);
  }
  status = outcome(*log, kOpen, status, err);
  if (status == KVS_OK) status = check_opened(*log, err);
  if (status != KVS_OK) return status;
  *out = {&kTable, reinterpret_cast<kvs_log*>(log.release())};
  return KVS_OK;
}

}  // namespace kvstore::plugin
