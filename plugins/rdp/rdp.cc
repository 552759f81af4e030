// SPDX-License-Identifier: Apache-2.0
// plugins/rdp/rdp.cc - the RDP dissector: the PDUs that open a connection (MS-RDPBCGR section
// 1.3.1.1).  Each PDU is a transaction of one direction.  Where TLS was negotiated, its first
// records are looked at, not consumed, until the server's certificate: the dissector the flow is
// then handed to sees the whole handshake.
#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <sluice/plugin.hpp>

#include "plugins/lib/x509.h"

namespace {

using sluice::View;

enum Field : uint32_t {
  kTxId, kEventType, kCookie, kFlags, kSupports, kProtocol, kErrorCode, kReason, kVersion, kWidth,
  kHeight, kDepth, kLayout, kBuild, kName, kKeyboard, kSubtype, kFunctionKeys, kIme, kProduct,
  kSerial, kCapabilities, kDigitalId, kHint, kPhysicalWidth, kPhysicalHeight, kOrientation, kScale,
  kDeviceScale, kChannel, kCertSerial, kNumFields
};

enum Event : uint32_t { kMalformedPdu };

constexpr uint32_t kC = SLUICE_DIR_TO_SERVER, kS = SLUICE_DIR_TO_CLIENT, kB = SLUICE_DIR_BOTH;

constexpr sluice_field Row(const char* keyword, const char* log, const char* help, uint32_t type,
                           uint32_t directions, uint32_t flags = 0) {
  return {keyword, nullptr, nullptr, log, help, type, flags, directions, 1, nullptr, nullptr};
}

constexpr sluice_field kFields[] = {
    Row(nullptr, "tx_id", "number of the PDU, from 1", SLUICE_UINT, kB),
    Row("rdp.event_type", "event_type", "kind of the PDU", SLUICE_BYTES, kB, SLUICE_DIMENSION),
    Row("rdp.cookie", "cookie", "value of mstshash", SLUICE_BYTES, kC),
    Row("rdp.flags", "flags", "flags of the request", SLUICE_BYTES, kC, SLUICE_REPEATED),
    Row("rdp.server_supports", "server_supports", "flags of the response", SLUICE_BYTES, kS,
        SLUICE_REPEATED),
    Row("rdp.protocol", "protocol", "security protocol chosen", SLUICE_BYTES, kS,
        SLUICE_DIMENSION),
    Row("rdp.error_code", "error_code", "why the server refuses", SLUICE_UINT, kS),
    Row("rdp.reason", "reason", "name of error_code", SLUICE_BYTES, kS, SLUICE_DIMENSION),
    Row("rdp.client_version", "client.version", "protocol version", SLUICE_BYTES, kC,
        SLUICE_DIMENSION),
    Row("rdp.desktop_width", "client.desktop_width", "pixels", SLUICE_UINT, kC),
    Row("rdp.desktop_height", "client.desktop_height", "pixels", SLUICE_UINT, kC),
    Row("rdp.color_depth", "client.color_depth", "bits per pixel", SLUICE_UINT, kC),
    Row("rdp.keyboard_layout", "client.keyboard_layout", "locale", SLUICE_BYTES, kC),
    Row("rdp.client_build", "client.build", "operating system", SLUICE_BYTES, kC,
        SLUICE_DIMENSION),
    Row("rdp.client_name", "client.client_name", "name of the host", SLUICE_BYTES, kC),
    Row("rdp.keyboard_type", "client.keyboard_type", "keyboard", SLUICE_BYTES, kC),
    Row("rdp.keyboard_subtype", "client.keyboard_subtype", "keyboard detail", SLUICE_UINT, kC),
    Row("rdp.function_keys", "client.function_keys", "number of keys", SLUICE_UINT, kC),
    Row("rdp.ime", "client.ime", "input method file", SLUICE_BYTES, kC),
    Row("rdp.product_id", "client.product_id", "product number", SLUICE_UINT, kC),
    Row("rdp.serial_number", "client.serial_number", "serial number", SLUICE_UINT, kC),
    Row("rdp.capabilities", "client.capabilities", "early capability flags", SLUICE_BYTES, kC,
        SLUICE_REPEATED),
    Row("rdp.client_id", "client.id", "digital product id", SLUICE_BYTES, kC),
    Row("rdp.connection_hint", "client.connection_hint", "kind of link", SLUICE_BYTES, kC),
    Row("rdp.physical_width", "client.physical_width", "millimetres", SLUICE_UINT, kC),
    Row("rdp.physical_height", "client.physical_height", "millimetres", SLUICE_UINT, kC),
    Row("rdp.desktop_orientation", "client.desktop_orientation", "degrees", SLUICE_UINT, kC),
    Row("rdp.scale_factor", "client.scale_factor", "percent", SLUICE_UINT, kC),
    Row("rdp.device_scale_factor", "client.device_scale_factor", "percent", SLUICE_UINT, kC),
    Row("rdp.channel", "channels", "virtual channel", SLUICE_BYTES, kC, SLUICE_REPEATED),
    Row("rdp.x509_serial", "x509_serials", "serial numbers of the server's certificates",
        SLUICE_BYTES, kS, SLUICE_REPEATED),
};
static_assert(std::size(kFields) == kNumFields);

constexpr sluice_event kEvents[] = {{"malformed_pdu", "a PDU whose lengths contradict each other"}};
constexpr const char* kStages[] = {"start", "complete"};

constexpr size_t kMaxHeld = 64 * 1024;    // TLS bytes per direction that wait for a certificate
constexpr size_t kKeptHandshake = 4096;   // room that stays for the next flow
constexpr size_t kMaxRecord = 16384 + 256;  // RFC 8446 section 5.2
constexpr size_t kMaxCertificates = 16;
constexpr uint32_t kTlsHandshake = 22, kServerHello = 2, kCertificate = 11;

struct Name {
  uint32_t value;
  const char* name;
};

template <size_t N>
const char* Find(const Name (&names)[N], uint32_t value) {
  for (const Name& n : names) {
    if (n.value == value) return n.name;
  }
  return nullptr;
}

constexpr Name kRequestFlags[] = {{1, "restricted_admin_mode_required"},
                                  {2, "redirected_authentication_mode_required"},
                                  {8, "correlation_info_present"}};
constexpr Name kResponseFlags[] = {{1, "extended_client_data"}, {2, "dynvc_gfx"},
                                   {8, "restricted_admin"}, {16, "redirected_authentication"}};
constexpr Name kProtocols[] = {{0, "rdp"}, {1, "ssl"}, {2, "hybrid"}, {4, "rds_tls"},
                               {8, "hybrid_ex"}};
constexpr Name kReasons[] = {{1, "ssl required by server"}, {2, "ssl not allowed by server"},
                             {3, "ssl cert not on server"}, {4, "inconsistent flags"},
                             {5, "hybrid required by server"},
                             {6, "ssl with user auth required by server"}};
constexpr Name kVersions[] = {
    {0x80001, "v4"}, {0x80004, "v5"}, {0x80005, "v10.0"}, {0x80006, "v10.1"}, {0x80007, "v10.2"},
    {0x80008, "v10.3"}, {0x80009, "v10.4"}, {0x8000a, "v10.5"}, {0x8000b, "v10.6"},
    {0x8000c, "v10.7"}, {0x8000d, "v10.8"}};
constexpr Name kLayouts[] = {
    {0x404, "zh-TW"}, {0x406, "da-DK"}, {0x407, "de-DE"}, {0x408, "el-GR"}, {0x409, "en-US"},
    {0x40a, "es-ES"}, {0x40b, "fi-FI"}, {0x40c, "fr-FR"}, {0x40d, "he-IL"}, {0x40e, "hu-HU"},
    {0x410, "it-IT"}, {0x411, "ja-JP"}, {0x412, "ko-KR"}, {0x413, "nl-NL"}, {0x414, "nb-NO"},
    {0x415, "pl-PL"}, {0x416, "pt-BR"}, {0x419, "ru-RU"}, {0x41d, "sv-SE"}, {0x41f, "tr-TR"},
    {0x422, "uk-UA"}, {0x804, "zh-CN"}, {0x807, "de-CH"}, {0x809, "en-GB"}, {0x80a, "es-MX"},
    {0x80c, "fr-BE"}, {0x816, "pt-PT"}, {0xc0c, "fr-CA"}, {0x100c, "fr-CH"}};
constexpr Name kBuilds[] = {{2195, "Windows 2000"}, {2600, "Windows XP"},
                            {3790, "Windows Server 2003"}, {6000, "Windows Vista RTM"},
                            {6001, "Windows Vista SP1"}, {6002, "Windows Vista SP2"},
                            {7600, "Windows 7"}, {7601, "Windows 7 SP1"}, {9200, "Windows 8"},
                            {9600, "Windows 8.1"}, {10240, "Windows 10"}};
constexpr Name kKeyboards[] = {{1, "xt"}, {2, "ico"}, {3, "at"}, {4, "enhanced"}, {5, "1050"},
                               {6, "9140"}, {7, "jp"}};
constexpr Name kCapabilityNames[] = {
    {1, "support_errinfo_pdf"}, {2, "want_32bpp_session"}, {4, "support_statusinfo_pdu"},
    {8, "strong_asymmetric_keys"}, {0x20, "valid_connection_type"},
    {0x40, "support_monitor_layout_pdu"}, {0x80, "support_netchar_autodetect"},
    {0x100, "support_dynvc_gfx_protocol"}, {0x200, "support_dynamic_time_zone"},
    {0x400, "support_heartbeat_pdu"}};
constexpr Name kHints[] = {{1, "modem"}, {2, "low_broadband"}, {3, "satellite"},
                           {4, "high_broadband"}, {5, "wan"}, {6, "lan"}, {7, "autodetect"}};
constexpr Name kDepths[] = {{0xca00, "4"}, {0xca01, "8"}, {0xca02, "15"}, {0xca03, "16"},
                            {0xca04, "24"}};

// Little-endian; the caller has checked the bounds.
uint32_t Byte(View v, size_t i) { return static_cast<uint8_t>(v[i]); }
uint32_t Le16(View v, size_t i) { return Byte(v, i) | Byte(v, i + 1) << 8; }
uint32_t Le32(View v, size_t i) { return Le16(v, i) | Le16(v, i + 2) << 16; }

// Big-endian, likewise.
uint32_t Be16(View v, size_t i) { return Byte(v, i) << 8 | Byte(v, i + 1); }
uint32_t Be24(View v, size_t i) { return Byte(v, i) << 16 | Be16(v, i + 1); }

// UTF-16LE up to the first NUL, as UTF-8.
void Utf8(View v, std::string* text) {
  std::string& out = *text;
  out.clear();
  for (size_t i = 0; i + 1 < v.size(); i += 2) {
    uint32_t c = Le16(v, i);
    if (c == 0) break;
    if (c >= 0xd800 && c < 0xdc00 && i + 3 < v.size()) {
      const uint32_t low = Le16(v, i + 2);
      if (low >= 0xdc00 && low < 0xe000) {
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        i += 2;
      }
    }
    if (c >= 0xd800 && c < 0xe000) c = 0xfffd;
    if (c < 0x80) {
      out += static_cast<char>(c);
    } else if (c < 0x800) {
      out += static_cast<char>(0xc0 | c >> 6);
      out += static_cast<char>(0x80 | (c & 63));
    } else {
      if (c < 0x10000) {
        out += static_cast<char>(0xe0 | c >> 12);
      } else {
        out += static_cast<char>(0xf0 | c >> 18);
        out += static_cast<char>(0x80 | (c >> 12 & 63));
      }
      out += static_cast<char>(0x80 | (c >> 6 & 63));
      out += static_cast<char>(0x80 | (c & 63));
    }
  }
}

class Rdp {
 public:
  explicit Rdp(sluice::Flow) {}

