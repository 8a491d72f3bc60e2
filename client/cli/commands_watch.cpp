// watch: changes as they happen.
#include "commands.hpp"
#include "display.hpp"
#include "exit_code.hpp"
#include "json_out.hpp"

namespace kvstore::cli {
namespace {

constexpr size_t kValueColumns = 60;

bool is_put(const client::Change& change) {
  return change.kind == client::ChangeKind::kPut;
}

// One document on one line, so that programs can read it as it comes.
void print_json_line(const client::Change& change, Io& io) {
  Json line = {{"type", is_put(change) ? "put" : "delete"}, {"revision", change.revision}};
  if (is_put(change)) {
    line.update(item_document(change.item, true));
  } else {
    add_key(line, change.item.key);
  }
  if (change.prev) line["prev"] = item_document(*change.prev, true);
  if (change.more) line["more"] = true;
  io.out << line.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
}

std::string shown(const client::Item& item) {
  if (item.value_omitted) return "(" + std::to_string(item.value_bytes) + " bytes)";
  return shorten(item.value, kValueColumns);
}

void print_text_line(const client::Change& change, Io& io) {
  const Colour colour = is_put(change) ? Colour::kGood : Colour::kBad;
  io.out << change.revision << "  "
         << paint({is_put(change) ? "put   " : "delete", colour}, io.colours) << "  "
         << paint({escape(change.item.key), Colour::kStrong}, io.colours);
  if (is_put(change)) io.out << "  " << shown(change.item);
  if (change.prev) io.out << "  (was " << shown(*change.prev) << ")";
  io.out << '\n';
}

}  // namespace

int run_watch(const Options& options, client::Client& client, Io& io) {
  client::WatchOptions watch = options.watch;
  watch.key = options.key;
  uint64_t count = 0;
  const auto ended = client.watch(watch, [&](const client::Change& change) {
    if (options.format == Format::kJson) {
      print_json_line(change, io);
    } else {
      print_text_line(change, io);
    }
    // Whoever reads a pipe wants a change when it happens.
    io.out.flush();
    return io.out.good() && ++count != options.count;
  });
  return ended ? kExitDone : fail(options, io, ended.error());
}

}  // namespace kvstore::cli
