// What the state machine keeps in space 1, and the keys of parts in space 2.
#pragma once

#include <cstdint>
#include <string>

#include "kv/types.hpp"

namespace kvstore::kv {

// Key "machine": written whenever one of its values changed.
struct MachineRecord {
  uint64_t revision = 0;
  uint64_t newest_time_ms = 0;  // of the leaders' times in the log
  // States of this revision and of later ones can be read; changes up to it are given up.
  uint64_t compacted_revision = 0;
  uint64_t oldest_change = 1;  // no change of an older revision is stored
  uint64_t history_bytes = 0;  // the sum of change_cost() over the stored changes
  bool operator==(const MachineRecord&) const = default;
};
inline constexpr Bytes kMachineKey = "machine";

// Key "upload/" + be64(id): parts that no value refers to yet.
struct UploadRecord {
  uint64_t bytes = 0;
  uint32_t parts = 0;
  uint64_t last_time_ms = 0;  // of the newest part
  bool operator==(const UploadRecord&) const = default;
};
inline constexpr Bytes kUploadPrefix = "upload/";

// Key request_key(number): the answer to a request that was executed.  They are numbered from 1 on
// in the order in which they came, without a gap.
struct RequestRecord {
  uint64_t time_ms = 0;
  Fingerprint fingerprint;
  Bytes principal, id;  // borrowed, as is the result
  Bytes result;         // encode_result(), as far as it is kept
};
inline constexpr Bytes kRequestPrefix = "request/";

std::string upload_key(uint64_t upload_id);
// CORRUPT unless `key` is one.
Result<uint64_t> parse_upload_key(Bytes key);

std::string part_key(uint64_t upload_id, uint32_t part);
// The bounds of an upload's parts in space 2; the upper one is empty for the largest id.
std::string parts_begin(uint64_t upload_id);
std::string parts_end(uint64_t upload_id);

std::string request_key(uint64_t number);
// CORRUPT unless `key` is one.
Result<uint64_t> parse_request_key(Bytes key);

std::string encode_machine(const MachineRecord& record);
Result<MachineRecord> decode_machine(Bytes bytes);
std::string encode_upload(const UploadRecord& record);
Result<UploadRecord> decode_upload(Bytes bytes);
std::string encode_request(const RequestRecord& record);
Result<RequestRecord> decode_request(Bytes bytes);

}  // namespace kvstore::kv
