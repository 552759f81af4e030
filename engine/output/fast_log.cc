#include "engine/output/fast_log.h"

#include <fmt/format.h>

#include <ctime>

#include "engine/output/eve.h"

namespace sluice {

std::string FastLogLine(const Packet& packet, const Rule& rule, std::string_view tag) {
  const int64_t micros = std::chrono::floor<std::chrono::microseconds>(packet.time).count();
  const time_t second = micros / 1'000'000;
  tm parts{};
  localtime_r(&second, &parts);
  char date[32];
  std::strftime(date, sizeof(date), "%m/%d/%Y-%H:%M:%S", &parts);
  return fmt::format(
      "{}.{:06}  {}[**] [{}:{}:{}] {} [**] [Classification: {}] [Priority: {}] {{{}}} {}:{} -> {}:{}\n",
      date, micros % 1'000'000, tag, rule.gid, rule.sid, rule.rev, rule.message,
      rule.classification.empty() ? "(null)" : rule.classification, rule.priority,
      IpProtocolName(packet.ip_protocol), FormatAddress(packet.source),
      packet.l4 == L4::kIcmp || packet.l4 == L4::kIcmp6 ? packet.icmp_type : packet.source_port,
      FormatAddress(packet.destination),
      packet.l4 == L4::kIcmp || packet.l4 == L4::kIcmp6 ? packet.icmp_code
                                                        : packet.destination_port);
}

}  // namespace sluice
