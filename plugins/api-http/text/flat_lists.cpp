#include "text/flat_lists.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "text/json_text.hpp"

namespace kvstore::http {
namespace {

using nlohmann::json;

// More than any object has; what is beyond would only be looked up for long.
constexpr size_t kFieldsMax = 32;
// Of an unknown name in a message.
constexpr size_t kShownBytesMax = 64;

std::string shown(std::string_view name) {
  return to_utf8(name.substr(0, kShownBytesMax));
}

// Follows the parser; where it stands says what may come.
class Reader final : public nlohmann::json_sax<json> {
 public:
  explicit Reader(std::vector<FlatList> lists)
      : lists_(std::move(lists)), seen_(lists_.size(), false) {}

  bool null() override { return scalar({}); }
  bool number_integer(number_integer_t) override { return scalar({}); }
  bool number_float(number_float_t, const string_t&) override { return scalar({}); }
  bool binary(binary_t&) override { return scalar({}); }
  bool boolean(bool value) override {
    FlatValue out;
    out.kind = FlatValue::Kind::kBoolean;
    out.boolean = value;
    return scalar(std::move(out));
  }
  bool number_unsigned(number_unsigned_t value) override {
    FlatValue out;
    out.kind = FlatValue::Kind::kUnsigned;
    out.number = value;
    return scalar(std::move(out));
  }
  bool string(string_t& value) override {
    FlatValue out;
    out.kind = FlatValue::Kind::kString;
    out.text = std::move(value);
    return scalar(std::move(out));
  }

  bool start_object(size_t) override {
    if (place_ == Place::kOutside) {
      place_ = Place::kDocument;
    } else if (place_ == Place::kList) {
      begin_object();
    } else {
      throw misplaced();
    }
    return true;
  }
  bool end_object() override {
    if (place_ == Place::kObject) {
      place_ = Place::kList;
      lists_[list_].on_object(std::move(*object_));
      object_.reset();
    } else {
      place_ = Place::kOutside;
    }
    return true;
  }
  bool start_array(size_t) override {
    if (place_ != Place::kDocument) throw misplaced();
    place_ = Place::kList;
    count_ = 0;
    return true;
  }
  bool end_array() override {
    place_ = Place::kDocument;
    return true;
  }
  bool key(string_t& name) override {
    if (place_ == Place::kObject) {
      field_ = std::move(name);
    } else {
      begin_list(name);
    }
    return true;
  }
  bool parse_error(size_t position, const std::string&, const json::exception&) override {
    throw bad_request("the body is not valid JSON (at byte " + std::to_string(position) + ")");
  }

 private:
  enum class Place : uint8_t { kOutside, kDocument, kList, kObject };

  void begin_list(const std::string& name) {
    const auto found = std::find_if(lists_.begin(), lists_.end(),
                                    [&](const FlatList& list) { return list.name == name; });
    if (found == lists_.end()) throw bad_request("unknown field \"" + shown(name) + "\"");
    list_ = static_cast<size_t>(found - lists_.begin());
    if (seen_[list_]) throw bad_request(name + ": given twice");
    seen_[list_] = true;
  }

  void begin_object() {
    const FlatList& list = lists_[list_];
    if (count_ == list.objects_max) {
      throw bad_request(std::string(list.name) + ": more than " + std::to_string(list.objects_max) +
                        " entries");
    }
    object_.emplace(path_of_next());
    ++count_;
    place_ = Place::kObject;
  }

  bool scalar(FlatValue value) {
    if (place_ != Place::kObject) throw misplaced();
    object_->add(std::move(field_), std::move(value));
    return true;
  }

  std::string path_of_next() const {
    return std::string(lists_[list_].name) + "[" + std::to_string(count_) + "]";
  }

  // A value that cannot stand here.
  ApiError misplaced() const {
    switch (place_) {
      case Place::kDocument:
        return bad_request(std::string(lists_[list_].name) + ": must be a list");
      case Place::kList:
        return bad_request(path_of_next() + ": must be an object");
      case Place::kObject:
        return object_->error(field_, "must not be an object or a list");
      case Place::kOutside:
        break;
    }
    return bad_request("the body must be a JSON object");
  }

  std::vector<FlatList> lists_;
  std::vector<bool> seen_;
  Place place_ = Place::kOutside;
  size_t list_ = 0;     // the one that is read, or whose value comes next
  uint64_t count_ = 0;  // of its objects so far
  std::optional<FlatObject> object_;
  std::string field_;
};

}  // namespace

void FlatObject::add(std::string name, FlatValue value) {
  if (has(name)) throw error(name, "given twice");
  if (fields_.size() == kFieldsMax) throw bad_request(path_ + ": too many fields");
  fields_.emplace_back(std::move(name), std::move(value));
}

bool FlatObject::has(std::string_view name) const {
  return std::any_of(fields_.begin(), fields_.end(),
                     [name](const auto& field) { return field.first == name; });
}

bool FlatObject::is_string(std::string_view name) const {
  return std::any_of(fields_.begin(), fields_.end(), [name](const auto& field) {
    return field.first == name && field.second.kind == FlatValue::Kind::kString;
  });
}

std::optional<FlatValue> FlatObject::take(std::string_view name) {
  for (auto it = fields_.begin(); it != fields_.end(); ++it) {
    if (it->first != name) continue;
    FlatValue value = std::move(it->second);
    fields_.erase(it);
    return value;
  }
  return std::nullopt;
}

std::optional<std::string> FlatObject::take_string(std::string_view name) {
  auto value = take(name);
  if (!value) return std::nullopt;
  if (value->kind != FlatValue::Kind::kString) throw error(name, "must be a string");
  return std::move(value->text);
}

std::optional<uint64_t> FlatObject::take_unsigned(std::string_view name) {
  const auto value = take(name);
  if (!value) return std::nullopt;
  if (value->kind != FlatValue::Kind::kUnsigned) {
    throw error(name, "must be a non-negative integer");
  }
  return value->number;
}

std::optional<bool> FlatObject::take_boolean(std::string_view name) {
  const auto value = take(name);
  if (!value) return std::nullopt;
  if (value->kind != FlatValue::Kind::kBoolean) throw error(name, "must be true or false");
  return value->boolean;
}

void FlatObject::reject_rest(std::string_view what) const {
  if (fields_.empty()) return;
  throw error(fields_.front().first, std::string("does not go with ").append(what));
}

ApiError FlatObject::error(std::string_view field, std::string_view what) const {
  return bad_request(path_ + "." + shown(field) + ": " + std::string(what));
}

void parse_flat_lists(std::string_view body, std::vector<FlatList> lists) {
  Reader reader(std::move(lists));
  json::sax_parse(body, &reader);
}

}  // namespace kvstore::http
