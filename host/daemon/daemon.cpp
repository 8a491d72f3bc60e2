#include "host/daemon/daemon.hpp"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.hpp"
#include "host/command_line.hpp"
#include "host/daemon/server_options.hpp"
#include "host/loader.hpp"
#include "host/log_levels.hpp"
#include "host/log_spdlog.hpp"
#include "host/metrics.hpp"
#include "host/services.hpp"

namespace kvstore::host {
namespace {

constexpr unsigned kStopSecondsMax = 5;
constexpr unsigned kLastWordsSecondsMax = 1;

int complain(const std::string& message, int exit_code) {
  std::fprintf(stderr, "kvstore-server: %s\n", message.c_str());
  return exit_code;
}

int list_plugins(const Config& config, Services* services) {
  Loader loader(config.plugin_dir, services);
  int exit_code = 0;
  for (const std::string& name : loader.available()) {
    Result<PluginInfo> info = loader.inspect(name);
    if (!info) {
      exit_code = complain(info.status().message(), 1);
      continue;
    }
    std::string interfaces;
    for (const auto& i : info->interfaces) interfaces += (interfaces.empty() ? "" : ", ") + i.id;
    std::printf("%-20s %-10s %s\n  %s\n  %s\n", name.c_str(), info->version.c_str(),
                interfaces.c_str(), info->summary.c_str(), info->path.c_str());
  }
  return exit_code;
}

// The server that stops, for the handler of SIGALRM.
std::atomic<const node::runtime::Server*> stopping_server{nullptr};

void complain_from_handler(const char* text) {
  const ssize_t ignored = write(STDERR_FILENO, text, std::strlen(text));
  static_cast<void>(ignored);
}

void exit_late(int) {
  // The disk that stands still may be the one that takes this text: then a second alarm ends it.
  signal(SIGALRM, [](int) { _exit(1); });
  alarm(kLastWordsSecondsMax);
  complain_from_handler("kvstore-server: stopping took too long, exiting; it waited for ");
  complain_from_handler(stopping_server.load()->stop_step());
  complain_from_handler("\n");
  _exit(1);
}

// Whatever hangs at the end must not keep a supervisor waiting: what was acknowledged is on disk.
void stop_in_time(node::runtime::Server* server) {
  stopping_server = server;
  struct sigaction action {};
  action.sa_handler = exit_late;
  action.sa_flags = SA_NODEFER;
  sigaction(SIGALRM, &action, nullptr);
  alarm(kStopSecondsMax);
  server->stop();
}

// Connections and table files need more descriptors than the usual soft limit of 1,024; Linux's
// reason for it, select(), is not used here.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    KVS_LOG(kWarn, "server", "the limit of open files was not raised: {}", std::strerror(errno));
  }
}

// Serves until a signal or a fatal error.
int serve(node::runtime::ServerOptions options) {
  raise_descriptor_limit();
  boost::asio::io_context loop(1);
  std::atomic<bool> failed{false};
  options.on_fatal = [&](const Status&) {
    failed = true;
    boost::asio::post(loop, [&] { loop.stop(); });
  };
  // Before any thread starts, so that all of them inherit nothing that could take the signals.
  boost::asio::signal_set signals(loop, SIGTERM, SIGINT, SIGHUP);
  signals.async_wait([&](const boost::system::error_code& error, int number) {
    if (error) return;
    KVS_LOG(kInfo, "server", "signal {}: stopping", number);
    loop.stop();
  });

  node::runtime::Server server(std::move(options));
  if (Status s = server.start(); !s) {
    stop_in_time(&server);
    return complain(s.message(), 1);
  }
  for (const auto& [name, address] : server.api_addresses()) {
    KVS_LOG(kInfo, "server", "ready api={} address={} raft={}", name, address,
            server.raft_address());
  }
  loop.run();
  stop_in_time(&server);
  KVS_LOG(kInfo, "server", "stopped");
  return failed ? 1 : 0;
}

int run(const CommandLine& line) {
  const Config& config = line.config;
  Result<LogLevels> levels = parse_log_levels(config.log_level);
  if (!levels) return complain(levels.status().message(), kExitUsage);
  // A question gets its answer and no story.
  if (line.action != Action::kRun) levels = parse_log_levels("warn");
  SpdlogSink sink(std::move(*levels), config.node_id);
  set_log_sink(&sink);
  Metrics metrics;
  Services services(KVS_VERSION, &metrics,
                    [](const std::string& instance, Code, const std::string& message) {
                      // The instance fails its calls from now on, which stops the node; here it is
                      // only told.
                      KVS_LOG(kError, "server", "plugin {}: {}", instance, message);
                    });
  int exit_code = 0;
  if (line.action == Action::kListPlugins) {
    exit_code = list_plugins(config, &services);
  } else {
    Loader loader(config.plugin_dir, &services);
    auto options = make_server_options(config, &loader, &services, &metrics, KVS_VERSION);
    if (!options) {
      exit_code = complain(line.config_prefix + options.status().message(), kExitUsage);
    } else if (line.action == Action::kCheckConfig) {
      std::printf("the configuration is valid\n");
    } else {
      for (const std::string& warning : config.warnings) KVS_LOG(kWarn, "config", "{}", warning);
      exit_code = serve(std::move(*options));
    }
    loader.unload_all();
  }
  sink.flush();
  set_log_sink(nullptr);
  return exit_code;
}

}  // namespace

int run_daemon(const std::vector<std::string>& arguments) {
  signal(SIGPIPE, SIG_IGN);
  Result<CommandLine> line = parse_command_line(
      arguments, [](const char* name) -> const char* { return std::getenv(name); },
      program_directory(), KVS_VERSION);
  if (!line) return complain(line.status().message(), kExitUsage);
  switch (line->action) {
    case Action::kExit:
      std::fputs(line->output.c_str(), stdout);
      return 0;
    case Action::kPrintConfig:
      std::printf("%s\n", to_json(line->config).c_str());
      return 0;
    default:
      return run(*line);
  }
}

}  // namespace kvstore::host
