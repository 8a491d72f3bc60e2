#include "raft/configuration.hpp"

#include <algorithm>

#include "base/codec.hpp"

namespace kvstore::raft {

namespace {

constexpr uint8_t kFormat = 1;
constexpr uint8_t kVoterFlag = 1;
constexpr uint8_t kAutoPromoteFlag = 2;
constexpr size_t kMemberBytes = 9;

auto position(const std::vector<Member>& members, NodeId id) {
  return std::lower_bound(members.begin(), members.end(), id,
                          [](const Member& m, NodeId wanted) { return m.id < wanted; });
}

Status corrupt(const char* what) {
  return Status(Code::kCorrupt, std::string("configuration: ") + what);
}

}  // namespace

const Member* Configuration::find(NodeId id) const {
  auto it = position(members, id);
  return it != members.end() && it->id == id ? &*it : nullptr;
}

bool Configuration::is_voter(NodeId id) const {
  const Member* member = find(id);
  return member != nullptr && member->voter;
}

size_t Configuration::voter_count() const {
  return static_cast<size_t>(
      std::count_if(members.begin(), members.end(), [](const Member& m) { return m.voter; }));
}

void Configuration::set(const Member& member) {
  auto at = position(members, member.id) - members.begin();
  if (at < static_cast<ptrdiff_t>(members.size()) &&
      members[static_cast<size_t>(at)].id == member.id)
    members[static_cast<size_t>(at)] = member;
  else
    members.insert(members.begin() + at, member);
}

void Configuration::remove(NodeId id) {
  std::erase_if(members, [id](const Member& m) { return m.id == id; });
}

bool Configuration::is_valid() const {
  for (size_t i = 0; i < members.size(); ++i) {
    if (!members[i].id) return false;
    if (i > 0 && members[i - 1].id >= members[i].id) return false;
  }
  return true;
}

bool Configuration::is_single_change(const Configuration& from, const Configuration& to) {
  auto missing = [](const Configuration& a, const Configuration& b) {
    return std::count_if(a.members.begin(), a.members.end(),
                         [&b](const Member& m) { return m.voter && !b.is_voter(m.id); });
  };
  return missing(from, to) + missing(to, from) <= 1;
}

std::string Configuration::encode() const {
  std::string out;
  Encoder encoder(&out);
  encoder.u8(kFormat);
  encoder.varint(members.size());
  for (const Member& member : members) {
    encoder.u64(member.id.value);
    encoder.u8(static_cast<uint8_t>((member.voter ? kVoterFlag : 0) |
                                    (member.auto_promote ? kAutoPromoteFlag : 0)));
  }
  encoder.bytes(context);
  return out;
}

Result<Configuration> Configuration::decode(Bytes bytes) {
  Decoder decoder(bytes);
  if (decoder.u8() != kFormat) return corrupt("unknown format");
  Configuration result;
  uint64_t count = decoder.count(kMemberBytes);
  result.members.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    Member member{.id = {decoder.u64()}};
    uint8_t flags = decoder.u8();
    if (flags > (kVoterFlag | kAutoPromoteFlag)) return corrupt("unknown member flags");
    member.voter = (flags & kVoterFlag) != 0;
    member.auto_promote = (flags & kAutoPromoteFlag) != 0;
    result.members.push_back(member);
  }
  result.context = std::string(decoder.bytes());
  if (!decoder.ok()) return corrupt("truncated");
  if (!decoder.done()) return corrupt("bytes after the end");
  if (!result.is_valid()) return corrupt("members are not sorted, unique and non-zero");
  return result;
}

}  // namespace kvstore::raft
