#include "frame_transport.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include <arpa/inet.h>

namespace kvstore::transport_thrift {

namespace {

using apache::thrift::TConfiguration;
using apache::thrift::transport::TFramedTransport;
using apache::thrift::transport::TSocket;
using apache::thrift::transport::TTransportException;

constexpr uint32_t kWriteBufferBytes = 64 << 10;
constexpr uint32_t kKeepBytes = 4 << 20;  // larger buffers are given back after use
constexpr uint32_t kReadAheadBytes = 16 << 10;
constexpr int kNoLimit = 0x7fffffff;
constexpr uint32_t kFrameBytesMin = 4 << 10;  // so that a frame's memory is of use for the next one

std::shared_ptr<TConfiguration> limits(uint32_t message_bytes_max) {
  return std::make_shared<TConfiguration>(static_cast<int>(message_bytes_max), kNoLimit);
}

std::shared_ptr<TSocket> adopt(int fd) {
  auto socket = std::make_shared<TSocket>(fd, limits(kNoLimit));
  socket->setLinger(false, 0);  // Thrift's default throws away unsent bytes on close
  return socket;
}

}  // namespace

Frame* Frame::allocate(size_t capacity) {
  void* memory = std::malloc(sizeof(Frame) + capacity);
  if (memory == nullptr) throw std::bad_alloc();
  return new (memory) Frame(capacity);
}

void Frame::release(void* frame) noexcept {
  auto* f = static_cast<Frame*>(frame);
  if (f->references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  f->~Frame();
  std::free(f);
}

FrameTransport::FrameTransport(int fd, sdk::Host host, uint32_t frame_bytes_max)
    : TFramedTransport(adopt(fd), kWriteBufferBytes, kKeepBytes, limits(frame_bytes_max)),
      socket_(std::static_pointer_cast<TSocket>(transport_)),
      fd_(fd),
      host_(host),
      frame_bytes_max_(frame_bytes_max),
      ahead_(new uint8_t[kReadAheadBytes]) {}

FrameTransport::~FrameTransport() = default;

void FrameTransport::set_frame_bytes_max(uint32_t n) {
  frame_bytes_max_ = n;
  configuration_->setMaxMessageSize(static_cast<int>(n));
  resetConsumedMessageSize();
}

int FrameTransport::remaining_ms() const {
  uint64_t now = host_.now_ns();
  if (now >= deadline_ns_) throw TTransportException(TTransportException::TIMED_OUT, "timed out");
  return static_cast<int>(std::min<uint64_t>((deadline_ns_ - now) / 1'000'000 + 1, 3'600'000));
}

void FrameTransport::arm_receive() {
  if (deadline_ns_ == 0 && !receive_armed_) return;
  socket_->setRecvTimeout(deadline_ns_ == 0 ? 0 : remaining_ms());
  receive_armed_ = deadline_ns_ != 0;
}

void FrameTransport::arm_send() {
  if (deadline_ns_ == 0 && !send_armed_) return;
  socket_->setSendTimeout(deadline_ns_ == 0 ? 0 : remaining_ms());
  send_armed_ = deadline_ns_ != 0;
}

// Some bytes, 0 at the end of the connection.
uint32_t FrameTransport::receive(uint8_t* to, uint32_t n) {
  if (ahead_begin_ == ahead_end_ && n < kReadAheadBytes) {
    arm_receive();
    ahead_begin_ = 0;
    ahead_end_ = socket_->read(ahead_.get(), kReadAheadBytes);
    bytes_read_ += ahead_end_;
  }
  if (ahead_begin_ == ahead_end_) {
    if (n < kReadAheadBytes) return 0;
    arm_receive();
    uint32_t got = socket_->read(to, n);
    bytes_read_ += got;
    return got;
  }
  uint32_t got = std::min(n, ahead_end_ - ahead_begin_);
  std::memcpy(to, ahead_.get() + ahead_begin_, got);
  ahead_begin_ += got;
  return got;
}

// A frame whose messages the host has all released is used again.
void FrameTransport::prepare_frame(uint32_t size) {
  if (frame_ != nullptr && frame_->unshared() && frame_->capacity() >= size) return;
  frame_.reset();
  frame_.reset(Frame::allocate(std::max(size, kFrameBytesMin)));
}

bool FrameTransport::readFrame() {
  uint32_t size = 0;
  for (uint32_t have = 0; have < sizeof size;) {
    uint32_t got = receive(reinterpret_cast<uint8_t*>(&size) + have,
                           static_cast<uint32_t>(sizeof size) - have);
    if (got == 0 && have == 0) return false;
    if (got == 0)
      throw TTransportException(TTransportException::END_OF_FILE, "cut in a frame header");
    have += got;
  }
  size = ntohl(size);
  if (size > frame_bytes_max_) {
    throw TTransportException(TTransportException::CORRUPTED_DATA,
                              "a frame of " + std::to_string(size) + " bytes, the limit is " +
                                  std::to_string(frame_bytes_max_));
  }
  prepare_frame(size);
  for (uint32_t have = 0; have < size;) {
    uint32_t got = receive(frame_->data() + have, size - have);
    if (got == 0) throw TTransportException(TTransportException::END_OF_FILE, "cut in a frame");
    have += got;
  }
  setReadBuffer(frame_->data(), size);
  resetConsumedMessageSize();
  in_frame_ = true;
  return true;
}

uint32_t FrameTransport::readSlow(uint8_t* buf, uint32_t len) {
  if (in_frame_) {
    throw TTransportException(TTransportException::CORRUPTED_DATA,
                              "a message is longer than its frame");
  }
  if (!readFrame()) return 0;
  uint32_t got = std::min(len, remaining());
  std::memcpy(buf, rBase_, got);
  rBase_ += got;
  return got;
}

uint32_t FrameTransport::readEnd() {
  setReadBuffer(nullptr, 0);
  in_frame_ = false;
  if (frame_ != nullptr && frame_->capacity() > kKeepBytes) frame_.reset();
  resetConsumedMessageSize();
  return 0;
}

void FrameTransport::flush() {
  constexpr uint32_t kPrefix = sizeof(uint32_t);
  uint8_t* begin = wBuf_.get();
  auto total = static_cast<uint32_t>(wBase_ - begin);
  uint32_t size = htonl(total - kPrefix);
  std::memcpy(begin, &size, kPrefix);
  wBase_ = begin + kPrefix;
  for (uint32_t sent = 0; sent < total;) {
    arm_send();
    uint32_t n = socket_->write_partial(begin + sent, total - sent);
    if (n == 0) throw TTransportException(TTransportException::TIMED_OUT, "timed out");
    sent += n;
  }
  if (wBufSize_ > bufReclaimThresh_) {
    wBufSize_ = kWriteBufferBytes;
    wBuf_.reset(new uint8_t[wBufSize_]);
    setWriteBuffer(wBuf_.get(), wBufSize_);
    wBase_ += kPrefix;
  }
}

}  // namespace kvstore::transport_thrift
