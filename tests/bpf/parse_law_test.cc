// The law: the kernel's parser and the engine's decoder see the same packet, on any bytes.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <random>

#include "engine/decode/decode.h"
#include "engine/tap/flow_key.h"
#include "tests/bpf/bpf_fixture.h"
#include "tests/bpf/packets.h"

#include "bpf/shared/tap_pkt.h"
#include "parse_probe.skel.h"

namespace sluice::testing {
namespace {

constexpr int kPackets = 100000;

using Random = std::mt19937;

unsigned Below(Random& random, unsigned n) { return static_cast<unsigned>(random() % n); }

Frame RandomFrame(Random& random) {
  Frame f;
  if (Below(random, 2)) f.source = "fd00::1", f.destination = "fd00:1:2::3";
  const uint8_t protocols[] = {6, 6, 6, 17, 17, 1, 58, 132, 47, 59, 50};
  f.protocol = protocols[Below(random, sizeof(protocols))];
  f.sport = static_cast<uint16_t>(random());
  f.dport = static_cast<uint16_t>(random());
  f.seq = random();
  f.ack = random();
  f.flags = Below(random, 256);
  f.payload = std::string(Below(random, 4) ? Below(random, 80) : Below(random, 1400), 'p');
  for (unsigned i = Below(random, 6); i < 4 && i > 0; --i) {
    f.vlans.push_back(static_cast<uint16_t>(random()));
  }
  if (!Below(random, 4)) f.ip_option_words = Below(random, 11);
  if (!Below(random, 4)) f.tcp_option_words = Below(random, 11);
  if (!Below(random, 3)) {
    const uint8_t headers[] = {0, 43, 44, 51, 60, 60};
    for (unsigned i = Below(random, 20); i > 0; --i) {
      f.ext.push_back(headers[Below(random, sizeof(headers))]);
    }
  }
  if (!Below(random, 6)) {
    f.more_fragments = Below(random, 2);
    f.fragment_offset = 8 * Below(random, 100);
    f.fragment_id = random() & 0xffff;
  }
  if (!Below(random, 10)) f.length_delta = static_cast<int>(Below(random, 60)) - 30;
  if (!Below(random, 4)) f.padding = Below(random, 40);
  return f;
}

Bytes RandomPacket(Random& random) {
  if (!Below(random, 50)) {
    Bytes noise(14 + Below(random, 200));
    for (uint8_t& byte : noise) byte = static_cast<uint8_t>(random());
    return noise;
  }
  Bytes bytes = Build(RandomFrame(random));
  if (Below(random, 3) == 0) {  // headers are where it hurts
    for (unsigned i = 1 + Below(random, 4); i > 0; --i) {
      bytes[12 + Below(random, static_cast<unsigned>(std::min<size_t>(bytes.size() - 12, 140)))] =
          static_cast<uint8_t>(random());
    }
  }
  if (Below(random, 6) == 0) bytes.resize(14 + Below(random, static_cast<unsigned>(bytes.size() - 13)));
  return bytes;
}

std::string Hex(const Bytes& bytes) {
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(bytes.size(), 160); ++i) {
    text += fmt::format("{:02x}{}", bytes[i], i % 4 == 3 ? " " : "");
  }
  return text;
}

std::string Mapped(const Address& address) {
  uint8_t raw[16];
  ToMapped(address, raw);
  return std::string(reinterpret_cast<char*>(raw), 16);
}

void Compare(const tap_pkt& kernel, const Packet& user, const Bytes& frame) {
  EXPECT_EQ(kernel.ip_version, user.ip_version);
  EXPECT_EQ(kernel.protocol, user.ip_protocol);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(&kernel.src), 16), Mapped(user.source));
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(&kernel.dst), 16), Mapped(user.destination));
  EXPECT_EQ(kernel.vlan[0], user.num_vlans > 0 ? user.vlan[0] : 0);
  EXPECT_EQ(kernel.vlan[1], user.num_vlans > 1 ? user.vlan[1] : 0);
  EXPECT_EQ(kernel.fragment != FRAG_NONE, user.is_fragment);
  EXPECT_EQ(kernel.fragment == FRAG_LATER, user.fragment_offset != 0);
  EXPECT_EQ(kernel.payload_len, user.payload.size());
  if (!user.payload.empty()) {
    EXPECT_EQ(kernel.payload_off, user.payload.data() - frame.data());
  }
  if (user.is_fragment) return;  // the decoder reads ports once it is whole
  const bool has_ports = user.l4 == L4::kTcp || user.l4 == L4::kUdp;
  EXPECT_EQ(kernel.has_l4 != 0, has_ports);
  EXPECT_EQ(kernel.sport, has_ports ? user.source_port : 0);
  EXPECT_EQ(kernel.dport, has_ports ? user.destination_port : 0);
  if (user.l4 != L4::kTcp) return;
  EXPECT_EQ(kernel.seq, user.tcp.seq);
  EXPECT_EQ(kernel.ack, user.tcp.ack);
  EXPECT_EQ(kernel.tcp_flags, user.tcp.flags);
}

TEST(ParseLaw, KernelAndDecoderAgreeOnRandomAndMutatedPackets) {
  SLUICE_SKIP_WITHOUT_BPF();
  libbpf_set_print([](libbpf_print_level, const char*, va_list) { return 0; });
  parse_probe_bpf* probe = parse_probe_bpf__open_and_load();
  ASSERT_NE(probe, nullptr);
  const int program = bpf_program__fd(probe->progs.parse_probe);
  Random random(20240611);
  int compared = 0, refused = 0, malformed = 0, not_ip = 0;
  for (int i = 0; i < kPackets && !::testing::Test::HasFailure(); ++i) {
    const Bytes frame = RandomPacket(random);
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(),
                .data_size_in = static_cast<uint32_t>(frame.size()));
    if (bpf_prog_test_run_opts(program, &options) != 0) {
      ++refused;  // the kernel does not even make an skb of it
      continue;
    }
    const tap_pkt& kernel = probe->bss->result;
    const int status = probe->bss->status;
    Packet user;
    Decode(LinkType::kEthernet, frame, {.verify_checksums = false}, &user);
    SCOPED_TRACE(fmt::format("packet {}: kernel {} {}", i, status, Hex(frame)));
    if (user.invalid) {
      EXPECT_TRUE(status != PARSE_OK || kernel.ext_overflow);
      ++malformed;
    } else if (user.ip_version == 0) {
      EXPECT_EQ(status, PARSE_NOT_IP);
      ++not_ip;
    } else {
      EXPECT_EQ(status, PARSE_OK);
      EXPECT_FALSE(kernel.ext_overflow);
      Compare(kernel, user, frame);
      ++compared;
    }
  }
  parse_probe_bpf__destroy(probe);
  std::printf("compared %d, both refuse %d, not IP %d, not run by the kernel %d\n", compared,
              malformed, not_ip, refused);
  EXPECT_GT(compared, kPackets / 2);
  EXPECT_GT(malformed, kPackets / 50);
}

}  // namespace
}  // namespace sluice::testing
