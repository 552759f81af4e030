// The law: the kernel's parser and the engine's decoder see the same packet, on any bytes.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include "engine/decode/decode.h"
#include "engine/tap/flow_key.h"
#include "tests/bpf/bpf_fixture.h"
#include "tests/support/packets.h"
#include "tests/support/random_packets.h"

#include "bpf/shared/tap_pkt.h"
#include "parse_probe.skel.h"

namespace sluice::testing {
namespace {

constexpr int kPackets = 100000;

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

// Where the kernel's payload begins: it knows no ICMP header beyond 8 bytes, and none of
// ESP and IGMP.
Slice KernelPayload(const Packet& user) {
  switch (user.l4) {
    case L4::kIcmp:
    case L4::kIcmp6: return user.ip_payload.subspan(8);
    case L4::kEsp:
    case L4::kIgmp: return user.ip_payload;
    default: return user.payload;
  }
}

void Compare(const tap_pkt& kernel, const Packet& user, const Bytes& frame) {
  EXPECT_EQ(kernel.ip_version, user.ip_version);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(&kernel.src), 16), Mapped(user.source));
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(&kernel.dst), 16), Mapped(user.destination));
  EXPECT_EQ(kernel.vlan[0], user.num_vlans > 0 ? user.vlan[0] : 0);
  EXPECT_EQ(kernel.vlan[1], user.num_vlans > 1 ? user.vlan[1] : 0);
  EXPECT_EQ(kernel.fragment != FRAG_NONE, user.is_fragment);
  EXPECT_EQ(kernel.fragment == FRAG_LATER, user.fragment_offset != 0);
  const Slice payload = KernelPayload(user);
  if (user.is_fragment && user.ip_version == 6) {
    // The kernel looks for ports behind the fragment header, the decoder once it is whole.
    EXPECT_GE(kernel.payload_off, payload.data() - frame.data());
    EXPECT_EQ(kernel.payload_off + kernel.payload_len, payload.data() + payload.size() - frame.data());
    return;
  }
  EXPECT_EQ(kernel.protocol, user.ip_protocol);
  EXPECT_EQ(kernel.payload_len, payload.size());
  if (!payload.empty()) {
    EXPECT_EQ(kernel.payload_off, payload.data() - frame.data());
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

// Headers between Ethernet and IP that the kernel passes by, with all that is behind them.
bool OnlyUserSpaceKnows(const Packet& user) {
  return user.ether_type != 0x0800 && user.ether_type != 0x86dd &&
         (user.ip_version != 0 || user.num_layers > 1 + user.num_vlans);
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
    if (OnlyUserSpaceKnows(user)) {
      EXPECT_EQ(status, PARSE_NOT_IP);
      ++not_ip;
    } else if (user.stopped) {
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
