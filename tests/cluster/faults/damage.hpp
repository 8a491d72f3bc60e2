// Damage to files of a node that does not run: what disks, cables and people do to them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace kvstore::test {

enum class Damage {
  kFlip,      // one bit in the middle
  kTruncate,  // half of it is left
  kZero,      // the middle third is zeros
  kGarbage,   // the middle third is something else
  kSwap,      // two pages have changed places, each whole (misdirected writes)
  kEmpty,     // nothing is left in it
  kRemove,
};
inline constexpr Damage kAllDamage[] = {Damage::kFlip,    Damage::kTruncate, Damage::kZero,
                                        Damage::kGarbage, Damage::kSwap,     Damage::kEmpty,
                                        Damage::kRemove};

std::string name_of(Damage damage);
void inflict(Damage damage, const std::filesystem::path& file);

// The files below a directory that hold anything, as paths relative to it, in order.
std::vector<std::filesystem::path> files_below(const std::filesystem::path& dir);
// Replaces `to` by a copy of `from`.
void copy_tree(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace kvstore::test
