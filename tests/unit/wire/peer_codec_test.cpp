// Goal: forwarded and administrative requests and their answers survive the wire; damage is
// refused. Method: round trips, every truncation and flipped bit, and forged frames with right
// checksums.
#include "wire/peer_codec.hpp"

#include <doctest/doctest.h>

#include "mutations.hpp"
#include "wire/checked_frame.hpp"

namespace kvstore::wire::test {
namespace {

SharedBytes shared(const std::string& bytes) {
  return SharedBytes::copy_of(bytes);
}

ForwardRequest forward_request() {
  return {77, 5000, shared(std::string(100, 'c'))};
}
ForwardResponse forward_response() {
  return {uint64_t{1} << 40, Code::kIndeterminate, "who knows", 3, 1u << 20, shared("result")};
}
ControlRequest control_request() {
  return {1, 10000, "cluster.add", "{\"node_id\":\"n2\"}"};
}
ControlResponse control_response() {
  return {2, Code::kConflict, "taken", "{}"};
}

// Checks that nothing but the good bytes decodes.
template <typename Decode>
void check_damage(const std::string& good, Decode decode) {
  REQUIRE(decode(shared(good)).is_ok());
  for (const std::string& bad : mutations(good))
    CHECK(decode(shared(bad)).status().code() == Code::kCorrupt);
}

// The good frame, changed, with its checksum made right again.
template <typename Change>
SharedBytes forged(std::string frame, Change change) {
  frame.resize(frame.size() - sizeof(uint32_t));
  change(frame);
  append_checksum(&frame);
  return SharedBytes(std::move(frame));
}

}  // namespace

TEST_CASE("requests and answers survive the wire") {
  CHECK(*decode_forward_request(shared(encode(forward_request()))) == forward_request());
  CHECK(*decode_forward_response(shared(encode(forward_response()))) == forward_response());
  CHECK(*decode_control_request(shared(encode(control_request()))) == control_request());
  CHECK(*decode_control_response(shared(encode(control_response()))) == control_response());
  CHECK(*decode_forward_request(shared(encode(ForwardRequest()))) == ForwardRequest());
  CHECK(*decode_forward_response(shared(encode(ForwardResponse()))) == ForwardResponse());
  CHECK(*decode_control_request(shared(encode(ControlRequest()))) == ControlRequest());
  CHECK(*decode_control_response(shared(encode(ControlResponse()))) == ControlResponse());
}

TEST_CASE("commands and results are slices of the payload") {
  SharedBytes payload = shared(encode(forward_request()));
  auto request = decode_forward_request(payload);
  REQUIRE(request.is_ok());
  CHECK(request->command.owner() == payload.owner());
  CHECK(request->command.data() > payload.data());
}

TEST_CASE("no damaged request or answer is let in") {
  check_damage(encode(forward_request()), decode_forward_request);
  check_damage(encode(forward_response()), decode_forward_response);
  check_damage(encode(control_request()), decode_control_request);
  check_damage(encode(control_response()), decode_control_response);
}

TEST_CASE("what is wrong is named") {
  CHECK(decode_control_request(shared("abc")).status().message() == "control request: cut short");
  CHECK(decode_control_request(shared("abcdef")).status().message() ==
        "control request: wrong checksum");
  CHECK(decode_control_request(shared(encode(control_response()))).status().message() ==
        "control request: another kind of frame");
  auto extended = forged(encode(control_request()), [](std::string& f) { f += "x"; });
  CHECK(decode_control_request(extended).status().message() ==
        "control request: bytes behind its end");
  auto cut = forged(encode(control_request()), [](std::string& f) { f.pop_back(); });
  CHECK(decode_control_request(cut).status().message() ==
        "control request: malformed or cut short");
  auto code = forged(encode(control_response()), [](std::string& f) { f[2] = 1; });
  CHECK(decode_control_response(code).status().message().starts_with(
      "answer to a control request: code "));
  auto long_length = forged(encode(ForwardRequest()), [](std::string& f) { f.back() = 100; });
  CHECK(decode_forward_request(long_length).status().message() ==
        "forwarded request: malformed or cut short");
}

}  // namespace kvstore::wire::test
