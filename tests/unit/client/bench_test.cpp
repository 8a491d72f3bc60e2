// Goal: the load generator measures what it says: histograms, the schedule of an open loop, key
// distributions, answers, requests. Method: pure parts on a virtual clock and with fixed seeds; the
// expected numbers are computed by hand or by sorting.
#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <set>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "bench/answer_reader.hpp"
#include "bench/histogram.hpp"
#include "bench/keys.hpp"
#include "bench/pacer.hpp"
#include "bench/workload.hpp"

namespace kvstore::bench {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kSecond = 1'000'000'000;

TEST_CASE("a histogram knows every percentile to 1/1024") {
  Random random(7);
  std::vector<uint64_t> values;
  Histogram histogram;
  for (int i = 0; i < 20'000; ++i) {
    // From nanoseconds to minutes.
    const uint64_t value = random() >> (22 + random() % 40);
    values.push_back(value);
    histogram.record(value);
  }
  std::sort(values.begin(), values.end());
  for (const double percent : {0.01, 1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
    CAPTURE(percent);
    const auto rank = static_cast<size_t>(std::llround(percent * 200)) - 1;
    CHECK(histogram.percentile(percent) >= values[rank]);
    CHECK(histogram.percentile(percent) <= values[rank] + values[rank] / 1024);
  }
  CHECK(histogram.count() == 20'000);
  CHECK(histogram.min() == values.front());
  CHECK(histogram.max() == values.back());
  double sum = 0;
  for (const uint64_t value : values) sum += static_cast<double>(value);
  CHECK(histogram.mean() == doctest::Approx(sum / 20'000));
}

TEST_CASE("the ends of a histogram") {
  Histogram empty;
  CHECK(empty.percentile(99) == 0);
  CHECK(empty.mean() == 0);
  CHECK(empty.min() == 0);
  Histogram histogram;
  for (const uint64_t value : {uint64_t{0}, uint64_t{2047}, uint64_t{2048}, ~uint64_t{0}}) {
    histogram.record(value);
  }
  CHECK(histogram.percentile(25) == 0);
  CHECK(histogram.percentile(50) == 2047);
  CHECK(histogram.percentile(75) == 2049);  // the last value of its bucket
  CHECK(histogram.max() == Histogram::kValueMax);
  CHECK(histogram.percentile(100) == Histogram::kValueMax);
  Histogram merged;
  merged.record(5);
  merged.merge(histogram);
  merged.merge(empty);
  CHECK(merged.count() == 5);
  CHECK(merged.min() == 0);
  CHECK(merged.percentile(40) == 5);
}

Pacer::Plan open_plan(double rate, uint64_t warmup_ns, uint64_t duration_ns, uint64_t count = 0) {
  return {rate, warmup_ns, duration_ns, count};
}

TEST_CASE("an open loop is due at even intervals, however late it is asked") {
  Pacer pacer(open_plan(1000, 0, kSecond), 5 * kSecond);
  CHECK(pacer.next_ns(0) == 5 * kSecond);
  CHECK_FALSE(pacer.take(5 * kSecond - 1));
  std::vector<uint64_t> intended;
  while (const auto start = pacer.take(5 * kSecond + 10 * kMs)) {
    intended.push_back(start->intended_ns - 5 * kSecond);
  }
  REQUIRE(intended.size() == 11);
  for (size_t i = 0; i < intended.size(); ++i) CHECK(intended[i] == i * kMs);
  CHECK(pacer.next_ns(0) == 5 * kSecond + 11 * kMs);
}

TEST_CASE("an open loop of an odd rate does not drift") {
  Pacer pacer(open_plan(7, 0, 1000 * kSecond), 0);
  uint64_t count = 0, last = 0;
  while (const auto start = pacer.take(1000 * kSecond)) {
    ++count;
    last = start->intended_ns;
  }
  CHECK(count == 7000);
  CHECK(last == static_cast<uint64_t>(6999.0 / 7 * 1e9));
  CHECK(pacer.next_ns(0) == Pacer::kNever);
}

TEST_CASE("the warm-up is not measured, and the plan ends by time or by count") {
  Pacer timed(open_plan(10, kSecond, 2 * kSecond), 0);
  uint64_t measured = 0, taken = 0;
  while (const auto start = timed.take(100 * kSecond)) {
    ++taken;
    measured += start->measured ? 1 : 0;
    CHECK(start->measured == (start->intended_ns >= kSecond));
  }
  CHECK(taken == 30);
  CHECK(measured == 20);
  Pacer counted(open_plan(10, kSecond, 0, 5), 0);
  taken = 0;
  while (counted.take(100 * kSecond)) ++taken;
  CHECK(taken == 15);
  CHECK(counted.measured_count() == 5);
}

TEST_CASE("a closed loop begins whenever it is asked") {
  Pacer pacer(open_plan(0, kSecond, kSecond), 0);
  CHECK(pacer.next_ns(123) == 123);
  CHECK_FALSE(pacer.take(kSecond - 1)->measured);
  const auto start = pacer.take(kSecond);
  REQUIRE(start);
  CHECK(start->measured);
  CHECK(start->intended_ns == kSecond);
  CHECK_FALSE(pacer.take(2 * kSecond));
  CHECK(pacer.next_ns(2 * kSecond) == Pacer::kNever);
  CHECK(pacer.overdue(2 * kSecond) == 0);
}

TEST_CASE("requests that were due and not taken are known") {
  Pacer pacer(open_plan(1000, kSecond, kSecond), 0);
  for (int i = 0; i < 1250; ++i) REQUIRE(pacer.take(10 * kSecond));
  CHECK(pacer.overdue(kSecond + 300 * kMs) == 50);
  CHECK(pacer.overdue(10 * kSecond) == 750);
  Pacer untouched(open_plan(1000, kSecond, kSecond), 0);
  CHECK(untouched.overdue(kSecond / 2) == 0);
  CHECK(untouched.overdue(10 * kSecond) == 1000);
}

// A server with one connection that answers in 1 ms, but for one stall of 500 ms at 1 s.
Histogram latencies_of_stall(double rate) {
  Pacer pacer(open_plan(rate, 0, 2 * kSecond), 0);
  Histogram latencies;
  uint64_t now = 0;
  while (true) {
    const uint64_t next = pacer.next_ns(now);
    if (next == Pacer::kNever) return latencies;
    now = std::max(now, next);
    const auto start = pacer.take(now);
    REQUIRE(start);
    const bool stalled = now <= kSecond && now + kMs > kSecond;
    now += stalled ? 500 * kMs : kMs;
    latencies.record(now - start->intended_ns);
  }
}

TEST_CASE("a stall is charged to every request that it kept from being sent") {
  // 500 requests a second of 1 ms each: half of the time is free, so the 250 requests that were due
  // in the stall are worked off within another 500 ms.  Half of all requests see part of it.
  const Histogram open = latencies_of_stall(500);
  CHECK(open.count() == 1000);
  CHECK(open.percentile(40) <= 2 * kMs);
  CHECK(open.percentile(75) > 200 * kMs);
  CHECK(open.percentile(90) > 350 * kMs);
  CHECK(open.max() >= 499 * kMs);
  // A closed loop sends nothing in the stall, and so hardly sees it.
  const Histogram closed = latencies_of_stall(0);
  CHECK(closed.count() > 1400);
  CHECK(closed.percentile(99.9) <= kMs + kMs / 512);
}

// Pearson's statistic of observed counts against expected ones.
double chi_square(const std::vector<double>& observed, const std::vector<double>& expected) {
  double sum = 0;
  for (size_t i = 0; i < observed.size(); ++i) {
    sum += (observed[i] - expected[i]) * (observed[i] - expected[i]) / expected[i];
  }
  return sum;
}

TEST_CASE("zipfian ranks come as often as 1 / k^theta says") {
  constexpr uint64_t kRanks = 50;
  constexpr int kSamples = 200'000;
  for (const double theta : {0.2, 0.99, 1.0, 1.5}) {
    CAPTURE(theta);
    double norm = 0;
    for (uint64_t k = 1; k <= kRanks; ++k) norm += std::pow(static_cast<double>(k), -theta);
    std::vector<double> expected, observed(kRanks);
    for (uint64_t k = 1; k <= kRanks; ++k) {
      expected.push_back(kSamples * std::pow(static_cast<double>(k), -theta) / norm);
    }
    const Zipfian zipfian(kRanks, theta);
    Random random(11);
    for (int i = 0; i < kSamples; ++i) {
      const uint64_t rank = zipfian(random);
      REQUIRE(rank >= 1);
      REQUIRE(rank <= kRanks);
      observed[rank - 1] += 1;
    }
    // 49 degrees of freedom: 85.4 is exceeded once in a thousand times.
    CHECK(chi_square(observed, expected) < 85.4);
    // The next theta would be noticed.
    std::vector<double> other = expected;
    for (uint64_t k = 1; k <= kRanks; ++k) {
      other[k - 1] *= std::pow(static_cast<double>(k), -0.05);
    }
    double sum = 0;
    for (const double count : other) sum += count;
    for (double& count : other) count *= kSamples / sum;
    CHECK(chi_square(observed, other) > 85.4);
  }
}

TEST_CASE("one key and very many keys") {
  Random random(1);
  const Zipfian one(1, 0.99);
  for (int i = 0; i < 100; ++i) CHECK(one(random) == 1);
  const Zipfian many(1'000'000'000, 0.5);
  uint64_t largest = 0;
  for (int i = 0; i < 1000; ++i) largest = std::max(largest, many(random));
  CHECK(largest > 500'000'000);
  CHECK(largest <= 1'000'000'000);
}

TEST_CASE("uniform keys are even") {
  KeyChooser chooser(Distribution::kUniform, 100, 0.99);
  Random random(3);
  std::vector<double> observed(100), expected(100, 1000);
  for (int i = 0; i < 100'000; ++i) observed.at(chooser.next(random)) += 1;
  CHECK(chi_square(observed, expected) < 148.2);  // 99 degrees of freedom, one in a thousand
  CHECK(chi_square(observed, expected) > 50);     // too even is no chance either
}

TEST_CASE("sequential keys come in turn") {
  KeyChooser chooser(Distribution::kSequential, 3, 0.99);
  Random random(3);
  std::vector<uint64_t> seen;
  for (int i = 0; i < 7; ++i) seen.push_back(chooser.next(random));
  CHECK(seen == std::vector<uint64_t>{0, 1, 2, 0, 1, 2, 0});
}

TEST_CASE("the spread of zipfian ranks loses no key") {
  for (const uint64_t keys : {uint64_t{1}, uint64_t{2}, uint64_t{1000}, uint64_t{65'536}}) {
    const KeyChooser chooser(Distribution::kZipfian, keys, 0.99);
    std::set<uint64_t> indexes;
    for (uint64_t rank = 1; rank <= keys; ++rank) indexes.insert(chooser.index_of_rank(rank));
    CHECK(indexes.size() == keys);
    CHECK(*indexes.rbegin() == keys - 1);
  }
  // The most frequent key is the one of rank 1.
  KeyChooser chooser(Distribution::kZipfian, 1000, 0.99);
  Random random(5);
  std::map<uint64_t, int> counts;
  for (int i = 0; i < 20'000; ++i) ++counts[chooser.next(random)];
  const auto most =
      std::max_element(counts.begin(), counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  CHECK(most->first == chooser.index_of_rank(1));
}

TEST_CASE("requests are what the configuration says") {
  Config config;
  config.prefix = "a b/";
  config.percent = {25, 25, 25, 25};
  config.value_bytes_min = 10;
  config.value_bytes_max = 20;
  config.keys = 50;
  config.consistency = client::Consistency::kStale;
  Workload workload(config);
  CHECK(workload.key(42) == "a b/000000000042");
  std::array<int, kOperationCount> counts{};
  std::set<size_t> sizes;
  Request request;
  for (int i = 0; i < 4000; ++i) {
    workload.next("h:1", &request);
    ++counts[static_cast<size_t>(request.operation)];
    CAPTURE(request.head);
    CHECK(request.head.find("\r\nHost: h:1\r\n") != std::string::npos);
    CHECK(request.head.substr(request.head.size() - 4) == "\r\n\r\n");
    const bool is_put = request.operation == Operation::kPut;
    if (is_put) {
      sizes.insert(request.body.size());
      CHECK(request.head.rfind("PUT /api/v1/kv/a%20b%2F0000000000", 0) == 0);
      CHECK(request.head.find("Content-Length: " + std::to_string(request.body.size())) !=
            std::string::npos);
    } else {
      CHECK(request.body.empty());
    }
    const bool is_read =
        request.operation == Operation::kGet || request.operation == Operation::kList;
    CHECK((request.head.find("consistency=stale HTTP/1.1\r\n") != std::string::npos) == is_read);
  }
  for (const int count : counts) CHECK(std::abs(count - 1000) < 120);  // four standard deviations
  CHECK(sizes.size() == 11);
  CHECK(*sizes.begin() == 10);
  CHECK(*sizes.rbegin() == 20);
}

TEST_CASE("the same seed makes the same requests, another one others") {
  const auto heads = [](uint64_t seed) {
    Config config;
    config.seed = seed;
    config.percent = {50, 50, 0, 0};
    Workload workload(config);
    Request request;
    std::string out;
    for (int i = 0; i < 100; ++i) {
      workload.next("h:1", &request);
      out += request.head + std::string(request.body);
    }
    return out;
  };
  CHECK(heads(1) == heads(1));
  CHECK(heads(1) != heads(2));
}

TEST_CASE("a batch is puts of different keys in one request") {
  Config config;
  config.prefix = "p\xff";
  config.percent = {100, 0, 0, 0};
  config.distribution = Distribution::kZipfian;
  config.keys = 12;
  config.batch = 10;
  config.value_bytes_min = 0;
  config.value_bytes_max = 40;
  Workload workload(config);
  Request request;
  workload.next("h:1", &request);
  CHECK(request.operation == Operation::kPut);
  CHECK(request.body.empty());
  const size_t end = request.head.find("\r\n\r\n");
  REQUIRE(end != std::string::npos);
  const std::string body = request.head.substr(end + 4);
  CHECK(request.head.rfind("POST /api/v1/batch HTTP/1.1\r\nHost: h:1\r\n", 0) == 0);
  CHECK(request.head.find("\r\nContent-Length: " + std::to_string(body.size()) + "\r\n") !=
        std::string::npos);
  const auto document = nlohmann::json::parse(body);
  std::set<std::string> keys;
  for (const auto& operation : document["operations"]) {
    CHECK(operation["op"] == "put");
    keys.insert(operation["key_base64"]);
    CHECK(operation["value"].get<std::string>().size() <= 56);
  }
  CHECK(keys.size() == 10);
}

TEST_CASE("answers are read in pieces of any size") {
  const std::string answer =
      "HTTP/1.1 404 Not Found\r\nX: y\r\ncontent-length: 5\r\nConnection: close\r\n\r\nhello";
  for (size_t step = 1; step <= answer.size(); ++step) {
    CAPTURE(step);
    AnswerReader reader;
    for (size_t begin = 0; begin < answer.size(); begin += step) {
      const auto state = reader.feed(std::string_view(answer).substr(begin, step));
      const bool last = begin + step >= answer.size();
      REQUIRE(state == (last ? AnswerReader::State::kDone : AnswerReader::State::kMore));
    }
    CHECK(reader.status() == 404);
    CHECK(reader.closes());
    CHECK(reader.body_bytes() == 5);
    reader.reset();
    CHECK(reader.feed("HTTP/1.1 304 Not Modified\r\n\r\n") == AnswerReader::State::kDone);
    CHECK_FALSE(reader.closes());
  }
}

TEST_CASE("answers that are none are told apart") {
  for (const char* text :
       {"SSH-2.0\r\n\r\n", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nbad line\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab"}) {
    CAPTURE(text);
    AnswerReader reader;
    CHECK(reader.feed(text) == AnswerReader::State::kMalformed);
  }
  AnswerReader endless;
  AnswerReader::State state = AnswerReader::State::kMore;
  const std::string line(1000, 'x');
  for (int i = 0; i < 70 && state == AnswerReader::State::kMore; ++i) state = endless.feed(line);
  CHECK(state == AnswerReader::State::kMalformed);
}

}  // namespace
}  // namespace kvstore::bench
