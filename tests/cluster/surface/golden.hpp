// Recorded exchanges: requests as somebody wrote them and the answers that servers gave, in files
// that people read (golden/README.md has the form).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace kvstore::test {

enum class Asked { kFollower, kLeader };

struct GoldenExchange {
  std::string where;    // "keys.http: put a key", for messages
  std::string request;  // as written, up to the answer
  std::string method, target, body;
  std::vector<std::pair<std::string, std::string>> headers;
  // What the directives say.
  uint64_t announced_bytes = 0;     // a Content-Length without a body
  bool has_length = true;           // false: neither a length nor chunks
  std::string until;                // the answer is read up to here; empty: to its end
  std::vector<std::string> masked;  // members of the answer's JSON that differ from run to run
  std::string kept;                 // a regex: its matches stand for the body
  // Status, headers and body; empty: not recorded yet.
  std::string of_follower, of_leader;

  std::string& answer(Asked asked) { return asked == Asked::kLeader ? of_leader : of_follower; }
};

struct GoldenFile {
  std::filesystem::path path;
  std::string head;       // what stands above the first exchange
  uint64_t revision = 0;  // of the empty store that the first exchange meets
  std::vector<GoldenExchange> exchanges;
};

// Throws std::runtime_error with the place of what is wrong.
GoldenFile read_golden(const std::filesystem::path& path);
std::string to_text(const GoldenFile& file);

// "=> 200" of an answer as it is stored: its first number.
int status_of(const std::string& answer);

}  // namespace kvstore::test
