#include "kv/system_records.hpp"

#include <limits>

#include "base/codec.hpp"
#include "kv/record.hpp"

namespace kvstore::kv {
namespace {

constexpr uint8_t kMachineFormat = 2;
constexpr uint8_t kUploadFormat = 1;
constexpr uint8_t kRequestFormat = 1;

Status corrupt(const char* what) {
  return Status(Code::kCorrupt, what);
}

}  // namespace

std::string upload_key(uint64_t upload_id) {
  std::string key(kUploadPrefix);
  append_be64(&key, upload_id);
  return key;
}

Result<uint64_t> parse_upload_key(Bytes key) {
  if (!key.starts_with(kUploadPrefix) || key.size() != kUploadPrefix.size() + sizeof(uint64_t))
    return corrupt("key of an upload record: wrong size");
  uint64_t id = read_be64(key.data() + kUploadPrefix.size());
  if (id == 0) return corrupt("key of an upload record: id 0");
  return id;
}

std::string part_key(uint64_t upload_id, uint32_t part) {
  std::string key = parts_begin(upload_id);
  append_be32(&key, part);
  return key;
}

std::string parts_begin(uint64_t upload_id) {
  std::string key;
  append_be64(&key, upload_id);
  return key;
}

std::string parts_end(uint64_t upload_id) {
  return upload_id == std::numeric_limits<uint64_t>::max() ? std::string()
                                                           : parts_begin(upload_id + 1);
}

std::string request_key(uint64_t number) {
  std::string key(kRequestPrefix);
  append_be64(&key, number);
  return key;
}

Result<uint64_t> parse_request_key(Bytes key) {
  if (!key.starts_with(kRequestPrefix) || key.size() != kRequestPrefix.size() + sizeof(uint64_t))
    return corrupt("key of a request record: wrong size");
  uint64_t number = read_be64(key.data() + kRequestPrefix.size());
  if (number == 0 || number == std::numeric_limits<uint64_t>::max())
    return corrupt("key of a request record: impossible number");
  return number;
}

std::string encode_machine(const MachineRecord& record) {
  std::string out;
  Encoder e(&out);
  e.u8(kMachineFormat);
  e.u64(record.revision);
  e.u64(record.newest_time_ms);
  e.u64(record.compacted_revision);
  e.u64(record.oldest_change);
  e.u64(record.history_bytes);
  return out;
}

Result<MachineRecord> decode_machine(Bytes bytes) {
  Decoder d(bytes);
  if (d.u8() != kMachineFormat) return corrupt("machine record: unknown format");
  MachineRecord record;
  record.revision = d.u64();
  record.newest_time_ms = d.u64();
  record.compacted_revision = d.u64();
  record.oldest_change = d.u64();
  record.history_bytes = d.u64();
  if (!d.done()) return corrupt("machine record: wrong size");
  if (record.compacted_revision > record.revision || record.oldest_change == 0 ||
      record.oldest_change > record.compacted_revision + 1)
    return corrupt("machine record: impossible revisions");
  return record;
}

std::string encode_upload(const UploadRecord& record) {
  std::string out;
  Encoder e(&out);
  e.u8(kUploadFormat);
  e.varint(record.bytes);
  e.u32(record.parts);
  e.varint(record.last_time_ms);
  return out;
}

Result<UploadRecord> decode_upload(Bytes bytes) {
  Decoder d(bytes);
  if (d.u8() != kUploadFormat) return corrupt("upload record: unknown format");
  UploadRecord record;
  record.bytes = d.varint();
  record.parts = d.u32();
  record.last_time_ms = d.varint();
  if (!d.done()) return corrupt("upload record: wrong size");
  if (record.bytes == 0 || part_count(record.bytes) != record.parts)
    return corrupt("upload record: bytes and parts do not agree");
  return record;
}

std::string encode_request(const RequestRecord& record) {
  std::string out;
  Encoder e(&out);
  e.u8(kRequestFormat);
  e.varint(record.time_ms);
  e.u64(record.fingerprint.low);
  e.u64(record.fingerprint.high);
  e.bytes(record.principal);
  e.bytes(record.id);
  e.raw(record.result);
  return out;
}

Result<RequestRecord> decode_request(Bytes bytes) {
  Decoder d(bytes);
  if (d.u8() != kRequestFormat) return corrupt("request record: unknown format");
  RequestRecord record;
  record.time_ms = d.varint();
  record.fingerprint.low = d.u64();
  record.fingerprint.high = d.u64();
  record.principal = d.bytes();
  record.id = d.bytes();
  record.result = d.raw(d.remaining());
  if (!d.ok() || record.result.empty()) return corrupt("request record: cut short");
  if (record.id.empty()) return corrupt("request record: no id");
  return record;
}

}  // namespace kvstore::kv
