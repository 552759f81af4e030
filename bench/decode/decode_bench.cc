// Cost of decoding one Ethernet frame, in ns, checksums off: what every packet pays.
#include <benchmark/benchmark.h>

#include "engine/decode/decode.h"
#include "tests/support/packets.h"

namespace sluice {
namespace {

void DecodeOne(benchmark::State& state, const testing::Frame& shape) {
  const testing::Bytes frame = testing::Build(shape);
  DecodeOptions options;
  options.verify_checksums = false;
  Packet packet;
  for (auto _ : state) {
    Decode(LinkType::kEthernet, frame, options, &packet);
    benchmark::DoNotOptimize(packet);
  }
}

const std::string kPayload(512, 'x');
BENCHMARK_CAPTURE(DecodeOne, tcp, {.payload = kPayload});
BENCHMARK_CAPTURE(DecodeOne, tcp_options, {.payload = kPayload, .tcp_option_words = 3});
BENCHMARK_CAPTURE(DecodeOne, udp, {.protocol = 17, .payload = kPayload});
BENCHMARK_CAPTURE(DecodeOne, tcp_over_ipv6,
                  {.source = "fd00::1", .destination = "fd00::2", .payload = kPayload});

}  // namespace
}  // namespace sluice
