#include "text/watch_text.hpp"

#include <kvstore/sdk/slice.hpp>

#include "exchange.hpp"
#include "handlers/kv_common.hpp"
#include "text/json_text.hpp"

namespace kvstore::http {
namespace {

std::string_view type_of(const kvs_event& event) {
  return event.kind == KVS_EVENT_PUT ? "put" : "delete";
}

void append_document(const kvs_event& event, std::string* out) {
  out->append("{\"type\":\"").append(type_of(event)).append("\",\"revision\":");
  append_number(event.revision, out);
  out->push_back(',');
  if (event.kind == KVS_EVENT_PUT) {
    append_item_members(event.now, true, out);
  } else {
    append_key(sdk::view(event.now.key), out);
  }
  if (event.prev != nullptr) {
    out->append(",\"prev\":");
    append_item(*event.prev, true, out);
  }
  if ((event.flags & KVS_EVENT_MORE) != 0) out->append(",\"more\":true");
  out->push_back('}');
}

void append_id(uint64_t revision, std::string* out) {
  out->append("id: ");
  append_number(revision, out);
  out->push_back('\n');
}

}  // namespace

void append_change(WatchFormat format, const kvs_event& event, std::string* out) {
  if (format == WatchFormat::kEvents) {
    out->append("event: ").append(type_of(event)).push_back('\n');
    // Resuming is possible behind whole revisions only.
    if ((event.flags & KVS_EVENT_MORE) == 0) append_id(event.revision, out);
    out->append("data: ");
  }
  append_document(event, out);
  if (format == WatchFormat::kEvents) out->append("\n\n");
  if (format == WatchFormat::kLines) out->push_back('\n');
}

void append_progress(WatchFormat format, uint64_t revision, std::string* out) {
  if (format == WatchFormat::kEvents) {
    out->append("event: progress\n");
    append_id(revision, out);
    out->append("data: {\"revision\":");
    append_number(revision, out);
    out->append("}\n\n");
    return;
  }
  out->append("{\"type\":\"progress\",\"revision\":");
  append_number(revision, out);
  out->append("}\n");
}

void append_heartbeat(WatchFormat format, uint64_t revision, std::string* out) {
  if (format == WatchFormat::kEvents) {
    out->append(": alive\n");
    append_id(revision, out);
  }
  out->push_back('\n');
}

void append_watch_end(WatchFormat format, const ApiError& error, uint64_t resume_from,
                      std::string* out) {
  std::string document = error_response(error).body;  // {"error":{...}} and a line end
  document.resize(document.size() - 2);
  if (resume_from != 0) {
    document.append(",\"resume_from\":");
    append_number(resume_from, &document);
  }
  document.push_back('}');
  if (format == WatchFormat::kEvents) {
    out->append("event: error\ndata: ").append(document).append("\n\n");
  } else {
    out->append("{\"type\":\"error\",").append(document, 1).push_back('\n');
  }
}

}  // namespace kvstore::http
