// Goal: every route answers what is recorded in golden/*.http, asked of a follower and asked of the
// leader, and every operation and status of the API's description is recorded there.
// Method: all files are played to a cluster of three nodes, once through a follower and once, on
// another cluster, through the leader; status, headers and bodies are compared as text, after what
// differs from run to run (ports, terms, masked members) got names.  With KVS_REWRITE=1 in the
// environment the answers are recorded instead; read the difference before committing it.
#include "surface/golden.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <regex>
#include <set>

#include <Poco/Exception.h>
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "support/cluster.hpp"

namespace kvstore::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<GoldenFile> golden_files() {
  std::vector<GoldenFile> files;
  for (const auto& entry :
       fs::directory_iterator(std::string(KVS_SOURCE_DIR) + "/tests/cluster/surface/golden")) {
    if (entry.path().extension() == ".http") files.push_back(read_golden(entry.path()));
  }
  std::sort(files.begin(), files.end(),
            [](const GoldenFile& a, const GoldenFile& b) { return a.revision < b.revision; });
  return files;
}

std::string replace_all(std::string text, const std::string& what, const std::string& by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
  return text;
}

// What is the same for every answer, or says how it travelled.
bool is_recorded(const std::string& header) {
  static const std::set<std::string> kNot = {"Date", "Content-Length", "Connection", "Keep-Alive",
                                             "Transfer-Encoding"};
  return kNot.count(header) == 0;
}

const std::regex kNodeId(R"("id":"[0-9a-f]{16}")");
// Signs of life of a watch come when they come.
const std::regex kAlive(": alive\nid: \\d+\n\n");
const std::regex kProgressEvent("event: progress\nid: \\d+\ndata: [^\n]*\n\n");
const std::regex kProgressLine(R"(\{"type":"progress","revision":\d+\}\n)");

// Plays files to one cluster, through one of its nodes.
class Player {
 public:
  Player(Cluster& cluster, Asked asked)
      : who_(asked), asked_(cluster[asked == Asked::kLeader ? 0 : 2]) {
    for (size_t i = 0; i < cluster.size(); ++i) {
      const std::string name = cluster[i].name();
      names_.emplace_back(cluster[i].raft_address(), "<" + name + ":raft>");
      names_.emplace_back("127.0.0.1:" + std::to_string(cluster[i].http_port()),
                          "<" + name + ":http>");
    }
  }

  void play(GoldenFile* file, bool record) {
    empty_store(file->revision);
    for (GoldenExchange& exchange : file->exchanges) {
      CAPTURE(exchange.where);
      CAPTURE(exchange.method);
      CAPTURE(exchange.target);
      // What was written before is there, also for what this node serves by itself.
      http("GET", "/api/v1/kv?count_only=true");
      const std::string answer = send(exchange);
      if (record) {
        exchange.answer(who_) = answer;
      } else {
        CHECK(answer == exchange.answer(who_));
      }
    }
  }

 private:
  HttpAnswer http(const char* method, const std::string& target, const std::string& body = "") {
    HttpAnswer answer = asked_.http(method, target, body, kJson);
    REQUIRE_MESSAGE(answer.status == 200, answer.body);
    return answer;
  }

  // An empty store at this very revision: puts that each take one, and a delete.
  void empty_store(uint64_t revision) {
    const auto now = json::parse(http("GET", "/api/v1/kv?count_only=true").body);
    uint64_t at = now["revision"];
    // The delete of everything takes one, too.
    REQUIRE(at + 2 <= revision);
    json puts = json::array();
    for (; at + 1 < revision; ++at) {
      puts.push_back({{"op", "put"}, {"key", "filler"}, {"text", "x"}, {"prev", true}});
    }
    http("POST", "/api/v1/batch?timeout=60s", json{{"operations", puts}}.dump());
    const auto gone = json::parse(http("DELETE", "/api/v1/kv?all=true").body);
    REQUIRE(gone["revision"] == revision);
  }

