// Goal: what each command prints as table and as JSON, and the exit code it ends with.
// Method: the whole program runs inside the test against a scripted server.
#include <doctest/doctest.h>

#include "cli_fixture.hpp"

namespace kvstore::cli {
namespace {

using test::CliResult;
using test::error_reply;
using test::json_reply;
using test::Reply;
using test::run_cli;
using test::ScriptedServer;
using test::SeenRequest;

// Runs one command against a server that always gives this answer.
CliResult run_with(const Reply& reply, std::vector<std::string> arguments,
                   const std::string& input = "", bool colours = false) {
  ScriptedServer server([&](const SeenRequest&) { return reply; });
  for (const char* option : {"--timeout", "300ms", "--server"}) arguments.push_back(option);
  arguments.push_back(server.url());
  return run_cli(std::move(arguments), input, colours);
}

Reply at_revision(Reply reply, const std::string& revision) {
  reply.headers["X-Kvstore-Revision"] = revision;
  return reply;
}

const char* const kStatus = R"({
  "cluster_name":"demo","cluster_id":"c1","node":{"node_id":"n2","role":"follower"},
  "leader":{"node_id":"n1"},"term":3,"commit_index":10,"applied_index":9,"first_index":1,
  "last_index":11,"revision":4,"source":"leader","members":[
   {"node_id":"n1","address":"h:1","role":"voter","is_leader":true,"match_index":11,"lag":0,
    "healthy":true,"state":"replicate","plugins":[
     {"role":"log","id":"kvstore.storage-leveldb","version":"1"},
     {"role":"state","id":"kvstore.storage-leveldb","version":"1"}]},
   {"node_id":"n2","address":"h:2","role":"voter","is_leader":false,"match_index":9,"lag":2,
    "healthy":false,"state":"probe","plugins":[{"role":"log","id":"own","version":"1"},
     {"role":"state","id":"storage-sqlite","version":"1"}]},
   {"node_id":"n3","address":"h:3","role":"pending"}]})";

TEST_CASE("put") {
  const Reply reply = at_revision(json_reply(200, "{}"), "12");
  const auto table = run_with(reply, {"put", "mykey", "Hello, World!"});
  CHECK(table.code == 0);
  CHECK(table.out == "OK revision 12\n");
  CHECK(table.err.empty());
  const auto json = run_with(reply, {"put", "mykey", "v", "--format", "json"});
  CHECK(json.document() == nlohmann::json({{"key", "mykey"}, {"revision", 12}}));
  const auto binary = run_with(reply, {"put", "\xff", "v", "--format", "json"});
  CHECK(binary.document()["key_base64"] == "/w==");
}

TEST_CASE("writes take effect once: under a random id, a given one, or none") {
  std::vector<std::string> ids;
  ScriptedServer server([&](const SeenRequest& request) {
    const auto id = request.headers.find("idempotency-key");
    ids.push_back(id == request.headers.end() ? "" : id->second);
    Reply reply = at_revision(json_reply(200, R"({"deleted":1})"), "12");
    reply.headers["Idempotency-Replayed"] = "true";
    return reply;
  });
  const auto run = [&](std::vector<std::string> arguments) {
    for (const std::string& more :
         {std::string("--server"), server.url(), std::string("--format"), std::string("json")})
      arguments.push_back(more);
    return run_cli(std::move(arguments));
  };
  CHECK(run({"put", "k", "v"}).document()["replayed"] == true);
  CHECK(run({"delete", "k", "--request-id", "mine"}).document()["replayed"] == true);
  CHECK(run({"put", "k", "v", "--no-request-id"}).code == 0);
  REQUIRE(ids.size() == 3);
  CHECK(ids[0].size() == 34);
  CHECK(ids[1] == R"("mine")");
  CHECK(ids[2].empty());
  CHECK(run({"put", "k", "v", "--request-id", "a b"}).code == 2);
  CHECK(run({"put", "k", "v", "--request-id", "a", "--no-request-id"}).code == 2);
}

