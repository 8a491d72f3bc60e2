#include "kv/range.hpp"

namespace kvstore::kv {

std::string prefix_successor(Bytes prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

KeyInterval::KeyInterval(const Range& range) {
  if (range.kind == Range::Kind::kAll) return;
  lower = range.key;
  switch (range.kind) {
    case Range::Kind::kKey:
      upper = range.key;
      upper.push_back('\0');
      break;
    case Range::Kind::kUntil:
      upper = range.end;
      break;
    case Range::Kind::kPrefix:
      upper = prefix_successor(range.key);
      break;
    case Range::Kind::kFrom:
    case Range::Kind::kAll:
      break;
  }
}

}  // namespace kvstore::kv
