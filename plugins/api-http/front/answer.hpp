// Putting an answer on the wire.
#pragma once

#include <string>
#include <string_view>

#include "exchange.hpp"
#include "front/client_socket.hpp"

namespace kvstore::http {

struct AnswerContext {
  bool http_1_1 = true;
  bool head_only = false;  // HEAD: fields as for GET, no body
  bool keep_alive = true;  // cleared when the answer ends the connection
  std::string_view node;   // X-Kvstore-Node; empty: not known
  uint64_t term = 0;       // X-Kvstore-Term; 0: not known
};

// Sends the whole answer: a small one with one system call.  False when the connection is of no
// more use.  `scratch` is reused between answers.
bool send_answer(Response& response, AnswerContext* context, ClientSocket* socket,
                 Patience patience, std::string* scratch);

// An answer without a source, as one text.
std::string answer_text(const Response& response, const AnswerContext& context);
// The head of an answer whose body comes from a stream; it ends the connection.
std::string stream_head(const Response& response, const AnswerContext& context);
// A piece of that body as it goes on the wire, and the end of it.
void append_stream_piece(std::string_view piece, const AnswerContext& context, std::string* out);
void append_stream_end(const AnswerContext& context, std::string* out);

// A complete small answer for a connection that is refused before it is served.
std::string refusal_text(const ApiError& error);

}  // namespace kvstore::http
