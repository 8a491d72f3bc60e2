// Goal: long work shows how far it is on a terminal, and leaves nothing behind; elsewhere nothing
// is written. Method: a clock of the test's own.
#include "progress.hpp"

#include <doctest/doctest.h>

#include "cli_fixture.hpp"

namespace kvstore::cli {
namespace {

struct Screen {
  std::istringstream in;
  std::ostringstream out, err;
  uint64_t now = 1000;
  Progress::ClockMs clock() {
    return [this] { return now; };
  }
};

TEST_CASE("a line appears after 300 ms, at most every 100 ms, and is erased at the end") {
  Screen screen;
  Io io{screen.in, screen.out, screen.err, false, true};
  {
    Progress progress(io, "put", screen.clock());
    progress.set_total(uint64_t{2} << 20, "bytes");
    screen.now = 1299;
    progress.update(100);
    CHECK(screen.err.str().empty());
    screen.now = 1300;
    progress.update(uint64_t{1} << 20);
    const std::string half = "\r\x1b[Kput [###############...............] 50 % 1.0 MiB of 2.0 MiB";
    CHECK(screen.err.str() == half);
    screen.now = 1399;
    progress.update(uint64_t{2} << 20);
    CHECK(screen.err.str() == half);
    screen.err.str("");
    screen.now = 1400;
    progress.update(uint64_t{3} << 20, "note");  // more than announced is no more than all
    CHECK(screen.err.str() ==
          "\r\x1b[Kput [##############################] 100 % 3.0 MiB of 2.0 MiB note");
    screen.err.str("");
  }
  CHECK(screen.err.str() == "\r\x1b[K");
  CHECK(screen.out.str().empty());
}

TEST_CASE("without a total it counts, and without work it says nothing") {
  Screen screen;
  Io io{screen.in, screen.out, screen.err, false, true};
  {
    Progress progress(io, "list", screen.clock());
    progress.set_total(0, "keys");
    screen.now += 300;
    progress.update(7);
    CHECK(screen.err.str() == "\r\x1b[Klist 7 keys");
    progress.finish();
    CHECK(screen.err.str() == "\r\x1b[Klist 7 keys\r\x1b[K");
  }
  CHECK(screen.err.str() == "\r\x1b[Klist 7 keys\r\x1b[K");
  screen.err.str("");
  { const Progress idle(io, "get", screen.clock()); }
  CHECK(screen.err.str().empty());
}

TEST_CASE("not on a terminal there is nothing") {
  Screen screen;
  Io io{screen.in, screen.out, screen.err, false, false};
  {
    Progress progress(io, "put", screen.clock());
    progress.set_total(10, "bytes");
    screen.now += 10'000;
    progress.update(5);
  }
  CHECK(screen.err.str().empty());
}

TEST_CASE("work that prints as it goes shows progress only while its output goes elsewhere") {
  Screen screen;
  Io io{screen.in, screen.out, screen.err, false, true};
  for (const bool terminal : {false, true}) {
    io.out_is_terminal = terminal;
    Io quiet = printing(io);
    Progress progress(quiet, "list", screen.clock());
    progress.set_total(0, "keys");
    screen.now += 300;
    progress.update(7);
    CHECK(screen.err.str() == (terminal ? "" : "\r\x1b[Klist 7 keys"));
    progress.finish();
    screen.err.str("");
  }
}

TEST_CASE("sizes") {
  CHECK(format_bytes(0) == "0 bytes");
  CHECK(format_bytes(1023) == "1023 bytes");
  CHECK(format_bytes(1536) == "1.5 KiB");
  CHECK(format_bytes(uint64_t{64} << 20) == "64.0 MiB");
  CHECK(format_bytes(~uint64_t{0}) == "16777216.0 TiB");
}

}  // namespace
}  // namespace kvstore::cli
