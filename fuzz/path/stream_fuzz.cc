// Segments of two directions as the bytes say.  Oracles: sanitizers; offsets grow
// without a hole or a repeat; the memcap holds; all memory comes back.
#include <fuzzer/FuzzedDataProvider.h>

#include <string>

#include "engine/stream/tcp_session.h"

using namespace sluice;

namespace {

struct Sink final : TcpSession::Sink {
  void OnData(Direction d, Slice bytes, uint64_t offset) override { Next(d, offset, bytes.size()); }
  void OnGap(Direction d, uint64_t offset, uint64_t bytes) override { Next(d, offset, bytes); }
  void OnEnd(Direction d) override {
    if (ended[Index(d)]) __builtin_trap();
    ended[Index(d)] = true;
  }
  void OnRestart(Direction d) override {
    if (ended[Index(d)]) __builtin_trap();
    next[Index(d)] = 0;
  }
  void OnStreamEvent(StreamEvent event) override {
    if (StreamEventName(event)[0] == '\0') __builtin_trap();
  }
  void Next(Direction d, uint64_t offset, uint64_t bytes) {
    if (bytes == 0 || offset != next[Index(d)]) __builtin_trap();
    next[Index(d)] = offset + bytes;
  }
  uint64_t next[2] = {0, 0};
  bool ended[2] = {false, false};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider in(data, size);
  StreamOptions options;
  options.inline_mode = in.ConsumeBool();
  options.midstream = in.ConsumeBool();
  options.async_oneside = in.ConsumeBool();
  options.depth = in.ConsumeIntegralInRange<uint64_t>(0, 4096);
  options.overlap = static_cast<OverlapPolicy>(in.ConsumeIntegralInRange(0, 4));
  options.urgent = static_cast<UrgentPolicy>(in.ConsumeIntegralInRange(0, 3));
  constexpr size_t kMemcap = 64 * 1024;
  SegmentPool pool(kMemcap);
  StreamStats stats;
  TcpSession session;
  Sink sink;
  while (in.remaining_bytes() > 0) {
    Packet packet;
    packet.l4 = L4::kTcp;
    packet.tcp.flags = in.ConsumeIntegral<uint8_t>();
    // Small numbers around a base that wraps: collisions are what matters.
    packet.tcp.seq = 0xfffffff0u + in.ConsumeIntegral<uint8_t>();
    packet.tcp.ack = 0xfffffff0u + in.ConsumeIntegral<uint8_t>();
    packet.tcp.urgent = in.ConsumeIntegralInRange<uint16_t>(0, 64);
    packet.tcp.window = in.ConsumeIntegral<uint16_t>();
    const std::string payload = in.ConsumeRandomLengthString(64);
    packet.payload = AsSlice(payload);
    const auto d = in.ConsumeBool() ? Direction::kToServer : Direction::kToClient;
    if (session.OnPacket(packet, d, options, pool, stats, sink).reuse) break;
    if (pool.in_use() > kMemcap) __builtin_trap();
  }
  session.Flush(options, pool, stats, sink);
  session.Reset(pool);
  if (pool.in_use() != 0) __builtin_trap();
  return 0;
}
