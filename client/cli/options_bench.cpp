// The options of bench.
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>

#include "options_parser.hpp"

namespace kvstore::cli {
namespace {

template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

// Checks whole and decimal numbers, and keeps the first error.
class Checker {
 public:
  void whole(const char* option, const std::string& text, uint64_t min, uint64_t max,
             uint64_t* out) {
    const auto number = parse_number<uint64_t>(text);
    if (number && *number >= min && *number <= max) {
      *out = *number;
    } else {
      fail(option, text,
           "is no whole number from " + std::to_string(min) + " to " + std::to_string(max));
    }
  }

  void decimal(const char* option, const std::string& text, double min, double max,
               const char* range, double* out) {
    const auto number = parse_number<double>(text);
    if (number && *number >= min && *number <= max) {
      *out = *number;
    } else {
      fail(option, text, std::string("is no number from ") + range);
    }
  }

  void duration(const char* option, const std::string& text, bool zero,
                std::chrono::nanoseconds* out) {
    const auto parsed = parse_duration(text);
    if (parsed) {
      *out = *parsed;
    } else if (zero && (text == "0" || text == "0s")) {
      *out = std::chrono::nanoseconds(0);
    } else {
      fail(option, text,
           std::string("is no duration from ") + (zero ? "0" : "1ms") +
               " to 1h, such as 500ms or 10s");
    }
  }

  void fail(const char* option, const std::string& text, const std::string& why) {
    if (error_.empty()) error_ = std::string("bench: ") + option + ": '" + text + "' " + why;
  }

  const std::string& error() const { return error_; }

 private:
  std::string error_;
};

// "256" or "256..4096".
void convert_value_bytes(const std::string& text, bench::Config* config, Checker* check) {
  constexpr uint64_t kMax = uint64_t{64} << 20;
  const size_t dots = text.find("..");
  const auto min = parse_number<uint64_t>(text.substr(0, dots));
  const auto max = dots == std::string::npos ? min : parse_number<uint64_t>(text.substr(dots + 2));
  if (!min || !max || *min > *max || *max > kMax) {
    check->fail("--value-bytes", text,
                "is no size N or range MIN..MAX of sizes from 0 to " + std::to_string(kMax));
    return;
  }
  config->value_bytes_min = *min;
  config->value_bytes_max = *max;
}

// "put=10,get=90".
void convert_mix(const std::string& text, bench::Config* config, Checker* check) {
  config->percent = {};
  uint32_t sum = 0;
  bool good = true;
  for (size_t begin = 0; begin <= text.size() && good;) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, comma - begin);
    const size_t equal = std::min(part.find('='), part.size());
    const auto name = std::find(bench::kOperationNames.begin(), bench::kOperationNames.end(),
                                part.substr(0, equal));
    const auto percent = parse_number<uint32_t>(part.substr(std::min(equal + 1, part.size())));
    good = name != bench::kOperationNames.end() && percent && *percent <= 100;
    if (good) {
      auto& slot = config->percent[static_cast<size_t>(name - bench::kOperationNames.begin())];
      good = slot == 0;
      slot = *percent;
      sum += *percent;
    }
    begin = comma + 1;
  }
  if (good && sum == 100) return;
  check->fail("--mix", text,
              "is no list of put, get, delete and list, each at most once, with percentages that "
              "make 100, such as put=10,get=90");
}

void add_load_options(CLI::App& app, BenchTexts& texts) {
  const auto add = [&](const char* name, std::string& text, const char* help, const char* type) {
    return app.add_option(name, text, help)->type_name(type)->capture_default_str();
  };
  add("--connections", texts.connections,
      "Keep-alive connections, 1 to 10000, dealt out to the servers in turn; each has one request "
      "under way",
      "N");
  add("--rate", texts.rate,
      "Open loop: requests a second in all, above 0 to 10000000, at even intervals; latency counts "
      "from the moment a request was due. 0: closed loop, every connection as fast as it can",
      "N");
  texts.duration_option =
      add("--duration", texts.duration, "How long to measure, 1ms to 1h", "DURATION");
  add("--count", texts.count,
      "Measure this many requests instead, up to 1000000000; 0: measure for --duration", "N")
      ->excludes(texts.duration_option);
  add("--warmup", texts.warmup, "Load before measuring begins, 0 to 1h", "DURATION");
  add("--max-errors", texts.max_errors,
      "Exit code 1 when more than this share of the requests fails, 0 to 100", "PERCENT");
}

