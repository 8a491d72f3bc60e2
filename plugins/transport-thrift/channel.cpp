#include "channel.hpp"

#include <algorithm>

#include <sys/socket.h>
#include <thrift/transport/TTransportException.h>

namespace kvstore::transport_thrift {

namespace {

using apache::thrift::transport::TTransportException;

constexpr uint32_t kAnswerFrameMax = 64 << 10;  // hellos and messages of the other host are small
constexpr size_t kReasonBytesMax = 1024;

void tell_refusal(Channel& channel, uint64_t deadline_ns, const Refused& why) {
  try {
    channel.call(deadline_ns, [&](wire::PeerLinkClient& c) { c.refuse(why.code(), why.what()); });
  } catch (const sdk::Error&) {  // it is told as a courtesy: the connection is closed anyway
  }
}

}  // namespace

Channel::Channel(Context& context, int fd)
    : transport_(std::make_shared<FrameTransport>(fd, context.host, kAnswerFrameMax)),
      protocol_(
          std::make_shared<Protocol>(transport_, kAnswerFrameMax, kAnswerFrameMax, true, true)),
      client_(protocol_) {
  tune(fd, context.settings.dead_peer_timeout_ms);
}

void Channel::interrupt() noexcept {
  ::shutdown(fd(), SHUT_RDWR);
}

void Channel::rethrow_as_error() {
  try {
    throw;
  } catch (const TTransportException& e) {
    if (e.getType() == TTransportException::TIMED_OUT) throw sdk::Error(KVS_E_TIMEOUT, "timed out");
    throw sdk::Error(KVS_E_UNREACHABLE, std::string("connection lost: ") + e.what());
  } catch (const apache::thrift::TException& e) {
    throw sdk::Error(KVS_E_UNREACHABLE, std::string("not a peer of this protocol: ") + e.what());
  }
}

bool Interrupt::attach(const std::shared_ptr<Channel>& channel) {
  std::lock_guard lock(mutex_);
  attached_.push_back(channel);
  if (cancelled_) channel->interrupt();
  return !cancelled_;
}

void Interrupt::detach_all() {
  std::lock_guard lock(mutex_);
  attached_.clear();
}

void Interrupt::interrupt_attached() {
  std::lock_guard lock(mutex_);
  for (const auto& channel : attached_) channel->interrupt();
}

void Interrupt::cancel() {
  std::lock_guard lock(mutex_);
  cancelled_ = true;
  for (const auto& channel : attached_) channel->interrupt();
  wake_.notify();
}

bool Interrupt::cancelled() const {
  std::lock_guard lock(mutex_);
  return cancelled_;
}

std::shared_ptr<Channel> dial(Context& context, Interrupt& interrupt, kvs_node_id id,
                              const Address& address, int32_t kind, uint64_t deadline_ns) {
  uint64_t now = context.host.now_ns();
  uint64_t left_ms = deadline_ns > now ? (deadline_ns - now) / 1'000'000 : 0;
  auto timeout_ms =
      static_cast<uint32_t>(std::min<uint64_t>(context.settings.connect_timeout_ms, left_ms));
  if (timeout_ms == 0) throw sdk::Error(KVS_E_TIMEOUT, address.text() + ": timed out");
  int fd = connect_to(address, timeout_ms, interrupt.wake().fd());
  auto channel = std::make_shared<Channel>(context, fd);
  if (!interrupt.attach(channel)) throw sdk::Error(KVS_E_CANCELLED, address.text() + ": cancelled");

  deadline_ns = std::min(deadline_ns, context.deadline_in(context.settings.hello_timeout_ms));
  wire::Hello ours;
  ours.protocol = kProtocolVersion;
  ours.kind = kind;
  ours.hello = context.hello();
  wire::Answer answer;
  try {
    channel->call(deadline_ns, [&](wire::PeerLinkClient& c) { c.hello(answer, ours); });
  } catch (const sdk::Error& e) {
    throw sdk::Error(e.code(), address.text() + ": no answer to the hello: " + e.what());
  }
  if (answer.status != KVS_OK) {
    context.counters.hellos_refused++;
    throw Refused(checked_status(answer.status), answer.message.substr(0, kReasonBytesMax));
  }
  try {
    context.judge(false, id, answer.hello, address.text());
  } catch (const Refused& why) {
    context.counters.hellos_refused++;
    tell_refusal(*channel, deadline_ns, why);
    throw;
  }
  return channel;
}

}  // namespace kvstore::transport_thrift
