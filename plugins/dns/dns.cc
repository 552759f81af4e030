// SPDX-License-Identifier: Apache-2.0
// plugins/dns/dns.cc - DNS over UDP and TCP (RFC 1035, RFC 6891).
//
// Each message is a transaction of its own, in one direction: a query to_server,
// an answer to_client.  Names are expanded into one scratch string per flow.
#include <sluice/plugin.hpp>

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace {

using sluice::Flow;
using sluice::ParseResult;
using sluice::View;

constexpr size_t kHeader = 12;          // RFC 1035 §4.1.1
constexpr size_t kMaxName = 255;        // wire bytes, §2.3.4
constexpr int kMaxPointers = 16;        // hops of one name: a loop ends there
constexpr unsigned kMaxRecords = 256;   // per message; more is malformed
constexpr size_t kMaxTextName = 1025;   // what is logged of a name

enum Field : uint32_t {
  kVersion2, kVersion3, kType2Query, kType3, kId, kTxId, kFlags, kQr, kAa, kTc, kRd, kRa, kZ,
  kOpcode, kOpcodeLog, kRcode, kRcodeLog, kQueries, kQueryName, kRrType, kRrTypeLog, kFirstName,
  kFirstType, kAnswers, kAuthorities, kAdditionals, kName, kNameTruncated, kTypeName, kTtl, kRdata,
  kSoa, kMname, kRname, kSerial, kRefresh, kRetry, kExpire, kMinimum, kSrv, kPriority, kWeight,
  kPort, kTarget, kSshfp, kAlgo, kFpType, kFingerprint, kGrouped, kGroupA, kGroupAaaa, kGroupCname,
  kGroupMx, kGroupNs, kGroupPtr, kGroupTxt, kGroupNull, kGroupSoa, kGroupSrv, kGroupSshfp,
  kAnswerName, kAuthorityName, kAdditionalName, kResponseName, kNumFields
};
enum Event : uint32_t { kMalformed, kNotRequest, kNotResponse, kZFlag, kInvalidOpcode, kTooManyRecords };

constexpr sluice_enum_name kTypes[] = {
    {1, "A"}, {2, "NS"}, {3, "MD"}, {4, "MF"}, {5, "CNAME"}, {6, "SOA"}, {7, "MB"}, {8, "MG"},
    {9, "MR"}, {10, "NULL"}, {11, "WKS"}, {12, "PTR"}, {13, "HINFO"}, {14, "MINFO"}, {15, "MX"},
    {16, "TXT"}, {17, "RP"}, {18, "AFSDB"}, {19, "X25"}, {20, "ISDN"}, {21, "RT"}, {22, "NSAP"},
    {23, "NSAPPTR"}, {24, "SIG"}, {25, "KEY"}, {26, "PX"}, {27, "GPOS"}, {28, "AAAA"}, {29, "LOC"},
    {30, "NXT"}, {33, "SRV"}, {34, "ATMA"}, {35, "NAPTR"}, {36, "KX"}, {37, "CERT"}, {38, "A6"},
    {39, "DNAME"}, {41, "OPT"}, {42, "APL"}, {43, "DS"}, {44, "SSHFP"}, {45, "IPSECKEY"},
    {46, "RRSIG"}, {47, "NSEC"}, {48, "DNSKEY"}, {49, "DHCID"}, {50, "NSEC3"}, {51, "NSEC3PARAM"},
    {52, "TLSA"}, {55, "HIP"}, {59, "CDS"}, {60, "CDNSKEY"}, {64, "SVCB"}, {65, "HTTPS"},
    {99, "SPF"}, {249, "TKEY"}, {250, "TSIG"}, {251, "IXFR"}, {252, "AXFR"}, {253, "MAILB"},
    {254, "MAILA"}, {255, "ANY"}, {256, "URI"}, {257, "CAA"}, {0, nullptr}};
constexpr sluice_enum_name kRcodes[] = {
    {0, "NOERROR"}, {1, "FORMERR"}, {2, "SERVFAIL"}, {3, "NXDOMAIN"}, {4, "NOTIMP"},
    {5, "REFUSED"}, {6, "YXDOMAIN"}, {7, "YXRRSET"}, {8, "NXRRSET"}, {9, "NOTAUTH"},
    {10, "NOTZONE"}, {16, "BADVERS"}, {17, "BADKEY"}, {18, "BADTIME"}, {19, "BADMODE"},
    {20, "BADNAME"}, {21, "BADALG"}, {22, "BADTRUNC"}, {0, nullptr}};

constexpr uint32_t kBoth = SLUICE_DIR_BOTH, kClient = SLUICE_DIR_TO_CLIENT;
#define ROW(keyword, aliases, log, help, type, flags, directions, names) \
  {keyword, aliases, nullptr, log, help, type, flags, directions, 0, names, nullptr}
constexpr sluice_field kFields[] = {
    ROW(nullptr, nullptr, "version", "log format", SLUICE_UINT, SLUICE_LOG_V7, kBoth, nullptr),
    ROW(nullptr, nullptr, "version", "log format", SLUICE_UINT, SLUICE_LOG_V8, kBoth, nullptr),
    ROW(nullptr, nullptr, "type", "query or answer", SLUICE_BYTES, SLUICE_LOG_V7, kBoth, nullptr),
    ROW(nullptr, nullptr, "type", "request or response", SLUICE_BYTES, SLUICE_LOG_V8, kBoth, nullptr),
    ROW(nullptr, nullptr, "id", "message id", SLUICE_UINT, 0, kBoth, nullptr),
    ROW(nullptr, nullptr, "tx_id", "transaction number", SLUICE_UINT, 0, kBoth, nullptr),
    ROW(nullptr, nullptr, "flags", "header flags in hex", SLUICE_BYTES, 0, kBoth, nullptr),
    ROW(nullptr, nullptr, "qr", "is an answer", SLUICE_BOOL, 0, kBoth, nullptr),
    ROW(nullptr, nullptr, "aa", "authoritative", SLUICE_BOOL, 0, kBoth, nullptr),
    ROW(nullptr, nullptr, "tc", "truncated", SLUICE_BOOL, 0, kBoth, nullptr),
    ROW(nullptr, nullptr, "rd", "recursion desired", SLUICE_BOOL, 0, kBoth, nullptr),
    ROW(nullptr, nullptr, "ra", "recursion available", SLUICE_BOOL, 0, kBoth, nullptr),
    ROW(nullptr, nullptr, "z", "reserved bit", SLUICE_BOOL, 0, kBoth, nullptr),
    ROW("dns.opcode", nullptr, nullptr, "operation code", SLUICE_UINT, 0, kBoth, nullptr),
    ROW(nullptr, nullptr, "opcode", "operation code", SLUICE_UINT, 0, kBoth, nullptr),
    ROW("dns.rcode", nullptr, nullptr, "response code", SLUICE_UINT, SLUICE_DIMENSION, kBoth, kRcodes),
    ROW(nullptr, nullptr, "rcode", "response code", SLUICE_ENUM, 0, kBoth, kRcodes),
    ROW(nullptr, nullptr, "queries", "questions", SLUICE_GROUP, SLUICE_REPEATED | SLUICE_LOG_V8, kBoth, nullptr),
    ROW("dns.query", "dns_query dns.queries.rrname", nullptr, "name asked for", SLUICE_BYTES,
        SLUICE_REPEATED | SLUICE_DIMENSION, SLUICE_DIR_TO_SERVER, nullptr),
    ROW("dns.rrtype", nullptr, nullptr, "type asked for", SLUICE_UINT, SLUICE_DIMENSION, kBoth, kTypes),
    ROW(nullptr, nullptr, nullptr, "reserved", SLUICE_UINT, 0, kBoth, nullptr),
    ROW(nullptr, nullptr, "rrname", "name of the first question", SLUICE_BYTES, SLUICE_LOG_V7, kBoth, nullptr),
    ROW(nullptr, nullptr, "rrtype", "type of the first question", SLUICE_ENUM, SLUICE_LOG_V7, kBoth, kTypes),
    ROW(nullptr, nullptr, "answers", "answer records", SLUICE_GROUP, SLUICE_REPEATED, kClient, nullptr),
    ROW(nullptr, nullptr, "authorities", "authority records", SLUICE_GROUP, SLUICE_REPEATED, kClient, nullptr),
    ROW(nullptr, nullptr, "additionals", "additional records", SLUICE_GROUP, SLUICE_REPEATED, kClient, nullptr),
    ROW(nullptr, nullptr, "rrname", "name of the record", SLUICE_BYTES, 0, kBoth, nullptr),
    ROW(nullptr, nullptr, "rrname_truncated", "the name was cut", SLUICE_BOOL, 0, kBoth, nullptr),
    ROW(nullptr, nullptr, "rrtype", "type of the record", SLUICE_ENUM, 0, kBoth, kTypes),
    ROW(nullptr, nullptr, "ttl", "seconds it may be kept", SLUICE_UINT, 0, kClient, nullptr),
    ROW(nullptr, nullptr, "rdata", "data of the record", SLUICE_BYTES, 0, kClient, nullptr),
    ROW(nullptr, nullptr, "soa", "start of authority", SLUICE_GROUP, 0, kClient, nullptr),
    ROW(nullptr, nullptr, "mname", "primary server", SLUICE_BYTES, 0, kClient, nullptr),
    ROW(nullptr, nullptr, "rname", "responsible person", SLUICE_BYTES, 0, kClient, nullptr),
    ROW(nullptr, nullptr, "serial", "zone serial", SLUICE_UINT, 0, kClient, nullptr),
    ROW(nullptr, nullptr, "refresh", "seconds", SLUICE_UINT, 0, kClient, nullptr),
    ROW(nullptr, nullptr, "retry", "seconds", SLUICE_UINT, 0, kClient, nullptr),
    ROW(nullptr, nullptr, "expire", "seconds", SLUICE_UINT, 0, kClient, nullptr),
    ROW(nullptr, nullptr, "minimum", "seconds", SLUICE_UINT, 0, kClient, nullptr),
    ROW(nullptr, nullptr, "srv", "service location", SLUICE_GROUP, 0, kClient, nullptr),
    ROW(nullptr, nullptr, "priority", "lower is first", SLUICE_UINT, 0, kClient, nullptr),
    ROW(nullptr, nullptr, "weight", "share among equals", SLUICE_UINT, 0, kClient, nullptr),
    ROW(nullptr, nullptr, "port", "port", SLUICE_UINT, 0, kClient, nullptr),
    ROW(nullptr, nullptr, "name", "host of the service", SLUICE_BYTES, 0, kClient, nullptr),
    ROW(nullptr, nullptr, "sshfp", "host key fingerprint", SLUICE_GROUP, 0, kClient, nullptr),
    ROW(nullptr, nullptr, "algo", "key algorithm", SLUICE_UINT, 0, kClient, nullptr),
    ROW(nullptr, nullptr, "type", "hash type", SLUICE_UINT, 0, kClient, nullptr),
    ROW(nullptr, nullptr, "fingerprint", "the fingerprint", SLUICE_BYTES, 0, kClient, nullptr),
    ROW(nullptr, nullptr, "grouped", "answers by type", SLUICE_GROUP, 0, kClient, nullptr),
    ROW(nullptr, nullptr, "A", "IPv4 addresses", SLUICE_BYTES, SLUICE_REPEATED, kClient, nullptr),
    ROW(nullptr, nullptr, "AAAA", "IPv6 addresses", SLUICE_BYTES, SLUICE_REPEATED, kClient, nullptr),
    ROW(nullptr, nullptr, "CNAME", "canonical names", SLUICE_BYTES, SLUICE_REPEATED, kClient, nullptr),
    ROW(nullptr, nullptr, "MX", "mail servers", SLUICE_BYTES, SLUICE_REPEATED, kClient, nullptr),
    ROW(nullptr, nullptr, "NS", "name servers", SLUICE_BYTES, SLUICE_REPEATED, kClient, nullptr),
    ROW(nullptr, nullptr, "PTR", "host names", SLUICE_BYTES, SLUICE_REPEATED, kClient, nullptr),
    ROW(nullptr, nullptr, "TXT", "texts", SLUICE_BYTES, SLUICE_REPEATED, kClient, nullptr),
    ROW(nullptr, nullptr, "NULL", "anything", SLUICE_BYTES, SLUICE_REPEATED, kClient, nullptr),
    ROW(nullptr, nullptr, "SOA", "starts of authority", SLUICE_GROUP, SLUICE_REPEATED, kClient, nullptr),
    ROW(nullptr, nullptr, "SRV", "services", SLUICE_GROUP, SLUICE_REPEATED, kClient, nullptr),
    ROW(nullptr, nullptr, "SSHFP", "fingerprints", SLUICE_GROUP, SLUICE_REPEATED, kClient, nullptr),
    ROW("dns.answers.rrname", nullptr, nullptr, "names of answers", SLUICE_BYTES, SLUICE_REPEATED, kClient, nullptr),
    ROW("dns.authorities.rrname", nullptr, nullptr, "names of authorities", SLUICE_BYTES, SLUICE_REPEATED, kClient, nullptr),
    ROW("dns.additionals.rrname", nullptr, nullptr, "names of additionals", SLUICE_BYTES, SLUICE_REPEATED, kClient, nullptr),
    ROW("dns.response.rrname", nullptr, nullptr, "every name in an answer", SLUICE_BYTES, SLUICE_REPEATED, kClient, nullptr),
};
#undef ROW
static_assert(std::size(kFields) == kNumFields);

constexpr sluice_event kEvents[] = {
    {"malformed_data", "a message does not hold together"},
    {"not_request", "an answer was sent to the server"},
    {"not_response", "a query was sent to the client"},
    {"z_flag_set", "the reserved bit is set"},
    {"invalid_opcode", "an operation code that does not exist"},
    {"too_many_records", "more records than a message may have"},
};
constexpr const char* kStages[] = {"message"};

uint16_t Be16(View m, size_t at) {
  return static_cast<uint16_t>(static_cast<uint8_t>(m[at]) << 8 | static_cast<uint8_t>(m[at + 1]));
}
uint32_t Be32(View m, size_t at) { return uint32_t{Be16(m, at)} << 16 | Be16(m, at + 2); }

// Reads the name at `at` and moves behind it; false if it does not hold.  With
// `out` null it is only walked.
bool ReadName(View message, size_t* at, std::string* out, bool* truncated = nullptr) {
  size_t here = *at, wire = 0;
  int hops = 0;
  bool jumped = false;
  if (out != nullptr) out->clear();
  while (here < message.size()) {
    const auto len = static_cast<uint8_t>(message[here]);
    if (len == 0) {
      if (!jumped) *at = here + 1;
      return true;
    }
    if ((len & 0xc0) == 0xc0) {  // RFC 1035 §4.1.4: a pointer
      if (here + 2 > message.size() || ++hops > kMaxPointers) return false;
      if (!jumped) *at = here + 2;
      jumped = true;
      here = Be16(message, here) & 0x3fff;
      continue;
    }
    if (len & 0xc0) return false;  // reserved label types
    if (here + 1 + len > message.size()) return false;
    wire += len + 1u;
    if (out != nullptr) {
      if (out->size() + len + 1 <= kMaxTextName) {
        if (!out->empty()) *out += '.';
        out->append(message, here + 1, len);
      } else if (truncated != nullptr) {
        *truncated = true;
      }
    }
    if (wire > kMaxName * 4) return false;
    here += 1u + len;
  }
  return false;
}

bool KnownType(uint16_t type) {
  for (const auto& known : kTypes) {
    if (known.name != nullptr && known.value == type) return true;
  }
  return false;
}

// Whether the first twelve bytes can begin a message.
bool PlausibleHeader(View m) {
  const uint16_t flags = Be16(m, 2);
  const unsigned questions = Be16(m, 4), answers = Be16(m, 6), authorities = Be16(m, 8),
                 additionals = Be16(m, 10);
  const unsigned opcode = (flags >> 11) & 15;
  const bool response = flags & 0x8000;
  if (opcode == 3 || opcode > 6 || (flags & 0x40) != 0) return false;
  if (questions + answers == 0 || questions > 16 || answers > 1024 || authorities > 1024 ||
      additionals > 1024) {
    return false;
  }
  if (!response && answers > 0 && opcode == 0) return false;
  return response || (flags & 0x000f) == 0;
}

// Whether the bytes are shaped like a message: strict, any port may be asked.
bool Plausible(View m) {
  if (m.size() < kHeader || !PlausibleHeader(m)) return false;
  const unsigned questions = Be16(m, 4);
  const size_t records = size_t{Be16(m, 6)} + Be16(m, 8) + Be16(m, 10);
  if (size_t{questions} * 5 + records * 11 > m.size() - kHeader && !(Be16(m, 2) & 0x0200)) {
    return false;
  }
  size_t at = kHeader;
  for (unsigned i = 0; i < questions; ++i) {
    if (!ReadName(m, &at, nullptr) || at + 4 > m.size()) return false;
    const uint16_t cls = Be16(m, at + 2) & 0x7fff;
    if (!KnownType(Be16(m, at)) || (cls != 1 && cls != 3 && cls != 4 && cls != 255)) return false;
    at += 4;
  }
  return true;
}

bool mdns_wanted = false;

class Dns {
 public:
  explicit Dns(Flow flow) {
    sluice_flow_info info{};
    info.struct_size = sizeof(info);
    sluice::host->flow_info(flow.get(), &info);
    tcp_ = info.transport == SLUICE_TCP;
  }

  static int32_t Init() {
    const char* option = sluice::host->option("mdns");
    mdns_wanted = option != nullptr && (View(option) == "true" || View(option) == "yes");
    return 0;
  }

  static int32_t Probe(const sluice_probe_input& input) {
    const View head = sluice::ToView(input.head);
    for (const uint16_t port : input.port) {
      if ((port == 5353 || port == 5355) && !mdns_wanted) return SLUICE_PROBE_NO;
    }
    const bool usual = input.port[0] == 53 || input.port[1] == 53;
    if (input.transport == SLUICE_UDP) {
      if (Plausible(head)) return SLUICE_PROBE_YES;
      // On its own port a broken message is still one, and worth an event.
      return usual && head.size() >= kHeader && !(Be16(head, 2) & 0x40) ? SLUICE_PROBE_YES
                                                                         : SLUICE_PROBE_NO;
    }
    if (head.size() < 2 + kHeader) return SLUICE_PROBE_MAYBE;
    const size_t len = Be16(head, 0);
    if (len < kHeader) return SLUICE_PROBE_NO;
    if (head.size() < len + 2) {
      return PlausibleHeader(head.substr(2)) ? SLUICE_PROBE_MAYBE : SLUICE_PROBE_NO;
    }
    return Plausible(head.substr(2, len)) ? SLUICE_PROBE_YES : SLUICE_PROBE_NO;
  }

  ParseResult Parse(Flow flow, uint32_t direction, View in) {
    if (!tcp_) {
      Message(flow, direction, in);
      return sluice::Ok(in.size());
    }
    size_t used = 0;
    while (in.size() - used >= 2) {  // RFC 1035 §4.2.2: a length, then the message
      const size_t len = Be16(in, used);
      if (in.size() - used < len + 2) return sluice::More(used, len + 2);
      Message(flow, direction, in.substr(used + 2, len));
      used += len + 2;
    }
    return used == in.size() ? sluice::Ok(used) : sluice::More(used, 2);
  }

 private:
  void Message(Flow flow, uint32_t direction, View m) {
    const uint32_t only = direction == SLUICE_TO_SERVER ? SLUICE_TX_TO_SERVER : SLUICE_TX_TO_CLIENT;
    if (m.size() < kHeader) {
      flow.Event(SLUICE_NO_TX, kMalformed);
      return;
    }
    const uint16_t flags = Be16(m, 2);
    const bool response = flags & 0x8000;
    if (!response && direction == SLUICE_TO_CLIENT) flow.Event(SLUICE_NO_TX, kNotResponse);
    const uint64_t tx = flow.Begin(only);
    if (response && direction == SLUICE_TO_SERVER) flow.Event(tx, kNotRequest);
    Header(flow, tx, m, flags, response);
    if (!Body(flow, tx, m, response)) flow.Event(tx, kMalformed);
    flow.Stage(tx, direction, 0);
  }

  static void Header(Flow flow, uint64_t tx, View m, uint16_t flags, bool response) {
    const unsigned opcode = (flags >> 11) & 15;
    flow.SetUint(tx, kVersion2, 2);
    flow.SetUint(tx, kVersion3, 3);
    flow.Set(tx, kType2Query, response ? "answer" : "query");
    flow.Set(tx, kType3, response ? "response" : "request");
    flow.SetUint(tx, kId, Be16(m, 0));
    flow.SetUint(tx, kTxId, tx);
    char hex[8];
    std::snprintf(hex, sizeof(hex), "%04x", flags);
    flow.Set(tx, kFlags, View(hex, 4));
    const std::pair<uint32_t, uint16_t> bits[] = {{kQr, 0x8000}, {kAa, 0x0400}, {kTc, 0x0200},
                                                  {kRd, 0x0100}, {kRa, 0x0080}, {kZ, 0x0040}};
    for (const auto& [field, bit] : bits) {
      if (flags & bit) flow.SetUint(tx, field, 1);
    }
    flow.SetUint(tx, kOpcode, opcode);
    flow.SetUint(tx, kOpcodeLog, opcode);
    if (flags & 0x0040) flow.Event(tx, kZFlag);
    if (opcode == 3 || opcode > 6) flow.Event(tx, kInvalidOpcode);
    flow.SetUint(tx, kRcode, flags & 15);
    if (response) flow.SetUint(tx, kRcodeLog, flags & 15);
  }

  bool Body(Flow flow, uint64_t tx, View m, bool response) {
    size_t at = kHeader;
    const unsigned questions = Be16(m, 4);
    if (questions > kMaxRecords) {
      flow.Event(tx, kTooManyRecords);
      return true;
    }
    for (unsigned i = 0; i < questions; ++i) {
      bool truncated = false;
      if (!ReadName(m, &at, &name_, &truncated) || at + 4 > m.size()) return false;
      const uint16_t type = Be16(m, at);
      at += 4;
      if (!response) flow.Set(tx, kQueryName, name_);
      if (response) flow.Set(tx, kResponseName, name_);
      flow.SetUint(tx, kRrType, type);
      if (i == 0) {
        flow.Set(tx, kFirstName, name_);
        flow.SetUint(tx, kFirstType, type);
      }
      flow.Open(tx, kQueries);
      flow.Set(tx, kName, name_);
      flow.SetUint(tx, kTypeName, type);
      if (truncated) flow.SetUint(tx, kNameTruncated, 1);
      flow.Close(tx);
    }
    if (!response) return true;
    const size_t answers = at;
    const std::pair<uint32_t, uint32_t> sections[] = {
        {kAnswers, kAnswerName}, {kAuthorities, kAuthorityName}, {kAdditionals, kAdditionalName}};
    for (unsigned s = 0; s < 3; ++s) {
      const unsigned count = Be16(m, 6 + s * 2);
      if (count > kMaxRecords) {
        flow.Event(tx, kTooManyRecords);
        return true;
      }
      for (unsigned i = 0; i < count; ++i) {
        if (!Record(flow, tx, m, &at, sections[s].first, sections[s].second)) return false;
      }
    }
    return Grouped(flow, tx, m, answers, Be16(m, 6));
  }

  // One resource record (RFC 1035 §4.1.3) into its section.
  bool Record(Flow flow, uint64_t tx, View m, size_t* at, uint32_t section, uint32_t keyword) {
    if (!ReadName(m, at, &name_) || *at + 10 > m.size()) return false;
    const uint16_t type = Be16(m, *at);
    const uint32_t ttl = Be32(m, *at + 4);
    const size_t len = Be16(m, *at + 8), data = *at + 10;
    if (data + len > m.size()) return false;
    *at = data + len;
    if (type == 41) return true;  // OPT (RFC 6891) carries no data of the zone
    flow.Set(tx, keyword, name_);
    flow.Set(tx, kResponseName, name_);
    flow.Open(tx, section);
    flow.Set(tx, kName, name_);
    flow.SetUint(tx, kTypeName, type);
    flow.SetUint(tx, kTtl, ttl);
    Data(flow, tx, m, type, data, len, kRdata, kSoa, kSrv, kSshfp);
    flow.Close(tx);
    return true;
  }

  // The answers once more, by type.
  bool Grouped(Flow flow, uint64_t tx, View m, size_t at, unsigned count) {
    if (count == 0) return true;
    flow.Open(tx, kGrouped);
    for (unsigned i = 0; i < count; ++i) {
      if (!ReadName(m, &at, nullptr) || at + 10 > m.size()) break;
      const uint16_t type = Be16(m, at);
      const size_t len = Be16(m, at + 8), data = at + 10;
      if (data + len > m.size()) break;
      at = data + len;
      uint32_t field = kNumFields;
      switch (type) {
        case 1: field = kGroupA; break;
        case 28: field = kGroupAaaa; break;
        case 5: field = kGroupCname; break;
        case 15: field = kGroupMx; break;
        case 2: field = kGroupNs; break;
        case 12: field = kGroupPtr; break;
        case 16: field = kGroupTxt; break;
        case 10: field = kGroupNull; break;
        case 6: case 33: case 44: break;
        default: continue;
      }
      Data(flow, tx, m, type, data, len, field, kGroupSoa, kGroupSrv, kGroupSshfp);
    }
    flow.Close(tx);
    return true;
  }

  void Data(Flow flow, uint64_t tx, View m, uint16_t type, size_t at, size_t len, uint32_t field,
            uint32_t soa, uint32_t srv, uint32_t sshfp) {
    const size_t end = at + len;
    char text[64];
    switch (type) {
      case 1:
        if (len != 4) return;
        std::snprintf(text, sizeof(text), "%u.%u.%u.%u", uint8_t(m[at]), uint8_t(m[at + 1]),
                      uint8_t(m[at + 2]), uint8_t(m[at + 3]));
        flow.Set(tx, field, text);
        return;
      case 28:
        if (len != 16) return;
        std::snprintf(text, sizeof(text), "%04x:%04x:%04x:%04x:%04x:%04x:%04x:%04x", Be16(m, at),
                      Be16(m, at + 2), Be16(m, at + 4), Be16(m, at + 6), Be16(m, at + 8),
                      Be16(m, at + 10), Be16(m, at + 12), Be16(m, at + 14));
        flow.Set(tx, field, text);
        return;
      case 2: case 5: case 12:
        if (ReadName(m, &at, &value_)) flow.Set(tx, field, value_);
        return;
      case 15:
        at += 2;
        if (len > 2 && ReadName(m, &at, &value_)) flow.Set(tx, field, value_);
        return;
      case 16:  // one value per character-string (RFC 1035 §3.3.14)
        while (at < end) {
          const auto n = static_cast<uint8_t>(m[at]);
          if (at + 1 + n > end) return;
          flow.Set(tx, field, m.substr(at + 1, n));
          at += 1u + n;
          if (field == kRdata) return;
        }
        return;
      case 10:
        flow.Set(tx, field, m.substr(at, len));
        return;
      case 6: Soa(flow, tx, m, at, soa); return;
      case 33: Srv(flow, tx, m, at, len, srv); return;
      case 44: Sshfp(flow, tx, m, at, len, sshfp); return;
      default: return;
    }
  }

  void Soa(Flow flow, uint64_t tx, View m, size_t at, uint32_t group) {
    if (!ReadName(m, &at, &value_) || !ReadName(m, &at, &other_) || at + 20 > m.size()) return;
    flow.Open(tx, group);
    flow.Set(tx, kMname, value_);
    flow.Set(tx, kRname, other_);
    for (uint32_t i = 0; i < 5; ++i) flow.SetUint(tx, kSerial + i, Be32(m, at + i * 4));
    flow.Close(tx);
  }

  void Srv(Flow flow, uint64_t tx, View m, size_t at, size_t len, uint32_t group) {
    if (len < 7) return;
    size_t name = at + 6;
    if (!ReadName(m, &name, &value_)) return;
    flow.Open(tx, group);
    for (uint32_t i = 0; i < 3; ++i) flow.SetUint(tx, kPriority + i, Be16(m, at + i * 2));
    flow.Set(tx, kTarget, value_);
    flow.Close(tx);
  }

  void Sshfp(Flow flow, uint64_t tx, View m, size_t at, size_t len, uint32_t group) {
    if (len < 3) return;
    value_.clear();
    for (size_t i = at + 2; i < at + len; ++i) {
      char hex[4];
      std::snprintf(hex, sizeof(hex), "%s%02x", i > at + 2 ? ":" : "", uint8_t(m[i]));
      value_ += hex;
    }
    flow.Open(tx, group);
    flow.SetUint(tx, kAlgo, uint8_t(m[at]));
    flow.SetUint(tx, kFpType, uint8_t(m[at + 1]));
    flow.Set(tx, kFingerprint, value_);
    flow.Close(tx);
  }

  bool tcp_ = false;
  std::string name_, value_, other_;  // scratch: capacity is kept
};

constexpr sluice_plugin Plugin() {
  sluice_plugin plugin = sluice::MakePlugin<Dns>("dns", "Domain Name System over UDP and TCP");
  plugin.version = "1.0";
  plugin.transports = SLUICE_TCP | SLUICE_UDP;
  plugin.log_source = SLUICE_LOG_SENDER_V8;
  plugin.ports = "udp/53 tcp/53";
  plugin.fields = kFields;
  plugin.num_fields = std::size(kFields);
  plugin.events = kEvents;
  plugin.num_events = std::size(kEvents);
  for (int d = 0; d < 2; ++d) {
    plugin.stages[d] = kStages;
    plugin.num_stages[d] = std::size(kStages);
  }
  return plugin;
}

}  // namespace

extern "C" const sluice_plugin sluice_plugin_v1 = Plugin();
