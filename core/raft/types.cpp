#include "raft/types.hpp"

#include "base/crc32c.hpp"

namespace kvstore::raft {

namespace {

void put_le(char* out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out[i] = static_cast<char>(value >> (8 * i));
}

}  // namespace

uint32_t entry_crc(const LogId& id, EntryKind kind, Bytes data) {
  char head[20];
  put_le(head, id.term.value, 8);
  put_le(head + 8, id.index.value, 8);
  put_le(head + 16, static_cast<uint32_t>(kind), 4);
  return crc32c(crc32c(0, Bytes(head, sizeof head)), data);
}

}  // namespace kvstore::raft
