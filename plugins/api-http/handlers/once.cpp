#include "handlers/once.hpp"

#include "handlers/kv_common.hpp"

namespace kvstore::http {
namespace {

// Above every revision.
constexpr uint64_t kNeverReached = uint64_t{1} << 63;

}  // namespace

OnceRequest::OnceRequest(std::string key, const RequestDigest& digest)
    : key_(std::move(key)), digest_(digest) {}

std::array<kvs_compare, 2> OnceRequest::compares(std::string_view of_key) const {
  kvs_compare compare{};
  compare.target = KVS_CMP_MOD_REVISION;
  compare.op = KVS_CMP_NE;
  compare.range = one_key(of_key);
  std::array<kvs_compare, 2> out{compare, compare};
  out[0].number = digest_.low | kNeverReached;
  out[1].number = digest_.high | kNeverReached;
  return out;
}

OnceRequest::Mark::Mark(const OnceRequest& once) : compares_(once.compares(kAnyKey)) {
  txn_.struct_size = sizeof txn_;
  txn_.compares = compares_.data();
  txn_.compare_count = static_cast<uint32_t>(compares_.size());
}

}  // namespace kvstore::http
