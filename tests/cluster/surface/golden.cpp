#include "surface/golden.hpp"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>

namespace kvstore::test {
namespace {

constexpr const char* kTitle = "### ";
constexpr const char* kAnswer = "=> ";

bool starts_with(const std::string& text, const std::string& start) {
  return text.compare(0, start.size(), start) == 0;
}

std::string without_line_ends(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::string without_spaces_before(const std::string& text) {
  const size_t begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? "" : text.substr(begin);
}

// Parts that begin with a line which begins with `mark`; the first one is what comes before.
std::vector<std::string> split(const std::string& text, const char* mark) {
  std::vector<std::string> parts(1);
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (starts_with(line, mark)) parts.emplace_back();
    parts.back() += line + "\n";
  }
  return parts;
}

void read_directive(const std::string& line, GoldenExchange* exchange) {
  const size_t space = std::min(line.find(' '), line.size());
  const std::string name = line.substr(1, space - 1);
  const std::string value = without_spaces_before(line.substr(space));
  if (name == "announced-bytes") {
    exchange->announced_bytes = std::strtoull(value.c_str(), nullptr, 10);
  } else if (name == "body-bytes") {
    exchange->body = std::string(std::strtoull(value.c_str(), nullptr, 10), 'x');
  } else if (name == "no-length") {
    exchange->has_length = false;
  } else if (name == "until") {
    exchange->until = value;
  } else if (name == "kept") {
    exchange->kept = value;
  } else if (name == "masked") {
    std::istringstream names(value);
    for (std::string one; names >> one;) exchange->masked.push_back(one);
  } else {
    throw std::runtime_error(exchange->where + ": unknown directive " + line);
  }
}

void read_request(const std::string& text, GoldenExchange* exchange) {
  std::istringstream in(text);
  std::string line;
  std::getline(in, line);  // the title
  if (!(in >> exchange->method >> exchange->target)) {
    throw std::runtime_error(exchange->where + ": no request");
  }
  std::getline(in, line);
  while (std::getline(in, line) && !line.empty()) {
    const size_t colon = line.find(':');
    if (line[0] == '@') {
      read_directive(line, exchange);
    } else if (colon != std::string::npos) {
      exchange->headers.emplace_back(line.substr(0, colon),
                                     without_spaces_before(line.substr(colon + 1)));
    } else {
      throw std::runtime_error(exchange->where + ": no header field: " + line);
    }
  }
  const std::string body = without_line_ends(
      std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()));
  if (!body.empty()) exchange->body = body;
}

// "=> 200 ...", "=> follower 421 ..." and "=> leader 200 ...".
void read_answer(const std::string& text, GoldenExchange* exchange) {
  const std::string rest = without_line_ends(text.substr(std::string(kAnswer).size()));
  const std::string follower = "follower ", leader = "leader ";
  if (starts_with(rest, follower)) {
    exchange->of_follower = rest.substr(follower.size());
  } else if (starts_with(rest, leader)) {
    exchange->of_leader = rest.substr(leader.size());
  } else {
    exchange->of_follower = exchange->of_leader = rest;
  }
}

GoldenExchange read_exchange(const std::string& file, const std::string& text) {
  GoldenExchange exchange;
  const std::string title = text.substr(4, text.find('\n') - 4);
  exchange.where = file + ": " + title;
  const std::vector<std::string> parts = split(text, kAnswer);
  exchange.request = without_line_ends(parts[0]);
  read_request(exchange.request + "\n", &exchange);
  for (size_t i = 1; i < parts.size(); ++i) read_answer(parts[i], &exchange);
  return exchange;
}

uint64_t read_revision(const GoldenFile& file) {
  for (const std::string& part : split(file.head, "revision ")) {
    if (starts_with(part, "revision ")) return std::strtoull(part.c_str() + 9, nullptr, 10);
  }
  throw std::runtime_error(file.path.string() + ": names no revision to begin with");
}

}  // namespace

GoldenFile read_golden(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error(path.string() + ": cannot be read");
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  const std::vector<std::string> parts = split(text, kTitle);
  GoldenFile file;
  file.path = path;
  file.head = without_line_ends(parts[0]);
  file.revision = read_revision(file);
  for (size_t i = 1; i < parts.size(); ++i) {
    file.exchanges.push_back(read_exchange(path.filename().string(), parts[i]));
  }
  return file;
}

std::string to_text(const GoldenFile& file) {
  std::string out = file.head + "\n";
  for (const GoldenExchange& exchange : file.exchanges) {
    out += "\n" + exchange.request + "\n\n";
    if (exchange.of_follower == exchange.of_leader) {
      out += kAnswer + exchange.of_leader + "\n";
    } else {
      out += std::string(kAnswer) + "follower " + exchange.of_follower + "\n\n";
      out += std::string(kAnswer) + "leader " + exchange.of_leader + "\n";
    }
  }
  return out;
}

int status_of(const std::string& answer) {
  return std::atoi(answer.c_str());
}

}  // namespace kvstore::test
