#include <algorithm>
#include <cstring>

#include <kvstore/client/client.hpp>

#include "client_impl.hpp"
#include "codec.hpp"
#include "item_lines.hpp"
#include "query.hpp"
#include "request_id.hpp"
#include "text.hpp"

namespace kvstore::client {
namespace {

constexpr size_t kServersMax = 64;
constexpr uint64_t kPageItems = 1000;

std::string key_target(std::string_view key) {
  return kApi + "/kv/" + percent_encode(key);
}

std::string quoted(uint64_t revision) {
  return '"' + std::to_string(revision) + '"';
}

void add_condition(const Condition& condition, Headers& headers) {
  if (condition.mod_revision) headers.emplace_back("If-Match", quoted(*condition.mod_revision));
  if (condition.absent) headers.emplace_back("If-None-Match", "*");
}

std::string lifetime_query(const Lifetime& lifetime) {
  std::string query;
  if (lifetime.lease != 0) query += "&lease=" + std::to_string(lifetime.lease);
  if (lifetime.ttl.count() != 0) query += "&ttl=" + std::to_string(lifetime.ttl.count()) + "ms";
  return query;
}

std::string lease_target(uint64_t id) {
  return kApi + "/leases/" + std::to_string(id);
}

std::string list_query(const ListOptions& options, uint64_t limit) {
  std::string query = read_query(options.read);
  if (!options.prefix.empty()) query += "&prefix=" + percent_encode(options.prefix);
  if (limit != 0) query += "&limit=" + std::to_string(limit);
  if (options.keys_only) query += "&keys_only=true";
  if (options.reverse) query += "&reverse=true";
  return query;
}

Result<Lease> lease_answer(const Answer& answer) {
  auto lease = parse_lease(answer.response.body);
  if (!lease) return malformed(answer.info, "lease");
  lease->info = answer.info;
  return std::move(*lease);
}

}  // namespace

ValueSource ValueSource::of(std::string_view value) {
  return {value.size(), [value](uint64_t offset, char* buffer, size_t capacity) {
            const size_t count = std::min(capacity, value.size() - static_cast<size_t>(offset));
            std::memcpy(buffer, value.data() + offset, count);
            return count;
          }};
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Result<Client> Client::create(const ClientOptions& options) {
  if (options.servers.empty()) return invalid_argument("no server is given");
  if (options.servers.size() > kServersMax) {
    return invalid_argument("more than " + std::to_string(kServersMax) + " servers are given");
  }
  if (options.timeout < std::chrono::milliseconds(1) || options.timeout > std::chrono::hours(1)) {
    return invalid_argument("the timeout is not between 1 ms and 1 h");
  }
  std::vector<Endpoint> endpoints;
  for (const std::string& server : options.servers) {
    auto endpoint = parse_endpoint(server);
    if (!endpoint) return endpoint.error();
    endpoints.push_back(std::move(*endpoint));
  }
  return Client(std::make_unique<Impl>(std::move(endpoints), options));
}

void Client::limit_calls(CallLimits limits) {
  impl_->set_limits(std::move(limits));
}

Result<PutResult> Client::put(std::string_view key, const ValueSource& value,
                              const Condition& condition, const Lifetime& lifetime,
                              std::string_view request_id) {
  if (key.empty()) return invalid_argument("the key is empty");
  if (lifetime.lease != 0 && lifetime.ttl.count() != 0) {
    return invalid_argument("a key has either a lease or a TTL");
  }
  Call call = write_call("PUT", with_query(key_target(key), lifetime_query(lifetime)));
  call.request.headers.emplace_back("Content-Type", "application/octet-stream");
  add_condition(condition, call.request.headers);
  if (auto error = impl_->identify(&call, request_id)) return *error;
  call.request.body = &value;
  auto answer = impl_->run(call);
  if (!answer) return answer.error();
  return PutResult{answer->info.revision, answer->info};
}

Result<PutResult> Client::put(std::string_view key, std::string_view value,
                              const Condition& condition, const Lifetime& lifetime,
                              std::string_view request_id) {
  return put(key, ValueSource::of(value), condition, lifetime, request_id);
}

Result<GetResult> Client::get(std::string_view key, const ReadOptions& options) {
  if (key.empty()) return invalid_argument("the key is empty");
  Call call = read_call(with_query(key_target(key), read_query(options)));
  call.request.headers.emplace_back("Accept", "application/json");
  auto answer = impl_->run(call);
  if (!answer) return answer.error();
  auto item = parse_item(answer->response.body);
  if (!item) return malformed(answer->info, "key with a value");
  return GetResult{std::move(*item), answer->info};
}

Result<GetResult> Client::get(std::string_view key, const ReadOptions& options,
                              const ValueSink& sink) {
  if (key.empty()) return invalid_argument("the key is empty");
  Call call = read_call(with_query(key_target(key), read_query(options)));
  call.request.headers.emplace_back("Accept", "application/octet-stream");
  call.request.sink = sink;
  call.request.on_size = options.on_size;
  auto answer = impl_->run(call);
  if (!answer) return answer.error();
  GetResult result;
  result.item.key = key;
  result.item.mod_revision = read_etag(answer->response);
  result.info = answer->info;
  return result;
}

Result<DeleteResult> Client::del(std::string_view key, const Condition& condition,
                                 std::string_view request_id) {
  if (key.empty()) return invalid_argument("the key is empty");
  Call call = write_call("DELETE", key_target(key));
  add_condition(condition, call.request.headers);
  if (auto error = impl_->identify(&call, request_id)) return *error;
  auto answer = impl_->run(call);
  if (!answer) return answer.error();
  const auto document = parse_object(answer->response.body);
  if (!document) return malformed(answer->info, "result of a delete");
  return DeleteResult{get_number(*document, "deleted"), answer->info};
}

Result<ListResult> Client::list(const ListOptions& options, const ItemSink& sink) {
  ListResult result;
  std::string cursor;
  while (true) {
    const uint64_t left = options.limit == 0 ? kPageItems : options.limit - result.count;
    std::string query = list_query(options, std::min(left, kPageItems));
    if (!cursor.empty()) query += "&cursor=" + percent_encode(cursor);
    auto answer = impl_->run(read_call(with_query(kApi + "/kv", std::move(query))));
    if (!answer) return answer.error();
    auto page = parse_page(answer->response.body);
    if (!page) return malformed(answer->info, "list of keys");
    result.info = answer->info;
    for (const Item& item : page->items) {
      if (!sink(item)) return Error{ErrorKind::kCancelled, "cancelled", "stopped by the caller"};
      ++result.count;
    }
    if (page->cursor.empty()) return result;
    if (page->cursor == cursor)
      return malformed(answer->info, "new page (the cursor stands still)");
    cursor = std::move(page->cursor);
    result.more = options.limit != 0 && result.count >= options.limit;
    if (result.more) return result;
  }
}

Result<WatchEnd> Client::watch(const WatchOptions& options, const ChangeSink& sink) {
  if (!options.key.empty() && !options.prefix.empty()) {
    return invalid_argument("a watch has a key or a prefix, not both");
  }
  if (options.patience < std::chrono::milliseconds(1) ||
      options.silence < std::chrono::milliseconds(1)) {
    return invalid_argument("patience and silence of a watch are 1 ms or more");
  }
  return impl_->watch(options, sink);
}

Result<Lease> Client::grant_lease(std::chrono::milliseconds ttl, uint64_t id) {
  Json document = {{"ttl", std::to_string(ttl.count()) + "ms"}};
  if (id != 0) document["id"] = id;
  auto answer = impl_->run_json(write_call("POST", kApi + "/leases"), document);
  if (!answer) return answer.error();
  return lease_answer(*answer);
}

Result<Lease> Client::keep_alive(uint64_t id) {
  // Repeating it does no harm, so that it counts as a read.
  Call call = read_call(lease_target(id) + "/keepalive");
  call.request.method = "POST";
  auto answer = impl_->run(call);
  if (!answer) return answer.error();
  return lease_answer(*answer);
}

Result<Lease> Client::get_lease(uint64_t id) {
  auto answer = impl_->run(read_call(lease_target(id)));
  if (!answer) return answer.error();
  return lease_answer(*answer);
}

Result<RevokeResult> Client::revoke_lease(uint64_t id) {
  auto answer = impl_->run(write_call("DELETE", lease_target(id)));
  if (!answer) return answer.error();
  const auto document = parse_object(answer->response.body);
  if (!document) return malformed(answer->info, "result of revoking a lease");
  return RevokeResult{get_number(*document, "deleted"), answer->info};
}

Result<LeaseList> Client::list_leases() {
  LeaseList list;
  while (true) {
    const uint64_t after = list.leases.empty() ? 0 : list.leases.back().id;
    auto answer = impl_->run(read_call(kApi + "/leases?after=" + std::to_string(after)));
    if (!answer) return answer.error();
    auto page = parse_leases(answer->response.body);
    if (!page) return malformed(answer->info, "list of leases");
    list.info = answer->info;
    for (Lease& lease : page->leases) {
      if (lease.id <= after) return malformed(answer->info, "list of leases in order");
      list.leases.push_back(std::move(lease));
    }
    if (!page->more || page->leases.empty()) return list;
  }
}

Result<ListResult> Client::stream(const ListOptions& options, const ItemSink& sink) {
  ItemLines lines(&sink);
  Call call = read_call(with_query(kApi + "/kv", list_query(options, options.limit)));
  call.request.headers.emplace_back("Accept", "application/x-ndjson");
  call.request.progress_extends = true;
  bool again = false;
  call.request.sink = [&](uint64_t offset, std::string_view bytes) {
    // Another server begins anew: harmless as long as nothing was delivered.
    if (offset == 0 && lines.count() == 0) lines = ItemLines(&sink);
    again = offset == 0 && lines.count() > 0;
    return !again && lines.take(bytes);
  };
  auto answer = impl_->run(call);
  if (lines.error()) return *lines.error();
  if (again || (answer && !lines.ended())) {
    return Error{ErrorKind::kUnreachable, "connection_lost",
                 "the stream was cut after " + std::to_string(lines.count()) + " keys"};
  }
  if (!answer) return answer.error();
  ListResult result{lines.count(), lines.more(), answer->info};
  result.info.revision = lines.revision();
  return result;
}

Result<ClusterStatus> Client::status() {
  auto answer = impl_->run(read_call(kApi + "/cluster/status"));
  if (!answer) return answer.error();
  auto status = parse_status(answer->response.body);
  if (!status) return malformed(answer->info, "cluster status");
  status->info = answer->info;
  return std::move(*status);
}

Result<AddResult> Client::add_member(const std::string& name, const std::string& address,
                                     bool learner) {
  Json document = {{"node_id", name}, {"address", address}};
  if (learner) document["learner"] = true;
  auto answer = impl_->run_json(write_call("POST", kApi + "/cluster/nodes"), document);
  if (!answer) return answer.error();
  auto added = parse_add(answer->response.body);
  if (!added) return malformed(answer->info, "result of adding a member");
  added->info = answer->info;
  return std::move(*added);
}

Result<AddResult> Client::promote_member(const std::string& name) {
  const auto now = status();
  if (!now) return now.error();
  for (const Member& member : now->members) {
    // Admitting it again is what gives it a vote.
    if (member.node_id == name) return add_member(name, member.address, false);
  }
  return Error{ErrorKind::kNotFound, "not_a_member", "no member has this name"};
}

Result<AnswerInfo> Client::remove_member(const std::string& name, bool force) {
  if (name.empty()) return invalid_argument("the member's name is empty");
  const std::string target = kApi + "/cluster/nodes/" + percent_encode(name);
  auto answer = impl_->run(write_call("DELETE", target + (force ? "?force=true" : "")));
  if (!answer) return answer.error();
  return answer->info;
}

Result<AnswerInfo> Client::transfer_leader(const std::string& name) {
  auto answer = impl_->run_json(write_call("POST", kApi + "/cluster/leader"), {{"node_id", name}});
  if (!answer) return answer.error();
  return answer->info;
}

Result<Health> Client::health() {
  Call call = read_call(kApi + "/health");
  call.accepted_status = 503;
  auto answer = impl_->run(call);
  if (!answer) return answer.error();
  auto health = parse_health(answer->response.body);
  if (!health) return malformed(answer->info, "health document");
  health->info = answer->info;
  return std::move(*health);
}

Result<std::string> Client::metrics() {
  auto answer = impl_->run(read_call(kApi + "/metrics"));
  if (!answer) return answer.error();
  return std::move(answer->response.body);
}

}  // namespace kvstore::client
