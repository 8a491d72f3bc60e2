// What the client takes from servers and from its command line.
#include <chrono>
#include <sstream>
#include <thread>

#include "answer.hpp"
#include "cli/options.hpp"
#include "codec.hpp"
#include "endpoint.hpp"
#include "http.hpp"
#include "sockets.hpp"
#include "target.hpp"
#include "text.hpp"

namespace kvstore::fuzz {
namespace {

// ---- answers

void judge(const client::HttpResponse& response) {
  for (const bool is_write : {false, true}) {
    const client::Refusal refusal = client::read_refusal(response, is_write);
    KVS_ASSERT(refusal.retry_after <= std::chrono::hours(1));
    // What may have happened must never be repeated without being asked.
    const bool unknown = refusal.error.kind == client::ErrorKind::kUnknownOutcome;
    KVS_ASSERT(!(is_write && unknown && (refusal.retryable || refusal.follow)));
    if (refusal.leader)
      KVS_ASSERT(static_cast<bool>(client::parse_endpoint(refusal.leader->url())));
  }
  static_cast<void>(client::read_info(response, {"h", 1}));
}

// Two bytes of status, then lines of header fields up to an empty one, then the body.
void run_client_answer(Bytes input) {
  client::HttpResponse response;
  response.status = 400 + static_cast<int>(take_choice(&input, 200));
  while (!input.empty()) {
    const Bytes line = input.substr(0, input.find('\n'));
    input.remove_prefix(std::min(input.size(), line.size() + 1));
    const size_t colon = line.find(':');
    if (colon == Bytes::npos) break;
    response.headers.emplace_back(line.substr(0, colon), line.substr(colon + 1));
  }
  response.body = input;
  judge(response);
  if (const auto page = client::parse_page(response.body)) {
    KVS_ASSERT(page->items.size() <= input.size());
  }
  static_cast<void>(client::parse_item(response.body));
  static_cast<void>(client::parse_status(response.body));
  static_cast<void>(client::parse_add(response.body));
  static_cast<void>(client::parse_health(response.body));
  static_cast<void>(client::parse_object(response.body));
}

void seed_client_answer(Seeds* out) {
  out->push_back(std::string(1, '\x15') + "X-Kvstore-Node:n1\nX-Kvstore-Revision:9\n\n" +
                 R"({"error": {"code": "not_leader", "message": "m", "retryable": true,
    "committed": "no", "leader": {"node_id": "n2", "api_address": "http://127.0.0.1:8082"}}})");
  out->push_back(
      "\x68Retry-After:1\n\n"
      R"({"error": {"committed": "unknown"}})");
  out->push_back(
      "\x0c"
      "ETag:\"7\"\n\n"
      R"({"error": {"code": "precondition_failed"}})");
  out->push_back(
      "\1\n"
      R"({"key": "k", "value": "QUJD", "create_revision": 1, "mod_revision": 2,
    "version": 2})");
  out->push_back(
      "\1\n"
      R"({"items": [{"key_base64": "/w==", "value": null, "value_bytes": 3}],
    "count": 1, "cursor": "abc"})");
  out->push_back(
      "\1\n"
      R"({"node": {"node_id": "n1"}, "leader": "n1", "members": [{"node_id": "n1",
    "role": "voter", "address": "a:1"}], "term": 3})");
  out->push_back(
      "\1\n"
      R"({"status": "ok", "reasons": [], "state": "voter"})");
}

