#include "state.hpp"

#include <kvstore/sdk/slice.hpp>
#include <kvstore/sdk/storage_rules.hpp>

#include <nlohmann/json.hpp>

namespace kvstore::storage_sqlite {
namespace {

constexpr sdk::EngineTag kTag{"sqlite", KVS_STATE_ID, 1};

using AtLimit = StateReaderPool::AtLimit;

sdk::Error corrupt(const std::string& what) {
  return sdk::Error(KVS_E_CORRUPT, "sqlite state: " + what);
}

}  // namespace

State::State(const kvs_host*, const kvs_storage_options& options)
    : dir_(options, kTag),
      options_(parse_options(options.config_json, Role::kState)),
      generations_(dir_.path(), kTag.engine) {
  const uint64_t number = generations_.current();
  if (number == 0 && !dir_.is_new()) throw corrupt("CURRENT is missing in " + dir_.path());
  generations_.remove_others(number);
  const bool create = number == 0;
  sdk::GenerationDir dir = create ? generations_.create() : generations_.open(number);
  current_ = std::make_shared<Generation>(std::move(dir), options_, create);
  if (create) {
    current_->dir().keep();
    generations_.set_current(current_->dir().number());
  }
  applied_ = current_->mark().at;
  if (dir_.is_new()) dir_.finish_create();
}

std::shared_ptr<Generation> State::current() const {
  std::lock_guard lock(mutex_);
  return current_;
}

void State::write(const kvs_kv_batch& batch) {
  writer_thread_.store(std::this_thread::get_id());
  sdk::check_kv_batch(batch, applied_);
  const kvs_applied applied = sdk::copy_options(batch.applied);
  current_->write(batch, applied);
  std::lock_guard lock(mutex_);
  applied_ = applied.at;
}

kvs_log_id State::sync() {
  std::shared_ptr<Generation> generation;
  kvs_log_id at;
  {
    std::lock_guard lock(mutex_);
    generation = current_;
    at = applied_;
  }
  generation->sync();
  return at;
}

kvs_status State::get_many(uint32_t space, const kvs_slice* keys, uint32_t n, kvs_found_sink sink,
                           void* ctx) {
  sdk::check_space(space);
  return current_->get_many(space, keys, n, sink, ctx);
}

std::string State::stats() {
  std::shared_ptr<Generation> generation = current();
  return nlohmann::json{{"engine", "sqlite"},
                        {"generation", generation->dir().number()},
                        {"database_bytes", generation->file_bytes("")},
                        {"wal_bytes", generation->file_bytes("-wal")},
                        {"views", generation->readers().taken()},
                        {"failed", latch_->is_set()}}
      .dump();
}

sdk::GenerationDir State::new_generation() {
  return generations_.create();
}

void State::commit(StagedGeneration& staged, sdk::GenerationDir dir, const kvs_applied& applied) {
  AppliedMark mark;
  mark.at = applied.at;
  mark.meta = applied.meta.len > 0 ? std::string(sdk::view(applied.meta)) : current_->mark().meta;
  staged.finish(mark);
  auto next = std::make_shared<Generation>(std::move(dir), options_, false);
  // From here on this generation must survive, whatever happens to the pointer.
  next->dir().keep();
  kvs_status status =
      latch_->write(nullptr, [&] { generations_.set_current(next->dir().number()); });
  if (status != KVS_OK) latch_->check();
  std::lock_guard lock(mutex_);
  current_->dir().discard();
  current_ = std::move(next);
  applied_ = applied.at;
}

// ---- views

View::View(State& state)
    : latch_(state.latch()),
      generation_(state.current()),
      lease_(generation_->readers().take(state.on_writer_thread() ? AtLimit::kExceed
                                                                  : AtLimit::kFail)),
      at_(lease_->begin()) {}

View::~View() {
  lease_->end();
}

kvs_status View::applied(kvs_log_id* at, kvs_slice_sink meta, void* ctx) {
  *at = at_;
  if (meta == nullptr) return KVS_OK;
  const std::string blob = lease_->meta();
  const kvs_slice slice = sdk::slice(blob);
  return meta(ctx, &slice);
}

kvs_status View::get(uint32_t space, std::string_view key, kvs_slice_sink sink, void* ctx) {
  sdk::check_space(space);
  Statement& select = lease_->select_value();
  Resetter resetter(select);
  select.bind(1, static_cast<uint64_t>(space));
  select.bind(2, key);
  if (!select.step()) return KVS_E_NOT_FOUND;
  const std::string_view value = select.bytes(0);
  if (select.number(1) != pair_sum(space, key, value)) throw corrupt("a pair is damaged");
  const kvs_slice slice = sdk::slice(value);
  return sink(ctx, &slice);
}

Iter::Iter(View& view, const kvs_iter_options& options)
    : view_(view),
      space_(options.space),
      reverse_((options.flags & KVS_ITER_REVERSE) != 0),
      keys_only_((options.flags & KVS_ITER_KEYS_ONLY) != 0),
      lower_(sdk::view(options.lower)),
      upper_(options.upper.len > 0 ? std::optional<std::string>(sdk::view(options.upper))
                                   : std::nullopt) {
  start(lower_, upper_);
}

Iter::~Iter() {
  release();
}

void Iter::release() noexcept {
  if (scan_.has_value()) view_.reader().give_scan(shape_, std::move(*scan_));
  scan_.reset();
}

void Iter::start(std::string lower, std::optional<std::string> upper) {
  release();
  bound_lower_ = std::move(lower);
  bound_upper_ = std::move(upper);
  shape_ = {reverse_, bound_upper_.has_value(), keys_only_};
  scan_ = view_.reader().take_scan(shape_);
  scan_->bind(1, static_cast<uint64_t>(space_));
  scan_->bind(2, std::string_view(bound_lower_));
  if (bound_upper_.has_value()) scan_->bind(3, std::string_view(*bound_upper_));
  step();
}

void Iter::step() {
  has_row_ = scan_->step();
}

void Iter::seek(std::string_view key) {
  if (!reverse_) return start(key < lower_ ? lower_ : std::string(key), upper_);
  // Up to and including the key is below its direct successor.
  std::string bound(key);
  bound.push_back('\0');
  start(lower_, upper_.has_value() && *upper_ < bound ? *upper_ : bound);
}

kvs_status Iter::next(kvs_pair* out, uint32_t cap, uint64_t bytes_max, uint32_t* n) {
  sdk::require(cap > 0, "cap is 0");
  *n = 0;
  pairs_.clear();
  for (; has_row_; step()) {
    const std::string_view key = scan_->bytes(0);
    const std::string_view value = keys_only_ ? std::string_view() : scan_->bytes(1);
    if (!pairs_.fits(key.size() + value.size(), cap, bytes_max)) break;
    if (!keys_only_ && scan_->number(2) != pair_sum(space_, key, value)) {
      throw corrupt("a pair is damaged");
    }
    pairs_.add(key, value);
  }
  if (pairs_.count() == 0) return KVS_E_END;
  pairs_.export_to(out);
  *n = pairs_.count();
  return KVS_OK;
}

// ---- restore

void Restore::put(uint32_t space, const kvs_pair* pairs, uint32_t n) {
  sdk::check_space(space);
  staged_.put(space, pairs, n);
}

void Restore::commit(const kvs_applied& applied) {
  sdk::check_slice(applied.meta);
  state_.commit(staged_, std::move(dir_), applied);
}

}  // namespace kvstore::storage_sqlite
