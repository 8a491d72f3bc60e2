// The uploads that no value refers to yet, and the commands that change them.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "kv/store.hpp"
#include "kv/system_records.hpp"
#include "kv/types.hpp"

namespace kvstore::kv {

// Mirrors the "upload/" records of the store.  Every function that changes the table appends what
// the store has to write to `ops`.
class Uploads {
 public:
  // Replaces the table by what the view holds.
  Status load(View& view);

  const UploadRecord* find(uint64_t id) const;
  uint64_t count() const { return open_.size(); }
  // The oldest last_time_ms; 0 without uploads.
  uint64_t oldest_ms() const;

  // An id whose parts belong to a value must not become an upload again: a late repeat of its first
  // part would let a sweep take the value.  So at the start of a batch those ids are looked up in
  // space 2 that a first part may open; what the batch itself does to an id is remembered here.
  void begin_batch() { in_use_.clear(); }
  bool needs_lookup(const UploadPart& part) const {
    return part.part == 0 && find(part.upload_id) == nullptr;
  }
  void set_in_use(uint64_t id, bool in_use) { in_use_[id] = in_use; }

  // Takes the part's bytes.  INVALID (a gap, a wrong size), CONFLICT (the id's parts belong to a
  // value) or BUSY (kOpenUploadsMax) change nothing.
  Status add_part(UploadPart* part, uint64_t now_ms, std::vector<WriteOp>* ops);
  // Removes an upload and its parts; nothing happens when there is none.
  void remove(uint64_t id, std::vector<WriteOp>* ops);
  // The upload's parts are a value's now.
  void consume(uint64_t id, std::vector<WriteOp>* ops);
  // Removes every upload whose newest part is older than that.
  void sweep(uint64_t idle_before_ms, std::vector<WriteOp>* ops);

 private:
  bool in_use(uint64_t id) const;

  std::map<uint64_t, UploadRecord> open_;
  std::unordered_map<uint64_t, bool> in_use_;
};

// Appends the removal of all parts of `id`.
void remove_parts(uint64_t id, std::vector<WriteOp>* ops);

}  // namespace kvstore::kv