// A server that answers with the input, whatever is asked.
void run_client_http(Bytes input) {
  static const TcpPairs pairs;
  const std::string answer(input);
  std::thread server([&] {
    const int fd = pairs.accept();
    char request[1024];
    static_cast<void>(::recv(fd, request, sizeof request, 0));
    send_all(fd, answer);
    ::shutdown(fd, SHUT_WR);
    static_cast<void>(::recv(fd, request, sizeof request, 0));
    close_at_once(fd);
  });
  {
    client::HttpConnection connection({"127.0.0.1", pairs.port()});
    client::HttpRequest request;
    request.method = "GET";
    request.target = "/k";
    const auto deadline = client::Clock::now() + std::chrono::seconds(20);
    const client::Exchange exchange = connection.exchange(request, deadline, deadline);
    KVS_ASSERT(exchange.end == client::ExchangeEnd::kAnswered || !exchange.message.empty());
    KVS_ASSERT(exchange.end != client::ExchangeEnd::kTimedOut);
    if (exchange.end == client::ExchangeEnd::kAnswered) {
      KVS_ASSERT(exchange.response.body.size() <= input.size());
      if (exchange.response.status != 200) judge(exchange.response);
    }
  }
  server.join();
}

void seed_client_http(Seeds* out) {
  out->push_back("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
  out->push_back(
      "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\nRetry-After: 1\r\n\r\n"
      "2\r\n{}\r\n0\r\n\r\n");
  out->push_back("HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\nbody up to the end");
  out->push_back("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
}

// ---- texts

void run_client_text(Bytes input) {
  if (const auto decoded = client::base64_decode(input)) {
    KVS_ASSERT(client::base64_encode(*decoded) == input);
  }
  KVS_ASSERT(client::base64_decode(client::base64_encode(input)) == input);
  KVS_ASSERT(client::percent_encode(input).size() <= 3 * input.size());
  if (const auto endpoint = client::parse_endpoint(input)) {
    KVS_ASSERT(*client::parse_endpoint(endpoint->url()) == *endpoint);
  }
}

void seed_client_text(Seeds* out) {
  *out = {"SGVsbG8=", "http://127.0.0.1:8081/", "[::1]:80", "host:1", "QUJD"};
}

void run_client_duration(Bytes input) {
  const auto duration = cli::parse_duration(input);
  if (!duration) return;
  KVS_ASSERT(duration->count() >= 1 && *duration <= std::chrono::hours(1));
  KVS_ASSERT(cli::parse_duration(std::to_string(duration->count()) + "ms") == duration);
}

void seed_client_duration(Seeds* out) {
  *out = {"500ms", "2s", "5m", "1h", "30", "1.5s"};
}

// One argument per line.
void run_client_command_line(Bytes input) {
  std::vector<std::string> words{"kvstore-client"};
  while (!input.empty()) {
    const Bytes line = input.substr(0, input.find('\n'));
    words.emplace_back(line.substr(0, line.find('\0')));
    input.remove_prefix(std::min(input.size(), line.size() + 1));
  }
  std::vector<const char*> argv;
  for (const std::string& word : words) argv.push_back(word.c_str());
  std::ostringstream out, err;
  const auto parsed = cli::parse_options(static_cast<int>(argv.size()), argv.data(), out, err);
  if (const int* code = std::get_if<int>(&parsed)) {
    KVS_ASSERT((*code == 0 && !out.str().empty()) || (*code == 2 && !err.str().empty()));
    return;
  }
  const auto& options = std::get<cli::Options>(parsed);
  KVS_ASSERT(!options.servers.empty() && options.timeout.count() > 0);
}

void seed_client_command_line(Seeds* out) {
  *out = {"put\nk\nv\n--if-revision\n3",
          "get\nk\n--raw\n--consistency\nstale",
          "list\n--prefix\np\n--limit\n5\n--keys-only\n--format\njson",
          "--server\nhttp://a:1,b:2\n--timeout\n250ms\ndelete\nk",
          "member\nadd\nn2\n127.0.0.1:7002\n--learner",
          "cluster-status",
          "--help"};
}

constexpr Target kTargets[] = {
    {"client_answer", run_client_answer, seed_client_answer},
    {"client_http", run_client_http, seed_client_http},
    {"client_text", run_client_text, seed_client_text},
    {"client_duration", run_client_duration, seed_client_duration},
    {"client_command_line", run_client_command_line, seed_client_command_line},
};

}  // namespace

std::span<const Target> client_targets() {
  return kTargets;
}

}  // namespace kvstore::fuzz
