// Commands and results as bytes: the data of kCommand entries and of forwarded answers.
#pragma once

#include <cstdint>
#include <string>

#include "kv/types.hpp"

namespace kvstore::kv {

// Layout: format u8, leader_time_ms u64, kind u8, payload.  The time is zero until stamp_time().
std::string encode_command(const Command& command);
// From the kind on: what does not change when the command is proposed again.
std::string encode_txn(const Txn& txn);
// Sets the leader's time in an encoded command, before it is proposed.
void stamp_time(std::string* encoded, uint64_t leader_time_ms);

struct DecodedCommand {
  uint64_t leader_time_ms = 0;
  Command command;
};
// CORRUPT for malformed bytes, UNSUPPORTED for a format or kind of a newer version (a node must
// stop there, never skip it).
Result<DecodedCommand> decode_command(Bytes bytes);

// Whether the encoded command is a Checkpoint: cheaper than decoding it.
bool is_checkpoint(Bytes encoded);

std::string encode_result(const CommandResult& result);
Result<CommandResult> decode_result(Bytes bytes);

}  // namespace kvstore::kv
