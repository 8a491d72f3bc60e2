// Requests whose ends are recorded, for the tests of the tables.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "kv/command_codec.hpp"
#include "node/requests.hpp"

namespace kvstore::node {

struct Ends {
  std::vector<ProposalOutcome> proposals;
  std::vector<ReadOutcome> reads;
  std::vector<ControlOutcome> controls;
};

inline ProposalPtr make_proposal(Ends* ends, uint64_t deadline_ms) {
  auto p = std::make_unique<Proposal>();
  p->command = kv::encode_command(kv::SweepUploads{1});
  p->deadline_ms = deadline_ms;
  p->done = Completion<ProposalOutcome>(
      [ends](ProposalOutcome&& o) { ends->proposals.push_back(std::move(o)); });
  return p;
}

inline ReadPtr make_read(Ends* ends, uint64_t deadline_ms, uint64_t min_revision = 0,
                         Consistency consistency = Consistency::kLinearizable) {
  auto r = std::make_unique<Read>();
  r->deadline_ms = deadline_ms;
  r->min_revision = min_revision;
  r->consistency = consistency;
  r->done =
      Completion<ReadOutcome>([ends](ReadOutcome&& o) { ends->reads.push_back(std::move(o)); });
  return r;
}

inline ControlPtr make_control(Ends* ends, uint64_t deadline_ms) {
  auto c = std::make_unique<Control>();
  c->verb = "cluster.add";
  c->deadline_ms = deadline_ms;
  c->done = Completion<ControlOutcome>(
      [ends](ControlOutcome&& o) { ends->controls.push_back(std::move(o)); });
  return c;
}

}  // namespace kvstore::node