TEST_CASE("an unknown outcome names the id with which to be sure") {
  const Reply lost = error_reply(504, "indeterminate", true, "unknown");
  const auto table = run_with(lost, {"put", "k", "v", "--request-id", "mine"});
  CHECK(table.code == 4);
  CHECK(table.err.find("run it again with --request-id mine") != std::string::npos);
  const auto json = run_with(lost, {"delete", "k", "--request-id", "mine", "--format", "json"});
  CHECK(json.document()["error"]["request_id"] == "mine");
  const auto none = run_with(lost, {"put", "k", "v", "--no-request-id"});
  CHECK(none.code == 4);
  CHECK(none.err.find("--request-id") == std::string::npos);
}

TEST_CASE("put takes the value from standard input, byte for byte") {
  std::string body;
  ScriptedServer server([&](const SeenRequest& request) {
    body = request.body;
    return json_reply(200, "{}");
  });
  const std::string value("a\n\0b\n", 5);
  CHECK(run_cli({"put", "k", "-", "--server", server.url()}, value).code == 0);
  CHECK(body == value);
  CHECK(run_cli({"put", "k", "--file", "-", "--server", server.url()}, "").code == 0);
  CHECK(body.empty());
}

TEST_CASE("get prints the value and a newline") {
  const auto item = [](const std::string& value) {
    return json_reply(200, R"({"key":"k","value":")" + value + R"(","create_revision":1,)" +
                               R"("mod_revision":2,"version":2})");
  };
  CHECK(run_with(item("SGVsbG8="), {"get", "k"}).out == "Hello\n");
  CHECK(run_with(item("YQpiCQ=="), {"get", "k"}).out == "a\nb\t\n");
  CHECK(run_with(item("/wAb"), {"get", "k"}).out == "\\xff\\x00\\x1b\n");
  const auto json = run_with(item("/wAb"), {"get", "k", "--format", "json"}).document();
  CHECK(json == nlohmann::json({{"key", "k"},
                                {"value", "/wAb"},
                                {"create_revision", 1},
                                {"mod_revision", 2},
                                {"version", 2}}));
}

TEST_CASE("get --raw prints the bytes and nothing else") {
  const std::string value("\xff\0\x1b\n", 4);
  const auto result = run_with({200, value, {}, Reply::Action::kAnswer}, {"get", "k", "--raw"});
  CHECK(result.code == 0);
  CHECK(result.out == value);
}

TEST_CASE("get of a missing key") {
  const Reply reply = error_reply(404, "not_found", false, "no");
  const auto table = run_with(reply, {"get", "k\n"});
  CHECK(table.code == 1);
  CHECK(table.out.empty());
  CHECK(table.err == "kvstore-client: get k\\n: not_found happened\n");
  const auto json = run_with(reply, {"get", "k", "--format", "json"});
  CHECK(json.code == 1);
  CHECK(json.document()["error"]["code"] == "not_found");
  CHECK(json.document()["error"]["http_status"] == 404);
}

TEST_CASE("list") {
  const Reply reply = at_revision(
      json_reply(200, R"({"items":[{"key":"a","value":"MQ==","mod_revision":5,"version":2},
        {"key_base64":"/w==","value":null,"value_bytes":2000000,"mod_revision":6,"version":1}]})"),
      "9");
  CHECK(run_with(reply, {"list"}).out ==
        "KEY   REVISION  VERSION  VALUE\n"
        "a     5         2        1\n"
        "\\xff  6         1        (2000000 bytes)\n");
  CHECK(run_with(reply, {"list", "--keys-only"}).out == "a\n\\xff\n");
  const auto json = run_with(reply, {"list", "--format", "json"}).document();
  CHECK(json["count"] == 2);
  CHECK(json["more"] == false);
  CHECK(json["revision"] == 9);
  CHECK(json["items"][0]["value"] == "MQ==");
  CHECK(json["items"][1]["key_base64"] == "/w==");
  CHECK(json["items"][1]["value"].is_null());
}

