// test::Cluster: several server processes and what a test wants to know of them together.
#include "support/cluster.hpp"

#include <algorithm>
#include <iostream>

#include <doctest/doctest.h>
#include <unistd.h>

namespace kvstore::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

// True from the first failed assertion of the running test case.
std::atomic<bool> g_failed = false;

class FailureListener : public doctest::IReporter {
 public:
  explicit FailureListener(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_start(const doctest::TestCaseData&) override { g_failed = false; }
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override { g_failed = true; }
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData& data) override {
    if (data.m_failed) g_failed = true;
  }
  void log_message(const doctest::MessageData& data) override {
    if ((data.m_severity & doctest::assertType::is_warn) == 0) g_failed = true;
  }
  void test_case_skipped(const doctest::TestCaseData&) override {}
};

REGISTER_LISTENER("failures", 1, FailureListener);

std::string tail(const std::string& text, size_t bytes) {
  if (text.size() <= bytes) return text;
  const size_t begin = text.find('\n', text.size() - bytes);
  return "...\n" + text.substr(begin == std::string::npos ? text.size() - bytes : begin + 1);
}

}  // namespace

bool test_failed() {
  return g_failed || std::uncaught_exceptions() > 0;
}

Cluster::Cluster(const std::string& case_name) {
  std::string name = (fs::temp_directory_path() / ("kvs-" + case_name + "-XXXXXX")).string();
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  dir_ = name;
}

Cluster::~Cluster() {
  for (auto& node : nodes_) node->kill();
  if (test_failed()) {
    std::cerr << "Data and logs of the failed test are kept in " << dir_.string() << "\n" << logs();
    return;
  }
  std::error_code ignored;
  fs::remove_all(dir_, ignored);
}

std::string Cluster::logs() const {
  std::string out;
  for (const auto& node : nodes_) {
    out += "---- " + node->name() + " (" + node->url() + ")\n" + tail(node->log(), 4000) + "\n";
  }
  return out;
}

Node& Cluster::make_node(const std::string& engine, const std::string& name) {
  const std::string own = name.empty() ? "node" + std::to_string(nodes_.size() + 1) : name;
  nodes_.push_back(std::make_unique<Node>(own, dir_, engine));
  return *nodes_.back();
}

std::vector<std::string> Cluster::urls() const {
  std::vector<std::string> out;
  for (const auto& node : nodes_) out.push_back(node->url());
  return out;
}

std::vector<Node*> Cluster::running() {
  std::vector<Node*> out;
  for (auto& node : nodes_) {
    if (node->is_running()) out.push_back(node.get());
  }
  return out;
}

void Cluster::set_boot_flags() {
  std::string peers;
  for (auto& node : nodes_) {
    node->set_flags(peers.empty() ? Flags{"--bootstrap"} : Flags{"--peers", peers});
    peers += (peers.empty() ? "" : ",") + node->raft_address();
  }
}

void Cluster::boot(size_t count, const std::string& engine) {
  for (size_t i = 0; i < count; ++i) make_node(engine);
  boot();
}

void Cluster::boot() {
  set_boot_flags();
  for (auto& node : nodes_) node->start();
  wait_healthy(*nodes_[0]);
  for (size_t i = 1; i < nodes_.size(); ++i) admit(*nodes_[i]);
  for (auto& node : nodes_) wait_healthy(*node);
}

void Cluster::admit(Node& node) {
  auto all = client();
  (void)all.add_member(node.name(), node.raft_address(), false);
  wait_until(node.name() + " to become a voter", [&] { return role_of(node.name()) == "voter"; });
}

void Cluster::wait_until(const std::string& what, const std::function<bool()>& done,
                         milliseconds limit) {
  if (poll_until(limit, done)) return;
  FAIL("waited " << limit.count() << " ms in vain for " << what);
}

Node& Cluster::leader() {
  Node* found = nullptr;
  wait_until("a leader", [&] {
    for (Node* node : running()) {
      const auto status = node->client(milliseconds(1000)).status();
      if (status && status->leader == node->name() && status->node_id == node->name()) {
        found = node;
        return true;
      }
    }
    return false;
  });
  return *found;
}

void Cluster::wait_caught_up(const std::vector<Node*>& nodes) {
  for (Node* node : nodes) {
    wait_until(node->name() + " to catch up", [&] {
      const auto of_leader = leader().client(milliseconds(1000)).status();
      const auto own = node->client(milliseconds(1000)).status();
      if (!of_leader || !own || own->applied_index < of_leader->commit_index) return false;
      const auto health = node->client(milliseconds(1000)).health();
      return health && health->ok;
    });
  }
}