  std::string send(const GoldenExchange& exchange) {
    Poco::Net::HTTPClientSession session("127.0.0.1", asked_.http_port());
    session.setTimeout(Poco::Timespan(30, 0));
    Poco::Net::HTTPRequest request(exchange.method, exchange.target, "HTTP/1.1");
    for (const auto& [name, value] : exchange.headers) request.add(name, value);
    const std::string body = with_addresses(exchange.body);
    if (exchange.has_length) {
      request.setContentLength64(static_cast<int64_t>(
          exchange.announced_bytes != 0 ? exchange.announced_bytes : body.size()));
    }
    try {
      std::ostream& out = session.sendRequest(request);
      if (exchange.has_length) out << body;
      out.flush();
      Poco::Net::HTTPResponse response;
      std::istream& in = session.receiveResponse(response);
      return written(exchange, response, read(in, exchange.until));
    } catch (const Poco::Exception& e) {
      return "no answer: " + e.displayText();
    }
  }

  static std::string read(std::istream& in, const std::string& until) {
    std::string body;
    for (int c = in.get(); c != std::istream::traits_type::eof(); c = in.get()) {
      body.push_back(static_cast<char>(c));
      const bool is_end = body.size() >= until.size() &&
                          body.compare(body.size() - until.size(), until.size(), until) == 0;
      if (!until.empty() && is_end) break;
    }
    return body;
  }

  std::string written(const GoldenExchange& exchange, const Poco::Net::HTTPResponse& response,
                      std::string body) const {
    std::string out = std::to_string(static_cast<int>(response.getStatus())) + "\n";
    for (const auto& [name, value] : response) {
      // An answer without a body says how long it would be.
      if (!is_recorded(name) && !(exchange.method == "HEAD" && name == "Content-Length")) continue;
      out += name + ": ";
      if (name == "X-Kvstore-Term") {
        out += "<term>";
      } else {
        out += name == "X-Kvstore-Node" && value == asked_.name() ? "<asked>" : value;
      }
      out += "\n";
    }
    if (!exchange.kept.empty()) body = kept(exchange.kept, body);
    for (const std::string& name : exchange.masked) {
      const std::regex member("\"" + name + "\":(\"[^\"]*\"|[^,}\\]]*)");
      body = std::regex_replace(body, member, "\"" + name + "\":<masked>");
    }
    body = std::regex_replace(body, kNodeId, R"("id":"<id>")");
    for (const std::regex* sign : {&kAlive, &kProgressEvent, &kProgressLine})
      body = std::regex_replace(body, *sign, "");
    for (const auto& [address, name] : names_) body = replace_all(body, address, name);
    while (!body.empty() && body.back() == '\n') body.pop_back();
    if (!body.empty()) out += "\n" + body;
    while (out.back() == '\n') out.pop_back();
    return out;
  }

  static std::string kept(const std::string& pattern, const std::string& body) {
    std::string out;
    const std::regex regex(pattern);
    for (std::sregex_iterator it(body.begin(), body.end(), regex), end; it != end; ++it) {
      out += it->str() + "\n";
    }
    return out;
  }

  std::string with_addresses(std::string text) const {
    for (const auto& [address, name] : names_) text = replace_all(text, name, address);
    return text;
  }

  const Asked who_;
  Node& asked_;
  std::vector<std::pair<std::string, std::string>> names_;  // of addresses
};

void play_all(std::vector<GoldenFile>* files, Asked asked, bool record) {
  Cluster cluster(asked == Asked::kLeader ? "golden-leader" : "golden-follower");
  for (int i = 0; i < 3; ++i) {
    // A loaded machine must not change the leader: the recorded answers name it.
    cluster.make_node().set("raft.election_timeout_ms=3000");
  }
  cluster.boot();
  if (cluster.leader().name() != "node1") {
    const auto moved = cluster.client().transfer_leader("node1");
    REQUIRE_MESSAGE(moved, moved.error().message);
  }
  cluster.wait_caught_up({&cluster[0], &cluster[1], &cluster[2]});
  for (size_t i = 0; i < cluster.size(); ++i) {
    cluster.wait_until("a node that knows how old its state is", [&] {
      const std::string read = "/api/v1/kv?count_only=true&consistency=stale&max_staleness=1h";
      return cluster[i].http("GET", read).status == 200;
    });
  }
  Player player(cluster, asked);
  for (GoldenFile& file : *files) player.play(&file, record);
  CHECK(cluster.leader().name() == "node1");
}

