// PUT of a large value: the body goes up in parts while it arrives, and one transaction then refers
// to the upload.  One part is written while the next one arrives: memory is two parts and a piece
// of the body, whatever the value's size.
#include <kvstore/sdk/guard.hpp>

#include "handlers/kv_write.hpp"
#include "text/put_body.hpp"

namespace kvstore::http {
namespace {

constexpr size_t kPartBytes = 1 << 20;

// Everything runs on the exchange's thread; completions post themselves there.
class PutUpload : public std::enable_shared_from_this<PutUpload> {
 public:
  PutUpload(Context& context, ExchangePtr exchange, const Request& request, WritePlan plan,
            const kvs_call& call)
      : context_(context),
        exchange_(std::move(exchange)),
        plan_(std::move(plan)),
        call_(call),
        credential_(sdk::view(call.credential)),
        remote_address_(sdk::view(call.remote_address)) {
    call_.credential = sdk::slice(credential_);
    call_.remote_address = sdk::slice(remote_address_);
    call_.request_id = sdk::slice(plan_.request_id);  // the plan has moved
    if (request.is_json()) parser_.emplace(context.config.max_key_bytes);
    if (!parser_) total_bytes_ = request.content_length.value_or(0);
  }

  void take(const BodyPiece& piece) {
    if (piece.error != nullptr) throw *piece.error;
    decode(piece.bytes);
    if (piece.end) decode_end();
    flush();
    go_on();
  }

 private:
  void decode(std::string_view bytes) {
    const size_t before = part_.size();
    if (parser_) {
      if (!parser_->feed(bytes, &part_)) throw bad_request(parser_->error());
    } else {
      part_.append(bytes);
    }
    value_bytes_ += part_.size() - before;
    const uint64_t limit = context_.config.max_value_bytes;
    if (value_bytes_ > limit) throw too_large("the value", limit, "max_value_bytes");
  }

  void decode_end() {
    ended_ = true;
    if (!parser_) return;
    if (!parser_->finish()) throw bad_request(parser_->error());
    if (parser_->has_key() && parser_->key() != plan_.key) {
      throw bad_request("key: differs from the key in the path");
    }
  }

  // Sends the next part when it is full (the last one as it is) and none is under way.
  void flush() {
    if (writing_ || part_.empty() || (part_.size() < kPartBytes && !ended_)) return;
    // A value that fits into one part goes into the transaction itself.
    if (upload_.raw() == nullptr) {
      if (ended_ && value_bytes_ <= kPartBytes) return;
      upload_ = context_.engine->upload_open(call_, total_bytes_);
    }
    const size_t bytes = std::min(part_.size(), kPartBytes);
    write(std::string_view(part_).substr(0, bytes));
    part_.erase(0, bytes);
  }

  void write(std::string_view part) {
    writing_ = true;
    auto self = shared_from_this();
    context_.engine->upload_write(exchange_, upload_, part, [self](const kvs_result&) {
      self->exchange_->post([self] {
        guarded(self->context_.host(), *self->exchange_, [&] {
          self->writing_ = false;
          self->flush();
          self->go_on();
        });
      });
    });
  }

  // Asks for more of the body unless a part is waiting, and commits at the end.
  void go_on() {
    if (!ended_) {
      if (reading_ || part_.size() >= kPartBytes) return;
      reading_ = true;
      exchange_->read_body([self = shared_from_this()](const BodyPiece& piece) {
        self->reading_ = false;
        guarded(self->context_.host(), *self->exchange_, [&] { self->take(piece); });
      });
    } else if (!writing_ && (part_.empty() || upload_.raw() == nullptr)) {
      // Without an upload the whole value is in part_.
      submit_put(context_, exchange_, call_, plan_, part_, upload_.raw(), shared_from_this());
    }
  }

  Context& context_;
  ExchangePtr exchange_;
  const WritePlan plan_;
  kvs_call call_;
  const std::string credential_, remote_address_;
  std::optional<PutBodyParser> parser_;  // of a JSON body; otherwise the body is the value
  Upload upload_;
  std::string part_;  // decoded and not yet written
  uint64_t value_bytes_ = 0;
  uint64_t total_bytes_ = 0;  // of the value; 0: not known
  bool writing_ = false;
  bool reading_ = false;
  bool ended_ = false;
};

}  // namespace

void start_upload(Context& context, const Request& request, const ExchangePtr& exchange,
                  WritePlan plan, const kvs_call& call) {
  auto upload = std::make_shared<PutUpload>(context, exchange, request, std::move(plan), call);
  BodyPiece first;
  first.bytes = request.body;
  upload->take(first);
}

}  // namespace kvstore::http
