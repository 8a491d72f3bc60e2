// txn.
#include "commands.hpp"
#include "display.hpp"
#include "exit_code.hpp"
#include "json_out.hpp"
#include "value_io.hpp"

namespace kvstore::cli {
namespace {

// What a server takes as the body of a transaction by default, and more.
constexpr uint64_t kDocumentBytesMax = uint64_t{8} << 20;
constexpr size_t kValueColumns = 60;

std::optional<std::string> read_document(const Options& options, Io& io, std::string* error) {
  const auto input = ValueInput::open(options.file, io.in, *error);
  if (!input) return std::nullopt;
  const client::ValueSource& source = input->source();
  if (source.bytes > kDocumentBytesMax) {
    *error = options.file + ": larger than " + std::to_string(kDocumentBytesMax) + " bytes";
    return std::nullopt;
  }
  std::string text(source.bytes, '\0');
  for (uint64_t offset = 0; offset < source.bytes;) {
    const size_t got = source.read(offset, text.data() + offset, text.size() - offset);
    if (got == 0) {
      *error = options.file + ": cannot be read";
      return std::nullopt;
    }
    offset += got;
  }
  return text;
}

// What one operation came to, in words.
std::string summary_of(const client::OperationResult& result, const std::string& op) {
  if (op == "put") return "revision " + std::to_string(result.mod_revision);
  if (op == "get" && result.items.empty()) return "no such key";
  return std::to_string(result.count) + (result.count == 1 ? " key" : " keys") +
         (result.more ? ", and there are more" : "");
}

void print_table(const client::TxnResult& txn, Io& io) {
  const Json document = Json::parse(txn.json, nullptr, false);
  io.out << (txn.succeeded ? "OK" : "a compare does not hold: the else branch ran") << ", revision "
         << txn.revision << '\n';
  if (txn.results.empty()) return;
  Table table({"#", "OPERATION", "RESULT", "KEY", "VALUE"});
  for (size_t i = 0; i < txn.results.size(); ++i) {
    const client::OperationResult& result = txn.results[i];
    const std::string op = document["results"][i].value("op", "");
    table.add({{std::to_string(i)}, {escape(op)}, {summary_of(result, op)}, {""}, {""}});
    for (const client::Item& item : result.items) {
      table.add({{""},
                 {""},
                 {op == "put" || op == "delete" ? "before" : ""},
                 {escape(item.key)},
                 {item.value_omitted ? "(" + std::to_string(item.value_bytes) + " bytes)"
                                     : shorten(item.value, kValueColumns)}});
    }
  }
  table.print(io.out, io.colours);
}

}  // namespace

int run_txn(const Options& options, client::Client& client, Io& io) {
  std::string error;
  const auto document = read_document(options, io, &error);
  if (!document) return fail_locally(options, io, error);
  const auto result = client.txn_json(*document, options.request_id);
  if (!result) return fail(options, io, result.error());
  if (options.format == Format::kJson) {
    const int printed = print_json_text(options, io, result->json);
    if (printed != kExitDone) return printed;
  } else {
    print_table(*result, io);
  }
  return result->succeeded ? kExitDone : kExitNotFound;
}

}  // namespace kvstore::cli
