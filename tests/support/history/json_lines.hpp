// Histories as text, one JSON object a line, to be kept with a failure and checked again.
#pragma once

#include <iosfwd>
#include <string>

#include "base/status.hpp"
#include "support/history/operation.hpp"

namespace kvstore::history {

std::string to_json_line(const Operation& operation);
void write_json_lines(std::ostream& out, const History& history);
// INVALID with the number of the first line that is no operation.
Result<History> read_json_lines(std::istream& in);

}  // namespace kvstore::history
