#include "engine/output/eve.h"

#include <fmt/format.h>
#define OPENSSL_SUPPRESS_DEPRECATED  // the EVP interface allocates at each digest
#include <openssl/sha.h>
#include <sluice/plugin.h>

#include <algorithm>
#include <cstring>

#include "engine/decode/decode.h"
#include "engine/output/mask.h"
#include "engine/rules/sets.h"
#include "engine/rules/text.h"

namespace sluice {
namespace {

constexpr uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmp6 = 58, kSctp = 132;

bool HasPorts(uint8_t protocol) {
  return protocol == kTcp || protocol == kUdp || protocol == kSctp;
}

// The values of one level, without those inside groups; calls f(index).
// Returns the index behind a group opened at `i`.
size_t GroupEnd(std::span<const FieldValue> values, size_t i) {
  int depth = 0;
  for (; i < values.size(); ++i) {
    if (values[i].type != FieldType::kGroup) continue;
    depth += values[i].number == 1 ? 1 : -1;
    if (depth == 0) return i + 1;
  }
  return values.size();
}

// What stands in the group opened at `i`.
std::span<const FieldValue> Members(std::span<const FieldValue> values, size_t i) {
  const size_t end = GroupEnd(values, i);
  const bool closed = end > i + 1 && values[end - 1].field == UINT16_MAX;
  return values.subspan(i + 1, end - i - (closed ? 2 : 1));
}

std::string_view Component(std::string_view path) { return path.substr(0, path.find('.')); }

// "aa:bb:cc:dd:ee:ff"
std::array<char, 17> MacText(const uint8_t* mac) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::array<char, 17> out;
  for (size_t i = 0; i < 6; ++i) {
    out[3 * i] = kDigits[mac[i] >> 4];
    out[3 * i + 1] = kDigits[mac[i] & 15];
    if (i < 5) out[3 * i + 2] = ':';
  }
  return out;
}
std::string_view View(const std::array<char, 17>& text) { return {text.data(), text.size()}; }

// Where a field is shown; whether users chose among its values.
constexpr uint8_t kInRecord = 1, kInAlert = 2, kListed = 4;

const RecordOptions* FindRecord(const EveOptions& options, const Schema& schema) {
  const auto found = options.records.find(schema.name);
  return found == options.records.end() ? nullptr : &found->second;
}

// What the user's list of this field names; null: there is none.
const std::set<std::string, std::less<>>* FindList(const RecordOptions* record, const FieldInfo& field) {
  if (record == nullptr || field.list.empty()) return nullptr;
  const auto found = record->lists.find(field.list);
  return found == record->lists.end() ? nullptr : &found->second;
}

// In whose form records (or alerts) show the dissector's fields.
int FormOf(const EveOptions& options, const RecordOptions* record, bool in_alert) {
  return in_alert || record == nullptr || record->compat == 0 ? options.compat : record->compat;
}

}  // namespace

std::string_view IpProtocolName(uint8_t protocol) {
  switch (protocol) {
    case 0: return "HOPOPT";
    case 1: return "ICMP";
    case 2: return "IGMP";
    case 4: return "IP-in-IP";
    case 6: return "TCP";
    case 17: return "UDP";
    case 41: return "IPv6";
    case 43: return "IPv6-Route";
    case 44: return "IPv6-Frag";
    case 47: return "GRE";
    case 50: return "ESP";
    case 51: return "AH";
    case 58: return "IPv6-ICMP";
    case 59: return "IPv6-NoNxt";
    case 60: return "IPv6-Opts";
    case 89: return "OSPF";
    case 103: return "PIM";
    case 112: return "VRRP";
    case 132: return "SCTP";
    default: break;
  }
  static const auto kNumbers = [] {
    std::array<std::string, 256> names;
    for (size_t i = 0; i < names.size(); ++i) names[i] = fmt::format("{:03}", i);
    return names;
  }();
  return kNumbers[protocol];
}

void AppendCommunityId(const Tuple& tuple, uint16_t seed, std::string* out) {
  // Counterparts of ICMP types that come in pairs; others are one-way.
  static constexpr uint8_t kPairs4[][2] = {{8, 0}, {13, 14}, {15, 16}, {17, 18}, {10, 9}};
  static constexpr uint8_t kPairs6[][2] = {{128, 129}, {133, 134}, {135, 136},
                                           {130, 131}, {144, 145}, {139, 140}};
  uint16_t ports[2] = {tuple.source_port, tuple.destination_port};
  bool one_way = false;
  const auto pair = [&](auto& pairs) {
    for (const auto& p : pairs) {
      if (ports[0] == p[0] || ports[0] == p[1]) {
        ports[1] = ports[0] == p[0] ? p[1] : p[0];
        return;
      }
    }
    one_way = true;
  };
  const bool icmp = tuple.ip_protocol == kIcmp || tuple.ip_protocol == kIcmp6;
  if (tuple.ip_protocol == kIcmp) pair(kPairs4);
  if (tuple.ip_protocol == kIcmp6) pair(kPairs6);
  const Address* ends[2] = {&tuple.source, &tuple.destination};
  const size_t len = tuple.source.version == 4 ? 4 : 16;
  const int order = std::memcmp(ends[0]->bytes.data(), ends[1]->bytes.data(), len);
  if (!one_way && (order > 0 || (order == 0 && ports[0] > ports[1]))) {
    std::swap(ends[0], ends[1]);
    std::swap(ports[0], ports[1]);
  }
  uint8_t input[40];
  size_t n = 0;
  const auto put16 = [&](uint16_t v) {
    input[n++] = static_cast<uint8_t>(v >> 8);
    input[n++] = static_cast<uint8_t>(v);
  };
  put16(seed);
  for (const Address* end : ends) {
    std::memcpy(input + n, end->bytes.data(), len);
    n += len;
  }
  input[n++] = tuple.ip_protocol;
  input[n++] = 0;
  if (HasPorts(tuple.ip_protocol) || icmp) {
    put16(ports[0]);
    put16(ports[1]);
  }
  uint8_t digest[SHA_DIGEST_LENGTH];
  SHA_CTX context;
  SHA1_Init(&context);
  SHA1_Update(&context, input, n);
  SHA1_Final(digest, &context);
  *out += "1:";
  AppendBase64(Slice(digest, sizeof(digest)), out);
}

