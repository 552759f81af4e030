// SPDX-License-Identifier: Apache-2.0
#include "emit.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace sluice::dns {

namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

char* AppendHex16(char* out, uint16_t value) {
  for (int shift = 12; shift >= 0; shift -= 4) *out++ = kHexDigits[value >> shift & 15];
  return out;
}

// "192.0.2.1", "2001:0db8:...": as EVE writes addresses; empty if the size is of neither.
View AddressText(View data, std::array<char, 40>* buffer) {
  char* out = buffer->data();
  if (data.size() == 4) {
    for (const char byte : data) {
      out = std::to_chars(out, out + 3, static_cast<unsigned>(static_cast<uint8_t>(byte))).ptr;
      *out++ = '.';
    }
  } else if (data.size() == 16) {
    for (size_t i = 0; i < 16; i += 2) {
      out = AppendHex16(out, Be16(data, i));
      *out++ = ':';
    }
  } else {
    return {};
  }
  return {buffer->data(), static_cast<size_t>(out - buffer->data()) - 1};
}

// The field that the texts of a type are grouped by; kNumFields: none.
uint32_t GroupOf(uint16_t type) {
  switch (type) {
    case kA: return kGroupA;
    case kAaaa: return kGroupAaaa;
    case kCname: return kGroupCname;
    case kMx: return kGroupMx;
    case kNs: return kGroupNs;
    case kPtr: return kGroupPtr;
    case kTxt: return kGroupTxt;
    case kNull: return kGroupNull;
    default: return kNumFields;
  }
}

// The string at *at of data that is made of them; moves behind it.
View NextString(View data, size_t* at) {
  const View text = data.substr(*at + 1, static_cast<uint8_t>(data[*at]));
  *at += 1 + text.size();
  return text;
}

}  // namespace

template <typename Visit>
void Emitter::EachQuestion(bool with_name, Visit visit) {
  NameReader names(message_);
  size_t at = shape_.begin[kQuestions];
  const unsigned count = std::min<unsigned>(header_.count[kQuestions], kMaxShown);
  for (unsigned i = 0; i < count; ++i) {
    uint16_t type;
    if (!ReadQuestion(&names, &at, with_name ? &scratch_.name : nullptr, &type)) return;
    visit(names, View(scratch_.name), type);
  }
}

template <typename Visit>
void Emitter::EachRecord(Section section, bool with_name, Visit visit) {
  if (!shape_.read[section]) return;
  NameReader names(message_);
  size_t at = shape_.begin[section];
  const unsigned count = std::min<unsigned>(header_.count[section], kMaxShown);
  for (unsigned i = 0; i < count; ++i) {
    Record record;
    if (!ReadRecord(&names, &at, with_name ? &scratch_.name : nullptr, &record)) return;
    visit(names, View(scratch_.name), record);
  }
}

// -------------------------------------------------------------------- for rules

void Emitter::Rules() {
  if (Wanted(kPdu)) Text(kPdu, message_);
  flow_.SetUint(tx_, kOpcode, header_.opcode());
  flow_.SetUint(tx_, kRcode, header_.rcode());
  const bool query = !response_ && Wanted(kQueryName), any = Wanted(kAnyQueryName);
  const bool all = response_ && Wanted(kResponseName);
  EachQuestion(query || any || all, [&](NameReader&, View name, uint16_t type) {
    if (!response_) flow_.SetUint(tx_, kRrType, type);
    if (name.empty()) return;
    if (query) Text(kQueryName, name);
    if (any) Text(kAnyQueryName, name);
    if (all) Text(kResponseName, name);
  });
  RecordNames(kAnswers, kAnswerName);
  if (!response_) return;
  RecordNames(kAuthorities, kAuthorityName);
  RecordNames(kAdditionals, kAdditionalName);
  if (!Wanted(kRrType)) return;
  EachRecord(kAnswers, false,
             [&](NameReader&, View, const Record& record) { flow_.SetUint(tx_, kRrType, record.type); });
}

void Emitter::RecordNames(Section section, uint32_t keyword) {
  const bool own = Wanted(keyword), all = response_ && Wanted(kResponseName);
  if (!own && !all) return;
  EachRecord(section, true, [&](NameReader& names, View name, const Record& record) {
    if (own && !name.empty()) Text(keyword, name);
    if (!all) return;
    if (!name.empty()) Text(kResponseName, name);
    DataName(&names, record);
  });
}

