// Snapshots: downloads, and having a node take one.
#include <algorithm>
#include <utility>

#include "client_impl.hpp"
#include "query.hpp"

namespace kvstore::client {
namespace {

// The end mark of a snapshot file, a frame that nothing follows (core/wire/README.md): type 2, 16
// bytes of content, after a checksum.
constexpr size_t kEndBytes = 1 + 4 + 4 + 16;
constexpr std::string_view kEndBegins("\x02\x10\0\0\0", 5);

// Keeps the last bytes of what comes.
class Tail {
 public:
  void begin() { bytes_.clear(); }
  void add(std::string_view piece) {
    bytes_.append(piece.substr(piece.size() - std::min(piece.size(), kEndBytes)));
    if (bytes_.size() > kEndBytes) bytes_.erase(0, bytes_.size() - kEndBytes);
  }
  bool is_end() const { return bytes_.size() == kEndBytes && bytes_.starts_with(kEndBegins); }

 private:
  std::string bytes_;
};

}  // namespace

Result<AnswerInfo> Client::save_snapshot(const ReadOptions& options, const ValueSink& sink) {
  Tail tail;
  Call call = read_call(with_query(kApi + "/admin/snapshot", read_query(options)));
  call.request.headers.emplace_back("Accept", "application/octet-stream");
  call.request.progress_extends = true;
  call.request.sink = [&](uint64_t offset, std::string_view bytes) {
    if (offset == 0) tail.begin();
    tail.add(bytes);
    return sink(offset, bytes);
  };
  auto answer = impl_->run(call);
  if (!answer) return answer.error();
  if (!tail.is_end()) {
    return Error{ErrorKind::kUnreachable, "connection_lost",
                 answer->info.server + ": the snapshot was cut before its end"};
  }
  return answer->info;
}

Result<TakenSnapshot> Client::take_snapshot() {
  auto answer = impl_->run(read_call(kApi + "/admin/snapshot", "POST"));
  if (!answer) return answer.error();
  const Json document = Json::parse(answer->response.body, nullptr, false);
  TakenSnapshot taken;
  for (auto [name, field] :
       {std::pair{"index", &taken.index}, std::pair{"term", &taken.term},
        std::pair{"revision", &taken.revision}, std::pair{"first_index", &taken.first_index}}) {
    const auto found = document.find(name);
    if (found == document.end() || !found->is_number_unsigned()) {
      return malformed(answer->info, "result of a snapshot");
    }
    *field = found->get<uint64_t>();
  }
  taken.info = answer->info;
  return taken;
}

}  // namespace kvstore::client
