// engine/rules/rule_set.h
// The one model of rules that both front ends (.rules, .toml) produce.  Its values
// compare member by member: print.h's law, and tests, rest on it.
//
// A rule is a header (protocol, addresses, ports), flow and packet conditions,
// and a list of buffer inspections; each inspection is one sticky buffer with
// its tests in the order written.  Knows keywords, not Hyperscan, and no
// protocol by name: fields of dissectors come through KeywordSource.
//
// Threads: built on the main thread, then immutable and shared by workers.
// Memory: plain values; a RuleSet owns all of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/types.h"
#include "engine/decode/address.h"

namespace sluice {

enum class Action : uint8_t { kAlert, kPass, kConfig, kDrop, kReject, kRejectSource, kRejectDestination, kRejectBoth };

// ---------------------------------------------------------------- header

struct AddressRange {  // inclusive, one IP version
  Address first, last;
  bool operator==(const AddressRange&) const = default;
};
// Sorted, disjoint; negation is already applied, so `any` is both full ranges.
struct AddressSet {
  bool any = true;
  std::vector<AddressRange> ranges;
  bool Contains(const Address& address) const;
  bool operator==(const AddressSet&) const = default;
};
struct PortSet {
  bool any = true;
  std::vector<std::pair<uint16_t, uint16_t>> ranges;  // sorted, disjoint, inclusive
  bool Contains(uint16_t port) const;
  bool operator==(const PortSet&) const = default;
};

struct RuleHeader {
  std::string protocol_text;     // as written: "tcp", "tcp-pkt", "http", ...
  bool any_ip_protocol = false;  // "ip", "pkthdr"
  std::vector<uint8_t> ip_protocols;  // IANA numbers otherwise; empty with any_ip_protocol
  uint8_t ip_version = 0;        // 4, 6 ("ip4", "tcp4"...), 0 for both
  bool packet_only = false;      // "tcp-pkt": payload of single packets
  bool stream_only = false;      // "tcp-stream"
  std::string app_protocol;      // a dissector's name; empty: none asked for
  // "tls:client_hello_done": only once a transaction has come so far, in that direction.
  struct Hook {
    uint8_t direction = 0, stage = 0;
    bool operator==(const Hook&) const = default;
  };
  std::optional<Hook> hook;
  // What packets it is about: those of IP, or all ("pkthdr"), of Ethernet, of ARP.
  enum class Link : uint8_t { kIp, kAny, kEthernet, kArp } link = Link::kIp;
  bool flow_start = false;       // "tcp:flow_start": the first packet of a flow alone
  AddressSet source, destination;
  PortSet source_ports, destination_ports;
  bool bidirectional = false;    // "<>"
  bool transactional = false;    // "=>": one transaction, fields of both its directions
  bool operator==(const RuleHeader&) const = default;
};

// ------------------------------------------------- values and comparisons

enum class CompareOp : uint8_t {
  kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual,
  kRange,     // a < x < b (as Suricata: "a<>b" excludes the ends; parser adjusts where inclusive)
  kNotRange,
  kMaskSet,     // (x & a) == b
  kMaskNotSet,  // (x & a) != b
};
// Signed values in an order that unsigned comparison respects.
inline uint64_t SignedOrder(int64_t value) {
  return static_cast<uint64_t>(value) ^ (uint64_t{1} << 63);
}
struct UintTest {
  CompareOp op = CompareOp::kEqual;
  uint64_t a = 0, b = 0;
  bool Matches(uint64_t value) const {
    switch (op) {
      case CompareOp::kEqual: return value == a;
      case CompareOp::kNotEqual: return value != a;
      case CompareOp::kLess: return value < a;
      case CompareOp::kLessEqual: return value <= a;
      case CompareOp::kGreater: return value > a;
      case CompareOp::kGreaterEqual: return value >= a;
      case CompareOp::kRange: return value > a && value < b;
      case CompareOp::kNotRange: return !(value > a && value < b);
      case CompareOp::kMaskSet: return (value & a) == b;
      case CompareOp::kMaskNotSet: return (value & a) != b;
    }
    return false;
  }
  bool operator==(const UintTest&) const = default;
};

// A number in the rule, or the name of a byte_extract / byte_math variable
// (index into Rule::num_variables slots).
struct Number {
  int64_t value = 0;
  int32_t variable = -1;  // >= 0: slot, value unused
  bool operator==(const Number&) const = default;
};

// ------------------------------------------------------------ byte tests

struct ContentTest {
  std::string bytes;     // decoded; lower case when nocase
  bool negated = false;
  bool nocase = false;
  bool relative = false;  // distance or within given
  bool starts_with = false, ends_with = false;
  bool raw_bytes = false;
  std::optional<Number> offset, depth, distance, within;
  bool fast_pattern = false;       // asked for
  bool fast_pattern_only = false;  // the prefilter hit is enough
  uint16_t fast_pattern_offset = 0, fast_pattern_length = 0;  // chop; length 0: whole
  bool replace = false;
  bool operator==(const ContentTest&) const = default;
};

struct PcreTest {
  std::string pattern;   // without delimiters
  bool negated = false;
  bool relative = false;  // R
  bool caseless = false, dot_all = false, multi_line = false, extended = false, anchored = false,
       dollar_end_only = false, ungreedy = false;
  std::vector<std::string> captures;  // "pkt:name", "flow:name", in group order
  bool operator==(const PcreTest&) const = default;
};

// A group of an expression, kept under a name when the rule matches: with the packet's records,
// or the flow's.
inline constexpr uint32_t kMaxCaptures = 8;  // of one expression
struct Capture {
  bool of_flow = false;
  std::string name;
  bool operator==(const Capture&) const = default;
};
// In group order: those listed behind the expression, else those that groups name themselves:
// (?P<flow_name>...), (?P<pkt_name>...).
std::vector<Capture> CapturesOf(const PcreTest& test);

struct IsDataAtTest {
  Number offset;
  bool relative = false, negated = false, raw_bytes = false;
  bool operator==(const IsDataAtTest&) const = default;
};

enum class Endian : uint8_t { kBig, kLittle, kDce };
enum class NumberBase : uint8_t { kBinary, kHex, kDecimal, kOctal };  // kBinary: raw bytes

struct ByteTest {
  Number num_bytes;
  bool negated = false;
  enum class Op : uint8_t { kLess, kGreater, kEqual, kLessEqual, kGreaterEqual, kAnd, kOr } op = Op::kEqual;
  Number value, offset;
  bool relative = false;
  Endian endian = Endian::kBig;
  NumberBase base = NumberBase::kBinary;
  uint32_t bitmask = 0;
  bool operator==(const ByteTest&) const = default;
};
struct ByteJump {
  Number num_bytes, offset;
  bool relative = false, align = false, from_beginning = false, from_end = false;
  Endian endian = Endian::kBig;
  NumberBase base = NumberBase::kBinary;
  uint32_t multiplier = 1, bitmask = 0;
  int32_t post_offset = 0;
  bool operator==(const ByteJump&) const = default;
};
struct ByteExtract {
  uint8_t num_bytes = 0;
  Number offset;
  uint32_t variable = 0;  // slot
  bool relative = false;
  Endian endian = Endian::kBig;
  NumberBase base = NumberBase::kBinary;
  uint32_t multiplier = 1, align = 0, bitmask = 0;
  bool operator==(const ByteExtract&) const = default;
};
struct ByteMath {
  Number num_bytes, offset, rvalue;
  enum class Op : uint8_t { kAdd, kSubtract, kMultiply, kDivide, kShiftLeft, kShiftRight } op = Op::kAdd;
  uint32_t variable = 0;
  bool relative = false;
  Endian endian = Endian::kBig;
  NumberBase base = NumberBase::kBinary;
  uint32_t bitmask = 0;
  bool operator==(const ByteMath&) const = default;
};
struct SizeTest {  // bsize, urilen: of the whole buffer
  UintTest test;
  bool operator==(const SizeTest&) const = default;
};
struct Base64Decode {  // later base64_data tests look at the decoded bytes
  uint32_t bytes = 0;  // 0: all
  uint32_t offset = 0;
  bool relative = false;
  bool operator==(const Base64Decode&) const = default;
};

// A named set of values, as the rule that uses it describes it.
struct DatasetSpec {
  enum class Type : uint8_t { kString, kMd5, kSha256, kIpv4, kIp } type = Type::kString;
  enum class Format : uint8_t { kLines, kJson, kJsonLines } format = Format::kLines;
  std::string name;
  bool has_type = false;           // else an earlier rule says it
  std::string load, save, state;   // files; empty: none
  uint64_t memcap = 100u << 20;    // bytes
  uint32_t hash_size = 4096;       // buckets
  std::string context_key, value_key, array_key;  // of a JSON file
  bool remove_key = false;
  bool operator==(const DatasetSpec&) const = default;
};
struct DatasetTest {  // "dataset", "datarep": the whole buffer is looked up
  enum class Op : uint8_t { kIsSet, kIsNotSet, kSet, kUnset, kReputation } op = Op::kIsSet;
  DatasetSpec set;
  bool subdomain = false;  // a part from a '.' on is enough
  UintTest reputation;
  bool operator==(const DatasetTest&) const = default;
};

struct FloatTest {
  enum class Op : uint8_t { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual } op = Op::kEqual;
  double value = 0;
  bool Matches(double x) const {
    switch (op) {
      case Op::kEqual: return x == value;
      case Op::kNotEqual: return x != value;
      case Op::kLess: return x < value;
      case Op::kLessEqual: return x <= value;
      case Op::kGreater: return x > value;
      case Op::kGreaterEqual: return x >= value;
    }
    return false;
  }
  bool operator==(const FloatTest&) const = default;
};
struct EntropyTest {  // Shannon's, in bits a byte: 0 to 8
  uint32_t bytes = 0, offset = 0;  // of which part; 0 bytes: to the end
  FloatTest test;
  bool operator==(const EntropyTest&) const = default;
};
struct Asn1Test {  // what is odd about the BER elements from a place on; any of these
  bool bitstring_overflow = false;  // more unused bits than there are
  bool double_overflow = false;     // a REAL in decimal form of more than 256 bytes
  std::optional<uint32_t> oversize_length;  // an element longer than this
  Number offset;
  bool relative = false;
  bool operator==(const Asn1Test&) const = default;
};

using BufferTest = std::variant<ContentTest, PcreTest, IsDataAtTest, ByteTest, ByteJump, ByteExtract,
                                ByteMath, SizeTest, Base64Decode, DatasetTest, EntropyTest, Asn1Test>;

// -------------------------------------------------------------- buffers

// Buffers the engine itself has; all others are dissector fields.
enum class BufferKind : uint8_t {
  kPayload,   // packet payload, or reassembled stream (rules without a buffer)
  kField,     // a dissector's field: keyword id
  kFileData,  // file.data
  kBase64,    // base64_data: output of Base64Decode in the buffer before
  kHeader,    // a header keyword: ipv4.hdr, tcp.hdr ... (HeaderBuffer)
  kFileName,   // file.name
  kFileMagic,  // file.magic: what libmagic says of the first bytes
};
enum class HeaderBuffer : uint8_t {
  kNone, kIpv4, kIpv6, kTcp, kUdp, kIcmpv4, kIcmpv6, kEther, kIgmp, kSctp, kArp,
  kIpSource, kIpDestination
};

struct Transform {
  std::string name;      // "to_lowercase", "strip_whitespace", ...
  std::string argument;  // "xor" key, pcrexform pattern
  bool operator==(const Transform&) const = default;
};

// One sticky buffer and its tests.  Two uses of one buffer in a rule with
// different transforms, or a repeated buffer named twice, are two inspections.
struct Inspection {
  // "absent": the rule asks for the buffer not to be there, or allows it.
  enum class Absent : uint8_t { kMismatches, kMatches, kOrElse };
  Absent absent = Absent::kMismatches;
  uint8_t side = 3;  // bit per Direction; only transactional rules narrow it
  BufferKind kind = BufferKind::kPayload;
  uint16_t keyword = 0;  // kField: KeywordSource id
  HeaderBuffer header = HeaderBuffer::kNone;
  std::string name;      // as written, for messages
  std::vector<Transform> transforms;
  std::vector<BufferTest> tests;
  bool operator==(const Inspection&) const = default;
};
// Which of the values of a repeated number field must pass the test, behind a comma. All but
// kAny wait until no more can come.
struct WhichNumbers {
  enum class Kind : uint8_t {
    kAny,
    kAnyOrNone,   // "or_absent": or there are none
    kAll,         // "all": and there is one at least
    kAllOrNone,   // "all_or_absent"
    kTimes,       // "nb>3": so many pass
    kIndex,       // "2", "-1": from the last
    kIndexOrOut,  // "oob_or 2": or there is none at that place
    kCount,       // "count >5" in place of a test: so many there are
  };
  Kind kind = Kind::kAny;
  int32_t index = 0;
  UintTest times;  // kTimes, kCount
  bool sliced = false;
  int32_t first = 0, last = 0;  // sliced: of [first, last) alone; negative: from the end
  bool operator==(const WhichNumbers&) const = default;
};
// A number field ("dns.opcode: 4", "http.stat_code" stays bytes).
struct NumberInspection {
  uint16_t keyword = 0;
  std::string name;
  UintTest test;           // of a signed field: over values in SignedOrder()
  bool is_signed = false;
  WhichNumbers which;
  bool operator==(const NumberInspection&) const = default;
};

// -------------------------------------------------- packet and flow tests

enum class PacketField : uint8_t {
  kTtl, kIpId, kIpProto, kTos, kTcpSeq, kTcpAck, kTcpWindow, kTcpMss, kIcmpType, kIcmpCode,
  kIcmpId, kIcmpSeq, kDsize, kIcmpv6Mtu, kPacketLen, kTcpWscale, kIgmpType, kSctpVtag, kSctpChunks,
  kVlanLayers,
};
struct PacketNumberTest {
  PacketField field = PacketField::kTtl;
  UintTest test;
  bool operator==(const PacketNumberTest&) const = default;
};
struct TcpFlagsTest {  // "flags: [!*+]SAF,CE"
  uint8_t flags = 0, ignore_mask = 0;
  enum class Mode : uint8_t { kExact, kAll, kAny, kNot } mode = Mode::kExact;
  bool operator==(const TcpFlagsTest&) const = default;
};
struct SameIpTest {
  bool operator==(const SameIpTest&) const = default;
};
struct IpOptsTest {
  uint8_t option = 0; bool any = false;
  bool operator==(const IpOptsTest&) const = default;
};
struct FragBitsTest {
  uint8_t bits = 0;  // 1 more, 2 dont, 4 reserved
  TcpFlagsTest::Mode mode = TcpFlagsTest::Mode::kExact;
  bool operator==(const FragBitsTest&) const = default;
};
struct FragOffsetTest {
  UintTest test;
  bool operator==(const FragOffsetTest&) const = default;
};
struct DecodeEventTest {
  std::string name;
  bool operator==(const DecodeEventTest&) const = default;
};  // decode-event / stream-event, without prefix
struct StreamEventTest {
  std::string name;
  bool operator==(const StreamEventTest&) const = default;
};
struct VlanTest {  // "vlan.id: 10,0"
  enum class Layer : uint8_t { kAny, kAll, kIndex } layer = Layer::kAny;
  int8_t index = 0;  // from the outermost; negative: from the innermost, -1 being that
  UintTest test;
  bool operator==(const VlanTest&) const = default;
};
struct ChecksumTest {  // "tcpv4-csum: invalid"
  uint8_t ip_version = 4;
  uint8_t ip_protocol = 0;  // 0: the IPv4 header's own
  bool valid = true;
  bool operator==(const ChecksumTest&) const = default;
};
struct IpVersionTest {  // "l3_proto"
  uint8_t version = 4;
  bool operator==(const IpVersionTest&) const = default;
};
struct RpcTest {  // "rpc: 100000,2,*": a call of ONC RPC
  uint32_t program = 0;
  std::optional<uint32_t> version, procedure;  // none: any
  bool operator==(const RpcTest&) const = default;
};
// Which of a packet's two hosts is asked: either will do, or both must.
enum class HostSide : uint8_t { kAny, kSource, kDestination, kBoth };
struct ReputationTest {  // "iprep"
  HostSide side = HostSide::kAny;
  std::string category;
  uint8_t category_id = 0;
  bool absent = false;  // "isnotset": the host has no value there
  UintTest test{CompareOp::kGreaterEqual, 0, 0};  // "isset": any
  bool operator==(const ReputationTest&) const = default;
};
struct CountryTest {  // "geoip": one of them, or, negated, a known country that is none
  HostSide side = HostSide::kAny;
  bool negated = false;
  std::vector<std::string> countries;  // ISO 3166-1 alpha-2
  bool operator==(const CountryTest&) const = default;
};
using PacketTest = std::variant<PacketNumberTest, TcpFlagsTest, SameIpTest, IpOptsTest, FragBitsTest,
                                FragOffsetTest, DecodeEventTest, StreamEventTest, ChecksumTest,
                                VlanTest, IpVersionTest, RpcTest, ReputationTest, CountryTest>;

struct FlowTest {
  bool to_server = false, to_client = false;
  bool established = false, not_established = false, stateless = false;
  bool only_stream = false, no_stream = false, only_frag = false, no_frag = false;
  bool operator==(const FlowTest&) const = default;
};
struct FlowbitTest {
  enum class Op : uint8_t { kIsSet, kIsNotSet, kSet, kUnset, kToggle } op = Op::kIsSet;
  std::vector<uint32_t> bits;  // any of them ("a|b"); indices into RuleSet::flowbit_names
  bool operator==(const FlowbitTest&) const = default;
};
struct FlowintTest {
  enum class Op : uint8_t { kSet, kAdd, kSubtract, kLess, kLessEqual, kEqual, kNotEqual, kGreaterEqual, kGreater, kIsSet, kIsNotSet } op = Op::kSet;
  uint32_t variable = 0;  // index into RuleSet::flowint_names
  uint32_t value = 0;
  int32_t other = -1;     // >= 0: another flowint instead of value
  bool operator==(const FlowintTest&) const = default;
};
struct XbitTest {  // xbits and hostbits
  FlowbitTest::Op op = FlowbitTest::Op::kIsSet;
  uint32_t name = 0;      // index into RuleSet::xbit_names
  enum class Track : uint8_t { kSource, kDestination, kPair, kTransaction } track = Track::kSource;
  uint32_t expire_seconds = 30;  // not kTransaction: as long as that lives
  bool operator==(const XbitTest&) const = default;
};
struct StreamSizeTest {
  enum class Side : uint8_t { kServer, kClient, kBoth, kEither } side = Side::kServer;
  UintTest test;
  bool operator==(const StreamSizeTest&) const = default;
};
enum class FlowField : uint8_t {
  kAge, kPktsToServer, kPktsToClient, kBytesToServer, kBytesToClient, kPkts, kBytes,
  kPktsEither, kBytesEither,  // one direction's count will do
};
struct ElephantTest {  // "flow.elephant"
  enum class Side : uint8_t { kToServer, kToClient, kEither, kBoth } side = Side::kEither;
  bool operator==(const ElephantTest&) const = default;
};
struct FlowNumberTest {
  FlowField field = FlowField::kAge; UintTest test;
  bool operator==(const FlowNumberTest&) const = default;
};
struct AppProtocolTest {
  std::string protocol;  // "failed", "unknown", or a dissector's name
  bool negated = false;
  enum class Side : uint8_t { kEither, kToServer, kToClient, kFinal, kOriginal, kBoth } side = Side::kEither;
  bool operator==(const AppProtocolTest&) const = default;
};
struct AppEventTest {
  std::string protocol, event;
  bool operator==(const AppEventTest&) const = default;
};  // app-layer-event
struct AppStateTest {  // "app-layer-state": the number of the transaction's stage
  UintTest test;
  bool operator==(const AppStateTest&) const = default;
};
using FlowCondition = std::variant<FlowTest, FlowbitTest, FlowintTest, XbitTest, StreamSizeTest,
                                   FlowNumberTest, AppProtocolTest, AppEventTest, AppStateTest, ElephantTest>;

// --------------------------------------------------------------- files

struct FileSizeTest {
  UintTest test;
  bool operator==(const FileSizeTest&) const = default;
};
enum class FileHash : uint8_t { kMd5, kSha1, kSha256 };
struct FileHashTest {  // "filemd5: [!]list"
  FileHash hash = FileHash::kMd5;
  bool negated = false;
  std::string list;  // a file, as written
  bool operator==(const FileHashTest&) const = default;
};
using FileTest = std::variant<FileSizeTest, FileHashTest>;

// "filestore": what is kept because the rule matched.
struct FileKeep {
  enum class Side : uint8_t { kRule, kToServer, kToClient, kBoth } side = Side::kRule;
  enum class Scope : uint8_t { kFile, kTransaction, kFlow } scope = Scope::kFile;
  bool operator==(const FileKeep&) const = default;
};

// "tls.store": a field of a dissector (SLUICE_STORE).
struct StoredField {
  uint16_t keyword = 0;
  std::string name;
  bool operator==(const StoredField&) const = default;
};

// ------------------------------------------------------------ thresholds

struct Threshold {
  enum class Type : uint8_t { kThreshold, kLimit, kBoth, kDetectionFilter, kRate, kBackoff } type = Type::kLimit;
  enum class Track : uint8_t { kBySource, kByDestination, kByBoth, kByRule, kByFlow } track = Track::kBySource;
  uint32_t count = 0;
  uint32_t seconds = 0;
  uint32_t multiplier = 0;
  // kDetectionFilter: what is counted are different ports, not matches.
  enum class Unique : uint8_t { kNone, kSourcePort, kDestinationPort } unique = Unique::kNone;
  bool operator==(const Threshold&) const = default;
};

// From threshold.config: past `rate` matches the rule acts otherwise, for so long.
struct RateFilter {
  Threshold rate;
  Action action = Action::kAlert;
  uint32_t timeout = 0;  // seconds
  bool operator==(const RateFilter&) const = default;
};
// No alert for these hosts; what else the rule does stays.
struct Suppression {
  enum class Side : uint8_t { kAll, kSource, kDestination, kEither } side = Side::kAll;
  AddressSet addresses;
  bool operator==(const Suppression&) const = default;
};

// sluice's own option on drop rules: "drop_source: 10m" puts the source into
// the kernel's drop map instead of the flow alone.
struct VerdictScope {
  enum class Kind : uint8_t { kFlow, kSource, kDestination, kPair } kind = Kind::kFlow;
  Nanos ttl{};  // 0: the default of the configuration
  bool operator==(const VerdictScope&) const = default;
};

// "tag": packets behind an alert are logged too, of its flow or of a host.
struct Tag {
  enum class Of : uint8_t { kFlow, kSource, kDestination } of = Of::kFlow;
  enum class Unit : uint8_t { kPackets, kBytes, kSeconds } unit = Unit::kPackets;
  uint32_t count = 256;  // the alert's own packet included
  bool operator==(const Tag&) const = default;
};

// "config", of rules with that action: what is not logged once it matches.
struct LogChange {
  enum class Type : uint8_t { kTransaction, kFlow } type = Type::kTransaction;
  enum class Scope : uint8_t { kTransaction, kFlow } scope = Scope::kTransaction;
  bool operator==(const LogChange&) const = default;
};

struct Reference {
  std::string system, id;
  bool operator==(const Reference&) const = default;
};

struct Place {
  std::string file;
  uint32_t line = 0;
  bool operator==(const Place&) const = default;
};

struct Rule {
  uint32_t index = 0;  // position in RuleSet::rules
  Action action = Action::kAlert;
  RuleHeader header;
  uint32_t sid = 0, gid = 1, rev = 0;
  std::string message;
  std::string classtype;      // short name; empty if none
  std::string classification; // long text
  uint8_t priority = 3;
  std::vector<Reference> references;
  std::vector<std::pair<std::string, std::string>> metadata;
  bool no_alert = false;
  bool always_alert = false;  // "alert": reported although the action says pass
  bool bypass = false;
  bool prefilter = false;
  enum class Target : uint8_t { kNone, kSource, kDestination } target = Target::kNone;

