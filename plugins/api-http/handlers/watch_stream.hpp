// One watch of the engine as the stream of an answer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "engine.hpp"
#include "text/watch_text.hpp"

namespace kvstore::http {

struct WatchPlan {
  kvs_range range{};  // borrowed during open()
  uint64_t from_revision = 1;
  bool with_prev = false;
  bool with_progress = false;
  WatchFormat format = WatchFormat::kEvents;
  uint64_t heartbeat_ms = 0;
  uint64_t wait_ms = 0;  // of a long poll
};

// Memory: the engine gives one batch at a time, and the next only while less than kBufferMax of
// text is under way.  A batch is about 128 KiB, or one change of two values of 1 MiB: a client that
// does not read holds some hundred KiB, and never more than 4 MiB.
//
// Concurrency: the engine's thread writes, the front's takes.
class WatchStream final : public Stream {
 public:
  static constexpr size_t kBufferMax = 128 << 10;
  // Of the answer to a long poll, unless its first revision alone is larger.
  static constexpr size_t kDocumentMax = 4 << 20;

  // Throws ApiError when the engine refuses the watch.
  static std::unique_ptr<WatchStream> open(std::shared_ptr<Engine> engine, const kvs_call& call,
                                           const WatchPlan& plan);
  ~WatchStream() override;

  void start(std::function<void()> wake) override;
  StreamPiece take(uint64_t now_ns) override;

 private:
  WatchStream(std::shared_ptr<Engine> engine, const WatchPlan& plan);
  static void on_batch(void* user, kvs_status status, const kvs_event* e, uint32_t n,
                       uint64_t revision) noexcept;
  void add(const kvs_event* e, uint32_t n, uint64_t revision);
  void add_to_document(const kvs_event* e, uint32_t n, uint64_t revision);
  void end(kvs_status status, uint64_t revision);
  void allow_next();
  StreamPiece take_document(uint64_t now_ns);
  Response document() const;

  const std::shared_ptr<Engine> engine_;
  const WatchFormat format_;
  const bool with_progress_;
  const uint64_t heartbeat_ns_;
  const uint64_t wait_ns_;
  kvs_watch* handle_ = nullptr;  // written by the engine before its first callback

  std::mutex mutex_;  // guards what follows
  std::function<void()> wake_;
  std::string text_;
  size_t under_way_ = 0;  // taken, and not known to be sent
  bool credit_owed_ = false;
  bool ended_ = false;
  uint64_t revision_;       // everything up to it is in text_ or was taken
  uint64_t told_ = 0;       // the client knows that it has everything up to here
  uint64_t due_ns_ = 0;     // of the next sign of life, or of the end of a long poll
  bool complete_ = false;   // of a long poll: there is something to answer with
  size_t whole_bytes_ = 0;  // of text_, up to the end of a revision
  std::optional<ApiError> error_;
};

}  // namespace kvstore::http