// ---- what the files have to hold

// Statuses that answer a fault, a load or a slow client, not a request; brought about by
// tests/conformance/api/error_table_test.cpp over HTTP and by tests/cluster/faults.
const std::set<std::string> kOfTrouble = {"408", "429", "500", "503", "504", "507"};

// A path of the description as a regex; what stands in braces may hold slashes only in a key.
std::regex path_regex(const std::string& path) {
  std::string pattern = replace_all(path, ".", "\\.");
  pattern = replace_all(pattern, "{key}", ".+");
  return std::regex(std::regex_replace(pattern, std::regex("\\{[a-z]+\\}"), "[^/]+"));
}

// The statuses of "GET /path/{of}/the/description".
using Recorded = std::map<std::string, std::set<std::string>>;

void note(const GoldenExchange& exchange, const json& paths, Recorded* recorded) {
  const std::string path = exchange.target.substr(0, exchange.target.find('?'));
  const std::string method = exchange.method == "HEAD" ? "GET" : exchange.method;
  for (const auto& [name, item] : paths.items()) {
    if (!std::regex_match(path, path_regex(name))) continue;
    for (const std::string& answer : {exchange.of_follower, exchange.of_leader})
      (*recorded)[method + " " + name].insert(std::to_string(status_of(answer)));
    return;
  }
}

// What is shown by another test, which has to exist.
void note_elsewhere(const GoldenFile& file, Recorded* recorded) {
  static const std::regex kLine("elsewhere (\\S+ \\S+) (\\d+) (\\S+): ([^\n]+)");
  for (std::sregex_iterator it(file.head.begin(), file.head.end(), kLine), end; it != end; ++it) {
    std::ifstream in(std::string(KVS_SOURCE_DIR) + "/tests/" + (*it)[3].str());
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    CAPTURE(it->str());
    CHECK(contains(text, "\"" + (*it)[4].str() + "\""));
    (*recorded)[(*it)[1]].insert((*it)[2]);
  }
}

}  // namespace

TEST_CASE("golden-answers") {
  std::vector<GoldenFile> files = golden_files();
  const bool record = std::getenv("KVS_REWRITE") != nullptr;
  for (const Asked asked : {Asked::kFollower, Asked::kLeader}) play_all(&files, asked, record);
  for (const GoldenFile& file : files) {
    if (record) std::ofstream(file.path) << to_text(file);
  }
}

TEST_CASE("golden-requests-cover-the-api") {
  Cluster cluster("golden-cover");
  cluster.boot(1);
  const json document = json::parse(cluster[0].http("GET", "/api/v1/openapi.json").body);
  Recorded recorded;
  size_t exchanges = 0;
  for (const GoldenFile& file : golden_files()) {
    note_elsewhere(file, &recorded);
    for (const GoldenExchange& exchange : file.exchanges)
      note(exchange, document["paths"], &recorded);
    exchanges += file.exchanges.size();
  }
  for (const auto& [path, item] : document["paths"].items()) {
    for (const auto& [name, operation] : item.items()) {
      if (name == "parameters") continue;
      std::string method = name;
      for (char& c : method) c = static_cast<char>(c - 'a' + 'A');
      const std::string subject = method + " " + path;
      for (const auto& [status, response] : operation["responses"].items()) {
        if (kOfTrouble.count(status) != 0) continue;
        CAPTURE(subject);
        CAPTURE(status);
        CHECK(recorded[subject].count(status) == 1);
      }
    }
  }
  MESSAGE(exchanges << " exchanges of " << recorded.size() << " operations");
}

}  // namespace kvstore::test
