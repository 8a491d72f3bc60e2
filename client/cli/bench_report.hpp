// The outcome of a load test, for people and for programs.
#pragma once

#include <ostream>

#include "bench/results.hpp"
#include "json_out.hpp"

namespace kvstore::cli {

// One row per operation that was asked for and one for all; errors by kind below.  Latencies are in
// milliseconds.
void print_bench_table(const bench::Config& config, const bench::Results& results,
                       std::ostream& out, bool colours);

// Latencies are in microseconds; a rate is answers per second.
Json bench_document(const bench::Config& config, const bench::Results& results);

}  // namespace kvstore::cli