TEST_CASE("list --all prints lines as they come") {
  const Reply reply =
      json_reply(200,
                 "{\"key\":\"a\",\"value\":\"MQo=\",\"mod_revision\":3,\"version\":1}\n"
                 "{\"end\":true,\"revision\":9,\"count\":1,\"more\":false}\n");
  CHECK(run_with(reply, {"list", "--all"}).out == "a\t3\t1\t1\\n\n");
  CHECK(run_with(reply, {"list", "--all", "--keys-only"}).out == "a\n");
  const auto json = run_with(reply, {"list", "--all", "--format", "json"}).document();
  CHECK(json["value"] == "MQo=");
  CHECK(run_with(json_reply(200, "{}\n"), {"list", "--all"}).code != 0);
  CHECK(run_with(reply, {"list", "--all", "--limit", "3"}).code == 2);
}

TEST_CASE("list says when there is nothing, and when there is more") {
  const auto none = run_with(json_reply(200, R"({"items":[]})"), {"list"});
  CHECK(none.code == 0);
  CHECK(none.out.empty());
  CHECK(none.err == "no keys\n");
  const Reply page = json_reply(200, R"({"items":[{"key":"a"}],"cursor":"x"})");
  const auto more = run_with(page, {"list", "--limit", "1", "--keys-only"});
  CHECK(more.out == "a\n");
  CHECK(more.err == "there are more keys: raise --limit\n");
  CHECK(run_with(page, {"list", "--limit", "1", "--format", "json"}).document()["more"] == true);
}

TEST_CASE("leases") {
  const Reply granted = json_reply(200, R"({"id":7,"ttl_ms":10000})");
  CHECK(run_with(granted, {"lease", "grant", "10s"}).out == "OK lease 7 ttl 10000ms\n");
  CHECK(run_with(granted, {"lease", "keepalive", "7"}).out == "OK lease 7 ttl 10000ms\n");
  CHECK(run_with(granted, {"lease", "grant", "10s", "--format", "json"}).document() ==
        nlohmann::json({{"id", 7}, {"ttl_ms", 10000}}));
  const Reply seen = json_reply(200, R"({"id":7,"ttl_ms":10000,"remaining_ms":1234,
    "keys":[{"key":"a\n"},{"key_base64":"/w=="}],"more_keys":true})");
  const auto table = run_with(seen, {"lease", "get", "7"});
  CHECK(table.out == "lease 7 ttl 10000ms remaining 1234ms\n  a\\n\n  \\xff\n");
  CHECK(table.err == "there are more keys\n");
  const auto json = run_with(seen, {"lease", "get", "7", "--format", "json"}).document();
  CHECK(json["remaining_ms"] == 1234);
  CHECK(json["keys"][1]["key_base64"] == "/w==");
  CHECK(json["more_keys"] == true);
  const Reply page = json_reply(
      200, R"({"leases":[{"id":7,"ttl_ms":10000,"remaining_ms":5},{"id":12,"ttl_ms":2000}]})");
  CHECK(run_with(page, {"lease", "list"}).out ==
        "LEASE  TTL      REMAINING\n"
        "7      10000ms  5ms\n"
        "12     2000ms   0ms\n");
  CHECK(run_with(page, {"lease", "list", "--format", "json"}).document()["leases"][1]["id"] == 12);
  CHECK(run_with(json_reply(200, R"({"leases":[]})"), {"lease", "list"}).err == "no leases\n");
  const Reply revoked = json_reply(200, R"({"id":7,"revoked":true,"deleted":3})");
  CHECK(run_with(revoked, {"lease", "revoke", "7"}).out == "OK lease 7 revoked, keys deleted: 3\n");
  CHECK(run_with(revoked, {"lease", "revoke", "7", "--format", "json"}).document()["deleted"] == 3);
  const Reply missing = error_reply(404, "lease_not_found", false, "no");
  const auto refused = run_with(missing, {"lease", "keepalive", "7"});
  CHECK(refused.code == 1);
  CHECK(refused.err == "kvstore-client: lease keepalive 7: lease_not_found happened\n");
  CHECK(run_with(error_reply(409, "lease_exists", false, "no"), {"lease", "grant", "1s"}).code ==
        1);
}

