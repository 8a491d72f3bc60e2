// The command line of snapshots.
#include "options_parser.hpp"

namespace kvstore::cli {

void add_snapshot_commands(CLI::App& app, Parsed& parsed) {
  Options& options = parsed.options;
  CLI::App* snapshot =
      app.add_subcommand("snapshot", "Back a cluster up, and begin a new one from a backup");
  snapshot->fallthrough()->require_subcommand(1);
  const auto add_file = [&](CLI::App& command, const char* text) {
    command.add_option("FILE", options.file, text)->required()->type_name("FILE");
  };
  CLI::App& save = add_command(*snapshot, parsed, Command::kSnapshotSave, "save",
                               "Download the whole state of one moment into a file, and check it");
  add_file(save, "Where it goes; - writes standard output");
  save.add_flag("--force", options.force, "Replace a file that exists");
  add_consistency(save, parsed);
  add_file(add_command(*snapshot, parsed, Command::kSnapshotStatus, "status",
                       "Check a whole file, without a server, and show what it holds"),
           "The file");
  CLI::App& restore =
      add_command(*snapshot, parsed, Command::kSnapshotRestore, "restore",
                  "Check a file and place it where kvstore-server --bootstrap begins a new cluster "
                  "from it, without a server");
  add_file(restore, "The file");
  restore
      .add_option("--data-dir", options.data_dir,
                  "The data directory of the node that begins the cluster; new or empty")
      ->required()
      ->type_name("DIR");
  restore.add_flag("--force", options.force, "Replace a file that was placed there before");
}

std::string check_snapshot(const Options& options) {
  if (options.command == Command::kSnapshotSave && options.file == "-" &&
      options.format == Format::kJson) {
    return "snapshot save: --format json excludes standard output as FILE";
  }
  if (options.command == Command::kSnapshotRestore && options.data_dir.empty()) {
    return "snapshot restore: --data-dir is empty";
  }
  return {};
}

}  // namespace kvstore::cli
