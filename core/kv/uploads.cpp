#include "kv/uploads.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "kv/range.hpp"
#include "kv/record.hpp"

namespace kvstore::kv {
namespace {

Status invalid(std::string what) {
  return Status(Code::kInvalid, std::move(what));
}

// Whether `part` may follow what `upload` holds.
Status check_part(const UploadPart& part, const UploadRecord& upload) {
  if (part.upload_id == 0) return invalid("upload id 0");
  if (part.bytes.empty() || part.bytes.size() > kPartBytes)
    return invalid(
        fmt::format("part {} has {} bytes, not 1..{}", part.part, part.bytes.size(), kPartBytes));
  if (part.part > upload.parts || part.part == std::numeric_limits<uint32_t>::max())
    return invalid(fmt::format("part {} of upload {:016x} came before part {}", part.part,
                               part.upload_id, upload.parts));
  if (part.part == upload.parts && upload.bytes % kPartBytes != 0)
    return invalid(
        fmt::format("part {} of upload {:016x} follows its last one", part.part, part.upload_id));
  return Status();
}

}  // namespace

Status Uploads::load(View& view) {
  open_.clear();
  ScanOptions options;
  options.space = kSpaceSystem;
  options.lower = kUploadPrefix;
  options.upper = prefix_successor(kUploadPrefix);
  Status failed;
  Status scanned = view.scan(options, [&](Bytes key, Bytes value) {
    auto id = parse_upload_key(key);
    auto record = decode_upload(value);
    if (!id) failed = id.status();
    if (!record) failed = record.status();
    if (failed.is_ok()) open_[*id] = *record;
    return failed.is_ok();
  });
  return scanned.is_ok() ? failed : scanned;
}

const UploadRecord* Uploads::find(uint64_t id) const {
  auto it = open_.find(id);
  return it == open_.end() ? nullptr : &it->second;
}

uint64_t Uploads::oldest_ms() const {
  uint64_t oldest = 0;
  for (const auto& [id, upload] : open_) {
    if (oldest == 0 || upload.last_time_ms < oldest) oldest = upload.last_time_ms;
  }
  return oldest;
}

bool Uploads::in_use(uint64_t id) const {
  auto it = in_use_.find(id);
  return it != in_use_.end() && it->second;
}

Status Uploads::add_part(UploadPart* part, uint64_t now_ms, std::vector<WriteOp>* ops) {
  const UploadRecord* known = find(part->upload_id);
  UploadRecord upload = known != nullptr ? *known : UploadRecord();
  if (Status s = check_part(*part, upload); !s) return s;
  if (part->part < upload.parts) return Status();
  if (known == nullptr) {
    if (in_use(part->upload_id))
      return Status(Code::kConflict,
                    fmt::format("the parts of upload {:016x} belong to a value", part->upload_id));
    if (open_.size() >= kOpenUploadsMax)
      return Status(Code::kBusy, fmt::format("{} uploads are open", open_.size()));
  }
  upload.parts++;
  upload.bytes += part->bytes.size();
  upload.last_time_ms = now_ms;
  open_[part->upload_id] = upload;
  ops->push_back({WriteOp::Kind::kPut, kSpaceParts, part_key(part->upload_id, part->part),
                  std::move(part->bytes)});
  ops->push_back(
      {WriteOp::Kind::kPut, kSpaceSystem, upload_key(part->upload_id), encode_upload(upload)});
  return Status();
}

void Uploads::remove(uint64_t id, std::vector<WriteOp>* ops) {
  if (find(id) == nullptr) return;
  consume(id, ops);
  remove_parts(id, ops);
  set_in_use(id, false);
}

void Uploads::consume(uint64_t id, std::vector<WriteOp>* ops) {
  open_.erase(id);
  set_in_use(id, true);
  ops->push_back({WriteOp::Kind::kDelete, kSpaceSystem, upload_key(id), {}});
}

void Uploads::sweep(uint64_t idle_before_ms, std::vector<WriteOp>* ops) {
  std::vector<uint64_t> idle;
  for (const auto& [id, upload] : open_) {
    if (upload.last_time_ms < idle_before_ms) idle.push_back(id);
  }
  for (uint64_t id : idle) remove(id, ops);
}

void remove_parts(uint64_t id, std::vector<WriteOp>* ops) {
  ops->push_back({WriteOp::Kind::kDeleteRange, kSpaceParts, parts_begin(id), parts_end(id)});
}

}  // namespace kvstore::kv
