// Goal: the README's table of errors is complete and right. Method: its codes are compared with
// those in the source and in VERBS.md; every row is brought about over HTTP, once for each of its
// statuses.
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>

#include "fixture.hpp"

using namespace kvstore;
using namespace kvstore::conformance;
using nlohmann::json;

namespace fs = std::filesystem;

namespace {

struct ErrorRow {
  std::set<int> statuses;
  bool retryable = false;
};
using ErrorTable = std::map<std::string, ErrorRow>;
using Codes = std::set<std::string>;

constexpr const char* kJson = "Content-Type: application/json\r\n";

fs::path source_dir() {
  const char* dir = std::getenv("KVS_SOURCE_DIR");
  REQUIRE_MESSAGE(dir != nullptr, "KVS_SOURCE_DIR must name the top of the source tree");
  return dir;
}

std::string text_of(const fs::path& path) {
  std::ifstream in(path);
  REQUIRE(in);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// Everything that the pattern's group finds.
Codes find_all(const std::string& text, const char* pattern) {
  Codes out;
  const std::regex regex(pattern);
  for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it) {
    out.insert((*it)[1]);
  }
  return out;
}

ErrorTable table_of_readme() {
  const std::string text = text_of(source_dir() / "plugins/api-http/README.md");
  const std::regex row(R"(\| `(\w+)` \| ([0-9, ]+) \| (yes|no) \| [A-Z][^|]*\. \|)");
  ErrorTable out;
  for (std::sregex_iterator it(text.begin(), text.end(), row), end; it != end; ++it) {
    ErrorRow& entry = out[(*it)[1]];
    CHECK_MESSAGE(entry.statuses.empty(), (*it)[1] << " stands twice in the table");
    std::istringstream statuses((*it)[2]);
    for (std::string status; std::getline(statuses, status, ',');) {
      entry.statuses.insert(std::stoi(status));
    }
    entry.retryable = (*it)[3] == "yes";
  }
  return out;
}

// String literals where the plugin makes codes.
Codes codes_of_source() {
  Codes out;
  for (const auto& entry : fs::recursive_directory_iterator(source_dir() / "plugins/api-http")) {
    const std::string extension = entry.path().extension().string();
    if (extension != ".cpp" && extension != ".hpp") continue;
    const std::string text = text_of(entry.path());
    for (const char* pattern : {R"re(ApiError(?: \w+)?\(\s*\w+,\s*"(\w+)")re",
                                R"re(ApiError \w+\(status, [^"]*"(\w+)" :)re",
                                R"re(ApiError \w+\(status, [^"]*"\w+" : "(\w+)")re",
                                R"re(\{KVS_E_\w+, "(\w+)", \d+)re", R"re(\bcode = "(\w+)")re"}) {
      out.merge(find_all(text, pattern));
    }
  }
  return out;
}

Codes codes_of_verbs() {
  const std::string text = text_of(source_dir() / "core/abi/VERBS.md");
  return find_all(text.substr(text.find("Codes in `json.code`:") + 21), "`(\\w+)`");
}

Answer raw(const ApiFixture& f, const std::string& bytes) {
  HttpClient client(f.port);
  client.send(bytes);
  return client.receive();
}

Scripted failure(kvs_status status, uint32_t committed = KVS_COMMITTED_NO) {
  Scripted answer;
  answer.status = status;
  answer.committed = committed;
  return answer;
}

// One answer for each way to an error.
class Producers {
 public:
  Producers() {
    add_statuses();
    add_verbs();
    add_requests();
    add_framing();
    add_limits();
  }

  std::vector<Answer> answers;

 private:
  void put_after(Scripted answer) {
    f_.engine.script(std::move(answer));
    answers.push_back(f_.fetch("PUT", "/api/v1/kv/k", "v"));
  }

