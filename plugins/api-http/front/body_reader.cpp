#include "front/body_reader.hpp"

#include <algorithm>
#include <charconv>

namespace kvstore::http {
namespace {

// Room for the first bytes of a body; then as much as has come so far.
constexpr uint64_t kFirstReadBytes = 16 << 10;
constexpr size_t kChunkLineBytesMax = 256;
constexpr size_t kTrailerBytesMax = 8192;
constexpr uint64_t kSkipBytesMax = 64 << 10;

ApiError malformed(const char* what) {
  ApiError error(400, "bad_request", what);
  error.close = true;
  return error;
}

}  // namespace

BodyReader::BodyReader(const RequestHead& head, ClientSocket* socket, InputBuffer* input,
                       const Patience& patience)
    : socket_(socket),
      input_(input),
      patience_(patience),
      chunked_(head.chunked()),
      continue_owed_(head.expects_continue() && head.has_body()),
      at_end_(!head.has_body()),
      left_(head.content_length().value_or(0)) {}

bool BodyReader::read(size_t max, std::string* out) {
  while (!at_end_) {
    if (chunked_ && !in_chunk_) {
      next_chunk();
      continue;
    }
    const bool some = take(max, out);
    if (left_ == 0) {
      if (chunked_) {
        end_of_chunk();
      } else {
        at_end_ = true;
      }
    }
    if (some) break;
  }
  return !at_end_;
}

// Takes up to `max` bytes of the body or chunk, from the buffer or else from the socket.
bool BodyReader::take(size_t max, std::string* out) {
  size_t want = static_cast<size_t>(std::min<uint64_t>(left_, max));
  if (want == 0) return false;
  if (!input_->empty()) {
    want = std::min(want, input_->view().size());
    out->append(input_->view().substr(0, want));
    input_->consume(want);
    left_ -= want;
    return true;
  }
  permit();
  // What a client only announces takes no memory.
  want = static_cast<size_t>(std::min<uint64_t>(want, std::max(received_, kFirstReadBytes)));
  const size_t size = out->size();
  out->resize(size + want);
  size_t got = 0;
  const ClientSocket::Io io = socket_->receive(out->data() + size, want, &got, &patience_);
  out->resize(size + got);
  if (io != ClientSocket::Io::kOk) fail(io);
  left_ -= got;
  received_ += got;
  return true;
}

void BodyReader::permit() {
  if (!continue_owed_) return;
  continue_owed_ = false;
  const ClientSocket::Io io = socket_->send("HTTP/1.1 100 Continue\r\n\r\n", &patience_);
  if (io != ClientSocket::Io::kOk) fail(io);
}

void BodyReader::next_chunk() {
  const std::string_view text = line();
  const std::string_view digits = text.substr(0, text.find_first_of("; \t"));
  uint64_t size = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size, 16);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
    throw malformed("a chunk of the body has a malformed size");
  }
  input_->consume(text.size() + 2);
  left_ = size;
  in_chunk_ = true;
  if (size == 0) trailers();
}

// The next line, without its CRLF, which stays in the buffer.
std::string_view BodyReader::line() {
  while (true) {
    const std::string_view bytes = input_->view();
    const size_t lf = bytes.find('\n');
    if (std::min(lf, bytes.size()) > kChunkLineBytesMax) {
      throw malformed("a line of the chunked body is too long");
    }
    if (lf != std::string_view::npos) {
      if (lf == 0 || bytes[lf - 1] != '\r') {
        throw malformed("a line of the chunked body does not end in CRLF");
      }
      return bytes.substr(0, lf - 1);
    }
    permit();
    const ClientSocket::Io io = input_->fill([&](char* to, size_t room, size_t* got) {
      return socket_->receive(to, room, got, &patience_);
    });
    if (io != ClientSocket::Io::kOk) fail(io);
  }
}

void BodyReader::end_of_chunk() {
  if (!line().empty()) throw malformed("a chunk of the body is longer than its size says");
  input_->consume(2);
  in_chunk_ = false;
}

void BodyReader::trailers() {
  size_t total = 0;
  while (true) {
    const size_t bytes = line().size();
    input_->consume(bytes + 2);
    if (bytes == 0) break;
    total += bytes;
    if (total > kTrailerBytesMax) throw malformed("the trailer of the body is too long");
  }
  at_end_ = true;
}

bool BodyReader::rest_is_short() const {
  // A client that still waits for permission may or may not send the body.
  return at_end_ || (!continue_owed_ && !chunked_ && left_ <= kSkipBytesMax);
}

bool BodyReader::skip_rest() {
  if (!rest_is_short()) return false;
  std::string scrap;
  try {
    while (!at_end_) {
      scrap.clear();
      read(kSkipBytesMax, &scrap);
    }
  } catch (const ApiError&) {
    return false;
  }
  return true;
}

void BodyReader::fail(ClientSocket::Io why) const {
  if (why == ClientSocket::Io::kTimeout) {
    ApiError error(408, "request_timeout", "the body did not arrive in time");
    error.retryable = true;
    error.close = true;
    throw error;
  }
  ApiError error(400, "client_gone", "the connection broke before the body was complete");
  error.close = true;
  throw error;
}

}  // namespace kvstore::http
