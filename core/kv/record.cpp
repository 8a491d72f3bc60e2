#include "kv/record.hpp"

#include <fmt/format.h>

#include "base/codec.hpp"
#include "kv/lease_records.hpp"

namespace kvstore::kv {
namespace {

constexpr uint8_t kFormat = 1;
constexpr uint8_t kFormatTtl = 2;  // with a TTL behind the lease
constexpr uint8_t kInline = 0;
constexpr uint8_t kParts = 1;
constexpr size_t kHeadBytesMax = 64;
constexpr size_t kKeyBytesShown = 64;

Status corrupt(const char* what) {
  return Status(Code::kCorrupt, std::string("stored record: ") + what);
}

// The key's first bytes, readable whatever they are.
std::string printable(Bytes key) {
  std::string out;
  for (char c : key.substr(0, kKeyBytesShown)) {
    if (c >= ' ' && c <= '~' && c != '\\')
      out.push_back(c);
    else
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return key.size() > kKeyBytesShown ? out + "..." : out;
}

}  // namespace

std::string encode_record(const Record& record) {
  std::string out;
  out.reserve(kHeadBytesMax + record.value.size());
  Encoder e(&out);
  e.u8(record.ttl_ms != 0 ? kFormatTtl : kFormat);
  e.u8(record.in_parts() ? kParts : kInline);
  e.varint(record.create_revision);
  e.varint(record.mod_revision - record.create_revision);
  e.varint(record.version);
  e.varint(record.lease);
  if (record.ttl_ms != 0) e.varint(record.ttl_ms);
  if (record.in_parts()) {
    e.u64(record.upload_id);
    e.varint(record.value_bytes);
  } else {
    e.raw(record.value);
  }
  return out;
}

Result<Record> decode_record(Bytes bytes) {
  Decoder d(bytes);
  uint8_t format = d.u8();
  if (!d.ok()) return corrupt("empty");
  if (format != kFormat && format != kFormatTtl) return corrupt("unknown format");
  uint8_t kind = d.u8();
  Record r;
  r.create_revision = d.varint();
  uint64_t changed_after = d.varint();
  r.mod_revision = r.create_revision + changed_after;
  r.version = d.varint();
  r.lease = d.varint();
  if (format == kFormatTtl) r.ttl_ms = d.varint();
  if (kind == kParts) {
    r.upload_id = d.u64();
    r.value_bytes = d.varint();
    if (!d.done() || r.upload_id == 0 || r.value_bytes == 0)
      return corrupt("bad reference to parts");
  } else {
    if (kind != kInline) return corrupt("unknown kind");
    r.value = d.raw(d.remaining());
    r.value_bytes = r.value.size();
    if (r.value_bytes > kPartBytes) return corrupt("inline value too large");
  }
  if (!d.ok()) return corrupt("cut short");
  if ((format == kFormatTtl) != (r.ttl_ms != 0) || (format == kFormatTtl) != is_own_lease(r.lease))
    return corrupt("lease and TTL do not agree");
  if (r.create_revision == 0 || r.mod_revision < r.create_revision || r.version == 0)
    return corrupt("impossible revisions");
  return r;
}

Result<Record> decode_record_of(Bytes key, Bytes bytes) {
  auto record = decode_record(bytes);
  if (record) return record;
  Status s = record.status();
  return Status(s.code(), fmt::format("key \"{}\": {}", printable(key), s.message()));
}

}  // namespace kvstore::kv
