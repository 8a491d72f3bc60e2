// The body of one request, taken off the connection piece by piece.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "api_error.hpp"
#include "front/client_socket.hpp"
#include "front/input_buffer.hpp"
#include "front/request_head.hpp"

namespace kvstore::http {

// Used by the connection's thread only.
class BodyReader {
 public:
  BodyReader(const RequestHead& head, ClientSocket* socket, InputBuffer* input,
             const Patience& patience);

  // Appends at most `max` bytes, at least one unless the body ends.  True while there may be more.
  // Throws ApiError with close set: 400 for malformed chunks, 408 for a client too slow, and 400
  // with the code "client_gone" when the connection broke.
  bool read(size_t max, std::string* out);

  bool at_end() const { return at_end_; }
  // True when so little is left that it is better read than answered by closing the connection.
  bool rest_is_short() const;
  // Reads and drops a short rest; false when the connection cannot go on.
  bool skip_rest();

 private:
  void permit();
  bool take(size_t max, std::string* out);
  void next_chunk();
  std::string_view line();
  void end_of_chunk();
  void trailers();
  [[noreturn]] void fail(ClientSocket::Io why) const;

  ClientSocket* socket_;
  InputBuffer* input_;
  Patience patience_;
  const bool chunked_;
  bool continue_owed_;
  bool at_end_;
  uint64_t left_;  // of the body, or of the chunk
  bool in_chunk_ = false;
  uint64_t received_ = 0;  // from the socket
};

}  // namespace kvstore::http
