// GET /api/v1/kv as lines of JSON.
#include <algorithm>

#include "handlers/kv_common.hpp"
#include "handlers/kv_list.hpp"
#include "handlers/kv_read.hpp"
#include "text/json_text.hpp"

namespace kvstore::http {
namespace {

// What a stream reads at a time.
constexpr uint64_t kStreamItems = 1000;
constexpr uint64_t kStreamBytes = 768 << 10;
// How long a new reader may take.
constexpr uint64_t kReopenNs = 5'000'000'000;

class LineSource final : public BodySource {
 public:
  LineSource(Context& context, StreamCall call, ListPlan plan, Reader reader)
      : context_(context),
        call_(std::move(call)),
        plan_(std::move(plan)),
        reader_(std::move(reader)),
        revision_(reader_.revision()),
        left_(plan_.limit) {}

  kvs_status next(std::string* out) override {
    if (value_) return next_of_value(out);
    try {
      if (!ended_) read_with_patience([&] { next_items(out); });
    } catch (const ApiError& e) {
      // Whole lines stand before it; the status has been sent long ago.
      out->append(error_response(e).body);
      return KVS_E_END;
    }
    if (!ended_ || value_) return KVS_OK;
    append_end_line(revision_, count_, more_ ? encode_cursor(plan_.range, last_key_) : "", out);
    return KVS_E_END;
  }

 private:
  void next_items(std::string* out) {
    const uint64_t items = left_ == 0 ? kStreamItems : std::min(kStreamItems, left_);
    uint64_t delivered = 0;
    const auto take = [&](const kvs_item& item) {
      ++delivered;
      last_key_ = sdk::view(item.key);
      return append(item, out);
    };
    const auto account = [&] {
      if (delivered == 0) return;
      plan_.rest.continue_after(last_key_);
      count_ += delivered;
      if (left_ != 0) left_ -= delivered;
    };
    try {
      more_ = reader_.scan(plan_.rest.to_abi(), plan_.flags(), items, kStreamBytes, take);
    } catch (...) {
      account();  // they stand in `out`
      throw;
    }
    account();
    ended_ = !more_ || delivered == 0 || (plan_.limit != 0 && left_ == 0);
  }

  // False when the item's value must be streamed before the scan goes on.
  bool append(const kvs_item& item, std::string* out) {
    if (plan_.keys_only || !value_is_apart(item)) {
      append_item(item, !plan_.keys_only, out);
      out->push_back('\n');
      return true;
    }
    out->push_back('{');
    append_key(sdk::view(item.key), out);
    out->append(",\"value\":\"");
    value_.emplace(std::string(sdk::view(item.key)), item.value_bytes, true);
    tail_ = "\"";
    append_versions(item, &tail_);
    tail_.append("}\n");
    return false;
  }

  kvs_status next_of_value(std::string* out) {
    read_with_patience([&] { value_->next(reader_, out); });
    if (!value_->at_end()) return KVS_OK;
    out->append(tail_);
    value_.reset();
    return KVS_OK;
  }

  // A reader that the engine ended is replaced once; a new one serves at least what failed.
  template <typename Fn>
  void read_with_patience(Fn read) {
    try {
      read();
    } catch (const ApiError& e) {
      if (e.code != status_name(KVS_E_CANCELLED)) throw;
      reopen();
      read();
    }
  }

  void reopen() {
    const kvs_call call = call_.make(context_.host().now_ns() + kReopenNs);
    kvs_read_options options{};
    options.struct_size = sizeof options;
    options.consistency = KVS_READ_STALE;  // this node has had the revision
    options.revision = revision_;
    reader_ = Reader();
    reader_ = context_.engine->read_open_and_wait(call, options);
  }

  Context& context_;
  const StreamCall call_;
  ListPlan plan_;
  Reader reader_;
  const uint64_t revision_;
  uint64_t left_;  // of the limit; 0: no limit
  uint64_t count_ = 0;
  bool more_ = false;
  bool ended_ = false;
  std::string last_key_;
  std::optional<ValuePieces> value_;
  std::string tail_;
};

}  // namespace

void append_end_line(uint64_t revision, uint64_t count, const std::string& cursor,
                     std::string* out) {
  out->append("{\"end\":true,\"revision\":");
  append_number(revision, out);
  out->append(",\"count\":");
  append_number(count, out);
  out->append(",\"more\":").append(cursor.empty() ? "false" : "true");
  if (!cursor.empty()) {
    out->append(",\"cursor\":");
    append_json_string(cursor, out);
  }
  out->append("}\n");
}

Response stream_response(Context& context, StreamCall call, ListPlan plan, Reader reader) {
  Response response;
  response.content_type = kLines;
  response.revision = reader.revision();
  response.term = reader.term();
  response.source =
      std::make_unique<LineSource>(context, std::move(call), std::move(plan), std::move(reader));
  return response;
}

}  // namespace kvstore::http
