// SPDX-License-Identifier: Apache-2.0
// plugins/dns/fields.h - what the dissector declares: fields, events, names of numbers.
//
// A message is logged in the form of Suricata 8 (all fields in the object, kMessage) or of
// 7 (a record for each question, kQuery; one for the answer, kAnswer): groups that the
// engine shows or not, around the same fields.
#pragma once

#include <cstdint>
#include <iterator>

#include <sluice/plugin.h>

namespace sluice::dns {

enum Field : uint32_t {
  // Groups of the whole message.
  kMessage, kQuery, kAnswer,
  // Of the header.
  kVersion3, kVersion2, kQueryVersion2, kForm3Type, kForm2Type, kId, kTxId, kFlags, kQr, kAa, kTc, kRd,
  kRa, kZ, kOpcodeLog, kRcodeLog,
  // Of questions and records.
  kQueries, kName, kNameCut, kQueryType, kAnswerRecords, kAuthorityRecords, kAdditionalRecords, kRecordType, kTtl, kRdata,
  kRdataCut, kSoaData, kMname, kRname, kSerial, kRefresh, kRetry, kExpire, kMinimum, kSrvData, kPriority,
  kWeight, kPort, kTarget, kSshfpData, kAlgo, kHashType, kFingerprint, kOption, kCode, kOptionData,
  // Answers by type.
  kGrouped, kGroupA, kGroupAaaa, kGroupCname, kGroupMx, kGroupNs, kGroupPtr, kGroupTxt, kGroupNull,
  kGroupSoa, kGroupSrv, kGroupSshfp,
  // For rules.
  kOpcode, kRcode, kRrType, kQueryName, kAnyQueryName, kAnswerName, kAuthorityName, kAdditionalName,
  kResponseName, kUnsolicited, kPdu,
  kNumFields
};

enum Event : uint32_t {
  kMalformed, kNotRequest, kNotResponse, kZFlag, kInvalidOpcode, kNameTooLong, kInfiniteLoop,
  kLabelLimit, kInvalidAuthorities, kInvalidAdditionals, kFlooded, kNumEvents
};

inline constexpr sluice_event kEvents[] = {
    {"malformed_data", "a message does not hold together"},
    {"not_request not_a_request", "an answer was sent to the server"},
    {"not_response not_a_response", "a query was sent to the client"},
    {"z_flag_set", "the reserved bit is set"},
    {"invalid_opcode", "an operation code that does not exist"},
    {"name_too_long", "a name is longer than 1025 bytes, and was cut"},
    {"infinite_loop", "a name points to itself"},
    {"too_many_labels", "a name has more labels than may be"},
    {"invalid_authorities", "the authority section does not hold together"},
    {"invalid_additionals", "the additional section does not hold together"},
    {"flooded", "500 queries of a flow wait for their answers"},
};
static_assert(std::size(kEvents) == kNumEvents);

inline constexpr sluice_enum_name kTypes[] = {
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
inline constexpr sluice_enum_name kRcodes[] = {
    {0, "NOERROR"}, {1, "FORMERR"}, {2, "SERVFAIL"}, {3, "NXDOMAIN"}, {4, "NOTIMP"},
    {5, "REFUSED"}, {6, "YXDOMAIN"}, {7, "YXRRSET"}, {8, "NXRRSET"}, {9, "NOTAUTH"},
    {10, "NOTZONE"}, {16, "BADVERS"}, {17, "BADKEY"}, {18, "BADTIME"}, {19, "BADMODE"},
    {20, "BADNAME"}, {21, "BADALG"}, {22, "BADTRUNC"}, {0, nullptr}};

inline constexpr uint32_t kC = SLUICE_DIR_TO_SERVER, kBoth = SLUICE_DIR_BOTH;

// Of the log alone.
constexpr sluice_field Log(const char* key, const char* help, uint32_t type, uint32_t flags = 0,
                           const sluice_enum_name* names = nullptr) {
  return {nullptr, nullptr, nullptr, key, help, type, flags, kBoth, 0, names, nullptr};
}
// Of rules alone.
constexpr sluice_field Keyword(const char* name, const char* aliases, const char* help, uint32_t type,
                               uint32_t flags = 0, uint32_t directions = kBoth,
                               const sluice_enum_name* names = nullptr) {
  return {name, aliases, nullptr, nullptr, help, type, flags, directions, 0, names, nullptr};
}

inline constexpr sluice_field kFields[] = {
    Log("", "the message", SLUICE_GROUP, SLUICE_LOG_V8),
    Log("query", "a question", SLUICE_GROUP, SLUICE_LOG_V7 | SLUICE_REPEATED | SLUICE_RECORD_EACH),
    Log("answer", "an answer", SLUICE_GROUP, SLUICE_LOG_V7 | SLUICE_RECORD_EACH),

    Log("version", "log format", SLUICE_UINT, SLUICE_LOG_V8),
    Log("version", "log format", SLUICE_UINT, SLUICE_LOG_V7),
    Log("version", "log format", SLUICE_UINT, SLUICE_LOG_V7 | SLUICE_RECORD_ONLY),
    Log("type", "request or response", SLUICE_BYTES, SLUICE_LOG_V8),
    Log("type", "query or answer", SLUICE_BYTES, SLUICE_LOG_V7),
    Log("id", "message id", SLUICE_UINT),
    Log("tx_id", "transaction number", SLUICE_UINT),
    Log("flags", "header flags in hex", SLUICE_BYTES),
    Log("qr", "is an answer", SLUICE_BOOL),
    Log("aa", "authoritative", SLUICE_BOOL),
    Log("tc", "truncated", SLUICE_BOOL),
    Log("rd", "recursion desired", SLUICE_BOOL),
    Log("ra", "recursion available", SLUICE_BOOL),
    Log("z", "reserved bit", SLUICE_BOOL),
    Log("opcode", "operation code", SLUICE_UINT),
    Log("rcode", "response code", SLUICE_ENUM, 0, kRcodes),

    Log("queries", "questions", SLUICE_GROUP, SLUICE_REPEATED),
    Log("rrname", "name of the question or record", SLUICE_BYTES),
    Log("rrname_truncated", "the name was cut", SLUICE_BOOL),
    Log("rrtype", "type of the question", SLUICE_ENUM, 0, kTypes),
    Log("answers", "answer records", SLUICE_GROUP, SLUICE_REPEATED),
    Log("authorities", "authority records", SLUICE_GROUP, SLUICE_REPEATED),
    Log("additionals", "additional records", SLUICE_GROUP, SLUICE_REPEATED),
    Log("rrtype", "type of the record", SLUICE_ENUM, 0, kTypes),
    Log("ttl", "seconds it may be kept", SLUICE_UINT),
    Log("rdata", "data of the record", SLUICE_BYTES),
    Log("rdata_truncated", "the name in it was cut", SLUICE_BOOL),
    Log("soa", "start of authority", SLUICE_GROUP),
    Log("mname", "primary server", SLUICE_BYTES),
    Log("rname", "responsible person", SLUICE_BYTES),
    Log("serial", "zone serial", SLUICE_UINT),
    Log("refresh", "seconds", SLUICE_UINT),
    Log("retry", "seconds", SLUICE_UINT),
    Log("expire", "seconds", SLUICE_UINT),
    Log("minimum", "seconds", SLUICE_UINT),
    Log("srv", "service location", SLUICE_GROUP),
    Log("priority", "lower is first", SLUICE_UINT),
    Log("weight", "share among equals", SLUICE_UINT),
    Log("port", "port", SLUICE_UINT),
    Log("name", "host of the service", SLUICE_BYTES),
    Log("sshfp", "host key fingerprint", SLUICE_GROUP),
    Log("algo", "key algorithm", SLUICE_UINT),
    Log("type", "hash type", SLUICE_UINT),
    Log("fingerprint", "the fingerprint", SLUICE_BYTES),
    Log("opt", "options (RFC 6891)", SLUICE_GROUP, SLUICE_REPEATED),
    Log("code", "option code", SLUICE_UINT),
    Log("data", "option data", SLUICE_BYTES, SLUICE_HEX),

    Log("grouped", "answers by type", SLUICE_GROUP, SLUICE_RECORD_ONLY),
    Log("A", "IPv4 addresses", SLUICE_BYTES, SLUICE_REPEATED),
    Log("AAAA", "IPv6 addresses", SLUICE_BYTES, SLUICE_REPEATED),
    Log("CNAME", "canonical names", SLUICE_BYTES, SLUICE_REPEATED),
    Log("MX", "mail servers", SLUICE_BYTES, SLUICE_REPEATED),
    Log("NS", "name servers", SLUICE_BYTES, SLUICE_REPEATED),
    Log("PTR", "host names", SLUICE_BYTES, SLUICE_REPEATED),
    Log("TXT", "texts", SLUICE_BYTES, SLUICE_REPEATED),
    Log("NULL", "anything", SLUICE_BYTES, SLUICE_REPEATED),
    Log("SOA", "starts of authority", SLUICE_GROUP, SLUICE_REPEATED),
    Log("SRV", "services", SLUICE_GROUP, SLUICE_REPEATED),
    Log("SSHFP", "fingerprints", SLUICE_GROUP, SLUICE_REPEATED),

    Keyword("dns.opcode", nullptr, "operation code", SLUICE_UINT),
    Keyword("dns.rcode", nullptr, "response code", SLUICE_UINT, SLUICE_DIMENSION, kBoth, kRcodes),
    Keyword("dns.rrtype", nullptr, "types asked for, or answered", SLUICE_UINT, SLUICE_REPEATED | SLUICE_DIMENSION,
            kBoth, kTypes),
    Keyword("dns.query", "dns_query", "names asked for, in queries", SLUICE_BYTES,
            SLUICE_REPEATED | SLUICE_DIMENSION, kC),
    Keyword("dns.queries.rrname", "dns.query.name", "names asked for, in queries and answers", SLUICE_BYTES,
            SLUICE_REPEATED),
    Keyword("dns.answers.rrname", "dns.answer.name", "names of answer records", SLUICE_BYTES, SLUICE_REPEATED),
    Keyword("dns.authorities.rrname", nullptr, "names of authority records", SLUICE_BYTES, SLUICE_REPEATED),
    Keyword("dns.additionals.rrname", nullptr, "names of additional records", SLUICE_BYTES, SLUICE_REPEATED),
    Keyword("dns.response.rrname", nullptr, "every name in an answer, also in data of CNAME, MX, NS, PTR, SOA",
            SLUICE_BYTES, SLUICE_REPEATED),
    Keyword("dns.unsolicited", nullptr, "an answer to no query of its flow", SLUICE_BOOL),
    Keyword("dns.pdu", nullptr, "a message as it was sent, without the length before it over TCP", SLUICE_BYTES,
            SLUICE_FRAME),
};
static_assert(std::size(kFields) == kNumFields);

inline constexpr sluice_field_form kForms[] = {
    {kQueryType, 0, nullptr, nullptr, nullptr, nullptr, "types"},
    {kAnswerRecords, 0, "detailed", nullptr, nullptr, nullptr, "formats"},
    {kGrouped, 0, "grouped", nullptr, nullptr, nullptr, "formats"},
};

}  // namespace sluice::dns
