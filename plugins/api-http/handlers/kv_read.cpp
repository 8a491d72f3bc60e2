#include "handlers/kv_read.hpp"

#include <algorithm>

#include "handlers/kv_common.hpp"
#include "handlers/routes.hpp"
#include "text/base64.hpp"
#include "text/etag.hpp"
#include "text/json_text.hpp"
#include "text/percent.hpp"

namespace kvstore::http {
namespace {

// A multiple of three, so that pieces can be encoded one by one.
constexpr uint64_t kPieceBytes = (1 << 20) - 1;

constexpr std::string_view kOctets = "application/octet-stream";

class ValueSource final : public BodySource {
 public:
  ValueSource(Reader reader, ValuePieces pieces, std::string tail)
      : reader_(std::move(reader)), pieces_(std::move(pieces)), tail_(std::move(tail)) {}

  kvs_status next(std::string* out) override {
    pieces_.next(reader_, out);
    if (!pieces_.at_end()) return KVS_OK;
    out->append(tail_);
    return KVS_E_END;
  }

 private:
  const Reader reader_;
  ValuePieces pieces_;
  const std::string tail_;
};

struct GetPlan {
  std::string key;
  bool raw = false;
  std::optional<EntityTags> if_match, if_none_match;
};

std::optional<EntityTags> tags_of(const Request& request, const char* name) {
  const auto value = request.headers->find(name);
  if (!value) return std::nullopt;
  auto tags = parse_entity_tags(*value);
  // A tag that this server never gave matches nothing.
  return tags ? *tags : EntityTags{};
}

// The answer when the item need not be sent; nothing when it must.
std::optional<Response> conditional_answer(const GetPlan& plan, const kvs_item& item) {
  if (plan.if_match && !plan.if_match->contains(item.mod_revision)) {
    ApiError error(412, "precondition_failed",
                   "the key is at mod_revision " + std::to_string(item.mod_revision));
    return error_response(error);
  }
  if (!plan.if_none_match || !plan.if_none_match->contains(item.mod_revision)) return std::nullopt;
  Response response;
  response.status = 304;
  return response;
}

// Everything of the answer but a value that stands apart.
Response item_response(const GetPlan& plan, const kvs_item& item, std::string* tail) {
  if (auto answer = conditional_answer(plan, item)) return std::move(*answer);
  Response response;
  std::string& out = response.body;
  if (plan.raw) {
    response.content_type = kOctets;
    out.append(sdk::view(item.value));
    return response;
  }
  out.reserve(160 + plan.key.size() + base64_length(item.value.len));
  out.push_back('{');
  append_key(plan.key, &out);
  out.append(",\"value\":\"");
  base64_append(sdk::view(item.value), &out);
  tail->push_back('"');
  append_versions(item, tail);
  tail->append("}\n");
  return response;
}

void answer_get(const ExchangePtr& exchange, const GetPlan& plan, Reader reader) {
  Response response;
  std::string tail;
  bool apart = false;
  uint64_t value_bytes = 0;
  const bool found = reader.get(plan.key, [&](const kvs_item& item) {
    response = item_response(plan, item, &tail);
    response.set_header("ETag", etag_of(item.mod_revision));
    apart = value_is_apart(item) && response.status == 200;
    value_bytes = item.value_bytes;
  });
  if (!found) {
    ApiError error(404, "not_found", "the key does not exist");
    response = error_response(error);
  }
  response.revision = reader.revision();
  response.term = reader.term();
  if (apart) {
    ValuePieces pieces(plan.key, value_bytes, !plan.raw);
    response.source_bytes = pieces.total_bytes() + tail.size();
    response.source =
        std::make_unique<ValueSource>(std::move(reader), std::move(pieces), std::move(tail));
  } else {
    response.body.append(tail);
  }
  exchange->respond(std::move(response));
}

void handle_get(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {"raw", KVS_HTTP_READ_PARAMS});
  GetPlan plan;
  plan.key = key_of(context, request);
  plan.raw = params.boolean("raw", request.accepts(kOctets));
  plan.if_match = tags_of(request, "If-Match");
  plan.if_none_match = tags_of(request, "If-None-Match");
  const kvs_read_options options = parse_read_options(params);
  context.engine->read_open(exchange, make_call(context, request, params), options,
                            [exchange, plan = std::move(plan)](Reader reader) {
                              answer_get(exchange, plan, std::move(reader));
                            });
}

}  // namespace

kvs_read_options parse_read_options(const Params& params) {
  kvs_read_options options{};
  options.struct_size = sizeof options;
  if (const std::string* consistency = params.text("consistency")) {
    if (*consistency == "lease") {
      options.consistency = KVS_READ_LEASE;
    } else if (*consistency == "stale") {
      options.consistency = KVS_READ_STALE;
    } else if (*consistency != "linearizable") {
      throw bad_request("parameter \"consistency\" must be linearizable, lease or stale");
    }
  }
  if (const auto staleness = params.duration_ms("max_staleness")) {
    if (options.consistency != KVS_READ_STALE) {
      throw bad_request("parameter \"max_staleness\" needs consistency=stale");
    }
    // Zero would mean "any".
    options.max_staleness_ms = std::max<uint64_t>(1, *staleness);
  }
  options.min_revision = params.unsigned_integer("min_revision").value_or(0);
  if (const auto revision = params.unsigned_integer("revision")) {
    if (*revision == 0) throw bad_request("parameter \"revision\" must be a positive integer");
    options.revision = *revision;
  }
  return options;
}

bool read_may_wait(const Request& request) {
  QueryPairs pairs;
  if (!parse_query(request.query, &pairs)) return false;  // it is malformed, and refused
  bool stale = false;
  for (const auto& [name, value] : pairs) {
    if (name == "min_revision") return true;
    if (name == "consistency") stale = value == "stale";
  }
  return !stale;
}

uint64_t ValuePieces::total_bytes() const {
  return base64_ ? base64_length(value_bytes_) : value_bytes_;
}

void ValuePieces::next(const Reader& reader, std::string* out) {
  const uint64_t bytes = std::min(kPieceBytes, value_bytes_ - offset_);
  piece_.clear();
  reader.value_read(key_, offset_, bytes, &piece_);
  if (piece_.size() != bytes) {
    throw error_from_status(KVS_E_CORRUPT, "a value is shorter than its item says");
  }
  offset_ += bytes;
  if (base64_) {
    base64_append(piece_, out);
  } else {
    out->append(piece_);
  }
}

void add_kv_read_routes(Router* router) {
  Route get{Method::kGet, "/api/v1/kv/*", RouteClass::kData, "kv_get", handle_get};
  get.may_wait = read_may_wait;
  router->add(get);
}

}  // namespace kvstore::http
