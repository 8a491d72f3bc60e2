// The node's state as a file: GET gives it away, POST has the node keep one for itself.
#include <utility>

#include "handlers/kv_common.hpp"
#include "handlers/kv_read.hpp"
#include "handlers/routes.hpp"
#include "handlers/stream_call.hpp"

namespace kvstore::http {
namespace {

// The state has to reach the disk.
constexpr uint64_t kDefaultSyncMs = 60'000;
constexpr uint64_t kPieceBytes = 1 << 20;

class SnapshotSource final : public BodySource {
 public:
  SnapshotSource(const sdk::Host& host, Snapshot snapshot, std::string first)
      : host_(host), snapshot_(std::move(snapshot)), first_(std::move(first)) {}

  // A failure cuts the connection: the file has no end mark then, either.
  kvs_status next(std::string* out) override {
    if (!first_.empty()) {
      out->swap(first_);
      return KVS_OK;
    }
    try {
      return snapshot_.read(kPieceBytes, out) ? KVS_OK : KVS_E_END;
    } catch (const ApiError& e) {
      host_.log(KVS_LEVEL_WARN, std::string("a download of a snapshot ends: ").append(e.what()));
      return KVS_E_CANCELLED;
    }
  }

 private:
  const sdk::Host& host_;
  Snapshot snapshot_;
  std::string first_;
};

// What was acknowledged before the request is in the reader's revision, and the snapshot is of that
// revision or a newer one.
void handle_download(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {"consistency", "max_staleness", "min_revision"});
  const kvs_call call = make_call(context, request, params);
  context.engine->read_open(
      exchange, call, parse_read_options(params),
      [&context, exchange, deadline_ns = call.deadline_ns,
       stream = StreamCall(call)](Reader reader) {
        Snapshot snapshot = context.engine->snapshot_open(stream.make(deadline_ns));
        Response response;
        response.content_type = "application/octet-stream";
        response.revision = reader.revision();
        response.term = reader.term();
        reader = Reader();
        // What prevents it is said with a status of its own, as long as nothing was sent.
        std::string first;
        snapshot.read(kPieceBytes, &first);
        response.set_header(
            "Content-Disposition",
            "attachment; filename=\"kvstore-" + std::to_string(response.revision) + ".snapshot\"");
        response.set_header("Cache-Control", "no-store");
        response.source =
            std::make_unique<SnapshotSource>(context.host(), std::move(snapshot), std::move(first));
        exchange->respond(std::move(response));
      });
}

void handle_take(Context& context, const Request& request, const ExchangePtr& exchange) {
  const Params params(request.query, {});
  const uint64_t timeout_ms = params.duration_ms("timeout").value_or(kDefaultSyncMs);
  context.engine->control(
      exchange, make_call(context, request, params, timeout_ms), "admin.snapshot", "{}",
      [exchange](const kvs_result& result) { exchange->respond(document_response(result)); });
}

}  // namespace

void add_snapshot_routes(Router* router) {
  router->add({Method::kGet, "/api/v1/admin/snapshot", RouteClass::kWaiting, "snapshot_download",
               handle_download});
  router->add({Method::kPost, "/api/v1/admin/snapshot", RouteClass::kWaiting, "snapshot_take",
               handle_take});
}

}  // namespace kvstore::http
