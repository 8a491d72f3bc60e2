// Goal: the server does what its description says: what the description allows is answered with a
// documented status and form, what it does not allow is refused with the error's form.
// Method: requests are made from the document, for every operation: every value of every parameter
// alone, wrong values, parameters given twice or of other operations, bodies with a field wrong,
// missing or too many, and other methods.  A node that is alone answers them.
#include <algorithm>
#include <cctype>
#include <set>

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "surface/schema.hpp"

namespace kvstore::test {
namespace {

using nlohmann::json;

std::string encode(const std::string& text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '_' || c == '.') {
      out.push_back(c);
    } else {
      out.append({'%', kHex[byte >> 4], kHex[byte & 15]});
    }
  }
  return out;
}

// Waits of a request that says nothing else are short.
constexpr const char* kShort = "timeout=1s";

struct Operation {
  std::string path, method;  // method in upper case
  json operation;
  std::vector<json> parameters;  // resolved

  // What a request carries besides the parameter that it tries.
  std::string base(const std::string& tried) const {
    std::string query = tried == "timeout" ? "" : kShort;
    const std::string own = operation.value("x-kvstore-base", "");
    if (!own.empty() && own.rfind(tried + "=", 0) != 0) query += (query.empty() ? "" : "&") + own;
    return query;
  }
};

class Fuzz {
 public:
  explicit Fuzz(Node& node)
      : node_(node), schemas_(json::parse(node.http("GET", "/api/v1/openapi.json").body)) {
    for (const auto& [path, item] : schemas_.document()["paths"].items()) {
      for (const auto& [method, operation] : item.items()) {
        if (method != "parameters") add(path, method, item, operation);
      }
    }
  }

  void run() {
    for (const Operation& op : operations_) {
      CAPTURE(op.path);
      CAPTURE(op.method);
      expect_documented(op, send(op, op.base("")));
      for (const json& parameter : op.parameters) {
        if (parameter["in"] == "query") try_query(op, parameter);
        if (parameter["in"] == "header")
          expect_documented(op, send(op, op.base(""), {{parameter["name"], parameter["example"]}}));
      }
      try_unknown(op);
      try_bodies(op);
    }
    try_methods();
    MESSAGE(requests_ << " requests to " << operations_.size() << " operations");
    CHECK(operations_.size() > 15);
  }

 private:
  void add(const std::string& path, const std::string& method, const json& item,
           const json& operation) {
    Operation op{path, upper(method), operation, {}};
    for (const json* list : {&item, &operation}) {
      for (const json& one : list->value("parameters", json::array()))
        op.parameters.push_back(schemas_.resolve(one));
    }
    for (const json& parameter : op.parameters) {
      if (parameter["in"] == "query") names_.insert(parameter["name"]);
    }
    operations_.push_back(std::move(op));
  }
  static std::string upper(std::string text) {
    for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return text;
  }

  std::string target(const Operation& op, const std::string& query) const {
    std::string path = op.path;
    for (const json& parameter : op.parameters) {
      const std::string hole = "{" + parameter["name"].get<std::string>() + "}";
      const size_t at = path.find(hole);
      if (at != std::string::npos)
        path.replace(at, hole.size(), encode(parameter["example"].get<std::string>()));
    }
    return query.empty() ? path : path + "?" + query;
  }

  HttpAnswer send(const Operation& op, const std::string& query,
                  std::map<std::string, std::string> headers = {}) {
    std::string body;
    if (op.operation.contains("requestBody")) {
      body = op.operation["requestBody"]["content"]["application/json"]["example"].dump();
      headers["Content-Type"] = "application/json";
    }
    return send_raw(op.method, target(op, query), body, headers);
  }
  HttpAnswer send_raw(const std::string& method, const std::string& where, const std::string& body,
                      const std::map<std::string, std::string>& headers) {
    ++requests_;
    return node_.http(method, where, body, headers);
  }

  void expect_documented(const Operation& op, const HttpAnswer& answer) {
    CAPTURE(answer.status);
    CAPTURE(answer.body.substr(0, 300));
    const std::string status = std::to_string(answer.status);
    REQUIRE(op.operation["responses"].contains(status));
    CHECK(answer.status != 500);
    const json& response = schemas_.resolve(op.operation["responses"][status]);
    if (!response.contains("content")) return;
    const std::string type = answer.headers.at("content-type");
    const std::string media = type.substr(0, type.find(';'));
    REQUIRE(response["content"].contains(media));
    if (media != "application/json") return;
    const json document = json::parse(answer.body, nullptr, false);
    REQUIRE_FALSE(document.is_discarded());
    CHECK(schemas_.mismatch(response["content"][media]["schema"], document) == "");
  }

  void expect_refused(const Operation& op, const HttpAnswer& answer, const std::string& named) {
    CAPTURE(answer.body.substr(0, 300));
    CHECK(answer.status == 400);
    expect_documented(op, answer);
    const json document = json::parse(answer.body, nullptr, false);
    REQUIRE(document.is_object());
    CHECK(contains(document["error"]["message"].get<std::string>(), named));
    CHECK(document["error"]["retryable"] == false);
    CHECK(document["error"]["committed"] == "no");
  }