void MacSet::Add(Slice mac) {
  for (size_t i = 0; i < count; ++i) {
    if (std::memcmp(bytes.data() + 6 * i, mac.data(), 6) == 0) return;
  }
  if (count < kMax) std::memcpy(bytes.data() + 6 * count++, mac.data(), 6);
}

EveWriter::EveWriter(const EveOptions& options, RecordSink* out) : options_(options), out_(out) {
  for (size_t i = 0; i < wanted_.size(); ++i) {
    wanted_[i] = options_.Wants(RecordTypeName(static_cast<RecordType>(i)));
  }
}

// ------------------------------------------------------------------ header

void EveWriter::Begin(RecordType type, std::string_view name, Nanos time, const FlowView& flow,
                      const Packet* packet) {
  type_ = type;
  json_.Clear();
  json_.OpenObject();
  json_.Key("timestamp");
  json_.Time(time);
  if (flow.flow != nullptr) {
    json_.Field("flow_id", flow.flow->id);
    if (flow.flow->parent_id != 0) json_.Field("parent_id", flow.flow->parent_id);
  }
  if (options_.sensor_id != 0) json_.Field("sensor_id", options_.sensor_id);
  if (!options_.interface.empty()) json_.Field("in_iface", options_.interface);
  if (packet != nullptr && packet->number != 0) json_.Field("pcap_cnt", packet->number);
  json_.Field("event_type", name);
  const Flow* f = flow.flow;
  const uint16_t* vlan = packet != nullptr ? packet->vlan : f != nullptr ? f->tuple.vlan : nullptr;
  const size_t vlans = packet != nullptr ? packet->num_vlans
                       : f == nullptr    ? 0
                                         : std::ranges::count_if(f->tuple.vlan, [](uint16_t v) { return v != 0; });
  if (vlans > 0) {
    json_.OpenArray("vlan");
    for (size_t i = 0; i < vlans; ++i) json_.Number(vlan[i]);
    json_.CloseArray();
  }
}

void EveWriter::Ends(const Address& source, uint16_t source_port, const Address& destination,
                     uint16_t destination_port, uint8_t protocol, bool ports) {
  if (source.version == 0) return;
  json_.Key("src_ip");
  json_.Ip(source);
  if (ports) json_.Field("src_port", uint64_t{source_port});
  json_.Key("dest_ip");
  json_.Ip(destination);
  if (ports) json_.Field("dest_port", uint64_t{destination_port});
  json_.Field("proto", IpProtocolName(protocol));
  if (options_.compat >= 8) json_.Field("ip_v", uint64_t{source.version});
}

void EveWriter::PacketEnds(const Packet& packet) {
  Ends(packet.source, packet.source_port, packet.destination, packet.destination_port,
       packet.ip_protocol, packet.l4 == L4::kTcp || packet.l4 == L4::kUdp || packet.l4 == L4::kSctp);
  if (packet.l4 == L4::kIcmp || packet.l4 == L4::kIcmp6) {
    json_.Field("icmp_type", uint64_t{packet.icmp_type});
    json_.Field("icmp_code", uint64_t{packet.icmp_code});
  }
  if (packet.ip_version != 0) json_.Field("pkt_src", PacketOriginName(packet.origin));
}

// The packet around this one and all others: the frame.
void EveWriter::Tunnel(const Packet& packet) {
  if (packet.outer == nullptr) return;
  const Packet* root = packet.outer;
  while (root->outer != nullptr) root = root->outer;
  const Packet& outer = *root;
  json_.OpenObject("tunnel");
  Ends(outer.source, outer.source_port, outer.destination, outer.destination_port,
       outer.ip_protocol, HasPorts(outer.ip_protocol));
  json_.Field("depth", uint64_t{packet.recursion});
  if (outer.number != 0) json_.Field("pcap_cnt", outer.number);
  json_.Field("pkt_src", PacketOriginName(outer.origin));
  json_.CloseObject();
}

// RFC 826
void EveWriter::Arp(const Packet& packet) {
  // Not among the defaults: a record for every packet.
  if (!options_.types.contains("arp")) return;
  static constexpr std::string_view kOpcodes[] = {"request", "reply", "reverse_request", "reverse_reply"};
  const Slice arp = packet.arp;
  const auto end = [&](size_t at, std::string_view mac, std::string_view ip) {
    json_.Field(mac, View(MacText(&arp[at])));
    Address address;
    address.version = 4;
    std::memcpy(address.bytes.data(), &arp[at + 6], 4);
    json_.Key(ip);
    json_.Ip(address);
  };
  Begin(RecordType::kArp, "arp", packet.time, FlowView{}, &packet);
  json_.OpenObject("arp");
  json_.Field("hw_type", "ethernet");
  json_.Field("proto_type", "ipv4");
  json_.Field("opcode", kOpcodes[(arp[7] - 1) & 3]);
  end(8, "src_mac", "src_ip");
  end(18, "dest_mac", "dest_ip");
  json_.CloseObject();
  Tail(&packet, FlowView{});
  End();
}

void EveWriter::FlowEnds(const Flow& flow, bool reversed) {
  const Tuple tuple = reversed ? flow.tuple.Reverse() : flow.tuple;
  Ends(tuple.source, tuple.source_port, tuple.destination, tuple.destination_port,
       tuple.ip_protocol, HasPorts(tuple.ip_protocol));
}

void EveWriter::Tail(const Packet* packet, const FlowView& flow) {
  if (options_.ethernet) EtherObject(packet, flow);
  if (options_.pcap_file && !capture_.empty()) json_.Field("pcap_filename", capture_);
  if (!flow.community_id.empty() && options_.community_id) {
    json_.Field("community_id", flow.community_id);
  }
  if (!options_.host.empty()) json_.Field("host", options_.host);
  if (options_.metadata) Metadata(flow);
}

