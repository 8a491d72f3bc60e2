#include "kv/fingerprint.hpp"

#include "base/assert.hpp"
#include "kv/command_codec.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kvstore::kv {
namespace {

Fingerprint from(XXH128_hash_t hash) {
  return {hash.low64, hash.high64};
}

// The transaction without what another attempt would have otherwise.
Txn without_attempt(const Txn& txn, size_t contents) {
  Txn out = txn;
  out.request.reset();
  size_t uploads = 0;
  for (std::vector<Op>* ops : {&out.then_ops, &out.else_ops}) {
    for (Op& op : *ops) {
      if (op.upload_id != 0) op.upload_id = ++uploads;
    }
  }
  KVS_ASSERT(uploads == contents);
  return out;
}

}  // namespace

struct ContentHash::State {
  XXH3_state_t xxh;
};

ContentHash::ContentHash() : state_(std::make_unique<State>()) {
  XXH3_128bits_reset(&state_->xxh);
}

ContentHash::~ContentHash() = default;

void ContentHash::add(Bytes bytes) {
  XXH3_128bits_update(&state_->xxh, bytes.data(), bytes.size());
}

Fingerprint ContentHash::sum() const {
  return from(XXH3_128bits_digest(&state_->xxh));
}

Fingerprint fingerprint_of(const Txn& txn, std::span<const Fingerprint> contents) {
  ContentHash hash;
  if (contents.empty() && !txn.request) {
    hash.add(encode_txn(txn));  // the usual case needs no copy
  } else {
    hash.add(encode_txn(without_attempt(txn, contents.size())));
  }
  for (const Fingerprint& content : contents) {
    hash.add({reinterpret_cast<const char*>(&content.low), sizeof content.low});
    hash.add({reinterpret_cast<const char*>(&content.high), sizeof content.high});
  }
  return hash.sum();
}

}  // namespace kvstore::kv
