// Requests that become several transactions and take effect once under an Idempotency-Key.
//
// Every transaction of such a request has an id of its own, made of the key, the whole request and
// its number among the pieces, and the engine executes an id once.  What a piece consists of has to
// be the same in every attempt, on every node; where that depends on what the engine says, the log
// decides: a piece that was refused and is to be replaced by smaller ones is first given up, by a
// transaction without operations under the id of the piece.  Whichever of the two came first counts
// for all attempts, since the engine says CONFLICT to the other one.
//
// Under the key itself stands the only piece of a request, or its first one, or the claim: the
// transaction without operations again, before the pieces.  All of them carry the digest of the
// whole request, so that another request under the key is a CONFLICT before it has done anything.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include <kvstore/abi/api.h>

#include "text/request_digest.hpp"

namespace kvstore::http {

class OnceRequest {
 public:
  OnceRequest(std::string key, const RequestDigest& digest);

  const std::string& key() const { return key_; }
  std::string piece(char kind, uint64_t number, uint64_t part = 0) const {
    return piece_id(key_, digest_, kind, number, part);
  }

  // For transactions that name no key.
  static constexpr std::string_view kAnyKey{"\0", 1};
  // Two compares that always hold and that no other request has.  Borrow `of_key`; one that the
  // transaction names anyway costs no look-up.
  std::array<kvs_compare, 2> compares(std::string_view of_key) const;

  // The claim, or what gives a piece up.  Borrows this object.
  class Mark {
   public:
    explicit Mark(const OnceRequest& once);
    Mark(const Mark&) = delete;
    Mark& operator=(const Mark&) = delete;
    const kvs_txn& get() const { return txn_; }

   private:
    std::array<kvs_compare, 2> compares_;
    kvs_txn txn_{};
  };

 private:
  std::string key_;
  RequestDigest digest_;
};

}  // namespace kvstore::http
