// Goal: a late event of an ended session or of a forgotten peer changes nothing.
// Method: sessions in and out of order.
#include "node/runtime/peer_sessions.hpp"

#include <doctest/doctest.h>

using kvstore::node::runtime::PeerSessions;

TEST_CASE("events of an older session do not count") {
  PeerSessions sessions;
  sessions.dialed(7);
  CHECK(sessions.is_current(7, 1));
  CHECK(sessions.is_current(7, 1));
  CHECK(sessions.is_current(7, 4));
  CHECK_FALSE(sessions.is_current(7, 3));
  sessions.dialed(7);  // again, under another address
  CHECK_FALSE(sessions.is_current(7, 1));
  CHECK(sessions.is_current(7, 4));
}

TEST_CASE("events of peers that are not dialled do not count") {
  PeerSessions sessions;
  CHECK_FALSE(sessions.is_current(7, 1));
  sessions.dialed(7);
  sessions.forget(7);
  CHECK_FALSE(sessions.is_current(7, 1));
}
