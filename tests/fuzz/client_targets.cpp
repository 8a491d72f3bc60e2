// What the client takes from servers and from its command line.
#include <chrono>
#include <sstream>
#include <thread>

#include "answer.hpp"
#include "change_lines.hpp"
#include "cli/options.hpp"
#include "codec.hpp"
#include "endpoint.hpp"
#include "http.hpp"
#include "item_lines.hpp"
#include "sockets.hpp"
#include "target.hpp"
#include "text.hpp"
#include "txn_codec.hpp"

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
  if (const auto leases = client::parse_leases(response.body)) {
    KVS_ASSERT(leases->leases.size() <= input.size());
  }
  static_cast<void>(client::parse_lease(response.body));
  if (const auto txn = client::parse_txn_result(response.body)) {
    KVS_ASSERT(txn->results.size() <= input.size());
  }
  if (const auto batch = client::parse_batch_result(response.body)) {
    KVS_ASSERT(batch->failed <= batch->results.size());
  }
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
  out->push_back(
      "\1\n"
      R"({"leases":[{"id":7,"ttl_ms":5000,"remaining_ms":20,"keys":[{"key":"a"},)"
      R"({"key_base64":"/w=="}],"more_keys":true}],"more":false})");
  out->push_back(
      "\1\n"
      R"({"id":7,"ttl_ms":5000,"keys":[{"key":"a"}],"more_keys":false})");
  out->push_back(
      "\1\n"
      R"({"succeeded":true,"revision":9,"results":[{"op":"put","mod_revision":9,"prev":null},)"
      R"({"op":"get","item":{"key":"k","value":"SGk=","mod_revision":4}},)"
      R"({"op":"delete","deleted":2,"prev":[{"key":"x"}]}]})");
  out->push_back(
      "\1\n"
      R"({"results":[{"status":412,"op":"put","error":{"code":"precondition_failed","message":"m",)"
      R"("retryable":false,"committed":"no"},"current_revision":4}],"succeeded":0,"failed":1})");
}

// ---- lines that go on for long

// What a watch has told: one text for each change.
struct Told {
  std::vector<std::string> changes;
  bool ended = false;
  uint64_t next = 0;
  bool operator==(const Told&) const = default;
};

class Watching {
 public:
  // Ends after `most` changes.
  explicit Watching(size_t most) : most_(most), lines_(0, &sink_, {}) {}

  // In pieces of so many bytes; false when it has ended.
  bool take(Bytes text, size_t piece_bytes) {
    while (!text.empty() && !told_.ended) {
      const Bytes piece = text.substr(0, piece_bytes);
      text.remove_prefix(piece.size());
      const uint64_t before = lines_.next();
      told_.ended = !lines_.take(piece);
      KVS_ASSERT(lines_.next() >= before);
      KVS_ASSERT(!lines_.error() || !lines_.error()->message.empty() ||
                 !lines_.error()->code.empty());
    }
    told_.next = lines_.next();
    return !told_.ended;
  }
  client::ChangeLines& lines() { return lines_; }
  const Told& told() const { return told_; }

 private:
  bool note(const client::Change& change) {
    KVS_ASSERT(change.revision >= newest_);
    newest_ = change.revision;
    told_.changes.push_back(std::to_string(change.revision) + (change.more ? "+" : ".") +
                            change.item.key + "=" + change.item.value);
    return told_.changes.size() < most_;
  }

  const size_t most_;
  uint64_t newest_ = 0;
  Told told_;
  const client::ChangeSink sink_ = [this](const client::Change& c) { return note(c); };
  client::ChangeLines lines_;
};

// The lines of a watch of a server that keeps its promises: changes in order, each revision whole.
std::vector<std::pair<uint64_t, std::string>> proper_lines(Bytes text) {
  std::vector<std::pair<uint64_t, std::string>> out;
  uint64_t revision = 0;
  bool more = false;
  while (!text.empty()) {
    std::string line(text.substr(0, text.find('\n')));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const auto document = client::parse_object(line);
    const std::string type = document ? client::get_string(*document, "type") : "";
    if (type != "put" && type != "delete") return {};
    const auto change = client::read_change(*document);
    if (!change || change->revision == UINT64_MAX) return {};
    if (more ? change->revision != revision : change->revision <= revision) return {};
    revision = change->revision;
    more = change->more;
    out.emplace_back(revision, line + "\n");
  }
  if (more) out.clear();
  return out;
}

