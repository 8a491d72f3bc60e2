// One request and its answer, as a handler sees them.  Nothing here knows which front (which HTTP
// server) is behind it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <kvstore/abi/base.h>

#include "api_error.hpp"
#include "unique_function.hpp"

namespace kvstore::http {

enum class Method : uint8_t { kGet, kHead, kPut, kPost, kDelete, kOther };
std::string_view method_name(Method method);

// Header fields of a request; names are compared without regard to case.
class HeaderFields {
 public:
  virtual std::optional<std::string_view> find(std::string_view name) const = 0;

 protected:
  ~HeaderFields() = default;
};

// What the client asked.  Valid only while the handler function runs: what is needed later is
// copied.
struct Request {
  Method method = Method::kOther;
  std::string_view path;   // as sent: not decoded, without the query
  std::string_view tail;   // what the route's pattern leaves open, as sent
  std::string_view query;  // as sent, without the '?'
  const HeaderFields* headers = nullptr;
  std::string_view remote_address;
  // The whole body, or its beginning when body_complete is false: Exchange::read_body gives the
  // rest (only on routes that stream their bodies).
  std::string_view body;
  bool body_complete = true;
  std::optional<uint64_t> content_length;

  std::string_view header(std::string_view name) const {
    return headers->find(name).value_or(std::string_view());
  }
  // True when Content-Type names JSON, parameters aside.
  bool is_json() const;
  // True when the Accept header names this media type.
  bool accepts(std::string_view media_type) const;
};

// The rest of an answer that is too large to be held: pulled piece by piece on a thread that may
// block, at the speed at which the client reads.
class BodySource {
 public:
  virtual ~BodySource() = default;
  // Appends the next piece, about 1 MiB at most, to the empty `out`.  KVS_OK: there may be more;
  // KVS_E_END: `out` has the last piece (or nothing).  Anything else cuts the connection, which is
  // the only way left to tell the client that the answer is not complete.
  virtual kvs_status next(std::string* out) = 0;
};

struct StreamPiece;

// An answer that comes bit by bit, or once something has happened, while no thread waits for it.
//
// The front calls start() and then take(), one call at a time, and each time when everything taken
// before has been sent: so a stream knows what it has under way, and a client that does not read
// holds nothing but that.
class Stream {
 public:
  // No wake after it returned.
  virtual ~Stream() = default;
  // `wake` may be called on any thread, as often as one likes: take() has something new.
  virtual void start(std::function<void()> wake) = 0;
  // Called at the beginning, after a wake, after what was taken is sent, and when it is due.
  virtual StreamPiece take(uint64_t now_ns) = 0;
};

struct Response {
  int status = 200;
  std::string_view content_type = "application/json";  // static
  std::string headers;                                 // further fields, each "Name: value\r\n"
  std::string body;
  std::unique_ptr<BodySource> source;  // follows `body`
  // Bytes that `source` will give; nothing: unknown, sent in chunks.
  std::optional<uint64_t> source_bytes;
  // Gives the body instead; the connection ends with it.
  std::unique_ptr<Stream> stream;
  // The stream gives the whole answer, status and all, by StreamPiece::answer: nothing else here
  // counts.
  bool deferred = false;
  uint64_t revision = 0;   // X-Kvstore-Revision; 0: not known
  uint64_t term = 0;       // X-Kvstore-Term; 0: not known
  bool close = false;      // end the connection after this answer
  std::string error_code;  // for the metrics; empty: no error

  void set_header(std::string_view name, std::string_view value) {
    headers.append(name).append(": ").append(value).append("\r\n");
  }
};

struct StreamPiece {
  std::string text;                // may be empty
  bool end = false;                // nothing follows
  std::optional<Response> answer;  // of a deferred stream: the end; without a source or a stream
  uint64_t due_ns = UINT64_MAX;    // when to ask again even if nothing happens
};

// A piece of a streamed body.  With an error it is the last: the client is gone, too slow, or sent
// a malformed body; respond() with it (nobody may be left to read it).
struct BodyPiece {
  std::string_view bytes;  // valid during the call
  bool end = false;
  const ApiError* error = nullptr;
};

// Handlers get an exchange, start what is to be done, and return: they never block.  Answered
// exactly once, by respond(); a second answer has no effect, and an exchange that is dropped
// without an answer gets 500.
//
// Concurrency: every function may be called on any thread and returns at once.  Tasks and body
// callbacks run one at a time on the exchange's own thread (after a long wait it may be another
// one), which may block on the disk; so a handler that does everything there needs no lock.
//
// When the exchange ends early (the server stops, the client is gone), tasks and body callbacks not
// yet begun are destroyed without being run, and a later respond() has no effect.
class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual void respond(Response response) = 0;
  virtual void post(UniqueFunction<void()> task) = 0;
  // Calls `done` once with the next piece of the body.  One call at a time.
  virtual void read_body(UniqueFunction<void(const BodyPiece&)> done) = 0;

  void respond(const ApiError& error) { respond(error_response(error)); }
};
using ExchangePtr = std::shared_ptr<Exchange>;

}  // namespace kvstore::http
