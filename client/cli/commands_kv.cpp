// put, get, list, delete.
#include "commands.hpp"
#include "display.hpp"
#include "exit_code.hpp"
#include "json_out.hpp"
#include "progress.hpp"
#include "value_io.hpp"

namespace kvstore::cli {
namespace {

constexpr size_t kListValueColumns = 60;

int get_to_file(const Options& options, client::Client& client, Io& io) {
  FileOutput file(options.output);
  if (auto error = file.open()) return fail_locally(options, io, *error);
  Progress progress(io, "get");
  progress.set_total(0, "bytes");
  client::ReadOptions read = options.read;
  read.on_size = [&](uint64_t bytes) { progress.set_total(bytes, "bytes"); };
  auto result = client.get(options.key, read, [&](uint64_t offset, std::string_view bytes) {
    progress.update(offset + bytes.size());
    return file.write(offset, bytes);
  });
  progress.finish();
  if (!result && !file.error().empty()) return fail_locally(options, io, file.error());
  if (!result) return fail(options, io, result.error());
  if (auto error = file.commit()) return fail_locally(options, io, *error);
  if (options.format == Format::kJson) {
    Json document = Json::object();
    add_key(document, options.key);
    document["mod_revision"] = result->item.mod_revision;
    document["bytes"] = file.bytes();
    document["output"] = options.output;
    print_json(document, io.out);
  } else {
    io.out << "OK " << file.bytes() << " bytes in " << escape(options.output) << '\n';
  }
  return kExitDone;
}

int get_raw(const Options& options, client::Client& client, Io& io) {
  uint64_t written = 0;
  bool interrupted = false;
  Io quiet = printing(io);
  Progress progress(quiet, "get");
  progress.set_total(0, "bytes");
  client::ReadOptions read = options.read;
  read.on_size = [&](uint64_t bytes) { progress.set_total(bytes, "bytes"); };
  auto result = client.get(options.key, read, [&](uint64_t offset, std::string_view bytes) {
    interrupted = offset != written;
    if (interrupted) return false;
    io.out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    written += bytes.size();
    progress.update(written);
    return io.out.good();
  });
  progress.finish();
  if (interrupted) {
    return fail_locally(options, io,
                        "the read was interrupted after " + std::to_string(written) + " bytes");
  }
  return result ? kExitDone : fail(options, io, result.error());
}

client::Result<client::PutResult> put_with_progress(const Options& options,
                                                    const client::ValueSource& value,
                                                    client::Client& client, Io& io) {
  Progress progress(io, "put");
  progress.set_total(value.bytes, "bytes");
  client::ValueSource watched = value;
  watched.read = [&](uint64_t offset, char* buffer, size_t capacity) {
    const size_t count = value.read(offset, buffer, capacity);
    progress.update(offset + count);
    return count;
  };
  return client.put(options.key, watched, options.condition, options.lifetime, options.request_id);
}

int delete_range(const Options& options, client::Client& client, Io& io) {
  Progress progress(io, "delete");
  progress.set_total(0, "keys");
  client::DeleteRangeOptions watched;
  watched.on_progress = [&](uint64_t deleted) {
    progress.update(deleted);
    return true;
  };
  watched.request_id = options.request_id;
  const auto result = client.delete_range(
      options.all ? client::KeyRange::all() : client::KeyRange::of_prefix(options.prefix), watched);
  progress.finish();
  if (!result) return fail(options, io, result.error());
  if (options.format == Format::kJson) {
    print_json({{"deleted", result->deleted}, {"revision", result->info.revision}}, io.out);
  } else {
    io.out << "OK " << result->deleted << (result->deleted == 1 ? " key" : " keys") << ", revision "
           << result->info.revision << '\n';
  }
  return kExitDone;
}

void add_row(const client::Item& item, Table& table) {
  table.add({{escape(item.key), Colour::kStrong},
             {std::to_string(item.mod_revision)},
             {std::to_string(item.version)},
             {item.value_omitted ? "(" + std::to_string(item.value_bytes) + " bytes)"
                                 : shorten(item.value, kListValueColumns)}});
}

// A line for each key as it comes: a document, the key, or the key with all there is.
int list_all(const Options& options, client::Client& client, Io& io) {
  Io quiet = printing(io);
  Progress progress(quiet, "list");
  progress.set_total(0, "keys");
  uint64_t count = 0;
  const auto result = client.stream(options.list, [&](const client::Item& item) {
    progress.update(++count);
    if (options.format == Format::kJson) {
      io.out << item_document(item, !options.list.keys_only).dump() << '\n';
    } else if (options.list.keys_only) {
      io.out << escape(item.key) << '\n';
    } else {
      io.out << escape(item.key) << '\t' << item.mod_revision << '\t' << item.version << '\t'
             << escape(item.value) << '\n';
    }
    return io.out.good();
  });
  progress.finish();
  io.out.flush();
  return result ? kExitDone : fail(options, io, result.error());
}

}  // namespace

int run_put(const Options& options, client::Client& client, Io& io) {
  std::string error;
  const auto input = options.file.empty() ? ValueInput::of(options.value)
                                          : ValueInput::open(options.file, io.in, error);
  if (!input) return fail_locally(options, io, error);
  const auto result = put_with_progress(options, input->source(), client, io);
  if (!result) return fail(options, io, result.error());
  if (options.format == Format::kJson) {
    Json document = Json::object();
    add_key(document, options.key);
    document["revision"] = result->revision;
    if (result->info.replayed) document["replayed"] = true;
    print_json(document, io.out);
  } else {
    io.out << "OK revision " << result->revision << '\n';
  }
  return kExitDone;
}

int run_get(const Options& options, client::Client& client, Io& io) {
  if (!options.output.empty()) return get_to_file(options, client, io);
  if (options.raw) return get_raw(options, client, io);
  const auto result = client.get(options.key, options.read);
  if (!result) return fail(options, io, result.error());
  if (options.format == Format::kJson) {
    print_json(item_document(result->item, true), io.out);
  } else {
    const std::string& value = result->item.value;
    io.out << (is_text(value, true) ? value : escape(value)) << '\n';
  }
  return kExitDone;
}

int run_list(const Options& options, client::Client& client, Io& io) {
  if (options.all) return list_all(options, client, io);
  const bool json = options.format == Format::kJson;
  const bool keys_only = options.list.keys_only;
  Json items = Json::array();
  Table table({"KEY", "REVISION", "VERSION", "VALUE"});
  Progress progress(io, "list");
  progress.set_total(0, "keys");
  uint64_t count = 0;
  const auto result = client.list(options.list, [&](const client::Item& item) {
    // Keys that are printed as they come show how far it is.
    if (json || !keys_only) progress.update(++count);
    if (json) {
      items.push_back(item_document(item, !keys_only));
    } else if (keys_only) {
      io.out << escape(item.key) << '\n';
    } else {
      add_row(item, table);
    }
    return io.out.good();
  });
  progress.finish();
  if (!result) return fail(options, io, result.error());
  if (json) {
    print_json({{"items", std::move(items)},
                {"count", result->count},
                {"more", result->more},
                {"revision", result->info.revision}},
               io.out);
    return kExitDone;
  }
  if (!keys_only && result->count > 0) table.print(io.out, io.colours);
  if (result->count == 0) io.err << "no keys\n";
  if (result->more) io.err << "there are more keys: raise --limit\n";
  return kExitDone;
}

int run_delete(const Options& options, client::Client& client, Io& io) {
  if (options.all || !options.prefix.empty()) return delete_range(options, client, io);
  const auto result = client.del(options.key, options.condition, options.request_id);
  if (!result) return fail(options, io, result.error());
  if (result->deleted == 0) {
    return fail(options, io,
                {client::ErrorKind::kNotFound, "not_found", "the key does not exist", 200});
  }
  if (options.format == Format::kJson) {
    Json document = Json::object();
    add_key(document, options.key);
    document["deleted"] = result->deleted;
    document["revision"] = result->info.revision;
    if (result->info.replayed) document["replayed"] = true;
    print_json(document, io.out);
  } else {
    io.out << "OK revision " << result->info.revision << '\n';
  }
  return kExitDone;
}

}  // namespace kvstore::cli
