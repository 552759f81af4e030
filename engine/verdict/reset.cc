#include "engine/verdict/reset.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/decode/ip_protocol.h"

namespace sluice {
namespace {

constexpr uint8_t kTtl = 64;
constexpr uint8_t kRstAck = 0x14;

void Put16(uint8_t* at, uint32_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}
void Put32(uint8_t* at, uint32_t value) {
  Put16(at, value >> 16);
  Put16(at + 2, value & 0xffff);
}

uint32_t Sum(const uint8_t* bytes, size_t len, uint32_t sum) {
  for (size_t i = 0; i < len; ++i) sum += i % 2 == 0 ? uint32_t{bytes[i]} << 8 : bytes[i];
  return sum;
}
uint16_t Checksum(uint32_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}
uint32_t PseudoHeader(const Tuple& tuple, uint8_t protocol, size_t len) {
  const size_t size = tuple.source.version == 4 ? 4 : 16;
  uint32_t sum = Sum(tuple.source.bytes.data(), size, 0);
  sum = Sum(tuple.destination.bytes.data(), size, sum);
  return sum + protocol + static_cast<uint32_t>(len);
}

// The IP header of `tuple` before `len` bytes; returns its size.
size_t WriteIpHeader(const Tuple& tuple, uint8_t protocol, size_t len, std::vector<uint8_t>* out) {
  const bool v4 = tuple.source.version == 4;
  const size_t header = v4 ? 20 : 40;
  out->assign(header + len, 0);
  uint8_t* p = out->data();
  if (v4) {
    p[0] = 0x45;
    Put16(p + 2, static_cast<uint32_t>(header + len));
    p[6] = 0x40;  // do not fragment
    p[8] = kTtl;
    p[9] = protocol;
    std::memcpy(p + 12, tuple.source.bytes.data(), 4);
    std::memcpy(p + 16, tuple.destination.bytes.data(), 4);
    Put16(p + 10, Checksum(Sum(p, 20, 0)));
  } else {
    p[0] = 0x60;
    Put16(p + 4, static_cast<uint32_t>(len));
    p[6] = protocol;
    p[7] = kTtl;
    std::memcpy(p + 8, tuple.source.bytes.data(), 16);
    std::memcpy(p + 24, tuple.destination.bytes.data(), 16);
  }
  return header;
}

}  // namespace

std::vector<uint8_t> BuildReset(const Tuple& tuple, uint32_t seq, uint32_t ack) {
  std::vector<uint8_t> out;
  uint8_t* tcp = nullptr;
  const size_t header = WriteIpHeader(tuple, kTcp, 20, &out);
  tcp = out.data() + header;
  Put16(tcp, tuple.source_port);
  Put16(tcp + 2, tuple.destination_port);
  Put32(tcp + 4, seq);
  Put32(tcp + 8, ack);
  tcp[12] = 5 << 4;
  tcp[13] = kRstAck;
  Put16(tcp + 16, Checksum(Sum(tcp, 20, PseudoHeader(tuple, kTcp, 20))));
  return out;
}

std::vector<uint8_t> BuildProhibited(const Tuple& tuple, Slice offending) {
  const Tuple back = tuple.Reverse();
  const bool v4 = tuple.source.version == 4;
  const uint8_t protocol = v4 ? kIcmp : kIcmp6;
  // Header and 8 bytes (RFC 792), or what fits the minimum MTU (RFC 4443 §2.4c).
  const size_t quoted = std::min<size_t>(offending.size(), v4 ? 28 : 1232);
  std::vector<uint8_t> out;
  const size_t header = WriteIpHeader(back, protocol, 8 + quoted, &out);
  uint8_t* icmp = out.data() + header;
  icmp[0] = v4 ? 3 : 1;
  icmp[1] = v4 ? 13 : 1;
  if (quoted > 0) std::memcpy(icmp + 8, offending.data(), quoted);
  const uint32_t start = v4 ? 0 : PseudoHeader(back, kIcmp6, 8 + quoted);
  Put16(icmp + 2, Checksum(Sum(icmp, 8 + quoted, start)));
  return out;
}

Result<std::unique_ptr<ResetSender>> ResetSender::Create(uint32_t mark) {
  const int one = 1;
  const int v4 = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
  const int v6 = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
  if (v4 < 0 || v6 < 0) {
    const int failure = errno;
    if (v4 >= 0) close(v4);
    if (v6 >= 0) close(v6);
    return Fail(Errc::kPermission, "raw sockets for resets: {}; run as root or with CAP_NET_RAW",
                std::strerror(failure));
  }
  setsockopt(v4, IPPROTO_IP, IP_HDRINCL, &one, sizeof(one));
  setsockopt(v6, IPPROTO_IPV6, 36 /* IPV6_HDRINCL */, &one, sizeof(one));
  for (const int fd : {v4, v6}) setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
  return std::unique_ptr<ResetSender>(new ResetSender(v4, v6));
}

ResetSender::~ResetSender() {
  close(v4_);
  close(v6_);
}

bool ResetSender::Send(Slice packet, const Address& destination) noexcept {
  sockaddr_storage to{};
  socklen_t len;
  if (destination.version == 4) {
    auto* in = reinterpret_cast<sockaddr_in*>(&to);
    in->sin_family = AF_INET;
    std::memcpy(&in->sin_addr, destination.bytes.data(), 4);
    len = sizeof(sockaddr_in);
  } else {
    auto* in = reinterpret_cast<sockaddr_in6*>(&to);
    in->sin6_family = AF_INET6;
    std::memcpy(&in->sin6_addr, destination.bytes.data(), 16);
    len = sizeof(sockaddr_in6);
  }
  return sendto(destination.version == 4 ? v4_ : v6_, packet.data(), packet.size(), 0,
                reinterpret_cast<sockaddr*>(&to), len) == static_cast<ssize_t>(packet.size());
}

}  // namespace sluice