TEST_CASE("the JSON of an item has its lease or its TTL") {
  const auto item = [](const std::string& field) {
    return json_reply(200, R"({"key":"k","value":"","mod_revision":2,)" + field + "}");
  };
  CHECK(run_with(item(R"("lease":7)"), {"get", "k", "--format", "json"}).document()["lease"] == 7);
  CHECK(run_with(item(R"("ttl_ms":500)"), {"get", "k", "--format", "json"}).document()["ttl_ms"] ==
        500);
}

TEST_CASE("delete") {
  const Reply done = at_revision(json_reply(200, R"({"deleted":1})"), "13");
  CHECK(run_with(done, {"delete", "k"}).out == "OK revision 13\n");
  CHECK(run_with(done, {"delete", "k", "--format", "json"}).document()["deleted"] == 1);
  const auto absent = run_with(json_reply(200, R"({"deleted":0})"), {"delete", "k"});
  CHECK(absent.code == 1);
  CHECK(absent.err == "kvstore-client: delete k: the key does not exist\n");
}

TEST_CASE("cluster-status and member list") {
  const auto table = run_with(json_reply(200, kStatus), {"cluster-status"});
  CHECK(table.code == 0);
  CHECK(table.out ==
        "cluster  demo (c1)\n"
        "asked    n2 (follower)\n"
        "leader   n1\n"
        "term     3\n"
        "log      1..11, committed 10, applied 9\n"
        "revision 4\n"
        "\n"
        "NAME  ROLE     ADDRESS  ENGINE      STATE  MATCH  LAG  HEALTH\n"
        "n1    leader   h:1      leveldb     -      11     0    ok\n"
        "n2    voter    h:2      own+sqlite  probe  9      2    down\n"
        "n3    pending  h:3      -           -      -      -    -\n");
  const auto json = run_with(json_reply(200, kStatus), {"cluster-status", "--format=json"});
  CHECK(json.document() == nlohmann::json::parse(kStatus));
  const auto members = run_with(json_reply(200, kStatus), {"member", "list", "--format=json"});
  CHECK(members.document()["members"].size() == 3);
  CHECK(run_with(json_reply(200, kStatus), {"member", "list"}).out.rfind("NAME", 0) == 0);
}

TEST_CASE("health") {
  const Reply good = json_reply(
      200, R"({"status":"ok","node_id":"n1","role":"leader","checks":{"disk":{"ok":true}}})");
  const auto ok = run_with(good, {"health"});
  CHECK(ok.code == 0);
  CHECK(ok.out == "n1 (leader): ok\n  ok    disk\n");
  const Reply bad = json_reply(503, R"({"status":"unavailable","node_id":"n1","role":"follower",
      "checks":{"leader":{"ok":false,"message":"none known"}}})");
  const auto down = run_with(bad, {"health"});
  CHECK(down.code == 1);
  CHECK(down.out == "n1 (follower): unavailable\n  FAIL  leader: none known\n");
  const auto json = run_with(bad, {"health", "--format", "json"});
  CHECK(json.code == 1);
  CHECK(json.document()["status"] == "unavailable");
}