  static std::vector<std::string> good_values(const json& schema, const json& parameter) {
    if (schema.contains("enum")) return schema["enum"].get<std::vector<std::string>>();
    if (schema.value("type", "") == "boolean") return {"true", "false", "1", "0", ""};
    const json& example = parameter["example"];
    return {example.is_string() ? example.get<std::string>() : example.dump()};
  }
  static std::vector<std::string> bad_values(const json& schema) {
    const std::string type = schema.value("type", "");
    if (schema.contains("enum")) return {"none-of-them", ""};
    if (type == "boolean") return {"maybe", "2", "TRUE"};
    if (type == "integer") {
      std::vector<std::string> bad = {"-1", "x", "1.5", "99999999999999999999", "0x1", ""};
      if (schema.value("minimum", 0) > 0) bad.push_back("0");
      return bad;
    }
    if (schema.contains("pattern")) return {"soon", "-1s", "1w", "s", "1e3", "99999h", ""};
    return {};
  }

  void try_query(const Operation& op, const json& parameter) {
    const std::string name = parameter["name"];
    CAPTURE(name);
    const json& schema = schemas_.resolve(parameter["schema"]);
    std::string rest = op.base(name);
    if (!rest.empty()) rest.insert(0, "&");
    // What has to stand beside it: its own word, or the operation's for what every operation takes.
    const json& says = name == "timeout" || name == "forward" ? op.operation : parameter;
    if (says.contains("x-kvstore-with")) rest += "&" + says["x-kvstore-with"].get<std::string>();
    if (!parameter.value("x-kvstore-no-example", false)) {
      for (const std::string& value : good_values(schema, parameter)) {
        CAPTURE(value);
        const HttpAnswer answer = send(op, name + "=" + encode(value) + rest);
        CHECK(answer.status != 400);
        expect_documented(op, answer);
      }
    }
    for (const std::string& value : bad_values(schema)) {
      CAPTURE(value);
      expect_refused(op, send(op, name + "=" + encode(value) + rest), name);
    }
    expect_refused(op, send(op, name + "=1&" + name + "=1" + rest), name);
    expect_refused(op, send(op, name + "=%zz" + rest), "escape");
  }

  // Parameters of other operations, and one of none.
  void try_unknown(const Operation& op) {
    std::set<std::string> others = names_;
    others.insert("no_such_parameter");
    for (const json& parameter : op.parameters) others.erase(parameter["name"]);
    for (const std::string& name : others) {
      CAPTURE(name);
      expect_refused(op, send(op, name + "=1"), name);
    }
  }

  void try_bodies(const Operation& op) {
    if (!op.operation.contains("requestBody")) return;
    const json& content = op.operation["requestBody"]["content"]["application/json"];
    const json schema = schemas_.resolve(content["schema"]);
    const auto refuse = [&](const std::string& body) {
      CAPTURE(body);
      const HttpAnswer answer = send_raw(op.method, target(op, op.base("")), body, kJson);
      CHECK(answer.status == 400);
      expect_documented(op, answer);
    };
    for (const char* body : {"", "{", "[]", "null", "7", "\"x\"", "{\"\\ud800\":1}"}) refuse(body);
    if (schema.contains("required")) refuse("{}");
    json more = content["example"];
    more["no_such_field"] = 1;
    refuse(more.dump());
    for (const auto& [name, of_field] : schema["properties"].items()) {
      for (const json& wrong : {json(nullptr), json(-1), json(1.5), json::array(), json::object(),
                                json(true), json("")}) {
        if (schemas_.mismatch(of_field, wrong).empty() && wrong != "") continue;
        if (wrong == "" && of_field.value("type", "") == "string" &&
            of_field.value("minLength", 0) == 0)
          continue;
        json body = content["example"];
        body[name] = wrong;
        refuse(body.dump());
      }
    }
    for (const json& name : schema.value("required", json::array())) {
      json body = content["example"];
      body.erase(name.get<std::string>());
      refuse(body.dump());
    }
    if (op.operation["responses"].contains("415")) {
      const HttpAnswer answer =
          send_raw(op.method, target(op, op.base("")), content["example"].dump(),
                   {{"Content-Type", "text/plain"}});
      CHECK(answer.status == 415);
      expect_documented(op, answer);
    }
  }

  // Routes end at the first open part of a path: what follows is the handler's business.
  bool is_routed(const std::string& path, const std::string& method) const {
    const std::string head = path.substr(0, path.find('{'));
    for (const auto& [other, item] : schemas_.document()["paths"].items()) {
      if (other.substr(0, other.find('{')) == head && item.contains(method) &&
          (other.find('{') == std::string::npos) == (path.find('{') == std::string::npos))
        return true;
    }
    return false;
  }

  void try_methods() {
    for (const auto& [path, item] : schemas_.document()["paths"].items()) {
      const auto any = std::find_if(operations_.begin(), operations_.end(),
                                    [&, p = path](const Operation& op) { return op.path == p; });
      for (const char* method : {"get", "put", "post", "delete", "patch", "options"}) {
        if (is_routed(path, method)) continue;
        CAPTURE(path);
        CAPTURE(method);
        const HttpAnswer answer = send_raw(upper(method), target(*any, ""), "", {});
        CHECK(answer.status == 405);
        for (const auto& [allowed, operation] : item.items()) {
          if (allowed != "parameters") CHECK(contains(answer.headers.at("allow"), upper(allowed)));
        }
      }
    }
  }

  Node& node_;
  const Schemas schemas_;
  std::vector<Operation> operations_;
  std::set<std::string> names_;  // of all query parameters
  size_t requests_ = 0;
};

}  // namespace

TEST_CASE("openapi") {
  Cluster cluster("openapi");
  cluster.boot(1);
  cluster.put("openapi-key", "value");
  Fuzz fuzz(cluster[0]);
  fuzz.run();
  CHECK(cluster[0].is_running());
  CHECK(cluster[0].http("GET", "/health").status == 200);
}

}  // namespace kvstore::test
