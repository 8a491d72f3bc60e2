#include "workload.hpp"

#include <algorithm>
#include <unordered_set>

#include "lib/text.hpp"

namespace kvstore::bench {
namespace {

constexpr size_t kDigits = 12;

std::string padded(uint64_t index) {
  const std::string digits = std::to_string(index);
  return std::string(kDigits - std::min(kDigits, digits.size()), '0') + digits;
}

std::string random_bytes(uint64_t count, Random& random) {
  std::string out(count, '\0');
  for (size_t i = 0; i < out.size(); i += sizeof(uint64_t)) {
    uint64_t word = random();
    for (size_t j = i; j < std::min(out.size(), i + sizeof word); ++j, word >>= 8) {
      out[j] = static_cast<char>(word & 0xFF);
    }
  }
  return out;
}

uint64_t fresh_seed() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

const char* name_of(client::Consistency consistency) {
  switch (consistency) {
    case client::Consistency::kLinearizable:
      return "";
    case client::Consistency::kLease:
      return "consistency=lease";
    case client::Consistency::kStale:
      return "consistency=stale";
  }
  return "";
}

}  // namespace

Workload::Workload(const Config& config)
    : config_(config),
      random_(config.seed),
      ids_(fresh_seed()),
      chooser_(config.distribution, config.keys, config.theta),
      encoded_prefix_(client::percent_encode(config.prefix)),
      read_query_(name_of(config.consistency)),
      // Values are pieces of this, from different offsets.
      value_(random_bytes(config.value_bytes_max + 1024, random_)) {}

std::string Workload::key(uint64_t index) const {
  return config_.prefix + padded(index);
}

Operation Workload::choose_operation() {
  auto left = static_cast<uint32_t>(random_() % 100);
  for (size_t i = 0; i < kOperationCount; ++i) {
    if (left < config_.percent[i]) return static_cast<Operation>(i);
    left -= config_.percent[i];
  }
  return Operation::kGet;
}

std::string_view Workload::choose_value() {
  const uint64_t range = config_.value_bytes_max - config_.value_bytes_min + 1;
  const uint64_t bytes = config_.value_bytes_min + (range == 1 ? 0 : random_() % range);
  return std::string_view(value_).substr(random_() % 1024, bytes);
}

// Puts of different keys: two of the same would make the server wait for the first.
std::string Workload::batch_body() {
  std::unordered_set<uint64_t> chosen;
  std::string out = "{\"operations\":[";
  for (uint64_t i = 0; i < config_.batch; ++i) {
    uint64_t index = chooser_.next(random_);
    while (!chosen.insert(index).second) index = (index + 1) % config_.keys;
    out.append(i == 0 ? "" : ",").append("{\"op\":\"put\",\"key_base64\":\"");
    out.append(client::base64_encode(key(index))).append("\",\"value\":\"");
    out.append(client::base64_encode(choose_value())).append("\"}");
  }
  return out.append("]}");
}

void Workload::append_request_id(std::string* headers) {
  if (!config_.request_ids) return;
  constexpr char kHex[] = "0123456789abcdef";
  headers->append("Idempotency-Key: \"");
  for (int words = 0; words < 2; ++words) {
    uint64_t word = ids_();
    for (int i = 0; i < 16; ++i, word >>= 4) headers->push_back(kHex[word & 15]);
  }
  headers->append("\"\r\n");
}

void Workload::next(const std::string& host, Request* out) {
  out->operation = choose_operation();
  out->body = {};
  if (out->operation == Operation::kPut && config_.batch > 1) {
    const std::string body = batch_body();
    out->head.assign("POST /api/v1/batch HTTP/1.1\r\nHost: ").append(host);
    out->head.append("\r\nContent-Type: application/json\r\nContent-Length: ");
    out->head.append(std::to_string(body.size())).append("\r\n");
    append_request_id(&out->head);
    out->head.append("\r\n").append(body);
    return;
  }
  const std::string key = encoded_prefix_ + padded(chooser_.next(random_));
  const auto begin = [&](const char* method) { out->head.assign(method).append(" /api/v1/kv"); };
  const auto end = [&](std::string_view headers) {
    out->head.append(" HTTP/1.1\r\nHost: ").append(host).append("\r\n").append(headers);
    out->head.append("\r\n");
  };
  switch (out->operation) {
    case Operation::kPut: {
      out->body = choose_value();
      begin("PUT");
      out->head.append("/").append(key);
      std::string headers = "Content-Type: application/octet-stream\r\nContent-Length: " +
                            std::to_string(out->body.size()) + "\r\n";
      append_request_id(&headers);
      end(headers);
      break;
    }
    case Operation::kGet:
      begin("GET");
      out->head.append("/").append(key);
      if (!read_query_.empty()) out->head.append("?").append(read_query_);
      end("Accept: application/octet-stream\r\n");
      break;
    case Operation::kDelete: {
      begin("DELETE");
      out->head.append("/").append(key);
      std::string headers;
      append_request_id(&headers);
      end(headers);
      break;
    }
    case Operation::kList:
      begin("GET");
      out->head.append("?start=").append(key);
      out->head.append("&limit=").append(std::to_string(config_.list_limit));
      if (!read_query_.empty()) out->head.append("&").append(read_query_);
      end("");
      break;
  }
}

}  // namespace kvstore::bench
