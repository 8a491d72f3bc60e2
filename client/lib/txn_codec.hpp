// Documents of transactions and batches, to and from the library's types.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <kvstore/client/txn.hpp>

#include "json.hpp"

namespace kvstore::client {

Json txn_document(const Txn& txn);
Json batch_document(const std::vector<Operation>& operations);
// Whether a document of that kind writes; also true for text that is none.
bool txn_writes(std::string_view document);

// "prefix=...", "start=...&end=..." or "all=true".
std::string range_query(const KeyRange& range);

// Empty when the text is no such document.
std::optional<TxnResult> parse_txn_result(const std::string& text);
std::optional<BatchResult> parse_batch_result(const std::string& text);

}  // namespace kvstore::client
