// What other nodes send: Raft messages, envelopes, hellos, snapshots.
#include <vector>

#include "../support/memory_store.hpp"
#include "base/codec.hpp"
#include "node/membership.hpp"
#include "target.hpp"
#include "wire/frame.hpp"
#include "wire/hello.hpp"
#include "wire/peer_codec.hpp"
#include "wire/raft_codec.hpp"
#include "wire/snapshot_file.hpp"
#include "wire/snapshot_stream.hpp"

namespace kvstore::fuzz {
namespace {

// ---- Raft messages

std::string bytes_of(const raft::Message& message) {
  const wire::EncodedMessage encoded = wire::encode_message(message);
  std::string out;
  for (const SharedBytes& part : encoded.parts) out.append(part.view());
  KVS_ASSERT(out.size() == encoded.bytes);
  return out;
}

void run_raft_message(Bytes input) {
  const auto message = wire::decode_message(SharedBytes::copy_of(input));
  if (!message) return assert_says_why(message.status());
  KVS_ASSERT(message->entries.size() <= input.size());
  KVS_ASSERT(bytes_of(*message) == input);
}

raft::Configuration sample_configuration() {
  raft::Configuration c = node::Membership::bootstrap({{7}, "node1", "127.0.0.1:7001"});
  auto membership = node::Membership::decode(c).value();
  KVS_ASSERT(membership.admit({"node2", "127.0.0.1:7002", true}).is_ok());
  KVS_ASSERT(membership.bind({{9}, "node2", "127.0.0.1:7002"}).is_ok());
  KVS_ASSERT(membership.admit({"node3", "[::1]:7003", false}).is_ok());
  membership.remove({11});
  c.set({.id = {9}, .voter = false, .auto_promote = true});
  c.context = membership.encode_context();
  return c;
}

raft::Entry entry(uint64_t term, uint64_t index, raft::EntryKind kind, std::string data) {
  raft::Entry e{{{term}, {index}}, kind, 0, SharedBytes(std::move(data))};
  e.crc = raft::entry_crc(e.id, e.kind, e.data.view());
  return e;
}

void seed_raft_message(Seeds* out) {
  for (unsigned type = 1; type <= 11; ++type) {
    raft::Message m;
    m.type = static_cast<raft::MessageType>(type);
    m.from = {0x1234567890abcdef & ~(1ull << 63)};
    m.to = {2};
    m.term = {type * 100};
    m.log = {{3}, {40}};
    m.commit = {39};
    m.match = {41};
    m.hint = {{2}, {17}};
    m.rejected = {55};
    m.read_round = 300;
    m.token = type;
    m.reject = type % 2 == 0;
    m.forced = type == 3;
    if (m.type == raft::MessageType::kAppend) {
      out->push_back(bytes_of(m));
      m.entries = {
          entry(3, 41, raft::EntryKind::kNoop, ""),
          entry(3, 42, raft::EntryKind::kCommand, "a command"),
          entry(500, 43, raft::EntryKind::kConfiguration, sample_configuration().encode())};
    }
    out->push_back(bytes_of(m));
  }
}

// ---- envelopes

template <typename Decoded>
void assert_same(const Decoded& decoded, Bytes input) {
  if (!decoded) return assert_says_why(decoded.status());
  KVS_ASSERT(wire::encode(*decoded) == input);
}

// As the node does: the kind says which decoder.
void run_peer_message(Bytes input) {
  const auto kind = wire::frame_kind(input);
  if (!kind) return assert_says_why(kind.status());
  const SharedBytes payload = SharedBytes::copy_of(input);
  switch (*kind) {
    case wire::FrameKind::kRaft:
      return run_raft_message(input);
    case wire::FrameKind::kForwardRequest:
      return assert_same(wire::decode_forward_request(payload), input);
    case wire::FrameKind::kForwardResponse:
      return assert_same(wire::decode_forward_response(payload), input);
    case wire::FrameKind::kControlRequest:
      return assert_same(wire::decode_control_request(payload), input);
    case wire::FrameKind::kControlResponse:
      return assert_same(wire::decode_control_response(payload), input);
  }
}

void seed_peer_message(Seeds* out) {
  out->push_back(wire::encode(wire::ForwardRequest{7, 5000, SharedBytes(std::string("command"))}));
  out->push_back(wire::encode(wire::ForwardResponse{7, Code::kIndeterminate, "who knows", 3, 900,
                                                    SharedBytes(std::string("result"))}));
  out->push_back(wire::encode(wire::ControlRequest{1, 250, "cluster.add", R"({"node_id":"n"})"}));
  out->push_back(wire::encode(wire::ControlResponse{1, Code::kOk, "", R"({"state":"voter"})"}));
}

// ---- hello

void run_hello(Bytes input) {
  const auto hello = wire::decode_hello(input);
  if (!hello) return assert_says_why(hello.status());
  KVS_ASSERT(input.size() <= wire::kHelloBytesMax);
  const auto again = wire::encode_hello(*hello);
  KVS_ASSERT(again.is_ok());
  // An extension of a newer version is not kept; all that this version knows is.
  KVS_ASSERT(again->size() <= input.size());
  KVS_ASSERT(*wire::decode_hello(*again) == *hello);
}

void seed_hello(Seeds* out) {
  wire::Hello hello;
  hello.node = 5;
  hello.name = "node5";
  hello.raft_address = "10.0.0.5:7001";
  hello.version_min = wire::kVersionMin;
  hello.version_max = wire::kVersionMax;
  out->push_back(*wire::encode_hello(hello));
  hello.cluster.fill(0xab);
  hello.api_addresses = {{"api-http", "10.0.0.5:8081"}};
  hello.plugins = {"log=storage-leveldb/1", "transport=transport-thrift/1"};
  hello.members = {{5, "node5", "10.0.0.5:7001"}, {6, "node6", "10.0.0.6:7001"}};
  out->push_back(*wire::encode_hello(hello));
}

// ---- snapshots

void run_snapshot_header(Bytes input) {
  const auto header = wire::decode_snapshot_header(input);
  if (!header) return assert_says_why(header.status());
  KVS_ASSERT(wire::encode_snapshot_header(*header) == input);
}

void seed_snapshot_header(Seeds* out) {
  wire::SnapshotHeader header;
  header.term = 9;
  header.from = 7;
  header.cluster.fill(3);
  header.meta.last = {{8}, {1000}};
  header.meta.configuration = sample_configuration();
  out->push_back(wire::encode_snapshot_header(header));
}

struct Received {
  Status status;
  test::MemoryData data;
  uint64_t pairs = 0;
};

Received receive(Bytes stream, size_t step) {
  Received out;
  wire::SnapshotReader reader([&](std::span<const wire::SnapshotPair> pairs) {
    for (const wire::SnapshotPair& pair : pairs) {
      KVS_ASSERT(pair.space < kv::kSpaceCount);
      auto& space = out.data.spaces[pair.space];
      KVS_ASSERT(space.emplace(pair.key, pair.value).second);
    }
    out.pairs += pairs.size();
    return Status();
  });
  for (; !stream.empty(); stream.remove_prefix(std::min(step, stream.size()))) {
    if (!reader.feed(stream.substr(0, step))) break;
  }
  out.status = reader.finish();
  KVS_ASSERT(reader.pairs() == out.pairs);
  return out;
}

std::string stream_of(const test::MemoryData& data) {
  test::MemoryView view(std::make_shared<const test::MemoryData>(data));
  std::string out;
  KVS_ASSERT(wire::write_snapshot(view, [&](Bytes chunk) {
               out.append(chunk);
               return Status();
             }).is_ok());
  return out;
}

// The first byte says how the stream is cut.
void run_snapshot_stream(Bytes input) {
  const size_t step = 1 + take_choice(&input, 64);
  const Received whole = receive(input, input.size() + 1);
  const Received pieces = receive(input, step);
  KVS_ASSERT(whole.status.code() == pieces.status.code());
  KVS_ASSERT(whole.status.message() == pieces.status.message());
  KVS_ASSERT(whole.data.spaces == pieces.data.spaces);
  KVS_ASSERT(whole.pairs <= input.size());
  if (!whole.status.is_ok()) return assert_says_why(whole.status);
  const Received again = receive(stream_of(whole.data), input.size() + 1);
  KVS_ASSERT(again.status.is_ok());
  KVS_ASSERT(again.data.spaces == whole.data.spaces);
}

void seed_snapshot_stream(Seeds* out) {
  test::MemoryData data;
  out->push_back("\x05" + stream_of(data));
  data.spaces[0] = {{"a", "1"}, {"b", std::string(100, 'x')}, {std::string("\0k", 2), ""}};
  out->push_back("\x3f" + stream_of(data));
  data.spaces[1] = {{"machine", "m"}};
  data.spaces[2] = {{"part", std::string(300, 'p')}};
  out->push_back(std::string(1, '\0') + stream_of(data));
}

struct FileRead {
  Status status;
  std::optional<wire::SnapshotFileHeader> header;
  uint64_t pairs = 0;
  uint64_t keys = 0;
};

FileRead read_file(Bytes file, size_t step) {
  FileRead out;
  wire::SnapshotFileReader reader([&](std::span<const wire::SnapshotPair> pairs) {
    out.pairs += pairs.size();
    return Status();
  });
  for (; !file.empty(); file.remove_prefix(std::min(step, file.size()))) {
    if (!reader.feed(file.substr(0, step))) break;
  }
  out.status = reader.finish();
  if (reader.header() != nullptr) out.header = *reader.header();
  out.keys = reader.keys();
  KVS_ASSERT(reader.pairs() == out.pairs && out.keys <= out.pairs);
  return out;
}

// The first byte says how the file is cut.
void run_snapshot_file(Bytes input) {
  const size_t step = 1 + take_choice(&input, 64);
  const FileRead whole = read_file(input, input.size() + 1);
  const FileRead pieces = read_file(input, step);
  KVS_ASSERT(whole.status.code() == pieces.status.code());
  KVS_ASSERT(whole.status.message() == pieces.status.message());
  KVS_ASSERT(whole.header == pieces.header && whole.pairs == pieces.pairs);
  if (whole.header) {
    KVS_ASSERT(input.starts_with(wire::encode_snapshot_file_header(*whole.header)));
  }
  if (!whole.status.is_ok()) return assert_says_why(whole.status);
  KVS_ASSERT(whole.header.has_value());
}

void seed_snapshot_file(Seeds* out) {
  wire::SnapshotFileHeader header;
  header.cluster.fill(3);
  header.node = 7;
  header.node_name = "node1";
  header.created_ms = 1'700'000'000'000;
  header.last = {{8}, {1000}};
  header.revision = 10;
  header.compacted_revision = 2;
  header.members = {{7, "node1", "a:1", true}, {9, "node2", "b:2", false}};
  test::MemoryData data;
  data.spaces[0] = {{"a", "1"}, {"b", std::string(100, 'x')}};
  data.spaces[1] = {{"machine", "m"}};
  std::string file = wire::encode_snapshot_file_header(header);
  test::MemoryView view(std::make_shared<const test::MemoryData>(data));
  wire::SnapshotFrames frames(&view, wire::snapshot_file_chain(file));
  while (*frames.next(&file)) {
  }
  out->push_back("\x05" + file);
  out->push_back("\x3f" + file);
  out->push_back("\x07" + wire::encode_snapshot_file_header(header));
}

constexpr Target kTargets[] = {
    {"raft_message", run_raft_message, seed_raft_message},
    {"peer_message", run_peer_message, seed_peer_message},
    {"hello", run_hello, seed_hello},
    {"snapshot_header", run_snapshot_header, seed_snapshot_header},
    {"snapshot_stream", run_snapshot_stream, seed_snapshot_stream},
    {"snapshot_file", run_snapshot_file, seed_snapshot_file},
};

}  // namespace

std::span<const Target> wire_targets() {
  return kTargets;
}

}  // namespace kvstore::fuzz