// A packet's addresses; of a flow, all that each side was seen with.
void EveWriter::EtherObject(const Packet* packet, const FlowView& flow) {
  if (packet != nullptr && packet->ethernet.size() == 14) {
    json_.OpenObject("ether");
    json_.Field("dest_mac", View(MacText(packet->ethernet.data())));
    json_.Field("src_mac", View(MacText(packet->ethernet.data() + 6)));
    json_.CloseObject();
  } else if (packet == nullptr && flow.macs != nullptr && flow.macs[0].count > 0) {
    json_.OpenObject("ether");
    Macs("dest_macs", flow.macs[1]);
    Macs("src_macs", flow.macs[0]);
    json_.CloseObject();
  }
}

void EveWriter::Macs(std::string_view key, const MacSet& set) {
  json_.OpenArray(key);
  for (size_t i = 0; i < set.count; ++i) json_.String(View(MacText(set.bytes.data() + 6 * i)));
  json_.CloseArray();
}

// What rules noted about the flow.  "traffic/id/x" and "traffic/label/x" are
// flowbits that stand in an object of their own.
void EveWriter::Metadata(const FlowView& flow) {
  constexpr std::string_view kId = "traffic/id/", kLabel = "traffic/label/";
  bool id = false, label = false, other = false;
  for (const std::string_view bit : flow.flowbits) {
    (bit.starts_with(kId) ? id : bit.starts_with(kLabel) ? label : other) = true;
  }
  if (id || label) {
    json_.OpenObject("traffic");
    if (id) Flowbits("id", flow.flowbits, kId);
    if (label) Flowbits("label", flow.flowbits, kLabel);
    json_.CloseObject();
  }
  if (!other && flow.flowints.empty()) return;
  json_.OpenObject("metadata");
  if (other) Flowbits("flowbits", flow.flowbits, "");
  if (!flow.flowints.empty()) {
    json_.OpenObject("flowints");
    for (const auto& [name, value] : flow.flowints) {
      json_.UserKey(name);
      json_.Number(value);
    }
    json_.CloseObject();
  }
  json_.CloseObject();
}

// Those below `prefix`; without one, those that are no traffic.
void EveWriter::Flowbits(std::string_view key, std::span<const std::string_view> bits,
                         std::string_view prefix) {
  json_.OpenArray(key);
  for (const std::string_view bit : bits) {
    const bool traffic = bit.starts_with("traffic/id/") || bit.starts_with("traffic/label/");
    if (prefix.empty() ? !traffic : bit.starts_with(prefix)) json_.String(bit.substr(prefix.size()));
  }
  json_.CloseArray();
}

void EveWriter::AppProto(const FlowView& flow) {
  if (flow.app_proto.empty()) return;
  json_.Field("app_proto", flow.app_proto);
  if (!flow.app_proto_original.empty() && flow.app_proto_original != flow.app_proto) {
    json_.Field("app_proto_orig", flow.app_proto_original);
  }
}

void EveWriter::End() {
  json_.CloseObject();
  line_.assign(json_.text());
  line_ += '\n';
  ++records_;
  if (out_ != nullptr) out_->Put(type_, line_);
}

// --------------------------------------------------- protocol from its schema

bool FieldIsLogged(const EveOptions& options, const Schema& schema, const FieldInfo& field,
                   bool in_alert) {
  if ((field.log.empty() && !field.merged) || (field.flags & SLUICE_SECRET)) return false;
  const RecordOptions* const record = FindRecord(options, schema);
  const int form = FormOf(options, record, in_alert);
  if ((field.flags & SLUICE_LOG_V7) && form >= 8) return false;
  if ((field.flags & SLUICE_LOG_V8) && form < 8) return false;
  if ((field.flags & SLUICE_ALERT_ONLY) && !in_alert) return false;
  if ((field.flags & SLUICE_RECORD_ONLY) && in_alert) return false;
  const bool optional = field.flags & SLUICE_OPTIONAL;
  if (optional && std::ranges::find(options.optional_fields,
                                    fmt::format("{}.{}", schema.name, field.log)) !=
                      options.optional_fields.end()) {
    return true;
  }
  if (field.log_name.empty() || record == nullptr) return !optional;
  const auto* const list = field.type == FieldType::kEnum ? nullptr : FindList(record, field);
  if (list != nullptr && !in_alert && !list->contains(Lower(field.log_name))) return false;
  if (const auto it = record->switches.find(field.log_name); it != record->switches.end()) {
    return it->second;
  }
  if (!in_alert && record->custom.contains(field.log_name)) return true;
  const bool extended = record->extended && record->custom.empty();
  return !optional && (in_alert || extended || !(field.flags & SLUICE_EXTENDED));
}

bool FieldIsWanted(const EveOptions& options, const Schema& schema, const FieldInfo& field) {
  if (!FieldIsLogged(options, schema, field, false) && !FieldIsLogged(options, schema, field, true)) {
    return false;
  }
  if (!(field.flags & SLUICE_ON_DEMAND)) return true;
  const RecordOptions* const record = FindRecord(options, schema);
  return record != nullptr &&
         (record->switches.contains(field.log_name) || record->custom.contains(field.log_name));
}

EveWriter::Plan& EveWriter::PlanOf(const Schema& schema) {
  if (plans_.size() <= schema.id) plans_.resize(schema.id + 1u);
  Plan& plan = plans_[schema.id];
  if (plan.made) return plan;
  plan.made = true;
  plan.wanted = options_.Wants(schema);
  plan.options = FindRecord(options_, schema);
  plan.compat = FormOf(options_, plan.options, false);
  plan.values.resize(schema.fields.size());
  for (size_t i = 0; i < schema.fields.size(); ++i) {
    const FieldInfo& info = schema.fields[i];
    uint8_t shown = static_cast<uint8_t>((FieldIsLogged(options_, schema, info, false) ? kInRecord : 0) |
                                         (FieldIsLogged(options_, schema, info, true) ? kInAlert : 0));
    const auto* const list = info.type == FieldType::kEnum ? FindList(plan.options, info) : nullptr;
    if (list != nullptr) {
      plan.listed = true;
      shown |= kListed;
      for (const auto& [value, name] : info.names) {
        if (list->contains(Lower(name))) plan.values[i].push_back(value);
      }
    }
    plan.splits |= (info.flags & SLUICE_RECORD_EACH) && (shown & kInRecord);
    plan.shown.push_back(shown);
  }
  return plan;
}