// The name in the data of a record, if its type has one.
void Emitter::DataName(NameReader* names, const Record& record) {
  size_t at = record.data;
  switch (record.type) {
    case kMx: at += 2; break;
    case kNs: case kCname: case kPtr: case kSoa: break;
    default: return;
  }
  if (names->Read(&at, record.end, &scratch_.value) && !scratch_.value.empty()) {
    Text(kResponseName, scratch_.value);
  }
}

// ---------------------------------------------------------------------- the log

void Emitter::Log() {
  if (Wanted(kVersion3)) {
    flow_.Open(tx_, kMessage);
    flow_.SetUint(tx_, kVersion3, 3);
    Text(kForm3Type, response_ ? "response" : "request");
    flow_.SetUint(tx_, kTxId, tx_);
    Head();
    Queries();
    Sections();
    flow_.Close(tx_);
  }
  if (Wanted(kVersion2)) response_ ? OldAnswer() : OldQueries();
}

void Emitter::Head() {
  flow_.SetUint(tx_, kId, header_.id);
  char hex[4];
  const auto end = std::to_chars(hex, hex + 4, header_.flags, 16).ptr;
  Text(kFlags, View(hex, static_cast<size_t>(end - hex)));
  constexpr std::pair<uint32_t, uint16_t> kBits[] = {{kQr, 0x8000}, {kAa, 0x0400}, {kTc, 0x0200},
                                                     {kRd, 0x0100}, {kRa, 0x0080}, {kZ, 0x0040}};
  for (const auto& [field, bit] : kBits) {
    if (header_.flags & bit) flow_.SetUint(tx_, field, 1);
  }
  flow_.SetUint(tx_, kOpcodeLog, header_.opcode());
  flow_.SetUint(tx_, kRcodeLog, header_.rcode());
}

void Emitter::Name(uint32_t field, uint32_t cut, bool is_cut, View name) {
  Text(field, name);
  if (is_cut) flow_.SetUint(tx_, cut, 1);
}

void Emitter::Queries() {
  EachQuestion(true, [&](NameReader& names, View name, uint16_t type) {
    flow_.Open(tx_, kQueries);
    Name(kName, kNameCut, names.cut(), name);
    flow_.SetUint(tx_, kQueryType, type);
    flow_.Close(tx_);
  });
}

void Emitter::Sections() {
  Records(kAnswers, kAnswerRecords);
  if (header_.count[kAnswers] > 0) Grouped();
  Records(kAuthorities, kAuthorityRecords);
  Records(kAdditionals, kAdditionalRecords);
}

// Each record; each string of a TXT record as one of its own.
void Emitter::Records(Section section, uint32_t group) {
  EachRecord(section, true, [&](NameReader& names, View, const Record& record) {
    const View data = message_.substr(record.data, record.size());
    if (record.type == kOpt && data.empty() && section == kAdditionals) return;  // says nothing
    if (record.type != kTxt) return OneRecord(&names, record, group, {});
    for (size_t at = 0; at < data.size();) OneRecord(&names, record, group, NextString(data, &at));
  });
}

void Emitter::OneRecord(NameReader* names, const Record& record, uint32_t group, View string) {
  flow_.Open(tx_, group);
  Name(kName, kNameCut, names->cut(), scratch_.name);
  flow_.SetUint(tx_, kRecordType, record.type);
  flow_.SetUint(tx_, kTtl, record.ttl);
  if (record.type == kTxt) {
    Text(kRdata, string);
  } else {
    Data(names, record, {kRdata, kSoaData, kSrvData, kSshfpData});
  }
  flow_.Close(tx_);
}

// The answers once more, by type.
void Emitter::Grouped() {
  if (!Wanted(kGroupA)) return;
  flow_.Open(tx_, kGrouped);
  EachRecord(kAnswers, false, [&](NameReader& names, View, const Record& record) {
    const uint32_t field = GroupOf(record.type);
    if (record.type == kOpt) return;
    if (record.type != kTxt) return Data(&names, record, {field, kGroupSoa, kGroupSrv, kGroupSshfp});
    const View data = message_.substr(record.data, record.size());
    for (size_t at = 0; at < data.size();) Text(field, NextString(data, &at));
  });
  flow_.Close(tx_);
}

