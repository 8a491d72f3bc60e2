#include "bench_report.hpp"

#include <cmath>
#include <cstdio>

namespace kvstore::cli {
namespace {

using bench::Config;
using bench::Histogram;
using bench::Results;

struct Percentile {
  const char* title;
  const char* field;
  double percent;
};
constexpr Percentile kPercentiles[] = {
    {"P50", "p50", 50}, {"P90", "p90", 90}, {"P99", "p99", 99}, {"P99.9", "p99.9", 99.9}};

std::string fixed(double number, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, number);
  return text;
}

std::string milliseconds(double ns) {
  return fixed(ns / 1e6, 3);
}

double microseconds(double ns) {
  return std::round(ns) / 1e3;
}

double rate_of(uint64_t count, const Results& results) {
  return results.seconds > 0 ? static_cast<double>(count) / results.seconds : 0;
}

void add_row(const char* name, const Histogram& latency, const Results& results, Table* table) {
  std::vector<Cell> row = {{name, Colour::kStrong},
                           {std::to_string(latency.count())},
                           {fixed(rate_of(latency.count(), results), 1)},
                           {milliseconds(latency.mean())}};
  for (const Percentile& p : kPercentiles) {
    row.push_back({milliseconds(static_cast<double>(latency.percentile(p.percent)))});
  }
  row.push_back({milliseconds(static_cast<double>(latency.max()))});
  table->add(std::move(row));
}

Json latency_document(const Histogram& latency, const Results& results) {
  Json out = {{"count", latency.count()}, {"rate", rate_of(latency.count(), results)}};
  Json numbers = {{"min", microseconds(static_cast<double>(latency.min()))},
                  {"mean", microseconds(latency.mean())}};
  for (const Percentile& p : kPercentiles) {
    numbers[p.field] = microseconds(static_cast<double>(latency.percentile(p.percent)));
  }
  numbers["max"] = microseconds(static_cast<double>(latency.max()));
  out["latency_us"] = std::move(numbers);
  return out;
}

}  // namespace

void print_bench_table(const Config& config, const Results& results, std::ostream& out,
                       bool colours) {
  std::vector<std::string> titles = {"OPERATION", "COUNT", "RATE/s", "MEAN ms"};
  for (const Percentile& p : kPercentiles) titles.emplace_back(p.title);
  titles.emplace_back("MAX");
  Table table(std::move(titles));
  uint64_t misses = 0;
  for (size_t i = 0; i < bench::kOperationCount; ++i) {
    misses += results.operations[i].misses;
    if (config.percent[i] == 0) continue;
    add_row(bench::kOperationNames[i], results.operations[i].latency, results, &table);
  }
  add_row("all", results.total(), results, &table);
  table.print(out, colours);
  if (config.batch > 1) {
    const uint64_t puts = results.operations[0].latency.count() * config.batch;
    out << "\na put is a batch of " << config.batch << ": " << fixed(rate_of(puts, results), 1)
        << " keys/s written\n";
  }
  out << '\n' << fixed(results.seconds, 3) << " s measured";
  out << ", latencies in ms";
  if (misses != 0) out << ", " << misses << " gets of keys that are not there";
  const Cell share{std::to_string(results.error_count()) + " errors (" +
                       fixed(results.error_share() * 100, 3) + " %)",
                   results.error_count() == 0 ? Colour::kGood : Colour::kBad};
  out << ", " << paint(share, colours) << '\n';
  for (const auto& [kind, count] : results.errors) out << "  " << kind << ": " << count << '\n';
}

Json bench_document(const Config& config, const Results& results) {
  Json operations = Json::object();
  for (size_t i = 0; i < bench::kOperationCount; ++i) {
    if (config.percent[i] == 0) continue;
    Json operation = latency_document(results.operations[i].latency, results);
    if (static_cast<bench::Operation>(i) == bench::Operation::kGet) {
      operation["misses"] = results.operations[i].misses;
    }
    operation["answer_bytes"] = results.operations[i].bytes;
    operations[bench::kOperationNames[i]] = std::move(operation);
  }
  Json errors = Json::object();
  for (const auto& [kind, count] : results.errors) errors[kind] = count;
  return {{"loop", config.rate > 0 ? "open" : "closed"},
          {"target_rate", config.rate},
          {"connections", config.connections},
          {"batch", config.batch},
          {"seed", config.seed},
          {"seconds", results.seconds},
          {"operations", std::move(operations)},
          {"all", latency_document(results.total(), results)},
          {"errors", std::move(errors)},
          {"error_count", results.error_count()},
          {"error_share", results.error_share()}};
}

}  // namespace kvstore::cli
