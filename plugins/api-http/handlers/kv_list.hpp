// What the two forms of a list, pages and streams, have in common.
#pragma once

#include <string>

#include "context.hpp"
#include "handlers/stream_call.hpp"
#include "text/key_range.hpp"

namespace kvstore::http {

struct ListPlan {
  KeyRange range;      // as asked: what a cursor belongs to
  KeyRange rest;       // what is left of it after the cursor
  uint64_t limit = 0;  // 0: all
  bool keys_only = false;

  uint32_t flags() const {
    return (keys_only ? uint32_t{KVS_OP_KEYS_ONLY} : 0u) |
           (range.reverse ? uint32_t{KVS_OP_REVERSE} : 0u);
  }
};

// Keys and values of one page; base64 makes 4 MiB of it.
inline constexpr uint64_t kPageBytes = 3 << 20;
inline constexpr std::string_view kLines = "application/x-ndjson";

// The items of one revision, one JSON object a line, large values included, in bounded memory.  The
// last line is {"end":true,"revision","count","more","cursor"?}, or {"error":{...}}: a stream
// without either was cut.  When the engine ends the reader because the client takes too long, the
// stream goes on with another one at the same revision.
Response stream_response(Context& context, StreamCall call, ListPlan plan, Reader reader);

// The last line.  `cursor`: where to go on, empty when there is nothing more.
void append_end_line(uint64_t revision, uint64_t count, const std::string& cursor,
                     std::string* out);

}  // namespace kvstore::http
