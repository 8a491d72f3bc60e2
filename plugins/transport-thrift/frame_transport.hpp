// Thrift's framed transport with what a long-lived, hostile-proof peer connection needs.
//
// It differs from TFramedTransport in five ways: (1) received frames are reference counted, so that
// messages are handed to the host without a copy; (2) the consumed-bytes counter is reset with
// every frame (Thrift 0.17 never resets it on a side that only reads, and drops the connection
// after 100 MiB); (3) the size of a frame is checked before anything is allocated, and a message
// cannot run on into the next frame; (4) reads and writes obey one absolute deadline; (5) several
// small frames cost one read from the socket.
//
// One thread at a time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <kvstore/sdk/host.hpp>

#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TSocket.h>

namespace kvstore::transport_thrift {

// The bytes of one received frame; the header and the bytes are one allocation.
class Frame {
 public:
  static Frame* allocate(size_t capacity);  // one reference; throws std::bad_alloc
  void add_references(uint32_t n) noexcept { references_.fetch_add(n, std::memory_order_relaxed); }
  // The signature of kvs_buf::release.  [any-thread]
  static void release(void* frame) noexcept;

  bool unshared() const noexcept { return references_.load(std::memory_order_acquire) == 1; }
  size_t capacity() const noexcept { return capacity_; }
  uint8_t* data() noexcept { return reinterpret_cast<uint8_t*>(this + 1); }

 private:
  explicit Frame(size_t capacity) : capacity_(capacity) {}
  std::atomic<uint32_t> references_{1};
  size_t capacity_;
};

struct FrameRelease {
  void operator()(Frame* f) const noexcept { Frame::release(f); }
};

class FrameTransport : public apache::thrift::transport::TFramedTransport {
 public:
  // `fd` is a connected socket; the transport owns it from here on.
  FrameTransport(int fd, sdk::Host host, uint32_t frame_bytes_max);
  ~FrameTransport() override;

  // For every later read and write; 0: none.  Passing it throws TTransportException(TIMED_OUT).
  void set_deadline(uint64_t deadline_ns) noexcept { deadline_ns_ = deadline_ns; }
  void set_frame_bytes_max(uint32_t n);

  // Waits for the next frame; false when the other side closed between two frames.
  bool next_frame() { return readFrame(); }
  // What of the current frame has not been read yet.
  uint32_t remaining() const noexcept { return static_cast<uint32_t>(rBound_ - rBase_); }
  const uint8_t* position() const noexcept { return rBase_; }
  void skip(uint32_t n) noexcept { rBase_ += n; }
  Frame& frame() noexcept { return *frame_; }

  int fd() const noexcept { return fd_; }
  uint64_t bytes_read() const noexcept { return bytes_read_; }

  void flush() override;
  uint32_t readEnd() override;
  uint32_t readSlow(uint8_t* buf, uint32_t len) override;

 protected:
  bool readFrame() override;

 private:
  uint32_t receive(uint8_t* to, uint32_t n);
  void prepare_frame(uint32_t size);
  int remaining_ms() const;
  void arm_receive();
  void arm_send();

  std::shared_ptr<apache::thrift::transport::TSocket> socket_;
  const int fd_;
  sdk::Host host_;
  uint32_t frame_bytes_max_;
  uint64_t deadline_ns_ = 0;
  bool receive_armed_ = false;
  bool send_armed_ = false;
  bool in_frame_ = false;
  uint64_t bytes_read_ = 0;
  std::unique_ptr<Frame, FrameRelease> frame_;
  std::unique_ptr<uint8_t[]> ahead_;  // read ahead: [ahead_begin_, ahead_end_)
  uint32_t ahead_begin_ = 0;
  uint32_t ahead_end_ = 0;
};

}  // namespace kvstore::transport_thrift