// Whether the members of a group stand in the object around it.
bool EveWriter::IsMerged(const FieldInfo& info, const FieldValue& group, uint8_t shown) const {
  if (info.merged) return true;
  return shown == kInRecord && &group == record_group_;
}

// Whether users chose none of the values of a group itself, not of those in it.
bool EveWriter::IsRefused(const Plan& plan, std::span<const FieldValue> values) const {
  for (size_t i = 0; i < values.size(); i = values[i].type == FieldType::kGroup ? GroupEnd(values, i) : i + 1) {
    const FieldValue& value = values[i];
    if (value.type == FieldType::kEnum && (plan.shown[value.field] & kListed) &&
        !std::ranges::binary_search(plan.values[value.field], value.number)) {
      return true;
    }
  }
  return false;
}

// Whether the transaction has a value that users chose; if they chose none, it does.
bool EveWriter::IsChosen(const Plan& plan, const Transaction& tx) const {
  if (plan.options == nullptr) return true;
  if (tx.directions == SLUICE_DIR_TO_SERVER && !plan.options->requests) return false;
  if (tx.directions == SLUICE_DIR_TO_CLIENT && !plan.options->responses) return false;
  return !plan.listed || std::ranges::any_of(tx.values, [&](const FieldValue& value) {
    return value.type == FieldType::kEnum && (plan.shown[value.field] & kListed) &&
           std::ranges::binary_search(plan.values[value.field], value.number);
  });
}

void EveWriter::WriteValue(const FieldInfo& info, const FieldValue& value) {
  switch (value.type) {
    case FieldType::kBytes:
    case FieldType::kChunks:
      if (info.flags & SLUICE_HEX) return json_.Hex(value.bytes);
      if (info.flags & SLUICE_BASE64) return json_.Base64(value.bytes);
      return json_.String(AsText(value.bytes));
    case FieldType::kUint: return json_.Number(value.number);
    case FieldType::kInt:
      if (info.flags & SLUICE_DATE) return json_.Date(static_cast<int64_t>(value.number));
      return json_.SignedNumber(static_cast<int64_t>(value.number));
    case FieldType::kBool: return json_.Bool(value.number != 0);
    case FieldType::kEnum: {
      const std::string_view name = info.Name(value.number);
      if (!name.empty()) return json_.String(name);
      const fmt::format_int digits(value.number);  // text too: a key has one type
      return json_.String({digits.data(), digits.size()});
    }
    case FieldType::kAddress: {
      Address address;
      address.version = value.bytes.size() == 4 ? 4 : 6;
      std::memcpy(address.bytes.data(), value.bytes.data(), value.bytes.size());
      return json_.Ip(address);
    }
    case FieldType::kTime: return json_.Time(Nanos{static_cast<int64_t>(value.number)});
    case FieldType::kGroup: break;
  }
}

// One level of the object: every key once, in the order first set.  `prefix`
// is the part of dotted keys that the open objects stand for.
void EveWriter::WriteLevel(const Schema& schema, std::span<const FieldValue> values,
                           std::string_view prefix, uint8_t shown) {
  const Plan& plan = PlanOf(schema);
  // The log key below the prefix, or "" if the value is not of this level.
  const auto key_of = [&](const FieldValue& value) -> std::string_view {
    if (value.field == UINT16_MAX) return "";
    const FieldInfo& info = schema.fields[value.field];
    if (!(plan.shown[value.field] & shown) || !info.log.starts_with(prefix)) return "";
    if ((info.flags & SLUICE_RECORD_EACH) && shown == kInRecord) return "";
    if (info.flags & SLUICE_BESIDE) return "";
    return info.log.substr(prefix.size());
  };
  const auto next = [&](size_t i) {
    const FieldValue& value = values[i];
    if (value.type != FieldType::kGroup || value.field == UINT16_MAX) return i + 1;
    const bool merged = (plan.shown[value.field] & shown) && IsMerged(schema.fields[value.field], value, shown);
    return merged ? i + 1 : GroupEnd(values, i);
  };
  // First components of this level, a few dozen at most, lie behind those of the outer ones.
  const size_t base = written_.size();
  for (size_t i = 0; i < values.size(); i = next(i)) {
    const std::string_view key = key_of(values[i]);
    if (key.empty()) continue;
    const std::string_view name = Component(key);
    if (std::find(written_.begin() + static_cast<ptrdiff_t>(base), written_.end(), name) !=
        written_.end()) {
      continue;
    }
    const FieldInfo& info = schema.fields[values[i].field];
    if (values[i].type == FieldType::kBool && values[i].number == 0 &&
        !(info.flags & SLUICE_LOG_FALSE)) {
      continue;
    }
    written_.push_back(name);
    if (key.size() > name.size()) {  // "a.b": an object of all values below "a."
      json_.OpenObject(name);
      WriteLevel(schema, values, info.log.substr(0, prefix.size() + name.size() + 1), shown);
      json_.CloseObject();
      continue;
    }
    const bool array = info.flags & SLUICE_REPEATED;
    if (array) json_.OpenArray(name);
    if (!array) json_.Key(name);
    const FieldValue* last = &values[i];
    for (size_t j = i; j < values.size(); j = next(j)) {
      if (key_of(values[j]) != key) continue;
      if (values[j].type == FieldType::kGroup) {
        if (!array && j != i) break;  // only the first of a group that is no array
        const std::span<const FieldValue> members = Members(values, j);
        if (array && shown == kInRecord && plan.listed && IsRefused(plan, members)) continue;
        json_.OpenObject();
        WriteLevel(schema, members, "", shown);
        json_.CloseObject();
      } else if (array) {
        WriteValue(schema.fields[values[j].field], values[j]);
      } else {
        last = &values[j];
        if (!(info.flags & SLUICE_LOG_LAST)) break;
      }
    }
    if (array) {
      json_.CloseArray();
    } else if (values[i].type != FieldType::kGroup) {
      WriteValue(schema.fields[last->field], *last);
    }
  }
  written_.resize(base);
}