void Cluster::wait_healthy(Node& node) {
  wait_until(node.name() + " to become healthy", [&] {
    REQUIRE_MESSAGE(node.is_running(), node.name() << " has ended");
    const auto health = node.client(milliseconds(1000)).health();
    return health && health->ok;
  });
}

std::string Cluster::role_of(const std::string& name) {
  const auto status = leader().client(milliseconds(2000)).status();
  if (!status) return "?";
  for (const client::Member& member : status->members) {
    if (member.node_id == name) return member.role;
  }
  return "";
}

client::Client Cluster::client(milliseconds timeout) const {
  client::ClientOptions options;
  options.servers = urls();
  options.timeout = timeout;
  auto client = client::Client::create(options);
  REQUIRE(client);
  return std::move(*client);
}

void Cluster::put(const std::string& key, const std::string& value) {
  auto all = client();
  wait_until("the put of " + key, [&] {
    const auto result = all.put(key, value);
    const bool unknown = !result && result.error().kind == client::ErrorKind::kUnknownOutcome;
    REQUIRE_MESSAGE((result || unknown), result.error().message);
    return !unknown;
  });
}

std::string Cluster::get(Node& node, const std::string& key) {
  const auto result = node.client(std::chrono::seconds(15)).get(key);
  REQUIRE_MESSAGE(result, node.name() << ": " << result.error().message);
  return result->item.value;
}

std::map<std::string, std::string> Cluster::read_all(Node& node, const std::string& prefix) {
  std::map<std::string, std::string> out;
  client::ListOptions options;
  options.prefix = prefix;
  options.limit = 0;
  const auto result =
      node.client(std::chrono::seconds(30)).list(options, [&](const client::Item& item) {
        out[item.key] = item.value;
        return true;
      });
  REQUIRE_MESSAGE(result, node.name() << ": " << result.error().message);
  return out;
}

Load::Load(const Cluster& cluster, std::string prefix, size_t writers, size_t value_bytes)
    : prefix_(std::move(prefix)), value_bytes_(value_bytes), servers_(cluster.urls()) {
  for (size_t i = 0; i < writers; ++i) threads_.emplace_back([this, i] { write(i); });
}

Load::~Load() {
  stop();
}

void Load::stop() {
  stopping_ = true;
  for (auto& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void Load::write(size_t writer) {
  client::ClientOptions options;
  options.servers = servers_;
  // Each writer begins with another node.
  std::rotate(options.servers.begin(),
              options.servers.begin() + static_cast<ptrdiff_t>(writer % servers_.size()),
              options.servers.end());
  options.timeout = std::chrono::seconds(5);
  auto client = client::Client::create(options);
  for (uint32_t i = 0; client && !stopping_; ++i) {
    const std::string key = prefix_ + std::to_string(writer) + "/" + std::to_string(i);
    const std::string value = pattern(value_bytes_, static_cast<uint32_t>(writer) * 1'000'003 + i);
    const auto result = client->put(key, value);
    if (!result && result.error().kind == client::ErrorKind::kUnreachable) {
      std::this_thread::sleep_for(milliseconds(20));
    }
    const std::lock_guard lock(mutex_);
    if (result) {
      acknowledged_[key] = value;
      ++count_;
    } else if (result.error().kind == client::ErrorKind::kUnknownOutcome) {
      unknown_[key] = value;
    }
  }
}

void Load::verify(const std::map<std::string, std::string>& found) const {
  const std::lock_guard lock(mutex_);
  size_t lost = 0, wrong = 0, invented = 0;
  std::string example;
  const auto note = [&](size_t& counter, const std::string& key) {
    if (counter++ == 0) example += " " + key;
  };
  for (const auto& [key, value] : acknowledged_) {
    const auto it = found.find(key);
    if (it == found.end()) {
      note(lost, key);
    } else if (it->second != value) {
      note(wrong, key);
    }
  }
  for (const auto& [key, value] : found) {
    if (acknowledged_.count(key) != 0) continue;
    const auto it = unknown_.find(key);
    if (it == unknown_.end() || it->second != value) note(invented, key);
  }
  CAPTURE(example);
  CAPTURE(acknowledged_.size());
  CHECK(lost == 0);
  CHECK(wrong == 0);
  CHECK(invented == 0);
}

}  // namespace kvstore::test
