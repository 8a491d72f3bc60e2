// test::Node: one server process.
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>

#include <Poco/Exception.h>
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/String.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cluster.hpp"

namespace kvstore::test {
namespace {

using std::chrono::milliseconds;

std::string server_program() {
  const char* given = std::getenv("KVS_SERVER");
  return given != nullptr ? given : KVS_SERVER_DEFAULT;
}

// Between fork and exec: only calls that are safe there.
[[noreturn]] void become_server(const std::vector<char*>& argv,
                                const std::vector<char*>& environment, int log, int network) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (network >= 0 && ::setns(network, CLONE_NEWNET) != 0) ::_exit(126);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::execve(argv[0], argv.data(), environment.data());
  ::_exit(127);
}

// Pointers to the texts, and the null at the end.
std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// The test's own environment with these variables in place of its own.
std::vector<std::string> environment_with(const std::map<std::string, std::string>& variables) {
  std::vector<std::string> out;
  for (char** entry = ::environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (variables.count(text.substr(0, text.find('='))) == 0) out.push_back(text);
  }
  for (const auto& [name, value] : variables) out.push_back(name + "=" + value);
  return out;
}

}  // namespace

bool poll_until(milliseconds limit, const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(50));
  }
  return true;
}

uint16_t free_port() {
  static std::mt19937 random(std::random_device{}());
  static std::set<uint16_t> taken;
  std::uniform_int_distribution<int> any(12'000, 31'000);
  while (true) {
    const auto port = static_cast<uint16_t>(any(random));
    if (taken.count(port) != 0) continue;
    try {
      const Poco::Net::ServerSocket probe(Poco::Net::SocketAddress("127.0.0.1", port));
      taken.insert(port);
      return port;
    } catch (const Poco::Exception&) {
      // Somebody uses it.
    }
  }
}

std::string pattern(size_t bytes, uint32_t seed) {
  std::string out(bytes, '\0');
  uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
  for (size_t i = 0; i < bytes; ++i) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    out[i] = static_cast<char>(state);
  }
  return out;
}

Node::Node(std::string name, std::filesystem::path dir, std::string engine)
    : name_(std::move(name)),
      dir_(std::move(dir)),
      data_dir_(dir_ / name_),
      engine_(std::move(engine)),
      http_port_(free_port()),
      raft_port_(free_port()),
      places_{{"--node-id", name_},
              {"--bind-address", raft_address()},
              {"--http-port", std::to_string(http_port_)},
              {"--data-dir", data_dir().string()}} {
  set("checked=true");
}

Node::~Node() {
  kill();
}

std::string Node::log() const {
  std::ifstream in(log_file(), std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void Node::set(const std::string& key_value) {
  settings_.push_back("--set");
  settings_.push_back(key_value);
}

void Node::set_place(std::string host, int network) {
  host_ = std::move(host);
  network_ = network;
  places_["--bind-address"] = host_ + ":" + std::to_string(raft_port_);
  places_.erase("--http-port");
  set("apis.0.listen=" + host_ + ":" + std::to_string(http_port_));
}

void Node::set_advertised(std::string address) {
  advertised_ = std::move(address);
  places_["--advertise-address"] = advertised_;
}

void Node::set_data_dir(std::filesystem::path dir) {
  data_dir_ = std::move(dir);
  places_["--data-dir"] = data_dir_.string();
}

Flags Node::arguments() const {
  Flags out = {server_program()};
  for (const auto& [flag, value] : places_) out.insert(out.end(), {flag, value});
  if (engine_ != "leveldb") {
    out.push_back("--set");
    out.push_back("storage.plugin=storage-" + engine_);
  }
  out.insert(out.end(), settings_.begin(), settings_.end());
  out.insert(out.end(), flags_.begin(), flags_.end());
  return out;
}

void Node::start() {
  REQUIRE(pid_ == 0);
  Flags texts = arguments();
  std::vector<std::string> variables = environment_with(environment_);
  const std::vector<char*> argv = pointers(texts), environment = pointers(variables);
  const int log = ::open(log_file().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  REQUIRE(log >= 0);
  const pid_t child = ::fork();
  if (child == 0) become_server(argv, environment, log, network_);
  ::close(log);
  REQUIRE(child > 0);
  pid_ = child;
}

int Node::reap(bool block) {
  int status = 0;
  const pid_t got = ::waitpid(pid_, &status, block ? 0 : WNOHANG);
  if (got == pid_) {
    exit_code_ = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    pid_ = 0;
  }
  return exit_code_;
}

bool Node::is_running() {
  if (pid_ != 0) reap(false);
  return pid_ != 0;
}

int Node::wait_exit() {
  if (!poll_until(kPatience, [&] { return !is_running(); })) {
    kill();
    FAIL(name_ << " does not end:\n" << log());
  }
  return exit_code_;
}

int Node::stop() {
  REQUIRE(is_running());
  ::kill(pid_, SIGTERM);
  if (!poll_until(std::chrono::seconds(20), [&] { return !is_running(); })) {
    kill();
    FAIL(name_ << " does not end within 20 s of SIGTERM:\n" << log());
  }
  return exit_code_;
}

void Node::kill() {
  if (!is_running()) return;
  ::kill(pid_, SIGKILL);
  reap(true);
}

void Node::pause() {
  REQUIRE(is_running());
  ::kill(pid_, SIGSTOP);
}

void Node::resume() {
  REQUIRE(is_running());
  ::kill(pid_, SIGCONT);
}

void Node::wipe() {
  REQUIRE_FALSE(is_running());
  std::filesystem::remove_all(data_dir());
}

client::Client Node::client(milliseconds timeout) const {
  client::ClientOptions options;
  options.servers = {url()};
  options.timeout = timeout;
  auto client = client::Client::create(options);
  REQUIRE(client);
  return std::move(*client);
}

HttpAnswer Node::http(const std::string& method, const std::string& target, const std::string& body,
                      const std::map<std::string, std::string>& headers) const {
  HttpAnswer answer;
  try {
    Poco::Net::HTTPClientSession session(host_, http_port_);
    session.setTimeout(Poco::Timespan(30, 0));
    Poco::Net::HTTPRequest request(method, target, Poco::Net::HTTPMessage::HTTP_1_1);
    for (const auto& [name, value] : headers) request.set(name, value);
    request.setContentLength64(static_cast<int64_t>(body.size()));
    session.sendRequest(request) << body;
    Poco::Net::HTTPResponse response;
    std::istream& in = session.receiveResponse(response);
    answer.body.assign(std::istreambuf_iterator<char>(in), {});
    answer.status = static_cast<int>(response.getStatus());
    for (const auto& [name, value] : response) answer.headers[Poco::toLower(name)] = value;
  } catch (const Poco::Exception& e) {
    answer.body = e.displayText();
  }
  return answer;
}

}  // namespace kvstore::test