  std::vector<Inspection> inspections;
  std::vector<NumberInspection> numbers;
  std::vector<FileTest> file_tests;   // all on one file, as are its buffers then
  std::optional<FileKeep> file_keep;
  std::vector<StoredField> stored;    // whose values are kept when it matches
  bool OnFiles() const { return !file_tests.empty() || file_keep; }  // looks at each file
  std::vector<PacketTest> packet_tests;
  std::vector<FlowCondition> flow_conditions;
  std::optional<Threshold> threshold;         // alert suppression
  std::optional<Threshold> detection_filter;  // part of the match
  std::optional<RateFilter> rate_filter;      // another action past a rate
  std::vector<Suppression> suppressions;
  VerdictScope scope;
  std::vector<Tag> tags;
  std::optional<LogChange> log_change;  // action kConfig has one, others have none
  uint32_t num_variables = 0;  // byte_extract / byte_math slots
  std::vector<std::string> variable_names;

  std::string text;  // the rule as written, for EVE `rule` and messages
  Place place;
  bool operator==(const Rule&) const = default;
};
// Whether they mean the same, wherever and however they are written.
bool SameMeaning(Rule a, Rule b);

struct RuleProblem {
  enum class Severity : uint8_t { kError, kWarning } severity = Severity::kError;
  Place place;
  uint32_t column = 0;  // 1-based; 0 unknown
  uint32_t sid = 0;     // 0 unknown
  std::string message;  // fact; remedy
};

struct RuleSet {
  std::vector<Rule> rules;
  std::vector<RuleProblem> problems;
  uint32_t num_failed = 0;    // rules with an error
  uint32_t num_inactive = 0;  // rules for protocols without a dissector
  uint32_t num_skipped = 0;   // rules that require what is not here
  // What rules remember goes by these numbers; see ContinueNames() in parser.h.
  std::vector<std::string> flowbit_names, flowint_names, xbit_names;
  uint32_t names_epoch = 1;  // sets with the same one number the same names alike
  // The parser's: where a name is in them, made anew when they have been changed otherwise.
  std::unordered_map<std::string, uint32_t> name_index[3];
};

}  // namespace sluice