// A connection that is lost anywhere, and another one that goes on from next().
void run_lost_watch(Bytes text, size_t lost_after) {
  const auto lines = proper_lines(text);
  if (lines.empty()) return;
  Watching whole(SIZE_MAX), resumed(SIZE_MAX);
  for (const auto& [revision, line] : lines) KVS_ASSERT(whole.take(line, line.size()));
  size_t bytes = 0;
  for (const auto& [revision, line] : lines) {
    const size_t left = lost_after > bytes ? lost_after - bytes : 0;
    bytes += line.size();
    if (!resumed.take(Bytes(line).substr(0, left), 7)) break;
  }
  resumed.lines().reconnect();
  const uint64_t from = resumed.lines().next();
  for (const auto& [revision, line] : lines) {
    if (revision >= from) KVS_ASSERT(resumed.take(line, 1000));
  }
  KVS_ASSERT(whole.told() == resumed.told());
}

// A byte that says where the connection is cut, then the lines.
void run_client_watch(Bytes input) {
  const size_t cut = take_choice(&input, 256);
  for (const size_t most : {SIZE_MAX, size_t{2}}) {
    Watching at_once(most), in_pieces(most);
    static_cast<void>(at_once.take(input, std::max<size_t>(1, input.size())));
    static_cast<void>(in_pieces.take(input, 1 + cut % 16));
    KVS_ASSERT(at_once.told() == in_pieces.told());
    KVS_ASSERT(at_once.lines().error().has_value() == in_pieces.lines().error().has_value());
  }
  run_lost_watch(input, input.size() * cut / 256);
}

void seed_client_watch(Seeds* out) {
  const std::string first =
      R"({"type":"put","revision":5,"key":"a","value":"MQ==","create_revision":5,"mod_revision":5,)"
      R"("version":1,"more":true})"
      "\n"
      R"({"type":"delete","revision":5,"key_base64":"/w==","prev":{"key_base64":"/w==","value":"Mg==",)"
      R"("create_revision":1,"mod_revision":2,"version":2}})"
      "\n";
  const std::string second =
      R"({"type":"put","revision":9,"key":"b","value":null,"value_bytes":3000000,)"
      R"("create_revision":9,"mod_revision":9,"version":1,"lease":7})"
      "\n";
  const std::string progress = R"({"type":"progress","revision":4})"
                               "\n";
  for (const char cut : {'\x10', '\x80', '\xc0'}) out->push_back(cut + first + second);
  out->push_back("\x05" + progress + first + progress + "\n" + second);
  out->push_back("\x01" + second +
                 R"({"type":"error","error":{"code":"busy","message":"slow"},"resume_from":10})"
                 "\n");
  out->push_back(
      "\x02"
      R"({"type":"error","error":{"code":"compacted","message":"oldest: 7"}})"
      "\n");
}

void run_client_list(Bytes input) {
  const size_t piece = 1 + take_choice(&input, 16);
  std::vector<std::string> keys[2];
  bool ended[2];
  for (int i = 0; i < 2; ++i) {
    const client::ItemSink sink = [&](const client::Item& item) {
      keys[i].push_back(item.key);
      return true;
    };
    client::ItemLines lines(&sink);
    bool goes_on = true;
    for (Bytes rest = input; !rest.empty() && goes_on;) {
      const Bytes part = rest.substr(0, i == 0 ? rest.size() : piece);
      rest.remove_prefix(part.size());
      goes_on = lines.take(part);
    }
    KVS_ASSERT(goes_on || lines.error());
    KVS_ASSERT(lines.count() == keys[i].size());
    ended[i] = lines.ended();
  }
  KVS_ASSERT(keys[0] == keys[1] && ended[0] == ended[1]);
}

void seed_client_list(Seeds* out) {
  const std::string item =
      R"({"key":"a","value":"MQ==","create_revision":5,"mod_revision":5,"version":1})"
      "\n";
  out->push_back("\x03" + item + item + R"({"end":true,"revision":9,"count":2,"more":false})" +
                 "\n");
  out->push_back("\x07" + item + R"({"end":true,"revision":9,"count":2,"more":true})" + "\n");
  out->push_back("\x01" + item +
                 R"({"error":{"code":"io","message":"m","retryable":true,"committed":"no"}})" +
                 "\n");
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
    {"client_watch", run_client_watch, seed_client_watch},
    {"client_list", run_client_list, seed_client_list},
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