  void Restart(sluice::Flow) {
    done_ = tls_ = lost_ = false;
    scanned_ = 0;
    handshake_.clear();
    if (handshake_.capacity() > kKeptHandshake) handshake_.shrink_to_fit();
  }

  // A TPKT (RFC 1006 section 6) that holds an X.224 connection request or confirm.  Other
  // protocols begin so, too (S7, MMS), and go on with parameters of X.224 (section 13.3.4),
  // whose codes are 0xc0 and above; RDP has text or its negotiation there, or nothing.
  static int32_t Probe(const sluice_probe_input& input) {
    const View v = sluice::ToView(input.head);
    const uint32_t code = input.direction == SLUICE_TO_SERVER ? 0xe0 : 0xd0;
    if (!v.empty() && Byte(v, 0) != 3) return SLUICE_PROBE_NO;
    if (v.size() > 1 && Byte(v, 1) != 0) return SLUICE_PROBE_NO;
    if (v.size() > 4 && Byte(v, 4) + 5 != (Byte(v, 2) << 8 | Byte(v, 3))) return SLUICE_PROBE_NO;
    if (v.size() > 5 && Byte(v, 5) != code) return SLUICE_PROBE_NO;
    constexpr size_t kFixed = 11;  // what every request has
    if (v.size() > 4 && Byte(v, 4) + size_t{5} < kFixed) return SLUICE_PROBE_NO;
    if (v.size() >= kFixed && Byte(v, 4) + size_t{5} == kFixed) return SLUICE_PROBE_YES;
    if (v.size() <= kFixed) return SLUICE_PROBE_MAYBE;
    return Byte(v, kFixed) < 0xc0 ? SLUICE_PROBE_YES : SLUICE_PROBE_NO;
  }

