#include "wire/hello.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/codec.hpp"
#include "wire/checked_frame.hpp"
#include "wire/frame.hpp"

namespace kvstore::wire {
namespace {

constexpr Bytes kMagic = "KVSH";
// Fewest bytes that an element of each list takes.
constexpr size_t kApiBytesMin = 2;
constexpr size_t kPluginBytesMin = 1;
constexpr size_t kMemberBytesMin = 10;

Status corrupt(const char* what) {
  return Status(Code::kCorrupt, fmt::format("hello: {}", what));
}

std::string encode_with(const Hello& hello, size_t members, size_t plugins) {
  std::string out;
  Encoder e(&out);
  e.raw(kMagic);
  e.u32(hello.version_min);
  e.u32(hello.version_max);
  e.raw(as_bytes(hello.cluster.data(), hello.cluster.size()));
  e.u64(hello.node);
  e.bytes(hello.name);
  e.bytes(hello.raft_address);
  e.varint(hello.api_addresses.size());
  for (const auto& [api, address] : hello.api_addresses) {
    e.bytes(api);
    e.bytes(address);
  }
  e.varint(plugins);
  for (size_t i = 0; i < plugins; i++) e.bytes(hello.plugins[i]);
  e.varint(members);
  for (size_t i = 0; i < members; i++) {
    e.u64(hello.members[i].id);
    e.bytes(hello.members[i].name);
    e.bytes(hello.members[i].address);
  }
  e.bytes(Bytes());  // extension
  append_checksum(&out);
  return out;
}

Status check_versions(uint32_t theirs_min, uint32_t theirs_max) {
  if (theirs_min > theirs_max) return corrupt("version range is upside down");
  if (theirs_min <= kVersionMax && theirs_max >= kVersionMin) return Status();
  return Status(Code::kIncompatible,
                fmt::format("hello: the peer speaks wire versions {}..{}, this node {}..{}",
                            theirs_min, theirs_max, kVersionMin, kVersionMax));
}

void take_lists(Decoder& d, Hello* hello) {
  uint64_t apis = d.count(kApiBytesMin);
  for (uint64_t i = 0; i < apis && d.ok(); i++) {
    std::string api(d.bytes());
    hello->api_addresses.emplace_back(std::move(api), d.bytes());
  }
  uint64_t plugins = d.count(kPluginBytesMin);
  for (uint64_t i = 0; i < plugins && d.ok(); i++) hello->plugins.emplace_back(d.bytes());
  uint64_t members = d.count(kMemberBytesMin);
  for (uint64_t i = 0; i < members && d.ok(); i++) {
    HelloMember& member = hello->members.emplace_back();
    member.id = d.u64();
    member.name = d.bytes();
    member.address = d.bytes();
  }
}

}  // namespace

Result<std::string> encode_hello(const Hello& hello) {
  size_t members = hello.members.size();
  size_t plugins = hello.plugins.size();
  for (;;) {
    std::string out = encode_with(hello, members, plugins);
    if (out.size() <= kHelloBytesMax) return out;
    if (members > 0) {
      members--;
    } else if (plugins > 0) {
      plugins--;
    } else {
      return Status(Code::kInvalid,
                    fmt::format("hello: names and addresses take {} bytes, above {}", out.size(),
                                kHelloBytesMax));
    }
  }
}

Result<Hello> decode_hello(Bytes bytes) {
  if (bytes.size() > kHelloBytesMax) return corrupt("too large");
  auto content = checked_content(bytes, "hello");
  if (!content) return content.status();
  Decoder d(*content);
  if (d.raw(kMagic.size()) != kMagic) return corrupt("not a kvstore node");
  Hello hello;
  hello.version_min = d.u32();
  hello.version_max = d.u32();
  if (!d.ok()) return corrupt("cut short");
  if (Status s = check_versions(hello.version_min, hello.version_max); !s) return s;
  Bytes cluster = d.raw(hello.cluster.size());
  std::copy(cluster.begin(), cluster.end(), hello.cluster.begin());
  hello.node = d.u64();
  hello.name = d.bytes();
  hello.raft_address = d.bytes();
  take_lists(d, &hello);
  d.bytes();  // extension
  if (!d.ok()) return corrupt("malformed or cut short");
  if (!d.done()) return corrupt("bytes behind its end");
  if (hello.node == 0) return corrupt("node id 0");
  return hello;
}

std::string cluster_id_text(const ClusterId& id) {
  std::string out;
  for (size_t i = 0; i < id.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out.push_back('-');
    out += fmt::format("{:02x}", id[i]);
  }
  return out;
}

}  // namespace kvstore::wire