void EveWriter::ProtocolObject(const Transaction& tx, bool in_alert) {
  json_.OpenObject(tx.schema->log_name);
  const uint8_t shown = in_alert ? kInAlert : kInRecord;
  WriteLevel(*tx.schema, tx.values, "", shown);
  json_.CloseObject();
  const FieldInfo* before = nullptr;  // only the first of a group
  for (size_t i = 0; i < tx.values.size(); i = tx.values[i].type == FieldType::kGroup ? GroupEnd(tx.values, i) : i + 1) {
    if (tx.values[i].type != FieldType::kGroup || tx.values[i].field == UINT16_MAX) continue;
    const FieldInfo& info = tx.schema->fields[tx.values[i].field];
    if (!(info.flags & SLUICE_BESIDE) || &info == before || !(PlanOf(*tx.schema).shown[tx.values[i].field] & shown)) continue;
    before = &info;
    json_.OpenObject(info.log);
    WriteLevel(*tx.schema, Members(tx.values, i), "", shown);
    json_.CloseObject();
  }
}

// Whom the record of a transaction names as its source (sluice_plugin::log_source).
bool EveWriter::ServerIsSource(const Packet& packet, const Flow& flow, const Transaction& tx) {
  const bool from_server = tx.directions == SLUICE_DIR_TO_CLIENT;
  switch (tx.schema->log_source) {
    case SLUICE_LOG_SENDER:
      return from_server;
    case SLUICE_LOG_SENDER_V8:
      return from_server && PlanOf(*tx.schema).compat >= 8;
    case SLUICE_LOG_PACKET:
      return packet.source == flow.tuple.destination &&
             packet.source_port == flow.tuple.destination_port;
    default:
      return false;
  }
}

void EveWriter::TransactionRecord(const Packet& packet, const FlowView& flow,
                                  const Transaction& tx) {
  const Plan& plan = PlanOf(*tx.schema);
  if (!plan.wanted || !IsChosen(plan, tx)) return;
  bool split = false;
  for (size_t i = 0; plan.splits && i < tx.values.size(); ++i) {
    const FieldValue& value = tx.values[i];
    if (value.type != FieldType::kGroup || value.field == UINT16_MAX) continue;
    if (!(tx.schema->fields[value.field].flags & SLUICE_RECORD_EACH)) continue;
    if (!(plan.shown[value.field] & kInRecord)) continue;
    split = true;
    if (plan.listed && IsRefused(plan, Members(tx.values, i))) continue;
    record_group_ = &value;
    WriteTransaction(packet, flow, tx);
  }
  record_group_ = nullptr;
  if (!split) WriteTransaction(packet, flow, tx);
}

void EveWriter::WriteTransaction(const Packet& packet, const FlowView& flow, const Transaction& tx) {
  Begin(ProtocolRecord(tx.schema->id), tx.schema->log_name, packet.time, flow, &packet);
  FlowEnds(*flow.flow, ServerIsSource(packet, *flow.flow, tx));
  if (packet.ip_version != 0) json_.Field("pkt_src", PacketOriginName(packet.origin));
  Tail(&packet, flow);
  if (!tx.session) json_.Field("tx_id", tx.id);
  ProtocolObject(tx, false);
  End();
}

// ------------------------------------------------------------------ records

void EveWriter::FlowObject(const Flow& flow, bool with_ends) {
  json_.Field("pkts_toserver", flow.packets[0]);
  json_.Field("pkts_toclient", flow.packets[1]);
  json_.Field("bytes_toserver", flow.bytes[0]);
  json_.Field("bytes_toclient", flow.bytes[1]);
  json_.Key("start");
  json_.Time(flow.start);
  if (!with_ends) return;
  json_.Key("src_ip");
  json_.Ip(flow.tuple.source);
  json_.Key("dest_ip");
  json_.Ip(flow.tuple.destination);
  if (!HasPorts(flow.tuple.ip_protocol)) return;
  json_.Field("src_port", uint64_t{flow.tuple.source_port});
  json_.Field("dest_port", uint64_t{flow.tuple.destination_port});
}

void EveWriter::RuleObject(const AlertView& alert, const Packet& packet) {
  const Rule& rule = *alert.rule;
  json_.OpenObject("alert");
  json_.Field("action", alert.blocked ? "blocked" : "allowed");
  json_.Field("gid", uint64_t{rule.gid});
  json_.Field("signature_id", uint64_t{rule.sid});
  json_.Field("rev", uint64_t{rule.rev});
  json_.Field("signature", rule.message);
  json_.Field("category", rule.classification);
  json_.Field("severity", uint64_t{rule.priority});
  if (rule.target != Rule::Target::kNone) {
    const bool source = rule.target == Rule::Target::kSource;
    const auto side = [&](std::string_view name, const Address& address, uint16_t port) {
      json_.OpenObject(name);
      json_.Key("ip");
      json_.Ip(address);
      if (HasPorts(packet.ip_protocol)) json_.Field("port", uint64_t{port});
      json_.CloseObject();
    };
    side(source ? "target" : "source", packet.source, packet.source_port);
    side(source ? "source" : "target", packet.destination, packet.destination_port);
  }
  if (!options_.xff_overwrite && alert.forwarded.version != 0) {
    json_.Key("xff");
    json_.Ip(alert.forwarded);
  }
  if (!alert.contexts.empty()) {
    json_.OpenObject("context");
    for (const auto& [key, json] : alert.contexts) {
      json_.UserKey(key);
      json_.Raw(json);
    }
    json_.CloseObject();
  }
  if (options_.references && !rule.references.empty()) {
    json_.OpenArray("references");
    for (const Reference& r : rule.references) {
      scratch_.assign(r.system);
      scratch_ += r.id;
      json_.String(scratch_);
    }
    json_.CloseArray();
  }
  if (options_.rule_metadata && !rule.metadata.empty()) RuleMetadata(rule);
  if (options_.raw_rule) json_.Field("rule", rule.text);
  json_.CloseObject();
}

// `bytes`, without the flow's secrets; valid until the next call.
Slice EveWriter::Masked(Slice bytes, const FlowView& flow) {
  if (flow.secrets.empty()) return bytes;
  masked_.assign(bytes.begin(), bytes.end());
  for (const Slice secret : flow.secrets) MaskSecret(secret, masked_);
  return masked_;
}

