#include "front/answer.hpp"

#include <array>
#include <ctime>

#include <Poco/DateTimeFormat.h>
#include <Poco/DateTimeFormatter.h>
#include <Poco/Net/HTTPResponse.h>

#include "text/json_text.hpp"

namespace kvstore::http {
namespace {

// Bodies up to this size are copied behind their header, so that one buffer is sent.
constexpr size_t kCopyBytesMax = 64 << 10;

std::string_view reason_of(int status) {
  if (status == 421) return "Misdirected Request";
  if (status == 422) return "Unprocessable Content";
  if (status == 507) return "Insufficient Storage";
  return Poco::Net::HTTPResponse::getReasonForStatus(
      static_cast<Poco::Net::HTTPResponse::HTTPStatus>(status));
}

// The Date field's value, made once a second.
std::string_view date_now() {
  thread_local std::time_t second = 0;
  thread_local std::string text;
  const std::time_t now = std::time(nullptr);
  if (now != second) {
    second = now;
    text = Poco::DateTimeFormatter::format(Poco::Timestamp::fromEpochTime(now),
                                           Poco::DateTimeFormat::HTTP_FORMAT);
  }
  return text;
}

void append_field(std::string_view name, std::string_view value, std::string* out) {
  out->append(name).append(": ").append(value).append("\r\n");
}

void append_field(std::string_view name, uint64_t value, std::string* out) {
  out->append(name).append(": ");
  append_number(value, out);
  out->append("\r\n");
}

bool is_open_ended(const Response& response) {
  return response.stream != nullptr || (response.source != nullptr && !response.source_bytes);
}

bool in_chunks(const Response& response, const AnswerContext& context) {
  return is_open_ended(response) && context.http_1_1;
}

void append_head(const Response& response, const AnswerContext& context, std::string* out) {
  out->append("HTTP/1.1 ");
  append_number(static_cast<uint64_t>(response.status), out);
  out->push_back(' ');
  out->append(reason_of(response.status)).append("\r\n");
  append_field("Date", date_now(), out);
  if (response.status != 304) append_field("Content-Type", response.content_type, out);
  if (in_chunks(response, context)) {
    append_field("Transfer-Encoding", "chunked", out);
  } else if (response.status != 304 && !is_open_ended(response)) {
    append_field("Content-Length", response.body.size() + response.source_bytes.value_or(0), out);
  }
  out->append(response.headers);
  if (response.revision != 0) append_field("X-Kvstore-Revision", response.revision, out);
  if (context.term != 0) append_field("X-Kvstore-Term", context.term, out);
  if (!context.node.empty()) append_field("X-Kvstore-Node", context.node, out);
  if (!context.keep_alive) {
    append_field("Connection", "close", out);
  } else if (!context.http_1_1) {
    append_field("Connection", "keep-alive", out);
  }
  out->append("\r\n");
}

// The next piece of a source; what it throws counts as a failure.
kvs_status pull(BodySource& source, std::string* out) noexcept {
  try {
    return source.next(out);
  } catch (...) {
    return KVS_E_INTERNAL;
  }
}

// Sends pieces until the source ends, the first one together with `head`.
class SourceSender {
 public:
  SourceSender(ClientSocket* socket, Patience* patience, bool chunked,
               std::optional<uint64_t> bytes_left)
      : socket_(socket), patience_(patience), chunked_(chunked), bytes_left_(bytes_left) {}

  bool send(BodySource& source, std::string_view head, std::string piece, kvs_status status) {
    while (true) {
      if (status != KVS_OK && status != KVS_E_END) return false;
      if (!count(piece.size())) return false;
      if (!send_piece(head, piece, status == KVS_E_END)) return false;
      head = {};
      if (status == KVS_E_END) return bytes_left_.value_or(0) == 0;
      piece.clear();
      status = pull(source, &piece);
    }
  }

 private:
  // False when the source gives more than was announced.
  bool count(uint64_t bytes) {
    if (!bytes_left_) return true;
    if (bytes > *bytes_left_) return false;
    *bytes_left_ -= bytes;
    return true;
  }

  bool send_piece(std::string_view head, std::string_view piece, bool last) {
    std::string before(head);
    std::string_view after;
    if (chunked_) {
      if (!piece.empty()) {
        char size[24];
        const int n = std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
        before.append(size, static_cast<size_t>(n));
        after = last ? "\r\n0\r\n\r\n" : "\r\n";
      } else if (last) {
        after = "0\r\n\r\n";
      }
    }
    const auto part = [](std::string_view s) {
      return iovec{const_cast<char*>(s.data()), s.size()};
    };
    std::array<iovec, 3> parts = {part(before), part(piece), part(after)};
    return socket_->send(parts, patience_) == ClientSocket::Io::kOk;
  }

  ClientSocket* socket_;
  Patience* patience_;
  const bool chunked_;
  std::optional<uint64_t> bytes_left_;
};

bool send_whole(const Response& response, AnswerContext* context, ClientSocket* socket,
                Patience* patience, std::string* scratch) {
  append_head(response, *context, scratch);
  const bool body = !context->head_only && response.status != 304;
  if (!body || response.body.size() <= kCopyBytesMax) {
    if (body) scratch->append(response.body);
    return socket->send(*scratch, patience) == ClientSocket::Io::kOk;
  }
  std::array<iovec, 2> parts = {
      iovec{scratch->data(), scratch->size()},
      iovec{const_cast<char*>(response.body.data()), response.body.size()}};
  return socket->send(parts, patience) == ClientSocket::Io::kOk;
}

}  // namespace

bool send_answer(Response& response, AnswerContext* context, ClientSocket* socket,
                 Patience patience, std::string* scratch) {
  if (response.close) context->keep_alive = false;
  scratch->clear();
  if (response.source == nullptr || context->head_only) {
    return send_whole(response, context, socket, &patience, scratch) && context->keep_alive;
  }
  // The first piece is fetched before anything is promised to the client.
  std::string piece;
  const kvs_status status = pull(*response.source, &piece);
  if (status != KVS_OK && status != KVS_E_END) {
    const Response failed =
        error_response(error_from_status(KVS_E_INTERNAL, "the value could not be read"));
    return send_whole(failed, context, socket, &patience, scratch) && context->keep_alive;
  }
  const bool chunked = in_chunks(response, *context);
  if (!chunked && !response.source_bytes) context->keep_alive = false;
  append_head(response, *context, scratch);
  scratch->append(response.body);
  SourceSender sender(socket, &patience, chunked, response.source_bytes);
  return sender.send(*response.source, *scratch, std::move(piece), status) && context->keep_alive;
}

std::string answer_text(const Response& response, const AnswerContext& context) {
  std::string text;
  append_head(response, context, &text);
  if (!context.head_only && response.status != 304) text.append(response.body);
  return text;
}

std::string stream_head(const Response& response, const AnswerContext& context) {
  AnswerContext last = context;
  last.keep_alive = false;
  std::string text;
  append_head(response, last, &text);
  return text;
}

void append_stream_piece(std::string_view piece, const AnswerContext& context, std::string* out) {
  if (piece.empty()) return;
  if (!context.http_1_1) {
    out->append(piece);
    return;
  }
  char size[24];
  const int n = std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
  out->append(size, static_cast<size_t>(n)).append(piece).append("\r\n");
}

void append_stream_end(const AnswerContext& context, std::string* out) {
  if (context.http_1_1) out->append("0\r\n\r\n");
}

std::string refusal_text(const ApiError& error) {
  AnswerContext context;
  context.keep_alive = false;
  return answer_text(error_response(error), context);
}

}  // namespace kvstore::http