TEST_CASE("membership") {
  const auto add = [](const char* state) {
    return json_reply(200,
                      std::string(R"({"node_id":"n4","address":"h:4","state":")") + state + "\"}");
  };
  CHECK(run_with(add("voter"), {"member", "add", "n4", "h:4"}).out == "OK n4 voter\n");
  CHECK(run_with(add("pending"), {"member", "add", "n4", "h:4"}).out ==
        "OK n4 pending (joins by itself once it runs)\n");
  CHECK(run_with(add("learner"), {"member", "add", "n4", "h:4", "--learner"}).out ==
        "OK n4 learner\n");
  const auto json = run_with(add("voter"), {"member", "add", "n4", "h:4", "--format=json"});
  CHECK(json.document()["state"] == "voter");
  CHECK(run_with(json_reply(200, "{}"), {"member", "remove", "n4"}).out == "OK n4 removed\n");
  CHECK(run_with(json_reply(200, "{}"), {"member", "remove", "n4", "--format=json"}).document() ==
        nlohmann::json({{"node_id", "n4"}, {"removed", true}}));
  const auto promoted =
      run_with(json_reply(200, R"({"node_id":"n3","address":"h:3","state":"learner",
      "members":[{"node_id":"n3","address":"h:3","role":"learner"}]})"),
               {"member", "promote", "n3"});
  CHECK(promoted.out == "OK n3 learner (votes by itself once it has caught up)\n");
  CHECK(run_with(json_reply(200, kStatus), {"member", "promote", "n9"}).code == 1);
  CHECK(run_with(json_reply(200, "{}"), {"transfer-leader", "n4"}).out == "OK n4 leads\n");
  const auto refused =
      run_with(error_reply(409, "quorum_loss", false, "no"), {"member", "remove", "n4"});
  CHECK(refused.code == 5);
  CHECK(refused.err == "kvstore-client: member remove n4: quorum_loss happened\n");
}

TEST_CASE("metrics") {
  const Reply reply{200, "# TYPE a counter\na 1\n", {}, Reply::Action::kAnswer};
  CHECK(run_with(reply, {"metrics"}).out == reply.body);
  CHECK(run_with(reply, {"metrics", "--format", "json"}).document()["metrics"] == reply.body);
}

TEST_CASE("exit codes") {
  const Reply ok = json_reply(200, "{}");
  CHECK(run_with(ok, {"put", "k", "v"}).code == 0);
  Reply failed = error_reply(412, "precondition_failed", false, "no");
  failed.headers["ETag"] = "\"8\"";
  CHECK(run_with(failed, {"put", "k", "v", "--if-revision", "7"}).code == 1);
  CHECK(run_with(failed, {"put", "k", "v", "--if-absent", "--format=json"})
            .document()["error"]["current_revision"] == 8);
  CHECK(run_with(ok, {"put", "", "v"}).code == 2);
  CHECK(run_with(error_reply(503, "no_leader", true, "no"), {"put", "k", "v"}).code == 3);
  CHECK(run_with(error_reply(504, "indeterminate", false, "unknown"), {"put", "k", "v"}).code == 4);
  CHECK(run_with({200, "", {}, Reply::Action::kDrop}, {"put", "k", "v"}).code == 4);
  CHECK(run_with(error_reply(413, "too_large", false, "no"), {"put", "k", "v"}).code == 5);
}

TEST_CASE("an unreachable server is one clear line") {
  const std::string url = test::dead_url();
  const auto result = run_cli({"put", "mykey", "v", "--server", url});
  CHECK(result.code == 3);
  CHECK(result.out.empty());
  CHECK(result.err ==
        "kvstore-client: put mykey: no server reachable: " + url + ": connection refused\n");
}

TEST_CASE("colours only where they are wanted") {
  const auto plain = run_with(json_reply(200, kStatus), {"cluster-status"});
  CHECK(plain.out.find('\x1b') == std::string::npos);
  const auto coloured = run_with(json_reply(200, kStatus), {"cluster-status"}, "", true);
  CHECK(coloured.out.find("\x1b[32mok\x1b[0m") != std::string::npos);
  CHECK(coloured.out.find("\x1b[31mdown\x1b[0m") != std::string::npos);
}

TEST_CASE("nothing that a server or a key says reaches the terminal as a control sequence") {
  Reply evil = error_reply(400, "invalid", false, "no");
  evil.body.replace(evil.body.find("invalid happened"), 7, "\\u001b[2J");
  const auto result = run_with(evil, {"get", "\x1b[2J"});
  CHECK(result.code == 5);
  CHECK(result.err.find('\x1b') == std::string::npos);
}

const char* const kTxnAnswer =
    R"({"succeeded":true,"revision":9,"results":[{"op":"put","mod_revision":9,"prev":null},)"
    R"({"op":"get","item":{"key":"k","value":"SGk=","mod_revision":4}},)"
    R"({"op":"range","items":[],"count":0,"more":false},{"op":"delete","deleted":2}]})";