// Each key once, with all of its values.
void EveWriter::RuleMetadata(const Rule& rule) {
  json_.OpenObject("metadata");
  for (size_t i = 0; i < rule.metadata.size(); ++i) {
    const std::string& key = rule.metadata[i].first;
    const auto same = [&key](const auto& entry) { return entry.first == key; };
    const auto before = rule.metadata.begin() + static_cast<ptrdiff_t>(i);
    if (std::any_of(rule.metadata.begin(), before, same)) continue;
    json_.UserKey(key);
    json_.OpenArray();
    for (auto it = before; it != rule.metadata.end(); ++it) {
      if (same(*it)) json_.String(it->second);
    }
    json_.CloseArray();
  }
  json_.CloseObject();
}

void EveWriter::Payload(const AlertView& alert, const FlowView& flow) {
  const Slice bytes = Masked(
      alert.payload.first(std::min<size_t>(alert.payload.size(), options_.payload_limit)), flow);
  if (options_.payload) {
    json_.Key("payload");
    json_.Base64(bytes);
  }
  if (options_.payload_printable) {
    scratch_.clear();
    AppendPrintable(bytes, &scratch_);
    json_.Field("payload_printable", scratch_);
  }
  if (options_.payload_length) json_.Field("payload_length", uint64_t{alert.payload.size()});
  json_.Field("stream", uint64_t{alert.in_stream});
}

// The address that a proxy names as its client's; version 0 if there is none.
Address EveWriter::ForwardedClient(const Transaction* tx) const {
  if (!options_.xff || tx == nullptr) return {};
  for (const FieldValue& value : tx->values) {
    if (value.field == UINT16_MAX || !(tx->schema->fields[value.field].flags & SLUICE_FORWARDED)) continue;
    std::string_view list = AsText(value.bytes);
    const size_t comma = options_.xff_forward ? list.find(',') : list.rfind(',');
    if (comma != list.npos) list = options_.xff_forward ? list.substr(0, comma) : list.substr(comma + 1);
    if (const auto address = ParseAddress(Trim(list)); address) return *address;
  }
  return {};
}

void EveWriter::Alert(const Packet& packet, const FlowView& flow, const AlertView& given) {
  if (!Wants(RecordType::kAlert)) return;
  Begin(RecordType::kAlert, "alert", packet.time, flow, &packet);
  AlertView alert = given;
  alert.forwarded = ForwardedClient(alert.tx);
  if (options_.xff_overwrite && alert.forwarded.version != 0) {
    const bool to_client = alert.direction == Direction::kToClient;
    Ends(to_client ? packet.source : alert.forwarded, packet.source_port,
         to_client ? alert.forwarded : packet.destination, packet.destination_port, packet.ip_protocol, HasPorts(packet.ip_protocol));
    if (packet.ip_version != 0) json_.Field("pkt_src", PacketOriginName(packet.origin));
  } else {
    PacketEnds(packet);
  }
  Tunnel(packet);
  Tail(&packet, flow);
  if (alert.tx != nullptr) json_.Field("tx_id", alert.tx->id);
  if (alert.tx_guessed) json_.Field("tx_guessed", true);
  RuleObject(alert, packet);
  if (alert.tx != nullptr && options_.app_layer) {
    ProtocolObject(*alert.tx, true);
    AlertFiles(*alert.tx);
  }
  AppProto(flow);
  if (flow.flow != nullptr) {
    json_.Field("direction", alert.direction == Direction::kToServer ? "to_server" : "to_client");
    if (options_.flow) {
      json_.OpenObject("flow");
      FlowObject(*flow.flow, true);
      json_.CloseObject();
    }
  }
  if (options_.payload || options_.payload_printable || options_.payload_length) {
    Payload(alert, flow);
  }
  if (options_.packet) PacketDump(packet, flow);
  if (options_.verdict) VerdictObject(alert.verdict);
  End();
}

void EveWriter::PacketDump(const Packet& packet, const FlowView& flow) {
  json_.Key("packet");
  json_.Base64(Masked(packet.frame, flow));
  json_.OpenObject("packet_info");
  json_.Field("linktype", static_cast<uint64_t>(DltOfLinkType(packet.link)));
  json_.Field("linktype_name", LinkTypeName(packet.link));
  json_.CloseObject();
}

void EveWriter::TaggedPacket(const Packet& packet, const FlowView& flow, Direction direction) {
  // Part of the alerts, as their options are; it has no type of its own to ask for.
  if (!options_.tagged_packets || !Wants(RecordType::kAlert)) return;
  Begin(RecordType::kPacket, "packet", packet.time, flow, &packet);
  PacketEnds(packet);
  Tunnel(packet);
  Tail(&packet, flow);
  if (flow.flow != nullptr) json_.Field("direction", direction == Direction::kToServer ? "to_server" : "to_client");
  PacketDump(packet, flow);
  End();
}

void EveWriter::VerdictObject(const VerdictView& verdict) {
  if (verdict.action.empty()) return;
  json_.OpenObject("verdict");
  json_.Field("action", verdict.action);
  if (!verdict.reject.empty()) {
    json_.Field("reject-target", verdict.reject_target);
    json_.OpenArray("reject");
    json_.String(verdict.reject);
    json_.CloseArray();
  }
  json_.CloseObject();
}

