// What the machine under the tests can do, and how a test says that it cannot.
#pragma once

#include <optional>
#include <string>

namespace kvstore::test {

// Why packets between nodes cannot be handled here, nothing when they can.
std::optional<std::string> no_packet_network();
// Why a file system of our own cannot be mounted here.
std::optional<std::string> no_loop_disk();

// Prints why the running case cannot show what it is for on this machine.  The program ends with
// exit code 77, which CTest shows as skipped, unless a case failed.
void note_skipped(const std::string& reason);

}  // namespace kvstore::test

// At the beginning of a case: leaves it when the machine cannot do what it needs.
#define KVS_NEEDS(probe)                             \
  if (const auto kvs_reason = (probe); kvs_reason) { \
    ::kvstore::test::note_skipped(*kvs_reason);      \
    return;                                          \
  }
