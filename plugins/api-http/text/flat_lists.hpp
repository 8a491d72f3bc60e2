// JSON bodies that are lists of flat objects, {"then": [{"op": "put", ...}, ...], ...}: read in one
// pass, without a document in memory, and with the place of every mistake.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api_error.hpp"

namespace kvstore::http {

struct FlatValue {
  enum class Kind : uint8_t { kString, kUnsigned, kBoolean, kOther };
  Kind kind = Kind::kOther;
  std::string text;
  uint64_t number = 0;
  bool boolean = false;
};

// One object of a list.  Whoever reads it takes its fields out; what nobody took is a mistake.
// All functions that throw throw ApiError(400) that begins with the field's path, "then[3].value".
class FlatObject {
 public:
  explicit FlatObject(std::string path) : path_(std::move(path)) {}

  void add(std::string name, FlatValue value);

  const std::string& path() const { return path_; }
  bool has(std::string_view name) const;
  bool is_string(std::string_view name) const;
  // Nothing when there is no such field; throw when it has another type.
  std::optional<std::string> take_string(std::string_view name);
  std::optional<uint64_t> take_unsigned(std::string_view name);
  std::optional<bool> take_boolean(std::string_view name);
  // Throws for the first field that was not taken; `what` is the object, for the message.
  void reject_rest(std::string_view what) const;

  ApiError error(std::string_view field, std::string_view what) const;

 private:
  std::optional<FlatValue> take(std::string_view name);

  std::string path_;
  std::vector<std::pair<std::string, FlatValue>> fields_;
};

struct FlatList {
  std::string_view name;
  uint64_t objects_max;
  std::function<void(FlatObject object)> on_object;
};

// Reads the whole body; objects are given out in order.  Throws ApiError(400), also for what
// on_object throws.
void parse_flat_lists(std::string_view body, std::vector<FlatList> lists);

}  // namespace kvstore::http