// Of every type but TXT.
void Emitter::Data(NameReader* names, const Record& record, const Places& places) {
  const View data = message_.substr(record.data, record.size());
  size_t at = record.data;
  std::array<char, 40> buffer;
  switch (record.type) {
    case kA: case kAaaa: return Text(places.text, AddressText(data, &buffer));
    case kNull: return Text(places.text, data);
    case kMx: at += 2; [[fallthrough]];
    case kNs: case kCname: case kPtr:
      if (!names->Read(&at, record.end, &scratch_.value)) return;
      return Name(places.text, kRdataCut, names->cut() && places.text == kRdata, scratch_.value);
    case kSoa: return Soa(names, record, places.soa);
    case kSrv: return Srv(names, record, places.srv);
    case kSshfp: return Sshfp(record, places.sshfp);
    case kOpt: return Options(record);
    default: return;
  }
}

void Emitter::Soa(NameReader* names, const Record& record, uint32_t group) {
  size_t at = record.data;
  if (!names->Read(&at, record.end, &scratch_.value) || !names->Read(&at, record.end, &scratch_.other)) return;
  flow_.Open(tx_, group);
  Text(kMname, scratch_.value);
  Text(kRname, scratch_.other);
  for (uint32_t i = 0; i < 5; ++i) flow_.SetUint(tx_, kSerial + i, Be32(message_, at + i * 4));
  flow_.Close(tx_);
}

void Emitter::Srv(NameReader* names, const Record& record, uint32_t group) {
  size_t at = record.data + 6;
  if (!names->Read(&at, record.end, &scratch_.value)) return;
  flow_.Open(tx_, group);
  for (uint32_t i = 0; i < 3; ++i) flow_.SetUint(tx_, kPriority + i, Be16(message_, record.data + i * 2));
  Text(kTarget, scratch_.value);
  flow_.Close(tx_);
}

void Emitter::Sshfp(const Record& record, uint32_t group) {
  const View data = message_.substr(record.data, record.size());
  std::string& hex = scratch_.value;
  hex.clear();
  for (const char c : data.substr(2)) {
    const auto byte = static_cast<uint8_t>(c);
    if (!hex.empty()) hex += ':';
    hex += kHexDigits[byte >> 4];
    hex += kHexDigits[byte & 15];
  }
  flow_.Open(tx_, group);
  flow_.SetUint(tx_, kAlgo, static_cast<uint8_t>(data[0]));
  flow_.SetUint(tx_, kHashType, static_cast<uint8_t>(data[1]));
  Text(kFingerprint, hex);
  flow_.Close(tx_);
}

// RFC 6891 section 6.1.2; not among the answers by type.
void Emitter::Options(const Record& record) {
  for (size_t at = record.data; at < record.end;) {
    const size_t size = Be16(message_, at + 2);
    flow_.Open(tx_, kOption);
    flow_.SetUint(tx_, kCode, Be16(message_, at));
    Text(kOptionData, message_.substr(at + 4, size));
    flow_.Close(tx_);
    at += 4 + size;
  }
}

// --------------------------------------------------- the form of version 7's log

void Emitter::OldQueries() {
  EachQuestion(true, [&](NameReader& names, View name, uint16_t type) {
    flow_.Open(tx_, kQuery);
    flow_.SetUint(tx_, kQueryVersion2, 2);
    Text(kForm2Type, "query");
    flow_.SetUint(tx_, kId, header_.id);
    Name(kName, kNameCut, names.cut(), name);
    flow_.SetUint(tx_, kQueryType, type);
    flow_.SetUint(tx_, kTxId, tx_);
    if (header_.z()) flow_.SetUint(tx_, kZ, 1);
    flow_.SetUint(tx_, kOpcodeLog, header_.opcode());
    flow_.Close(tx_);
  });
}

void Emitter::OldAnswer() {
  flow_.Open(tx_, kAnswer);
  flow_.SetUint(tx_, kVersion2, 2);
  Text(kForm2Type, "answer");
  Head();
  bool first = true;
  EachQuestion(true, [&](NameReader& names, View name, uint16_t type) {
    if (!std::exchange(first, false)) return;
    Name(kName, kNameCut, names.cut(), name);
    flow_.SetUint(tx_, kQueryType, type);
  });
  Sections();
  flow_.Close(tx_);
}

}  // namespace sluice::dns