  sluice::ParseResult Parse(sluice::Flow flow, uint32_t direction, View in) {
    size_t pos = 0;
    while (pos < in.size() && !done_) {
      if (tls_) return Tls(flow, direction, in, pos);
      const View rest = in.substr(pos);
      if (rest.size() < 4) return sluice::More(pos, 4);
      const size_t length = Byte(rest, 2) << 8 | Byte(rest, 3);
      if (Byte(rest, 0) != 3 || length < 7) {
        flow.Event(SLUICE_NO_TX, kMalformedPdu);
        return sluice::ParseError();
      }
      if (rest.size() < length) return sluice::More(pos, length);
      Pdu(flow, direction, rest.substr(4, length - 4));
      pos += length;
    }
    return sluice::Ok(pos);
  }

  // After a loss no certificate is waited for.
  bool Gap(sluice::Flow, uint32_t, uint64_t) {
    lost_ = true;
    return false;
  }

 private:
  uint64_t Begin(sluice::Flow flow, uint32_t direction, View type) {
    const uint64_t tx =
        flow.Begin(direction == SLUICE_TO_SERVER ? SLUICE_TX_TO_SERVER : SLUICE_TX_TO_CLIENT);
    flow.SetUint(tx, kTxId, tx + 1);
    flow.Set(tx, kEventType, type);
    return tx;
  }

