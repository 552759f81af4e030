// engine/decode/events.h
// Malformed or surprising headers, under the names that rules (decode-event), EVE
// (anomaly, with "decoder." before) and counters (decoder.event.) use.
// Threads: constants.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace sluice {

// X(enumerator, name)
#define SLUICE_DECODE_EVENTS(X)                                          \
  X(kTooManyLayers, "too_many_layers")                                   \
  X(kEthernetPktTooSmall, "ethernet.pkt_too_small")                      \
  X(kEthernetUnknown, "ethernet.unknown_ethertype")                      \
  X(kVlanHeaderTooSmall, "vlan.header_too_small")                        \
  X(kVlanUnknownType, "vlan.unknown_type")                               \
  X(kVlanTooManyLayers, "vlan.too_many_layers")                          \
  X(kIeee8021ahHeaderTooSmall, "ieee8021ah.header_too_small")            \
  X(kVntagHeaderTooSmall, "vntag.header_too_small")                      \
  X(kVntagUnknownType, "vntag.unknown_type")                             \
  X(kEtagHeaderTooSmall, "etag.header_too_small")                        \
  X(kEtagUnknownType, "etag.unknown_type")                               \
  X(kDcePktTooSmall, "dce.pkt_too_small")                                \
  X(kSllPktTooSmall, "sll.pkt_too_small")                                \
  X(kSll2PktTooSmall, "sll2.pkt_too_small")                              \
  X(kNullPktTooSmall, "ltnull.pkt_too_small")                            \
  X(kNullUnsupportedType, "ltnull.unsupported_type")                     \
  X(kChdlcPktTooSmall, "chdlc.pkt_too_small")                            \
  X(kPppPktTooSmall, "ppp.pkt_too_small")                                \
  X(kPppVjuPktTooSmall, "ppp.vju_pkt_too_small")                         \
  X(kPppIp4PktTooSmall, "ppp.ip4_pkt_too_small")                         \
  X(kPppIp6PktTooSmall, "ppp.ip6_pkt_too_small")                         \
  X(kPppWrongType, "ppp.wrong_type")                                     \
  X(kPppUnsupProto, "ppp.unsup_proto")                                   \
  X(kPppoePktTooSmall, "pppoe.pkt_too_small")                            \
  X(kPppoeWrongCode, "pppoe.wrong_code")                                 \
  X(kPppoeMalformedTags, "pppoe.malformed_tags")                         \
  X(kMplsHeaderTooSmall, "mpls.header_too_small")                        \
  X(kMplsPktTooSmall, "mpls.pkt_too_small")                              \
  X(kMplsBadLabelRouterAlert, "mpls.bad_label_router_alert")             \
  X(kMplsBadLabelImplicitNull, "mpls.bad_label_implicit_null")           \
  X(kMplsBadLabelReserved, "mpls.bad_label_reserved")                    \
  X(kMplsUnknownPayloadType, "mpls.unknown_payload_type")                \
  X(kNshHeaderTooSmall, "nsh.header_too_small")                          \
  X(kNshUnsupportedVersion, "nsh.unsupported_version")                   \
  X(kNshBadHeaderLength, "nsh.bad_header_length")                        \
  X(kNshReservedType, "nsh.reserved_type")                               \
  X(kNshUnsupportedType, "nsh.unsupported_type")                         \
  X(kNshUnknownPayload, "nsh.unknown_payload")                           \
  X(kArpPktTooSmall, "arp.pkt_too_small")                                \
  X(kArpUnsupportedHardware, "arp.unsupported_hardware")                 \
  X(kArpUnsupportedProtocol, "arp.unsupported_protocol")                 \
  X(kArpInvalidPkt, "arp.invalid_pkt")                                   \
  X(kArpInvalidHardwareSize, "arp.invalid_hardware_size")                \
  X(kArpInvalidProtocolSize, "arp.invalid_protocol_size")                \
  X(kArpUnsupportedOpcode, "arp.unsupported_opcode")                     \
  X(kIpRawInvalidIpVersion, "ipraw.invalid_ip_version")                  \
  X(kIpv4PktTooSmall, "ipv4.pkt_too_small")                              \
  X(kIpv4HlenTooSmall, "ipv4.hlen_too_small")                            \
  X(kIpv4IplenSmallerThanHlen, "ipv4.iplen_smaller_than_hlen")           \
  X(kIpv4TruncPkt, "ipv4.trunc_pkt")                                     \
  X(kIpv4WrongIpVersion, "ipv4.wrong_ip_version")                        \
  X(kIpv4OptInvalid, "ipv4.opt_invalid")                                 \
  X(kIpv4OptInvalidLen, "ipv4.opt_invalid_len")                          \
  X(kIpv4OptMalformed, "ipv4.opt_malformed")                             \
  X(kIpv4OptPadRequired, "ipv4.opt_pad_required")                        \
  X(kIpv4OptEolRequired, "ipv4.opt_eol_required")                        \
  X(kIpv4OptDuplicate, "ipv4.opt_duplicate")                             \
  X(kIpv4Icmp6, "ipv4.icmpv6")                                           \
  X(kIpv4FragPktTooLarge, "ipv4.frag_pkt_too_large")                     \
  X(kIpv4FragOverlap, "ipv4.frag_overlap")                               \
  X(kIpv4FragIgnored, "ipv4.frag_ignored")                               \
  X(kIpv6PktTooSmall, "ipv6.pkt_too_small")                              \
  X(kIpv6TruncPkt, "ipv6.trunc_pkt")                                     \
  X(kIpv6TruncExthdr, "ipv6.trunc_exthdr")                               \
  X(kIpv6WrongIpVersion, "ipv6.wrong_ip_version")                        \
  X(kIpv6TooManyExthdrs, "ipv6.too_many_exthdrs")                        \
  X(kIpv6ExthdrDuplFh, "ipv6.exthdr_dupl_fh")                            \
  X(kIpv6ExthdrUselessFh, "ipv6.exthdr_useless_fh")                      \
  X(kIpv6ExthdrDuplRh, "ipv6.exthdr_dupl_rh")                            \
  X(kIpv6ExthdrDuplHh, "ipv6.exthdr_dupl_hh")                            \
  X(kIpv6ExthdrDuplDh, "ipv6.exthdr_dupl_dh")                            \
  X(kIpv6ExthdrDuplAh, "ipv6.exthdr_dupl_ah")                            \
  X(kIpv6ExthdrInvalidOptlen, "ipv6.exthdr_invalid_optlen")              \
  X(kIpv6ExthdrAhResNotNull, "ipv6.exthdr_ah_res_not_null")              \
  X(kIpv6HopoptsUnknownOpt, "ipv6.hopopts_unknown_opt")                  \
  X(kIpv6HopoptsOnlyPadding, "ipv6.hopopts_only_padding")                \
  X(kIpv6DstoptsUnknownOpt, "ipv6.dstopts_unknown_opt")                  \
  X(kIpv6DstoptsOnlyPadding, "ipv6.dstopts_only_padding")                \
  X(kIpv6RhType0, "ipv6.rh_type_0")                                      \
  X(kIpv6ZeroLenPadn, "ipv6.zero_len_padn")                              \
  X(kIpv6FhNonZeroReserved, "ipv6.fh_non_zero_reserved_field")           \
  X(kIpv6DataAfterNone, "ipv6.data_after_none_header")                   \
  X(kIpv6UnknownNextHeader, "ipv6.unknown_next_header")                  \
  X(kIpv6Icmp4, "ipv6.icmpv4")                                           \
  X(kIpv6FragInvalidLength, "ipv6.frag_invalid_length")                  \
  X(kIpv6FragPktTooLarge, "ipv6.frag_pkt_too_large")                     \
  X(kIpv6FragOverlap, "ipv6.frag_overlap")                               \
  X(kIpv6FragIgnored, "ipv6.frag_ignored")                               \
  X(kIpv4InIpv6TooSmall, "ipv6.ipv4_in_ipv6_too_small")                  \
  X(kIpv4InIpv6WrongVersion, "ipv6.ipv4_in_ipv6_wrong_version")          \
  X(kIpv6InIpv6TooSmall, "ipv6.ipv6_in_ipv6_too_small")                  \
  X(kIpv6InIpv6WrongVersion, "ipv6.ipv6_in_ipv6_wrong_version")          \
  X(kTcpPktTooSmall, "tcp.pkt_too_small")                                \
  X(kTcpHlenTooSmall, "tcp.hlen_too_small")                              \
  X(kTcpInvalidOptlen, "tcp.invalid_optlen")                             \
  X(kTcpOptInvalidLen, "tcp.opt_invalid_len")                            \
  X(kTcpOptDuplicate, "tcp.opt_duplicate")                               \
  X(kUdpPktTooSmall, "udp.pkt_too_small")                                \
  X(kUdpHlenTooSmall, "udp.hlen_too_small")                              \
  X(kUdpLenInvalid, "udp.len_invalid")                                   \
  X(kIcmp4PktTooSmall, "icmpv4.pkt_too_small")                           \
  X(kIcmp4UnknownType, "icmpv4.unknown_type")                            \
  X(kIcmp4UnknownCode, "icmpv4.unknown_code")                            \
  X(kIcmp4Ipv4TruncPkt, "icmpv4.ipv4_trunc_pkt")                         \
  X(kIcmp4Ipv4UnknownVer, "icmpv4.ipv4_unknown_ver")                     \
  X(kIcmp6PktTooSmall, "icmpv6.pkt_too_small")                           \
  X(kIcmp6UnknownType, "icmpv6.unknown_type")                            \
  X(kIcmp6UnknownCode, "icmpv6.unknown_code")                            \
  X(kIcmp6Ipv6TruncPkt, "icmpv6.ipv6_trunc_pkt")                         \
  X(kIcmp6Ipv6UnknownVersion, "icmpv6.ipv6_unknown_version")             \
  X(kIcmp6MldInvalidHopLimit, "icmpv6.mld_message_with_invalid_hl")      \
  X(kIcmp6UnassignedType, "icmpv6.unassigned_type")                      \
  X(kIcmp6ExperimentationType, "icmpv6.experimentation_type")            \
  X(kSctpPktTooSmall, "sctp.pkt_too_small")                              \
  X(kEspPktTooSmall, "esp.pkt_too_small")                                \
  X(kIgmpPktTooSmall, "igmp.pkt_too_small")                              \
  X(kIgmpV3PktTooSmall, "igmp.v3_pkt_too_small")                         \
  X(kIgmpMalformed, "igmp.malformed")                                    \
  X(kGrePktTooSmall, "gre.pkt_too_small")                                \
  X(kGreWrongVersion, "gre.wrong_version")                               \
  X(kGreV0Recur, "gre.version0_recur")                                   \
  X(kGreV0Flags, "gre.version0_flags")                                   \
  X(kGreV0HdrTooBig, "gre.version0_hdr_too_big")                         \
  X(kGreV0MalformedSre, "gre.version0_malformed_sre_hdr")                \
  X(kGreV1Checksum, "gre.version1_chksum")                               \
  X(kGreV1Route, "gre.version1_route")                                   \
  X(kGreV1Ssr, "gre.version1_ssr")                                       \
  X(kGreV1Recur, "gre.version1_recur")                                   \
  X(kGreV1Flags, "gre.version1_flags")                                   \
  X(kGreV1NoKey, "gre.version1_no_key")                                  \
  X(kGreV1WrongProtocol, "gre.version1_wrong_protocol")                  \
  X(kGreV1HdrTooBig, "gre.version1_hdr_too_big")                         \
  X(kErspanHeaderTooSmall, "erspan.header_too_small")                    \
  X(kErspanUnsupportedVersion, "erspan.unsupported_version")             \
  X(kVxlanUnknownPayloadType, "vxlan.unknown_payload_type")              \
  X(kGeneveUnknownPayloadType, "geneve.unknown_payload_type")

enum class DecodeEvent : uint8_t {
#define SLUICE_DECODE_EVENT(enumerator, name) enumerator,
  SLUICE_DECODE_EVENTS(SLUICE_DECODE_EVENT)
#undef SLUICE_DECODE_EVENT
  kMax,
};

// "ipv4.pkt_too_small"; static storage.
const char* DecodeEventName(DecodeEvent event) noexcept;

// What a rule may name: ours, and those that Suricata has and nothing raises.
std::vector<std::string> DecodeEventNames();

}  // namespace sluice
