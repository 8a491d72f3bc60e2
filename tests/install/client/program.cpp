// Goal: the installed headers and library are all that a program needs. Method: calls of both kinds
// to a port where nobody listens, whose errors are printed.
#include <iostream>

#include <kvstore/client/async.hpp>
#include <kvstore/client/client.hpp>

#if defined(INCLUDE_NLOHMANN_JSON_HPP_) || defined(Foundation_Foundation_INCLUDED)
#error "the public headers bring in what only the library needs"
#endif

int main() {
  namespace kv = kvstore::client;
  kv::AsyncOptions options;
  options.client.servers = {"http://127.0.0.1:1"};
  auto client = kv::Client::create(options.client);
  auto async = kv::AsyncClient::create(options);
  if (!client || !async) return 1;
  const auto got = client->get("key");
  const auto put = async->put("key", "value").get();
  if (got || put) return 1;
  std::cout << got.error().code << ' ' << put.error().code << '\n';
}
