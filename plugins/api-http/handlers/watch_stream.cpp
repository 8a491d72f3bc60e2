#include "handlers/watch_stream.hpp"

#include <utility>

#include "text/json_text.hpp"

namespace kvstore::http {
namespace {

constexpr uint64_t kNsPerMs = 1'000'000;

// revision: what the engine names with the end of a watch.
ApiError end_error(kvs_status status, uint64_t revision) {
  const std::string next = std::to_string(revision + 1);
  if (status == KVS_E_COMPACTED) {
    return error_from_status(status, "the changes below revision " + next + " are compacted");
  }
  if (status == KVS_E_BUSY) {
    return error_from_status(status,
                             "the changes were not taken fast enough: resume with "
                             "from_revision=" +
                                 next);
  }
  return error_from_status(status, "the watch ends: resume with from_revision=" + next);
}

}  // namespace

WatchStream::WatchStream(std::shared_ptr<Engine> engine, const WatchPlan& plan)
    : engine_(std::move(engine)),
      format_(plan.format),
      with_progress_(plan.with_progress),
      heartbeat_ns_(plan.heartbeat_ms * kNsPerMs),
      wait_ns_(plan.wait_ms * kNsPerMs),
      revision_(plan.from_revision - 1) {}

std::unique_ptr<WatchStream> WatchStream::open(std::shared_ptr<Engine> engine, const kvs_call& call,
                                               const WatchPlan& plan) {
  std::unique_ptr<WatchStream> stream(new WatchStream(std::move(engine), plan));
  kvs_watch_options options{};
  options.struct_size = sizeof options;
  options.flags = KVS_WATCH_PROGRESS | (plan.with_prev ? uint32_t{KVS_WATCH_PREV} : 0u);
  options.range = plan.range;
  options.from_revision = plan.from_revision;
  options.credit = 1;
  kvs_error err = sdk::make_error();
  const kvs_engine* table = stream->engine_->table();
  const kvs_status status = table->watch_open(table->ctx, &call, &options, &on_batch, stream.get(),
                                              &stream->handle_, &err);
  if (status != KVS_OK) {
    stream->handle_ = nullptr;
    throw error_from_status(status, err.message);
  }
  return stream;
}

WatchStream::~WatchStream() {
  if (handle_ != nullptr && !engine_->is_shut()) engine_->table()->watch_close(handle_);
}

void WatchStream::on_batch(void* user, kvs_status status, const kvs_event* e, uint32_t n,
                           uint64_t revision) noexcept {
  auto* self = static_cast<WatchStream*>(user);
  std::lock_guard lock(self->mutex_);
  try {
    if (self->ended_) return;
    if (status != KVS_OK) {
      self->end(status, revision);
    } else if (self->format_ == WatchFormat::kDocument) {
      self->add_to_document(e, n, revision);
    } else {
      self->add(e, n, revision);
    }
    // Progress alone is told with the next sign of life.
    if (self->wake_ && (n != 0 || status != KVS_OK)) self->wake_();
  } catch (...) {
    // No memory: what is in text_ may be cut, so nothing of it is sent.
    self->text_.clear();
    self->ended_ = true;
  }
}

void WatchStream::add(const kvs_event* e, uint32_t n, uint64_t revision) {
  for (uint32_t i = 0; i < n; ++i) append_change(format_, e[i], &text_);
  revision_ = revision;
  if (n == 0) return;
  told_ = (e[n - 1].flags & KVS_EVENT_MORE) != 0 ? revision : e[n - 1].revision;
  credit_owed_ = true;
  allow_next();
}

void WatchStream::allow_next() {
  if (!credit_owed_ || text_.size() + under_way_ >= kBufferMax) return;
  credit_owed_ = false;
  engine_->table()->watch_credit(handle_, 1);
}

// One batch is enough, but for the rest of its last revision.
void WatchStream::add_to_document(const kvs_event* e, uint32_t n, uint64_t revision) {
  if (complete_) return;
  for (uint32_t i = 0; i < n; ++i) {
    if (!text_.empty()) text_.push_back(',');
    append_change(format_, e[i], &text_);
    if ((e[i].flags & KVS_EVENT_MORE) == 0) whole_bytes_ = text_.size();
  }
  revision_ = revision;
  if (n == 0) return;
  const bool whole = whole_bytes_ == text_.size();
  complete_ = whole || text_.size() > kDocumentMax;
  if (!complete_) return engine_->table()->watch_credit(handle_, 1);
  if (!whole && whole_bytes_ == 0) {
    error_ = ApiError(413, "too_large",
                      "the changes of revision " + std::to_string(revision + 1) +
                          " exceed the limit of " + std::to_string(kDocumentMax) +
                          " bytes of a long poll: watch them as a stream");
  }
  text_.resize(whole_bytes_);
}

void WatchStream::end(kvs_status status, uint64_t revision) {
  ended_ = true;
  const ApiError error = end_error(status, revision);
  if (format_ == WatchFormat::kDocument) {
    // Changes that are there are worth more than the reason why no more will come.
    if (whole_bytes_ == 0) error_ = error;
    text_.resize(whole_bytes_);
    complete_ = true;
    return;
  }
  // After a compaction the present has to be read first: there is nothing to resume from.
  append_watch_end(format_, error, status == KVS_E_COMPACTED ? 0 : revision + 1, &text_);
}

void WatchStream::start(std::function<void()> wake) {
  std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
}

StreamPiece WatchStream::take(uint64_t now_ns) {
  std::lock_guard lock(mutex_);
  if (format_ == WatchFormat::kDocument) return take_document(now_ns);
  StreamPiece piece;
  const bool first = due_ns_ == 0;
  if (text_.empty() && !ended_ && (first || now_ns >= due_ns_)) {
    // The first one tells a client that has seen nothing yet where it stands.
    if (with_progress_) {
      append_progress(format_, revision_, &text_);
    } else if (!first || format_ == WatchFormat::kEvents) {
      append_heartbeat(format_, revision_, &text_);
    }
    told_ = revision_;
  }
  if (!text_.empty() || first) due_ns_ = now_ns + heartbeat_ns_;
  piece.text.swap(text_);
  piece.end = ended_;
  piece.due_ns = due_ns_;
  under_way_ = piece.text.size();
  if (!ended_) allow_next();
  return piece;
}

StreamPiece WatchStream::take_document(uint64_t now_ns) {
  if (due_ns_ == 0) due_ns_ = now_ns + wait_ns_;
  StreamPiece piece;
  piece.due_ns = due_ns_;
  // The rest of a revision that has begun is on its way.
  const bool nothing_came = now_ns >= due_ns_ && text_.empty();
  if (!complete_ && !ended_ && !nothing_came) {
    if (now_ns >= due_ns_) piece.due_ns = UINT64_MAX;
    return piece;
  }
  ended_ = true;
  piece.end = true;
  piece.answer = error_ ? error_response(*error_) : document();
  return piece;
}

Response WatchStream::document() const {
  Response response;
  response.revision = revision_;
  response.body.reserve(text_.size() + 64);
  response.body.append("{\"events\":[").append(text_).append("],\"revision\":");
  append_number(revision_, &response.body);
  response.body.append("}\n");
  return response;
}

}  // namespace kvstore::http
