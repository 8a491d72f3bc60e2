#include "log_driver.hpp"

#include <limits>

#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/slice.hpp>

#include "plugin_file.hpp"

namespace kvstore::conformance {
namespace {

kvs_status collect(void* ctx, const kvs_entry* e) noexcept {
  try {
    static_cast<std::vector<Entry>*>(ctx)->push_back(
        {e->id, e->kind, e->crc32c, std::string(sdk::view(e->data))});
    return KVS_OK;
  } catch (...) {
    return KVS_E_NO_MEMORY;
  }
}

}  // namespace

kvs_status open_log(const PluginFile& plugin, const std::string& dir, const std::string& config,
                    uint32_t flags, kvs_log** out, std::string* message) {
  kvs_storage_options options{};
  options.struct_size = sizeof options;
  options.flags = flags;
  options.data_dir = sdk::slice(dir);
  options.config_json = sdk::slice(config);
  kvs_error err = sdk::make_error();
  const kvs_status status = plugin.log()->open(test_host(), &options, out, &err);
  if (message != nullptr) *message = err.message;
  return status;
}

LogDriver::LogDriver(Context& context, const std::string& dir, uint32_t flags)
    : context_(context), api_(context.plugin->log()), dir_(dir[0] == '/' ? dir : context.sub(dir)) {
  std::string message;
  const kvs_status status =
      open_log(*context_.plugin, dir_, context_.config, flags, &log_, &message);
  KIT_CHECK_MSG(status == KVS_OK, "open: " + status_name(status) + " " + message);
}

LogDriver::~LogDriver() {
  close();
}

void LogDriver::close() {
  if (log_ != nullptr) api_->close(log_);
  log_ = nullptr;
}

void LogDriver::reopen() {
  if (!context_.persists) return;
  close();
  std::string message;
  const kvs_status status = open_log(*context_.plugin, dir_, context_.config, 0, &log_, &message);
  KIT_CHECK_MSG(status == KVS_OK, "reopen: " + status_name(status) + " " + message);
}

kvs_status LogDriver::step(const LogStep& step, std::string* message) {
  kvs_error err = sdk::make_error();
  kvs_status status = KVS_OK;
  if (step.kind == LogStep::kWrite) {
    std::vector<kvs_entry> entries;
    for (const Entry& e : step.entries) {
      entries.push_back({e.id, e.kind, e.crc32c, sdk::slice(e.data)});
    }
    kvs_log_write w{};
    w.struct_size = sizeof w;
    w.flags = flag_if(step.sync, KVS_LOG_SYNC) |
              flag_if(step.hard.has_value(), KVS_LOG_SET_HARD_STATE) |
              flag_if(step.truncate_from.has_value(), KVS_LOG_TRUNCATE);
    w.hard = step.hard.value_or(kvs_hard_state{});
    w.truncate_from = step.truncate_from.value_or(0);
    w.entries = entries.data();
    w.entry_count = entries.size();
    status = api_->write(log_, &w, &err);
  } else if (step.kind == LogStep::kCompact) {
    status = api_->compact(log_, &step.id, &err);
  } else {
    status = api_->reset(log_, &step.id, &err);
  }
  if (message != nullptr) *message = err.message;
  return status;
}

kvs_log_state LogDriver::state() {
  kvs_log_state s{};
  s.struct_size = sizeof s;
  KIT_STATUS(KVS_OK, api_->state(log_, &s, nullptr));
  return s;
}

kvs_status LogDriver::read(uint64_t first, uint64_t max_count, uint64_t max_bytes,
                           std::vector<Entry>* out) {
  out->clear();
  return api_->read(log_, first, max_count, max_bytes, collect, out, nullptr);
}

LogModel LogDriver::contents() {
  constexpr uint64_t kAll = std::numeric_limits<uint64_t>::max();
  const kvs_log_state s = state();
  LogModel found;
  found.hard = s.hard;
  found.base = s.base;
  std::vector<Entry> entries;
  if (s.last.index == s.base.index) {
    KIT_CHECK(s.last == s.base);
    KIT_STATUS(KVS_E_END, read(s.base.index + 1, kAll, kAll, &entries));
  } else {
    KIT_STATUS(KVS_OK, read(s.base.index + 1, kAll, kAll, &entries));
  }
  KIT_CHECK(entries.size() == s.last.index - s.base.index);
  uint64_t index = s.base.index;
  uint64_t term = s.base.term;
  for (Entry& e : entries) {
    KIT_CHECK(e.id.index == ++index && e.id.term >= term);
    term = e.id.term;
    found.entries.push_back(std::move(e));
  }
  KIT_CHECK(found.last() == s.last);
  return found;
}

// ---- mirrored

void MirroredLog::apply(const LogStep& step) {
  std::string message;
  const kvs_status status = driver.step(step, &message);
  KIT_CHECK_MSG(status == KVS_OK, "step: " + status_name(status) + " " + message);
  model.apply(step);
}

void MirroredLog::append(uint64_t count, uint64_t term, size_t bytes, bool sync) {
  LogStep step;
  step.sync = sync;
  const uint64_t first = model.last().index + 1;
  for (uint64_t i = 0; i < count; ++i) {
    step.entries.push_back(make_entry(term, first + i, bytes, salt_));
  }
  apply(step);
}

void MirroredLog::vote(uint64_t term, uint64_t voted_for) {
  LogStep step;
  step.sync = true;
  step.hard = kvs_hard_state{term, voted_for, model.last().index};
  apply(step);
}

void MirroredLog::truncate(uint64_t from, uint64_t count, uint64_t term) {
  LogStep step;
  step.sync = true;
  step.truncate_from = from;
  ++salt_;
  for (uint64_t i = 0; i < count; ++i)
    step.entries.push_back(make_entry(term, from + i, 20, salt_));
  apply(step);
}

void MirroredLog::compact(uint64_t index) {
  LogStep step;
  step.kind = LogStep::kCompact;
  step.id = {index >= model.base.index ? model.term(index) : 0, index};
  apply(step);
}

void MirroredLog::reset(uint64_t term, uint64_t index) {
  LogStep step;
  step.kind = LogStep::kReset;
  step.id = {term, index};
  apply(step);
}

void MirroredLog::refuse(const LogStep& step, kvs_status expected) {
  std::string message;
  const kvs_status status = driver.step(step, &message);
  KIT_CHECK_MSG(status == expected,
                "refused with " + status_name(status) + ", expected " + status_name(expected));
  KIT_CHECK_MSG(!message.empty(), "the error has no message");
  check();
}

void MirroredLog::check() {
  const std::string wrong = difference(model, driver.contents(), model.base.index);
  KIT_CHECK_MSG(wrong.empty(), wrong);
  uint64_t term = 0;
  KIT_STATUS(KVS_OK, driver.api().term(driver.handle(), model.base.index, &term, nullptr));
  KIT_CHECK(term == model.base.term);
  for (const Entry& e : model.entries) {
    KIT_STATUS(KVS_OK, driver.api().term(driver.handle(), e.id.index, &term, nullptr));
    KIT_CHECK(term == e.id.term);
  }
  KIT_STATUS(KVS_E_END, driver.api().term(driver.handle(), model.last().index + 1, &term, nullptr));
}

void MirroredLog::check_after_reopen() {
  check();
  driver.reopen();
  check();
}

}  // namespace kvstore::conformance
