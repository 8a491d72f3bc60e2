// A request's line and header fields: framing checked here, parsed by Poco.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <streambuf>
#include <string_view>

#include <Poco/Net/HTTPRequest.h>

#include "exchange.hpp"

namespace kvstore::http {

// Length of the header that `bytes` begins with, its empty line included; 0: not complete yet.
// Throws ApiError(400) as soon as a line is seen that does not end in CRLF.
// `checked` is how far an earlier call for the same bytes came; updated.
size_t find_head_end(std::string_view bytes, size_t* checked);

// Reused for every request of a connection.
class RequestHead final : public HeaderFields {
 public:
  RequestHead();

  // Parses a complete header.  Throws ApiError with close set: after a framing error nothing that
  // follows on the connection can be trusted.
  void parse(std::string_view head);

  std::optional<std::string_view> find(std::string_view name) const override;

  Method method() const { return method_; }
  std::string_view path() const { return path_; }
  std::string_view query() const { return query_; }
  std::optional<uint64_t> content_length() const { return content_length_; }
  bool chunked() const { return chunked_; }
  bool http_1_1() const { return http_1_1_; }
  bool keep_alive() const { return keep_alive_; }
  bool expects_continue() const { return expects_continue_; }
  bool has_body() const { return chunked_ || content_length_.value_or(0) != 0; }

 private:
  class Memory : public std::streambuf {
   public:
    void set(std::string_view bytes) {
      char* begin = const_cast<char*>(bytes.data());
      setg(begin, begin, begin + bytes.size());
    }
  };
  void parse_fields(std::string_view head);
  void take_target();
  void take_version();
  void take_length();
  void take_expect();
  void refuse_duplicates() const;

  Memory memory_;
  std::istream stream_;
  Poco::Net::HTTPRequest request_;
  Method method_ = Method::kOther;
  std::string_view path_, query_;
  std::optional<uint64_t> content_length_;
  bool chunked_ = false;
  bool http_1_1_ = true;
  bool keep_alive_ = true;
  bool expects_continue_ = false;
};

}  // namespace kvstore::http