  void Pdu(sluice::Flow flow, uint32_t direction, View v) {
    const uint32_t code = Byte(v, 1);
    const bool request = direction == SLUICE_TO_SERVER;
    uint64_t tx = 0;
    if (code == 0xe0 && request && v.size() >= 7) {
      tx = Begin(flow, direction, "initial_request");
      Request(flow, tx, v.substr(7));
    } else if (code == 0xd0 && !request && v.size() >= 7) {
      tx = Begin(flow, direction, "initial_response");
      Response(flow, tx, v.substr(7));
    } else if (code == 0xf0 && request && v.substr(3).starts_with("\x7f\x65")) {
      tx = Begin(flow, direction, "connect_request");
      ConnectInitial(flow, tx, v.substr(3));
    } else if (code == 0xf0 && !request && v.substr(3).starts_with("\x7f\x66")) {
      tx = Begin(flow, direction, "connect_response");
      done_ = true;
      flow.Handover(nullptr);
    } else {
      return;
    }
    flow.Stage(tx, direction, 1);
  }

  template <size_t N>
  void Bits(sluice::Flow flow, uint64_t tx, uint32_t field, const Name (&names)[N], uint32_t set) {
    for (const Name& n : names) {
      if (set & n.value) flow.Set(tx, field, n.name);
    }
  }

  template <size_t N>
  void Named(sluice::Flow flow, uint64_t tx, uint32_t field, const Name (&names)[N], uint32_t v) {
    if (const char* name = Find(names, v)) flow.Set(tx, field, name);
  }

  // MS-RDPBCGR section 2.2.1.1
  void Request(sluice::Flow flow, uint64_t tx, View v) {
    if (const size_t end = v.find("\r\n"); end != View::npos) {
      constexpr View kPrefix = "Cookie: mstshash=";
      const View line = v.substr(0, end);
      if (line.starts_with(kPrefix)) flow.Set(tx, kCookie, line.substr(kPrefix.size()));
      v.remove_prefix(end + 2);
    }
    if (v.size() >= 8 && Byte(v, 0) == 1) Bits(flow, tx, kFlags, kRequestFlags, Byte(v, 1));
  }