TEST_CASE("txn prints the result of each operation, or the document") {
  std::string body;
  ScriptedServer server([&](const SeenRequest& request) {
    body = request.body;
    return json_reply(200, kTxnAnswer);
  });
  const auto table = run_cli({"txn", "-", "--server", server.url()}, R"({"then": []})");
  CHECK(table.code == 0);
  CHECK(body == R"({"then": []})");
  CHECK(table.out ==
        "OK, revision 9\n"
        "#  OPERATION  RESULT      KEY  VALUE\n"
        "0  put        revision 9       \n"
        "1  get        1 key            \n"
        "                          k    Hi\n"
        "2  range      0 keys           \n"
        "3  delete     2 keys           \n");
  const auto json = run_cli({"txn", "-", "--server", server.url(), "--format", "json"}, "{}");
  CHECK(json.document()["results"].size() == 4);
}

TEST_CASE("a compare that does not hold is exit code 1, in both formats") {
  const Reply reply =
      json_reply(200, R"({"succeeded":false,"revision":9,"results":[{"op":"get","item":null}]})");
  const auto table = run_with(reply, {"txn", "-"}, "{}");
  CHECK(table.code == 1);
  CHECK(table.out.find("a compare does not hold") == 0);
  CHECK(table.out.find("no such key") != std::string::npos);
  const auto json = run_with(reply, {"txn", "-", "--format", "json"}, "{}");
  CHECK(json.code == 1);
  CHECK(json.document()["succeeded"] == false);
}

TEST_CASE("a transaction that cannot be read or is refused") {
  const auto missing = run_with(json_reply(200, "{}"), {"txn", "/nowhere/txn.json"});
  CHECK(missing.code == 5);
  CHECK(missing.err.find("/nowhere/txn.json") != std::string::npos);
  const auto refused = run_with(error_reply(400, "invalid", false, "no"), {"txn", "-"}, "{}");
  CHECK(refused.code == 5);
  CHECK(run_with(json_reply(200, "{}"), {"txn", "-"}, "{}").code == 5);
}

TEST_CASE("deleting a prefix goes on until nothing is left") {
  int pieces = 0;
  ScriptedServer server([&](const SeenRequest&) {
    const bool last = ++pieces == 3;
    return at_revision(json_reply(200, last ? R"({"deleted":5,"more":false})"
                                            : R"({"deleted":10000,"more":true})"),
                       "7");
  });
  const auto table = run_cli({"delete", "--prefix", "p/", "--server", server.url()});
  CHECK(table.code == 0);
  CHECK(table.out == "OK 20005 keys, revision 7\n");
  CHECK(server.requests()[2].method == "DELETE");
  CHECK(server.requests()[2].query == "prefix=p%2F&limit=10000");
  pieces = 2;
  const auto json =
      run_cli({"delete", "--all", "--format", "json", "--server", server.url()}).document();
  CHECK(json == nlohmann::json({{"deleted", 5}, {"revision", 7}}));
  CHECK(server.requests()[3].query == "all=true&limit=10000");
}

TEST_CASE("compact gives up what is older than the revision, or than the newest") {
  std::string body;
  ScriptedServer server([&](const SeenRequest& request) {
    if (request.method == "GET") return json_reply(200, kStatus);
    body = request.body;
    return json_reply(200, R"({"compacted_revision":4,"more":false})");
  });
  const auto newest = run_cli({"compact", "--server", server.url()});
  CHECK(newest.code == 0);
  CHECK(newest.out == "OK revisions from 4 on can be read\n");
  CHECK(body == R"({"revision":4})");
  const auto given =
      run_cli({"compact", "--revision", "3", "--format", "json", "--server", server.url()});
  CHECK(given.document()["compacted_revision"] == 4);
  CHECK(body == R"({"revision":3})");
}

}  // namespace
}  // namespace kvstore::cli
