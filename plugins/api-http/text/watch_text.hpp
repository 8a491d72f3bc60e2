// Changes as clients of a watch read them: Server-Sent Events, lines of JSON, or elements of an
// array.
#pragma once

#include <cstdint>
#include <string>

#include <kvstore/abi/api.h>

#include "api_error.hpp"

namespace kvstore::http {

enum class WatchFormat : uint8_t {
  kEvents,    // text/event-stream
  kLines,     // application/x-ndjson
  kDocument,  // one JSON document, for a long poll
};

// Everything appends to `out`.

// kDocument: an element, without a comma.
void append_change(WatchFormat format, const kvs_event& event, std::string* out);
// Everything up to `revision` was delivered.  Not for kDocument.
void append_progress(WatchFormat format, uint64_t revision, std::string* out);
// A sign of life that clients pass over.  An event stream's resume point moves to `revision` with
// it.
void append_heartbeat(WatchFormat format, uint64_t revision, std::string* out);
// Why the stream ends.  resume_from: the from_revision to go on with; 0: there is none.
void append_watch_end(WatchFormat format, const ApiError& error, uint64_t resume_from,
                      std::string* out);

}  // namespace kvstore::http