  // MS-RDPBCGR section 2.2.1.2
  void Response(sluice::Flow flow, uint64_t tx, View v) {
    if (v.size() < 8) return;
    const uint32_t value = Le32(v, 4);
    if (Byte(v, 0) == 3) {
      flow.SetUint(tx, kErrorCode, value);
      Named(flow, tx, kReason, kReasons, value);
    } else if (Byte(v, 0) == 2) {
      Bits(flow, tx, kSupports, kResponseFlags, Byte(v, 1));
      Named(flow, tx, kProtocol, kProtocols, value);
      tls_ = value != 0;
    }
  }

  // Looks at in[pos...] and consumes none of it; it begins at the same byte in each call.
  sluice::ParseResult Tls(sluice::Flow flow, uint32_t direction, View in, size_t pos) {
    const View held = in.substr(pos);
    size_t need = held.size() + 1;
    const bool wait = direction == SLUICE_TO_SERVER ? true : Records(flow, held, &need);
    if (wait && !lost_ && need <= kMaxHeld) return sluice::More(pos, need);
    done_ = true;
    flow.Handover("tls");
    return sluice::Ok(pos);
  }

  // The server's records (RFC 8446 section 5.1), each once.  False when nothing more is to be
  // learned: the certificate was seen, or what follows is encrypted.
  bool Records(sluice::Flow flow, View held, size_t* need) {
    for (;;) {
      const View record = held.substr(scanned_);
      *need = scanned_ + 5;
      if (!record.empty() && Byte(record, 0) != kTlsHandshake) return false;
      if (record.size() < 5) return true;
      const size_t length = Be16(record, 3);
      if (Byte(record, 1) != 3 || length == 0 || length > kMaxRecord) return false;
      *need = scanned_ + 5 + length;
      if (record.size() < 5 + length) return true;
      handshake_.append(record.substr(5, length));
      scanned_ += 5 + length;
      if (!Messages(flow)) return false;
      if (scanned_ > kMaxHeld) return false;
    }
  }

  // Whole handshake messages (RFC 8446 section 4); one may span records.
  bool Messages(sluice::Flow flow) {
    size_t at = 0;
    while (handshake_.size() - at >= 4) {
      const View message = View(handshake_).substr(at);
      const uint32_t type = Byte(message, 0);
      const size_t length = Be24(message, 1);
      if ((type != kServerHello && type != kCertificate) || length > kMaxHeld) return false;
      if (message.size() < 4 + length) break;
      if (type == kCertificate) {
        Certificates(flow, message.substr(4, length));
        return false;
      }
      at += 4 + length;
    }
    handshake_.erase(0, at);
    return true;
  }

  // The list of RFC 5246 section 7.4.2; that of TLS 1.3 is never in the clear.
  void Certificates(sluice::Flow flow, View v) {
    std::vector<std::string> serials;
    if (v.size() >= 3) v.remove_prefix(3);
    while (v.size() >= 3 && Be24(v, 0) <= v.size() - 3 && serials.size() < kMaxCertificates) {
      const View der = v.substr(3, Be24(v, 0));
      v.remove_prefix(3 + der.size());
      std::string serial = sluice::PlainSerial(der);
      if (serial.empty()) break;
      serials.push_back(std::move(serial));
    }
    if (serials.empty()) return;
    const uint64_t tx = Begin(flow, SLUICE_TO_CLIENT, "tls_handshake");
    for (const std::string& serial : serials) flow.Set(tx, kCertSerial, serial);
    flow.Stage(tx, SLUICE_TO_CLIENT, 1);
  }

  // The GCC blocks follow the key "Duca" and a PER length (MS-RDPBCGR section 2.2.1.3).
  void ConnectInitial(sluice::Flow flow, uint64_t tx, View v) {
    const size_t key = v.find("Duca");
    if (key == View::npos || v.size() < key + 6) {
      flow.Event(tx, kMalformedPdu);
      return;
    }
    v.remove_prefix(key + 4);
    v.remove_prefix(Byte(v, 0) & 0x80 ? 2 : 1);
    while (v.size() >= 4) {
      const uint32_t type = Le16(v, 0);
      const size_t length = Le16(v, 2);
      if (length < 4 || length > v.size()) {
        flow.Event(tx, kMalformedPdu);
        return;
      }
      if (type == 0xc001) CoreData(flow, tx, v.substr(4, length - 4));
      if (type == 0xc003) NetworkData(flow, tx, v.substr(4, length - 4));
      v.remove_prefix(length);
    }
  }

