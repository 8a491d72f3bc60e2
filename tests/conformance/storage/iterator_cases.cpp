// Cases about iterators.  Method: every combination of bounds, direction and batch size over
// awkward keys, compared with the model's map.
#include <algorithm>

#include <kvstore/sdk/slice.hpp>

#include "plugin_file.hpp"
#include "state_driver.hpp"

namespace kvstore::conformance {
namespace {

using namespace std::string_literals;

// What the scan must give.
Pairs expected(const StateModel& model, const Scan& scan) {
  Pairs out;
  for (const auto& [key, value] : model.spaces[scan.space]) {
    if (key < scan.lower || (!scan.upper.empty() && key >= scan.upper)) continue;
    out.emplace_back(key, scan.keys_only ? "" : value);
  }
  if (scan.reverse) std::reverse(out.begin(), out.end());
  return out;
}

const std::vector<std::string> kKeys = {""s,   "\0"s,   "a"s,    "a\0"s,  "ab"s,      "b"s,
                                        "ba"s, "\x7F"s, "\x80"s, "\xFF"s, "\xFF\xFF"s};

void fill(MirroredState& state) {
  std::vector<Op> ops;
  for (const std::string& key : kKeys) ops.push_back(put(key, "value of " + key));
  for (uint32_t space : {1u, 2u, 15u}) ops.push_back(put("neighbour", "x", space));
  state.write(std::move(ops));
}

void bounds(Context& c) {
  MirroredState state(c);
  fill(state);
  ViewDriver view(state.driver.api(), state.driver.handle());
  std::vector<std::string> limits = kKeys;
  limits.insert(limits.end(), {"aa", "zz", "\xFF\xFE", "\xFF\xFF\xFF"});
  for (const std::string& lower : limits) {
    for (const std::string& upper : limits) {
      for (int flags = 0; flags < 4; ++flags) {
        Scan scan;
        scan.lower = lower;
        scan.upper = upper;
        scan.reverse = (flags & 1) != 0;
        scan.keys_only = (flags & 2) != 0;
        KIT_CHECK(view.scan(scan) == expected(state.model, scan));
      }
    }
  }
}

void batch_sizes(Context& c) {
  MirroredState state(c);
  std::vector<Op> ops;
  for (int i = 0; i < 500; ++i) {
    const auto n = static_cast<uint64_t>(i);
    ops.push_back(
        put("k" + std::to_string(i), make_entry(1, n, static_cast<size_t>(i * 7 % 300)).data));
  }
  state.write(std::move(ops));
  ViewDriver view(state.driver.api(), state.driver.handle());
  for (bool reverse : {false, true}) {
    Scan scan;
    scan.reverse = reverse;
    const Pairs all = expected(state.model, scan);
    for (uint32_t cap : {1u, 2u, 7u, 1000u}) {
      for (uint64_t bytes :
           {uint64_t{0}, uint64_t{1}, uint64_t{200}, uint64_t{5000}, uint64_t{1} << 30}) {
        scan.cap = cap;
        scan.bytes_max = bytes;
        KIT_CHECK(view.scan(scan) == all);
      }
    }
  }
}

// Where a seek must continue.
Pairs after_seek(const Pairs& all, const std::string& key, bool reverse) {
  Pairs out;
  for (const auto& pair : all) {
    if (reverse ? pair.first <= key : pair.first >= key) out.push_back(pair);
  }
  return out;
}

void seek(Context& c) {
  MirroredState state(c);
  fill(state);
  ViewDriver view(state.driver.api(), state.driver.handle());
  for (bool reverse : {false, true}) {
    for (const auto& [lower, upper] : Pairs{{"", ""}, {"a", "b"}, {"ab", "\xFF"}, {"b", "a"}}) {
      Scan scan;
      scan.reverse = reverse;
      scan.lower = lower;
      scan.upper = upper;
      scan.cap = 2;
      const Pairs all = expected(state.model, scan);
      IterDriver iter(state.driver.api(), view.handle(), scan);
      for (std::string key : {""s, "\0"s, "a"s, "a\0"s, "aa"s, "ab"s, "b"s, "bz"s, "\x7F"s, "\xFF"s,
                              "\xFF\xFF\xFF"s}) {
        // In reverse a key below the lower bound counts as that bound, which the contract leaves to
        // a pair that lies exactly there; both readings agree everywhere else.
        if (reverse && key < lower) continue;
        iter.seek(key);
        KIT_CHECK(iter.rest() == after_seek(all, key, reverse));
      }
    }
  }
}

void seek_in_the_middle(Context& c) {
  MirroredState state(c);
  fill(state);
  ViewDriver view(state.driver.api(), state.driver.handle());
  Scan scan;
  scan.cap = 1;
  IterDriver iter(state.driver.api(), view.handle(), scan);
  Pairs got;
  for (int i = 0; i < 3; ++i) KIT_CHECK(iter.next(&got));
  iter.seek("a");
  KIT_CHECK(iter.next(&got) && got.back().first == "a");
  iter.seek("");
  KIT_CHECK(iter.next(&got) && got.back().first.empty());
  KIT_CHECK(iter.next(&got) && got.back().first == "\0"s);
}

void slices_live_until_next_call(Context& c) {
  MirroredState state(c);
  std::vector<Op> ops;
  for (int i = 0; i < 100; ++i)
    ops.push_back(put("key" + std::to_string(i), std::string(100, 'v')));
  state.write(std::move(ops));
  ViewDriver view(state.driver.api(), state.driver.handle());
  kvs_iter_options options{};
  options.struct_size = sizeof options;
  kvs_iter* iter = nullptr;
  KIT_STATUS(KVS_OK, state.driver.api().iter_open(view.handle(), &options, &iter, nullptr));
  kvs_pair pairs[64];
  uint32_t n = 0;
  KIT_STATUS(KVS_OK, state.driver.api().iter_next(iter, pairs, 64, 1u << 20, &n, nullptr));
  // Other work must not disturb them.
  for (int i = 0; i < 50; ++i) state.write({put("new" + std::to_string(i), std::string(300, 'w'))});
  (void)view.scan({});
  KIT_CHECK(view.get("key5").has_value());
  auto expected_pair = state.model.spaces[0].begin();
  for (uint32_t i = 0; i < n; ++i, ++expected_pair) {
    KIT_CHECK(sdk::view(pairs[i].key) == expected_pair->first);
    KIT_CHECK(sdk::view(pairs[i].value) == expected_pair->second);
  }
  state.driver.api().iter_close(iter);
}

void several_iterators(Context& c) {
  MirroredState state(c);
  fill(state);
  ViewDriver view(state.driver.api(), state.driver.handle());
  Scan forward;
  forward.cap = 1;
  Scan backward = forward;
  backward.reverse = true;
  IterDriver a(state.driver.api(), view.handle(), forward);
  IterDriver b(state.driver.api(), view.handle(), backward);
  IterDriver other(state.driver.api(), view.handle(), forward);
  Pairs from_a;
  Pairs from_b;
  while (a.next(&from_a)) KIT_CHECK(b.next(&from_b));
  std::reverse(from_b.begin(), from_b.end());
  KIT_CHECK(from_a == from_b && from_a == other.rest());
}

void refused_options(Context& c) {
  StateDriver state(c);
  ViewDriver view(state.api(), state.handle());
  kvs_iter* iter = nullptr;
  kvs_iter_options options{};
  options.struct_size = sizeof options;
  options.space = 16;
  KIT_STATUS(KVS_E_INVALID, state.api().iter_open(view.handle(), &options, &iter, nullptr));
  options.space = 0;
  options.flags = 0x40000000u;
  KIT_STATUS(KVS_E_UNSUPPORTED, state.api().iter_open(view.handle(), &options, &iter, nullptr));
  KIT_CHECK_MSG(iter == nullptr, "a failed iter_open touched *out");
}

}  // namespace

std::vector<Case> iterator_cases() {
  return {
      {"iter-bounds", "Lower inclusive, upper exclusive, both directions, keys only.",
       Needs::kState, false, bounds},
      {"iter-batch-sizes", "Any cap and byte limit give the same walk.", Needs::kState, false,
       batch_sizes},
      {"iter-seek", "A seek continues at or after the key, in reverse at or before it.",
       Needs::kState, false, seek},
      {"iter-seek-in-the-middle", "A seek back during a walk, and from the end.", Needs::kState,
       false, seek_in_the_middle},
      {"iter-slices-live-until-next-call", "Delivered slices stay while other calls are made.",
       Needs::kState, false, slices_live_until_next_call},
      {"iter-several-on-one-view", "Iterators of one view do not disturb each other.",
       Needs::kState, false, several_iterators},
      {"iter-refused-options", "An unknown space or flag is refused.", Needs::kState, false,
       refused_options},
  };
}

}  // namespace kvstore::conformance
