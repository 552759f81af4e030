#include "engine/output/fast_log.h"

#include <fmt/format.h>

#include <ctime>
#include <iterator>

#include "engine/output/eve.h"
#include "engine/output/json_writer.h"

namespace sluice {
namespace {

void AppendEnds(const Packet& packet, std::string* out) {
  const bool icmp = packet.l4 == L4::kIcmp || packet.l4 == L4::kIcmp6;
  const std::string_view protocol = IpProtocolName(packet.ip_protocol);
  const bool number = protocol[0] >= '0' && protocol[0] <= '9';
  fmt::format_to(std::back_inserter(*out), "{{{}{}}} ", number ? "PROTO:" : "", protocol);
  AppendAddress(packet.source, out);
  fmt::format_to(std::back_inserter(*out), ":{} -> ", icmp ? packet.icmp_type : packet.source_port);
  AppendAddress(packet.destination, out);
  fmt::format_to(std::back_inserter(*out), ":{}\n",
                 icmp ? packet.icmp_code : packet.destination_port);
}

void AppendRaw(const Packet& packet, std::string* out) {
  constexpr size_t kShown = 32;
  *out += "[**] [Raw pkt: ";
  for (const uint8_t c : packet.frame.first(std::min(packet.frame.size(), kShown))) {
    fmt::format_to(std::back_inserter(*out), "{:02X} ", c);
  }
  *out += ']';
  if (packet.number != 0) {
    fmt::format_to(std::back_inserter(*out), " [pcap file packet: {}]", packet.number);
  }
  *out += '\n';
}

}  // namespace

void AppendLogTime(Nanos time, std::string* out) {
  const int64_t micros = std::chrono::floor<std::chrono::microseconds>(time).count();
  const time_t second = micros / 1'000'000;
  tm parts{};
  localtime_r(&second, &parts);
  char date[32];
  std::strftime(date, sizeof(date), "%m/%d/%Y-%H:%M:%S", &parts);
  fmt::format_to(std::back_inserter(*out), "{}.{:06}", date, micros % 1'000'000);
}

void AppendFastLog(const Packet& packet, const Rule& rule, std::string_view tag, std::string* out) {
  AppendLogTime(packet.time, out);
  fmt::format_to(std::back_inserter(*out),
                 "  {}[**] [{}:{}:{}] {} [**] [Classification: {}] [Priority: {}] ", tag, rule.gid, rule.sid, rule.rev,
                 rule.message.empty() ? "(null)" : rule.message,
                 rule.classification.empty() ? "(null)" : rule.classification, rule.priority);
  packet.ip_version != 0 ? AppendEnds(packet, out) : AppendRaw(packet, out);
}

}  // namespace sluice
