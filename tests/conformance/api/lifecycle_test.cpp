// Goal: an API plugin starts, stops and fails as kvstore/abi/api.h says.
// Method: open, start, stop and close through the table, with the scripted engine behind it.
#include <algorithm>

#include <dirent.h>

#include "fixture.hpp"

using namespace kvstore;
using namespace kvstore::conformance;

namespace {

size_t entries_of(const char* directory) {
  size_t n = 0;
  DIR* dir = ::opendir(directory);
  while (::readdir(dir) != nullptr) ++n;
  ::closedir(dir);
  return n;
}

kvs_status try_open(const std::string& listen, const std::string& config, std::string* message) {
  FakeHost host;
  FakeEngine engine;
  kvs_api_options options{};
  options.struct_size = sizeof options;
  options.listen_address = sdk::slice(listen);
  options.config_json = sdk::slice(config);
  options.engine = engine.table();
  kvs_error err = sdk::make_error();
  kvs_api* api = nullptr;
  const kvs_status status = api_under_test().open(host.raw(), &options, &api, &err);
  *message = err.message;
  if (status == KVS_OK) api_under_test().close(api);
  return status;
}

}  // namespace

// The threads of Poco's dispatcher wait 10 s for a connection; none may do so at the end.
TEST_CASE("stop() does not wait for threads without a connection") {
  int slow = 0;
  for (int round = 0; round < 50; ++round) {
    ApiFixture f;
    std::vector<std::unique_ptr<HttpClient>> clients;
    for (int i = 0; i < 24; ++i) clients.push_back(std::make_unique<HttpClient>(f.port));
    for (auto& client : clients)
      client->send("GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    CHECK(clients.front()->receive().status == 200);
    const auto begin = std::chrono::steady_clock::now();
    f.stop();
    if (std::chrono::steady_clock::now() - begin > std::chrono::seconds(8)) ++slow;
  }
  CHECK(slow == 0);
}

TEST_CASE("manifest-fields") {
  const kvs_plugin_manifest& m = manifest_under_test();
  CHECK(m.magic == KVS_PLUGIN_MAGIC);
  CHECK(m.abi_major == KVS_ABI_MAJOR);
  CHECK(std::string(m.id) == "kvstore.api-http");
  CHECK(m.config_schema != nullptr);
  REQUIRE(m.interface_count == 1);
  CHECK(std::string(m.interfaces[0].id) == KVS_API_ID);
}

TEST_CASE("unknown-interface-is-null, also with trailing garbage") {
  CHECK(manifest_under_test().get_interface("kvstore.log/1") == nullptr);
  CHECK(manifest_under_test().get_interface("kvstore.api/1x") == nullptr);
  CHECK(manifest_under_test().get_interface("kvstore.api/") == nullptr);
}

TEST_CASE("the very first answer names the node") {
  ApiFixture f;
  CHECK(f.fetch("GET", "/livez").header("x-kvstore-node") == "node-x");
}

TEST_CASE("every mandatory function is there") {
  const kvs_api_api& api = api_under_test();
  CHECK(KVS_HAS(&api, open));
  CHECK(KVS_HAS(&api, start));
  CHECK(KVS_HAS(&api, stop));
  CHECK(KVS_HAS(&api, close));
  CHECK(KVS_HAS(&api, bound_address));
}

TEST_CASE("port 0 gives a real port, and it serves") {
  ApiFixture f;
  CHECK(f.port != 0);
  CHECK(f.fetch("GET", "/livez").status == 200);
}

TEST_CASE("close without start, stop twice, and no address before start") {
  ApiFixture never_started("{}", false);
  std::string address;
  CHECK(never_started.try_bound_address(&address) == KVS_E_CLOSED);
  ApiFixture f;
  CHECK(f.try_bound_address(&address) == KVS_OK);
  f.stop();
  f.stop();
}

TEST_CASE("a port in use is an error of start() that names the address") {
  ApiFixture first;
  const std::string listen = "127.0.0.1:" + std::to_string(first.port);
  FakeHost host;
  FakeEngine engine;
  kvs_api_options options{};
  options.struct_size = sizeof options;
  options.listen_address = sdk::slice(listen);
  options.engine = engine.table();
  kvs_error err = sdk::make_error();
  kvs_api* api = nullptr;
  REQUIRE(api_under_test().open(host.raw(), &options, &api, &err) == KVS_OK);
  CHECK(api_under_test().start(api, &err) == KVS_E_IO);
  CHECK(std::string(err.message).find(listen) != std::string::npos);
  CHECK(std::string(err.message).find("in use") != std::string::npos);
  CHECK(err.sys_errno == EADDRINUSE);
  api_under_test().close(api);
}

TEST_CASE("config-unknown-key-rejected-with-path, wrong types and bad addresses") {
  std::string message;
  CHECK(try_open("127.0.0.1:0", R"({"thread": 5})", &message) == KVS_E_INVALID);
  CHECK(message.find("/thread") != std::string::npos);
  CHECK(try_open("127.0.0.1:0", R"({"threads": "five"})", &message) == KVS_E_INVALID);
  CHECK(message.find("/threads") != std::string::npos);
  CHECK(try_open("127.0.0.1:0", R"({"threads": 1})", &message) == KVS_E_INVALID);
  for (const char* listen : {"127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "::1:80"}) {
    CHECK(try_open(listen, "{}", &message) == KVS_E_INVALID);
    CHECK(message.find(listen) != std::string::npos);
  }
  // A name that cannot be resolved shows only when it is bound.
  CHECK(try_open("127.0.0.1:0", "", &message) == KVS_OK);
}

TEST_CASE("error-buffer-null-ok") {
  FakeHost host;
  FakeEngine engine;
  kvs_api_options options{};
  options.struct_size = sizeof options;
  options.engine = engine.table();
  kvs_api* api = nullptr;
  CHECK(api_under_test().open(host.raw(), &options, &api, nullptr) == KVS_E_INVALID);
}

TEST_CASE("two-instances-independent") {
  ApiFixture a, b;
  CHECK(a.port != b.port);
  a.engine.put("k", "of a");
  b.engine.put("k", "of b");
  CHECK(a.fetch("GET", "/api/v1/kv/k?raw=true").body == "of a");
  CHECK(b.fetch("GET", "/api/v1/kv/k?raw=true").body == "of b");
  a.stop();
  CHECK(b.fetch("GET", "/api/v1/kv/k?raw=true").body == "of b");
}

TEST_CASE("no-threads-left-after-close and no-fds-left-after-close") {
  { ApiFixture warm_up; }
  size_t threads = entries_of("/proc/self/task"), fds = entries_of("/proc/self/fd");
  {
    ApiFixture f;
    std::vector<std::unique_ptr<HttpClient>> clients;
    for (int i = 0; i < 20; ++i) {
      clients.push_back(std::make_unique<HttpClient>(f.port));
      CHECK(clients.back()->request("GET", "/livez").status == 200);
    }
    f.stop();
    for (auto& client : clients) CHECK(client->closed());
  }
  // A thread that was joined may be listed for another moment.
  ApiFixture::eventually([&] { return entries_of("/proc/self/task") <= threads; });
  CHECK(entries_of("/proc/self/fd") <= fds);
}

TEST_CASE("stop with 100 pending: the drained engine's completions reach every client") {
  ApiFixture f(R"({"threads": 256})");
  f.engine.hold();
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 100; ++i) {
    auto client = std::make_unique<HttpClient>(f.port);
    client->send(i % 2 == 0 ? "PUT /api/v1/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nv"
                            : "GET /api/v1/kv/k HTTP/1.1\r\nHost: h\r\n\r\n");
    clients.push_back(std::move(client));
  }
  ApiFixture::eventually(
      [&] { return f.engine.txn_calls() == 50 && f.engine.data_calls() == 100; });
  f.stop();
  for (size_t i = 0; i < clients.size(); ++i) {
    const Answer answer = clients[i]->receive();
    CHECK(answer.status == (i % 2 == 0 ? 504 : 503));
    CHECK(answer.complete);
  }
}

TEST_CASE("stop while completions are owed: clients are answered, late completions do no harm") {
  ApiFixture f;
  f.engine.hold();
  HttpClient put(f.port), get(f.port);
  put.send("PUT /api/v1/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nv");
  get.send("GET /api/v1/kv/k HTTP/1.1\r\nHost: h\r\n\r\n");
  ApiFixture::eventually([&] { return f.engine.data_calls() == 2; });
  // Not drained: the answers come from stop(), the completions a little later.
  std::thread late([&] {
    CHECK(put.receive().status == 504);
    CHECK(get.receive().status == 503);
    f.engine.release();
  });
  f.stop_undrained();
  late.join();
}

TEST_CASE("late completion after client disconnect") {
  ApiFixture f;
  f.engine.hold();
  {
    HttpClient put(f.port), get(f.port);
    put.send("PUT /api/v1/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nv");
    get.send("GET /api/v1/kv/k HTTP/1.1\r\nHost: h\r\n\r\n");
    ApiFixture::eventually([&] { return f.engine.data_calls() == 2; });
  }
  f.engine.release();
  ApiFixture::eventually([&] { return f.engine.held() == 0; });
  CHECK(f.fetch("GET", "/api/v1/kv/k?raw=true").body == "v");
  ApiFixture::eventually([&] { return f.engine.open_readers() == 0; });
}