void EveWriter::Drop(const Packet& packet, const FlowView& flow, const DropView& drop) {
  if (!Wants(RecordType::kDrop)) return;
  Begin(RecordType::kDrop, "drop", packet.time, flow, &packet);
  PacketEnds(packet);
  Tail(&packet, flow);
  if (flow.flow != nullptr) {
    json_.Field("direction",
                drop.direction == Direction::kToServer ? "to_server" : "to_client");
  }
  json_.OpenObject("drop");
  json_.Field("len", uint64_t{packet.ip_len});
  if (packet.ip_version == 4) {
    json_.Field("tos", uint64_t{packet.tos});
    json_.Field("ttl", uint64_t{packet.ttl});
    json_.Field("ipid", uint64_t{packet.ip_id});
  } else {
    json_.Field("tc", uint64_t{packet.tos});
    json_.Field("hoplimit", uint64_t{packet.ttl});
    const Slice h = packet.ip_header;
    if (h.size() >= 4) json_.Field("flowlbl", (h[1] & 15u) << 16 | uint64_t{h[2]} << 8 | h[3]);
  }
  if (packet.l4 == L4::kTcp) {
    json_.Field("tcpseq", uint64_t{packet.tcp.seq});
    json_.Field("tcpack", uint64_t{packet.tcp.ack});
    json_.Field("tcpwin", uint64_t{packet.tcp.window});
    if (packet.l4_header.size() > 12) json_.Field("tcpres", uint64_t{packet.l4_header[12]} & 15);
    json_.Field("tcpurgp", uint64_t{packet.tcp.urgent});
    for (const auto& [name, bit] : {std::pair{"syn", kTcpSyn}, std::pair{"ack", kTcpAck},
                                    std::pair{"psh", kTcpPsh}, std::pair{"rst", kTcpRst},
                                    std::pair{"urg", kTcpUrg}, std::pair{"fin", kTcpFin}}) {
      json_.FlagField(name, packet.tcp.flags & bit);
    }
  } else if (packet.l4 == L4::kUdp) {
    json_.Field("udplen", uint64_t{packet.payload.size() + 8});
  } else if (packet.l4 == L4::kIcmp || packet.l4 == L4::kIcmp6) {
    json_.Field("icmp_id", uint64_t{packet.icmp_id});
    json_.Field("icmp_seq", uint64_t{packet.icmp_seq});
  }
  json_.Field("reason", drop.reason);
  json_.CloseObject();
  if (options_.drop_verdict) VerdictObject(drop.verdict);
  if (drop.rule != nullptr && options_.drop_alerts) {
    AlertView view;
    view.rule = drop.rule;
    view.blocked = true;
    RuleObject(view, packet);
  }
  End();
}

// Those that have had their own record are done with.
void EveWriter::AlertFiles(const Transaction& tx) {
  if (std::ranges::all_of(tx.files, &FileInfo::logged)) return;
  json_.OpenArray("files");
  for (const FileInfo& file : tx.files) {
    if (file.logged) continue;
    json_.OpenObject();
    FileObject(file, tx.id, true);
    json_.CloseObject();
  }
  json_.CloseArray();
}

void EveWriter::FileObject(const FileInfo& file, uint64_t tx_id, bool in_alert) {
  json_.Field("filename", AsText(file.name));
  json_.FlagField("gaps", file.has_gap);
  json_.Field("state", !file.closed       ? "UNKNOWN"
                       : file.truncated ? "TRUNCATED"
                                        : "CLOSED");
  if (!file.magic.empty()) json_.Field("magic", file.magic);
  if (!file.md5.empty()) json_.Field("md5", file.md5);
  if (!file.sha1.empty()) json_.Field("sha1", file.sha1);
  // A part has no hash, except as the name that it is stored by.
  if (!file.sha256.empty() && (!file.truncated || file.stored)) json_.Field("sha256", file.sha256);
  if (file.num_sids > 0) {
    json_.OpenArray("sid");
    for (size_t i = 0; i < file.num_sids; ++i) json_.Number(uint64_t{file.sids[i]});
    json_.CloseArray();
  }
  json_.FlagField("stored", file.stored);
  if (file.stored) json_.Field("file_id", file.store_id);
  if (in_alert) json_.FlagField("storing", file.keep && file.store_id != 0 && !file.unstorable);
  json_.Field("size", file.size);
  json_.Field("tx_id", tx_id);
}

void EveWriter::FileRecord(const Packet& packet, const FlowView& flow, const Transaction& tx,
                           const FileInfo& file) {
  if (!Wants(RecordType::kFile)) return;
  Begin(RecordType::kFile, "fileinfo", packet.time, flow, &packet);
  // The sender of the file is the source.
  FlowEnds(*flow.flow, file.direction == Direction::kToClient);
  Tail(&packet, flow);
  ProtocolObject(tx, false);
  AppProto(flow);
  json_.OpenObject("fileinfo");
  FileObject(file, tx.id, false);
  json_.CloseObject();
  End();
}

void EveWriter::Anomaly(const Packet& packet, const FlowView& flow, const AnomalyView& anomaly) {
  using Type = AnomalyView::Type;
  const bool wanted = anomaly.type == Type::kDecode   ? options_.anomaly_decode
                      : anomaly.type == Type::kStream ? options_.anomaly_stream
                                                      : options_.anomaly_applayer;
  if (!wanted || !Wants(RecordType::kAnomaly)) return;
  static constexpr std::string_view kTypes[] = {"decode", "stream", "applayer"};
  const bool app = anomaly.type == Type::kApplayer;
  Begin(RecordType::kAnomaly, "anomaly", packet.time, flow, &packet);
  if (app && flow.flow != nullptr) {
    FlowEnds(*flow.flow, anomaly.direction == Direction::kToClient);
  } else {
    PacketEnds(packet);
  }
  if (app && packet.ip_version != 0) json_.Field("pkt_src", PacketOriginName(packet.origin));
  Tail(&packet, flow);
  if (anomaly.tx_id != nullptr) json_.Field("tx_id", *anomaly.tx_id);
  json_.OpenObject("anomaly");
  if (app && !anomaly.app_proto.empty()) json_.Field("app_proto", anomaly.app_proto);
  json_.Field("type", kTypes[static_cast<size_t>(anomaly.type)]);
  json_.Field("event", anomaly.event);
  if (app) json_.Field("layer", anomaly.layer);
  json_.CloseObject();
  End();
}

void EveWriter::TcpFlags(const Flow& flow) {
  const uint8_t all = flow.tcp_flags[0] | flow.tcp_flags[1];
  const auto hex = [this](std::string_view key, uint8_t flags) {
    json_.Key(key);
    json_.Hex(Slice(&flags, 1));
  };
  hex("tcp_flags", all);
  hex("tcp_flags_ts", flow.tcp_flags[0]);
  hex("tcp_flags_tc", flow.tcp_flags[1]);
  for (const auto& [name, bit] :
       {std::pair{"syn", kTcpSyn}, std::pair{"fin", kTcpFin}, std::pair{"rst", kTcpRst},
        std::pair{"psh", kTcpPsh}, std::pair{"ack", kTcpAck}, std::pair{"urg", kTcpUrg},
        std::pair{"ecn", kTcpEce}, std::pair{"cwr", kTcpCwr}}) {
    if (all & bit) json_.FlagField(name, true);
  }
}

