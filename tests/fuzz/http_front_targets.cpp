// The HTTP server's own parsing: heads, bodies, and a whole connection with its engine.
#include <memory>
#include <optional>

#include <kvstore/sdk/slice.hpp>

#include <Poco/Net/StreamSocket.h>
#include <Poco/Net/StreamSocketImpl.h>
#include <nlohmann/json.hpp>

#include "engine.hpp"
#include "fake_engine.hpp"
#include "front/body_reader.hpp"
#include "front/connection.hpp"
#include "front/connection_set.hpp"
#include "front/request_head.hpp"
#include "front/streams.hpp"
#include "options.hpp"
#include "quiet_host.hpp"
#include "service.hpp"
#include "sockets.hpp"
#include "target.hpp"

namespace kvstore::fuzz {
namespace {

// ---- heads

// The head's end as it is found when the bytes come in pieces; nothing: refused.
std::optional<size_t> find_end(Bytes bytes, size_t step) {
  size_t checked = 0;
  try {
    for (size_t n = std::min(step, bytes.size());; n = std::min(n + step, bytes.size())) {
      const size_t end = http::find_head_end(bytes.substr(0, n), &checked);
      if (end != 0 || n == bytes.size()) return end;
    }
  } catch (const http::ApiError& e) {
    KVS_ASSERT(e.http_status == 400 && e.close);
    return std::nullopt;
  }
}

// What is understood of a head, as text; the refusal when there is one.
std::string understood(http::RequestHead* head, Bytes text) {
  try {
    head->parse(text);
  } catch (const http::ApiError& e) {
    KVS_ASSERT(e.close && e.http_status >= 400 && *e.what() != '\0');
    return "refused: " + std::to_string(e.http_status) + e.what();
  }
  KVS_ASSERT(!head->path().empty() && (head->path()[0] == '/' || head->path() == "*"));
  KVS_ASSERT(head->path().find_first_of(Bytes(" ?#\r\n\t\0", 7)) == Bytes::npos);
  KVS_ASSERT(head->query().find_first_of(Bytes(" #\r\n\t\0", 6)) == Bytes::npos);
  KVS_ASSERT(!(head->chunked() && head->content_length()));
  std::string out(head->path());
  out.append("?").append(head->query()).append(" ");
  out.append(std::to_string(static_cast<int>(head->method())));
  for (const bool flag : {head->chunked(), head->http_1_1(), head->keep_alive(),
                          head->expects_continue(), head->has_body()}) {
    out.push_back(flag ? '1' : '0');
  }
  out.append(std::to_string(head->content_length().value_or(~uint64_t{0})));
  return out.append(head->find("Content-Type").value_or("none"));
}

// The first byte says how the bytes are cut.  Pipelined heads are parsed one after the other, and
// what one leaves behind must not change how the next is understood.
void run_http_head(Bytes input) {
  const size_t step = 1 + take_choice(&input, 32);
  http::RequestHead reused;
  while (!input.empty()) {
    const auto end = find_end(input, input.size());
    const auto in_pieces = find_end(input, step);
    // A bare LF behind the head is seen only when it is there already.
    KVS_ASSERT(end == in_pieces || !end);
    if (!end || *end == 0) return;
    http::RequestHead fresh;
    const std::string text = understood(&fresh, input.substr(0, *end));
    KVS_ASSERT(understood(&reused, input.substr(0, *end)) == text);
    input.remove_prefix(*end);
  }
}

void seed_http_head(Seeds* out) {
  out->push_back("\7GET /api/v1/kv/a%20b?raw=true&x=1#f HTTP/1.1\r\nHost: h\r\n\r\n");
  out->push_back(
      "\1PUT /api/v1/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\nIf-Match: \"3\"\r\n"
      "Content-Type: application/json\r\nExpect: 100-continue\r\n\r\n"
      "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  out->push_back("\2POST http://h:1/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  out->push_back("\2OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Y:\r\n\r\n");
}

// ---- bodies

struct Body {
  bool complete = false;
  int status = 0;  // of the refusal
  std::string bytes;
};

// `ahead` bytes are in the buffer already, the rest comes from the socket.
Body read_body(Bytes input, const http::RequestHead& head, size_t ahead, size_t step) {
  const auto [server, client] = local_pair();
  http::ClientSocket socket(server, sdk::Host(quiet_host()));
  http::InputBuffer buffer;
  if (ahead > 0) {
    send_all(client, input.substr(0, ahead));
    buffer.fill([&](char* to, size_t room, size_t* got) {
      return socket.receive_idle(to, std::min(room, ahead), got);
    });
  }
  send_all(client, input.substr(ahead));
  ::shutdown(client, SHUT_WR);
  Body out;
  http::BodyReader reader(head, &socket, &buffer, http::Patience(10'000, 1 << 20));
  try {
    while (reader.read(step, &out.bytes)) {
    }
    out.complete = true;
    KVS_ASSERT(reader.at_end());
  } catch (const http::ApiError& e) {
    KVS_ASSERT(e.close);
    out.status = e.http_status;
  }
  ::close(client);
  ::close(server);
  return out;
}

// First byte: framing and how much is there ahead; second: how much is read at a time.
void run_http_body(Bytes input) {
  const bool chunked = take_choice(&input, 4) != 0;
  const size_t step = 1 + take_choice(&input, 64);
  http::RequestHead head;
  const std::string framing =
      chunked ? "Transfer-Encoding: chunked" : "Content-Length: " + std::to_string(step * 8);
  head.parse("PUT /k HTTP/1.1\r\nHost: h\r\n" + framing + "\r\n\r\n");
  const Body one = read_body(input, head, 0, step);
  const Body two = read_body(input, head, std::min(step, input.size()), 4096);
  KVS_ASSERT(one.complete == two.complete && one.status == two.status);
  if (one.complete) KVS_ASSERT(one.bytes == two.bytes);
  KVS_ASSERT(one.bytes.size() <= input.size());
  if (!one.complete) KVS_ASSERT(one.status == 400);
}

void seed_http_body(Seeds* out) {
  out->push_back(std::string("\0\4", 2) + std::string(60, 'x'));
  out->push_back(
      "\1\4"
      "5\r\nhello\r\n0\r\n\r\n");
  out->push_back(
      "\1\1"
      "a;ext=1\r\n0123456789\r\n001 \r\nx\r\n0\r\nTrailer: t\r\n\r\nGET");
  out->push_back(
      "\1\x20"
      "FFFFFFFFFFFFFFFF\r\nx");
}

// ---- a whole connection

// One answer off the front of `stream`: true when it is complete and well formed.
bool take_answer(Bytes* stream) {
  if (!stream->starts_with("HTTP/1.1 ")) return false;
  const size_t end = stream->find("\r\n\r\n");
  if (end == Bytes::npos) return false;
  const Bytes head = stream->substr(0, end + 2);
  stream->remove_prefix(end + 4);
  if (head.starts_with("HTTP/1.1 100 ")) return true;
  constexpr Bytes kLength = "\r\nContent-Length: ";
  const size_t at = head.find(kLength);
  if (at == Bytes::npos) {  // chunked, 304, or up to the end of the connection
    *stream = stream->substr(std::min(stream->find("HTTP/1.1 "), stream->size()));
    return true;
  }
  const size_t length = std::strtoull(head.data() + at + kLength.size(), nullptr, 10);
  // The answer to a HEAD has a length and no body.
  if (length <= stream->size() && !stream->starts_with("HTTP/1.1 ")) stream->remove_prefix(length);
  return true;
}

// The plugin without its accepting thread: one connection gets the input, then the client's end of
// sending.  The connection ends, every answer is well formed, and nothing of the engine stays open.
void run_http_connection(Bytes input) {
  static const TcpPairs pairs;
  static const http::Config config = http::parse_config(sdk::slice(Bytes("{\"threads\": 8}")));
  conformance::FakeEngine fake;
  fake.put("k", "value");
  std::string answers;
  {
    auto engine = std::make_shared<http::Engine>(fake.table(), sdk::Host(quiet_host()));
    http::Service service(engine, config, "fuzz");
    http::ConnectionSet set(8, service.connections());
    // Answers what waits and sends what it has when it stops; nothing gets a thread again.
    http::Streams streams(&service, &set, nullptr,
                          [](std::unique_ptr<http::Connection>*) { return false; });
    const auto [server, client] = pairs.make();
    send_all(client, input);
    ::shutdown(client, SHUT_WR);
    http::Connection::serve(std::make_unique<http::Connection>(
        Poco::Net::StreamSocket(new Poco::Net::StreamSocketImpl(server)), &service, &set, nullptr,
        &streams));
    streams.stop();
    char buffer[4096];
    for (ssize_t n; (n = ::recv(client, buffer, sizeof buffer, 0)) > 0;) {
      answers.append(buffer, static_cast<size_t>(n));
    }
    close_at_once(client);
    fake.drain();
    KVS_ASSERT(engine->shut());
  }
  for (Bytes rest = answers; !rest.empty();) KVS_ASSERT(take_answer(&rest));
  KVS_ASSERT(fake.open_readers() == 0 && fake.open_uploads() == 0);
  KVS_ASSERT(fake.violations().empty());
}

void seed_http_connection(Seeds* out) {
  const std::string host = " HTTP/1.1\r\nHost: h\r\n";
  out->push_back("PUT /api/v1/kv/k" + host + "Content-Length: 1\r\n\r\nvGET /api/v1/kv/k?raw=1" +
                 host + "\r\n");
  out->push_back("PUT /api/v1/kv/j" + host +
                 "Content-Type: application/json\r\nContent-Length: 17\r\n\r\n{\"value\":\"QUJD\"}"
                 "GET /api/v1/kv?prefix=&limit=1" +
                 host + "\r\n");
  out->push_back("DELETE /api/v1/kv/k" + host + "If-Match: \"2\"\r\n\r\nHEAD /livez" + host +
                 "\r\n");
  out->push_back(
      "POST /api/v1/cluster/nodes" + host +
      "Content-Length: 49\r\n\r\n{\"node_id\": \"node2\", \"address\": \"127.0.0.1:7002\"}");
  out->push_back("PUT /api/v1/kv/c" + host +
                 "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /metrics" + host +
                 "\r\n");
  out->push_back("GET /api/v1/kv" + host + "Accept: application/x-ndjson\r\n\r\nGET /health" +
                 host + "Connection: close\r\n\r\n");
  out->push_back("DELETE /api/v1/cluster/nodes/n2?force=true" + host +
                 "\r\nPOST /api/v1/cluster/leader" + host +
                 "Content-Length: 16\r\n\r\n{\"node_id\": \"a\"}");
}

constexpr Target kTargets[] = {
    {"http_head", run_http_head, seed_http_head},
    {"http_body", run_http_body, seed_http_body},
    {"http_connection", run_http_connection, seed_http_connection},
};

}  // namespace

std::span<const Target> http_front_targets() {
  return kTargets;
}

}  // namespace kvstore::fuzz