  void add_statuses() {
    for (kvs_status status :
         {KVS_E_INVALID, KVS_E_UNSUPPORTED, KVS_E_INCOMPATIBLE, KVS_E_NOT_FOUND, KVS_E_END,
          KVS_E_COMPACTED, KVS_E_CONFLICT, KVS_E_NOT_LEADER, KVS_E_BUSY, KVS_E_TIMEOUT,
          KVS_E_UNREACHABLE, KVS_E_INDETERMINATE, KVS_E_CANCELLED, KVS_E_CLOSED, KVS_E_NO_MEMORY,
          KVS_E_NO_SPACE, KVS_E_IO, KVS_E_CORRUPT, KVS_E_INTERNAL}) {
      put_after(failure(status));
    }
    for (kvs_status status : {KVS_E_TIMEOUT, KVS_E_UNREACHABLE, KVS_E_CANCELLED, KVS_E_CLOSED}) {
      put_after(failure(status, KVS_COMMITTED_UNKNOWN));
    }
    f_.engine.script(failure(KVS_E_CONFLICT));
    answers.push_back(f_.fetch("PUT", "/api/v1/kv/k", "v", "Idempotency-Key: x\r\n"));
    f_.engine.script(failure(KVS_E_INVALID));
    answers.push_back(f_.fetch("GET", "/api/v1/kv/k?revision=9"));
    f_.engine.put("p", "v");
    Scripted first;
    first.by_store = true;
    for (int i = 0; i < 10'000; ++i) f_.engine.put("p" + std::to_string(i), "v");
    f_.engine.script(first);
    f_.engine.script(failure(KVS_E_TIMEOUT));
    answers.push_back(f_.fetch("DELETE", "/api/v1/kv?prefix=p"));
  }

  // What core/node answers with these codes.
  void add_verbs() {
    const std::pair<const char*, kvs_status> rows[] = {
        {"invalid_argument", KVS_E_INVALID},    {"future_revision", KVS_E_INVALID},
        {"not_a_member", KVS_E_NOT_FOUND},      {"address_taken", KVS_E_CONFLICT},
        {"lease_not_found", KVS_E_NOT_FOUND},   {"lease_exists", KVS_E_CONFLICT},
        {"quorum_loss", KVS_E_CONFLICT},        {"change_in_progress", KVS_E_BUSY},
        {"no_leader", KVS_E_NOT_LEADER},        {"too_stale", KVS_E_UNREACHABLE},
        {"revision_not_reached", KVS_E_TIMEOUT}};
    for (const auto& [code, status] : rows) {
      Scripted answer = failure(status);
      answer.json = std::string(R"({"code":")") + code + "\"}";
      f_.engine.set_control("cluster.remove", answer);
      answers.push_back(f_.fetch("DELETE", "/api/v1/cluster/nodes/n"));
    }
  }

  void add_requests() {
    const std::string long_key(5000, 'k');
    answers.push_back(f_.fetch("PUT", "/api/v1/kv/" + long_key, "v"));
    answers.push_back(f_.fetch("GET", "/api/v1/kv?cursor=x"));
    answers.push_back(f_.fetch("PUT", "/api/v1/kv/k", "v", "If-Match: \"1\", \"2\"\r\n"));
    answers.push_back(f_.fetch("GET", "/nothing"));
    answers.push_back(f_.fetch("GET", "/livez/nothing"));
    answers.push_back(f_.fetch("POST", "/api/v1/kv/k", "v"));
    answers.push_back(f_.fetch("PUT", "/api/v1/kv/k", "v", "If-Match: \"1\"\r\n"));
    answers.push_back(f_.fetch("POST", "/api/v1/txn", std::string(3 << 20, ' '), kJson));
    answers.push_back(f_.fetch("POST", "/api/v1/txn", "{}", "Content-Type: text/plain\r\n"));
  }

  void add_framing() {
    const std::string get = "GET /livez HTTP/1.1\r\nHost: h\r\n";
    answers.push_back(raw(f_, "nonsense\r\n\r\n"));
    answers.push_back(raw(f_, "PUT /api/v1/kv/k HTTP/1.1\r\nHost: h\r\n\r\n"));
    answers.push_back(raw(f_, "GET /" + std::string(20000, 'x') + " HTTP/1.1\r\nHost: h\r\n\r\n"));
    answers.push_back(raw(f_, get + "Expect: more\r\n\r\n"));
    answers.push_back(raw(f_, "GET /livez HTTP/2.0\r\nHost: h\r\n\r\n"));
    answers.push_back(raw(f_, get + "X: " + std::string(40000, 'x') + "\r\n\r\n"));
    ApiFixture impatient(R"({"header_timeout_ms": 50})");
    answers.push_back(raw(impatient, "GET /livez HTTP/1.1\r\nHost"));
    HttpClient broken(impatient.port);
    broken.send("PUT /api/v1/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    broken.shut_sending();
    answers.push_back(broken.receive());
  }

  void add_limits() {
    ApiFixture lonely(R"({"max_connections_per_address": 1})");
    HttpClient first(lonely.port);
    CHECK(first.request("GET", "/livez").status == 200);
    HttpClient second(lonely.port);
    answers.push_back(second.receive());
  }

  ApiFixture f_;
};

}  // namespace

TEST_CASE("the table has every code of the source, and no other") {
  const ErrorTable table = table_of_readme();
  Codes documented;
  for (const auto& [code, row] : table) documented.insert(code);
  Codes used = codes_of_source();
  CHECK(used.size() >= 30);
  used.merge(codes_of_verbs());
  for (const std::string& code : used) {
    CHECK_MESSAGE(documented.count(code) == 1, code << " is missing from the table");
  }
  for (const std::string& code : documented) {
    CHECK_MESSAGE(used.count(code) == 1, code << " is in the table and nowhere else");
  }
}

TEST_CASE("every row of the table, over HTTP") {
  const ErrorTable table = table_of_readme();
  const Producers producers;
  std::map<std::string, std::set<int>> seen;
  for (const Answer& answer : producers.answers) {
    CAPTURE(answer.body);
    const json document = json::parse(answer.body, nullptr, false);
    REQUIRE(document.is_object());
    const json& error = document["error"];
    const std::string code = error["code"];
    CAPTURE(code);
    REQUIRE(table.count(code) == 1);
    seen[code].insert(answer.status);
    // What may have been done is never simply repeated.
    CHECK(error["retryable"] == (table.at(code).retryable && answer.status != 504));
    CHECK((error["committed"] == "unknown") == (answer.status == 504));
    CHECK((answer.headers.count("retry-after") == 1) ==
          (answer.status == 429 || answer.status == 503));
  }
  for (const auto& [code, row] : table) {
    CAPTURE(code);
    CHECK(seen[code] == row.statuses);
  }
}