// What the kernel alone saw of a flow; the totals have it too.
void EveWriter::Bypassed(const Flow& flow) {
  if (flow.bypass != FlowBypass::kCapture) return;
  json_.OpenObject("bypassed");
  json_.Field("pkts_toserver", flow.bypassed_packets[0]);
  json_.Field("pkts_toclient", flow.bypassed_packets[1]);
  json_.Field("bytes_toserver", flow.bypassed_bytes[0]);
  json_.Field("bytes_toclient", flow.bypassed_bytes[1]);
  json_.CloseObject();
}

void EveWriter::Exceptions(const FlowView& view) {
  if (!options_.exception_policy || view.exceptions.empty()) return;
  json_.OpenArray("exception_policy");
  for (const ExceptionView& exception : view.exceptions) {
    json_.OpenObject();
    json_.Field("target", exception.target);
    json_.Field("policy", exception.policy);
    json_.CloseObject();
  }
  json_.CloseArray();
}

void EveWriter::FlowRecord(const FlowView& view, FlowEndReason reason, Nanos now) {
  if (!Wants(RecordType::kFlow)) return;
  const Flow& flow = *view.flow;
  Begin(RecordType::kFlow, "flow", now, view, nullptr);
  FlowEnds(flow, false);
  if (flow.tuple.ip_protocol == kIcmp || flow.tuple.ip_protocol == kIcmp6) {
    json_.Field("icmp_type", uint64_t{flow.icmp_type[0]});
    json_.Field("icmp_code", uint64_t{flow.icmp_code[0]});
    if (flow.packets[1] > 0) {
      json_.Field("response_icmp_type", uint64_t{flow.icmp_type[1]});
      json_.Field("response_icmp_code", uint64_t{flow.icmp_code[1]});
    }
  }
  AppProto(view);
  json_.OpenObject("flow");
  FlowObject(flow, false);
  json_.Key("end");
  json_.Time(flow.last);
  const auto seconds = [](Nanos t) { return std::chrono::floor<std::chrono::seconds>(t).count(); };
  json_.Field("age", static_cast<uint64_t>(std::max<int64_t>(0, seconds(flow.last) - seconds(flow.start))));
  Bypassed(flow);
  json_.Field("state", FlowStateName(flow.state));
  if (flow.bypass != FlowBypass::kNone) {
    json_.Field("bypass", flow.bypass == FlowBypass::kLocal ? "local" : "capture");
  }
  json_.Field("reason", FlowEndReasonName(reason));
  json_.FlagField("alerted", flow.alerted);
  if (flow.dropped) json_.Field("action", "drop");
  if (!flow.dropped && flow.passed) json_.Field("action", "pass");
  Exceptions(view);
  if (options_.compat >= 8) json_.Field("tx_cnt", view.num_transactions);
  json_.CloseObject();
  Tail(nullptr, view);
  if (flow.tuple.ip_protocol == kTcp) {
    json_.OpenObject("tcp");
    TcpFlags(flow);
    json_.Field("state", view.tcp_state);
    if (view.ts_gap) json_.FlagField("ts_gap", true);
    if (view.tc_gap) json_.FlagField("tc_gap", true);
    // Here the bytes of a direction lie in one region, however far apart.
    if (view.ts_data) json_.Field("ts_max_regions", uint64_t{1});
    if (view.tc_data) json_.Field("tc_max_regions", uint64_t{1});
    json_.CloseObject();
  }
  End();
}

// A component of a counter's name: an object, or with "[]" an array of one.
void EveWriter::OpenLevel(std::string_view name) {
  if (!name.ends_with("[]")) return json_.OpenObject(name);
  json_.OpenArray(name.substr(0, name.size() - 2));
  json_.OpenObject();
}
void EveWriter::CloseLevel(std::string_view name) {
  json_.CloseObject();
  if (name.ends_with("[]")) json_.CloseArray();
}

void EveWriter::Stats(Nanos now, uint64_t uptime, const NamedCounters& counters) {
  if (!Wants(RecordType::kStats)) return;
  type_ = RecordType::kStats;
  json_.Clear();
  json_.OpenObject();
  json_.Key("timestamp");
  json_.Time(now);
  json_.Field("event_type", "stats");
  if (!options_.host.empty()) json_.Field("host", options_.host);
  json_.OpenObject("stats");
  json_.Field("uptime", uptime);
  std::vector<std::string_view> open;  // components of the objects we are in
  for (const auto& [name, value] : counters) {
    const bool of_thread = name.starts_with("threads.");
    if (of_thread ? !options_.stats_threads : !options_.stats_totals) continue;
    // What is listed in an array is no counter: a 0 there is a fact too.
    if (value == 0 && !options_.stats_zero && name.find("[]") == name.npos) continue;
    const std::string_view leaf = EnterLevels(name, &open);
    if (leaf == "last_reload") {  // the one value that is a time
      json_.Key(leaf);
      json_.Time(Nanos{static_cast<int64_t>(value)});
      continue;
    }
    json_.Field(leaf, value);
    if (!options_.stats_deltas) continue;
    uint64_t& last = last_stats_[name];
    scratch_.assign(leaf);
    scratch_ += "_delta";
    json_.Field(scratch_, value - std::min(value, last));
    last = value;
  }
  for (; !open.empty(); open.pop_back()) CloseLevel(open.back());
  json_.CloseObject();
  End();
}

// Closes and opens objects so that the counter's last component can be written.
std::string_view EveWriter::EnterLevels(std::string_view name, std::vector<std::string_view>* open) {
  std::vector<std::string_view> parts;
  for (size_t at = 0; at <= name.size();) {
    const size_t dot = std::min(name.find('.', at), name.size());
    parts.push_back(name.substr(at, dot - at));
    at = dot + 1;
  }
  const std::string_view leaf = parts.back();
  parts.pop_back();
  size_t same = 0;
  while (same < open->size() && same < parts.size() && (*open)[same] == parts[same]) ++same;
  for (; open->size() > same; open->pop_back()) CloseLevel(open->back());
  for (; open->size() < parts.size(); open->push_back(parts[open->size()])) {
    OpenLevel(parts[open->size()]);
  }
  return leaf;
}

}  // namespace sluice