void add_data_options(CLI::App& app, BenchTexts& texts, Parsed& parsed) {
  const auto add = [&](const char* name, std::string& text, const char* help, const char* type) {
    return app.add_option(name, text, help)->type_name(type)->capture_default_str();
  };
  add("--mix", texts.mix,
      "Share of each operation in percent, 100 together: put, get, delete, list", "OP=N[,OP=N]");
  add("--keys", texts.keys, "Different keys, 1 to 1000000000", "N");
  add("--distribution", texts.distribution, "Which key comes next", "NAME")
      ->check(CLI::IsMember({"sequential", "uniform", "zipfian"}));
  add("--theta", texts.theta, "Skew of zipfian, 0.01 to 10; more is more uneven", "NUMBER");
  add("--value-bytes", texts.value_bytes,
      "Size of values in bytes, or the range of evenly spread sizes, 0 to 67108864", "N|MIN..MAX");
  add("--batch", texts.batch,
      "Puts of one request, 1 to 1000 and at most --keys; above 1 they are sent as one batch", "N");
  add("--list-limit", texts.list_limit, "Keys of one list, 1 to 1000", "N");
  app.add_option("--prefix", parsed.options.bench.prefix,
                 "What all keys begin with, at most 1024 bytes; the test writes and deletes below "
                 "it")
      ->type_name("TEXT")
      ->capture_default_str();
  app.add_flag("--request-ids", parsed.options.bench.request_ids,
               "Puts, deletes and batches carry a random Idempotency-Key each, as the client "
               "library's do");
  app.add_flag("--preload", parsed.options.preload, "First write every key once");
  add("--seed", texts.seed, "Of everything random, 0 to 18446744073709551615", "N");
}

}  // namespace

void add_bench_command(CLI::App& app, Parsed& parsed) {
  CLI::App& bench = add_command(app, parsed, Command::kBench, "bench",
                                "Load the servers and measure latencies and rates");
  add_load_options(bench, parsed.bench);
  add_data_options(bench, parsed.bench, parsed);
  add_consistency(bench, parsed);
  bench.footer(
      "--timeout is the time for one request, and for connecting.  Ctrl-C ends the test "
      "and reports.");
}

std::string convert_bench(Parsed& parsed) {
  const BenchTexts& texts = parsed.bench;
  bench::Config& config = parsed.options.bench;
  Checker check;
  uint64_t connections = 0;
  check.whole("--connections", texts.connections, 1, 10'000, &connections);
  config.connections = connections;
  check.decimal("--rate", texts.rate, 0, 1e7, "0 to 10000000", &config.rate);
  check.duration("--duration", texts.duration, false, &config.duration);
  check.duration("--warmup", texts.warmup, true, &config.warmup);
  check.whole("--count", texts.count, 0, 1'000'000'000, &config.count);
  check.whole("--keys", texts.keys, 1, 1'000'000'000, &config.keys);
  check.decimal("--theta", texts.theta, 0.01, 10, "0.01 to 10", &config.theta);
  check.whole("--batch", texts.batch, 1, std::min<uint64_t>(1000, config.keys), &config.batch);
  check.whole("--list-limit", texts.list_limit, 1, 1000, &config.list_limit);
  check.whole("--seed", texts.seed, 0, ~uint64_t{0}, &config.seed);
  check.decimal("--max-errors", texts.max_errors, 0, 100, "0 to 100",
                &parsed.options.max_error_percent);
  if (config.prefix.size() > 1024) check.fail("--prefix", config.prefix, "is too long");
  convert_value_bytes(texts.value_bytes, &config, &check);
  convert_mix(texts.mix, &config, &check);
  if (texts.distribution == "sequential") config.distribution = bench::Distribution::kSequential;
  if (texts.distribution == "zipfian") config.distribution = bench::Distribution::kZipfian;
  return check.error();
}

}  // namespace kvstore::cli
