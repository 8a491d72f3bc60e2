// What a request asks for, in 128 bits: tells whether a request id is used for the same request
// again.
#pragma once

#include <memory>
#include <span>

#include "kv/types.hpp"

namespace kvstore::kv {

// Of a value that comes in pieces; how it is cut does not matter.
class ContentHash {
 public:
  ContentHash();
  ~ContentHash();
  ContentHash(const ContentHash&) = delete;
  ContentHash& operator=(const ContentHash&) = delete;

  void add(Bytes bytes);
  Fingerprint sum() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Over everything that the transaction says but its request id.  The ids of uploads differ in every
// attempt, so the uploads' contents stand for them: one for each operation that names one, in the
// order of then_ops, else_ops.
Fingerprint fingerprint_of(const Txn& txn, std::span<const Fingerprint> contents);

}  // namespace kvstore::kv