  // MS-RDPBCGR section 2.2.1.3.2; fields from offset 128 on are optional.
  void CoreData(sluice::Flow flow, uint64_t tx, View v) {
    if (v.size() < 128) {
      flow.Event(tx, kMalformedPdu);
      return;
    }
    Named(flow, tx, kVersion, kVersions, Le32(v, 0));
    flow.SetUint(tx, kWidth, Le16(v, 4));
    flow.SetUint(tx, kHeight, Le16(v, 6));
    Named(flow, tx, kLayout, kLayouts, Le32(v, 12));
    Build(flow, tx, Le32(v, 16));
    Text(flow, tx, kName, v.substr(20, 32));
    Named(flow, tx, kKeyboard, kKeyboards, Le32(v, 52));
    Number(flow, tx, kSubtype, Le32(v, 56));
    Number(flow, tx, kFunctionKeys, Le32(v, 60));
    Text(flow, tx, kIme, v.substr(64, 64));
    Depth(flow, tx, v);
    if (v.size() >= 132) Number(flow, tx, kProduct, Le16(v, 130));
    if (v.size() >= 136) Number(flow, tx, kSerial, Le32(v, 132));
    if (v.size() >= 142) Bits(flow, tx, kCapabilities, kCapabilityNames, Le16(v, 140));
    if (v.size() >= 206) Text(flow, tx, kDigitalId, v.substr(142, 64));
    // Valid only with the flag RNS_UD_CS_VALID_CONNECTION_TYPE.
    if (v.size() >= 207 && Le16(v, 140) & 0x20) Named(flow, tx, kHint, kHints, Byte(v, 206));
    if (v.size() >= 216) Number(flow, tx, kPhysicalWidth, Le32(v, 212));
    if (v.size() >= 220) Number(flow, tx, kPhysicalHeight, Le32(v, 216));
    if (v.size() >= 222) Number(flow, tx, kOrientation, Le16(v, 220));
    if (v.size() >= 226) Number(flow, tx, kScale, Le32(v, 222));
    if (v.size() >= 230) Number(flow, tx, kDeviceScale, Le32(v, 226));
  }

  void Build(sluice::Flow flow, uint64_t tx, uint32_t build) {
    if (const char* name = Find(kBuilds, build)) return flow.Set(tx, kBuild, name);
    if (build > 10240) return flow.Set(tx, kBuild, "Windows 10");
  }

  // The newest of the three depths that is there.
  void Depth(sluice::Flow flow, uint64_t tx, View v) {
    if (v.size() >= 138) return flow.SetUint(tx, kDepth, Le16(v, 136));
    const uint32_t code = v.size() >= 130 ? Le16(v, 128) : Le16(v, 8);
    constexpr uint32_t kBits[] = {4, 8, 15, 16, 24};
    if (Find(kDepths, code)) flow.SetUint(tx, kDepth, kBits[code - 0xca00]);
  }

  void Number(sluice::Flow flow, uint64_t tx, uint32_t field, uint32_t value) {
    if (value != 0) flow.SetUint(tx, field, value);
  }

  void Text(sluice::Flow flow, uint64_t tx, uint32_t field, View utf16) {
    thread_local std::string text;
    Utf8(utf16, &text);
    if (!text.empty()) flow.Set(tx, field, text);
  }

  // MS-RDPBCGR section 2.2.1.3.4: a count, then names of 8 bytes with 4 bytes of options.
  void NetworkData(sluice::Flow flow, uint64_t tx, View v) {
    if (v.size() < 4) return;
    const uint32_t count = std::min(Le32(v, 0), 31u);
    for (uint32_t i = 0; i < count && v.size() >= 16 + 12 * static_cast<size_t>(i); ++i) {
      const View name = v.substr(4 + 12 * i, 8);
      flow.Set(tx, kChannel, name.substr(0, name.find('\0')));
    }
  }

  bool done_ = false;
  bool tls_ = false;   // negotiated: the bytes that follow are TLS
  bool lost_ = false;
  size_t scanned_ = 0;     // of the server's TLS bytes
  std::string handshake_;  // the server's message that is not whole yet
};

}  // namespace

extern "C" SLUICE_EXPORT constexpr sluice_plugin sluice_plugin_v1 =
    sluice::MakePlugin<Rdp>("rdp", "Remote Desktop: connection opening")
        .Version("1.0").LogSource(SLUICE_LOG_PACKET).Ports("tcp/3389").Fields(kFields)
        .Events(kEvents).Stages(kStages);
