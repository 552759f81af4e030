// SPDX-License-Identifier: Apache-2.0
// plugins/tls/tls.cc - the TLS dissector: records and handshake messages in the clear, from SSLv2
// to TLS 1.3.  One transaction per flow: its session.  Once both sides encrypt, the flow is
// handed over as opaque.
#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "plugins/lib/x509_cache.h"
#include "plugins/tls/fields.h"
#include "plugins/tls/fingerprint.h"

namespace sluice::tls {
namespace {

constexpr size_t kHeader = 5;                 // RFC 8446 section 5.1
constexpr size_t kMinRecord = kHeader + 1;    // none is empty
constexpr size_t kMaxRecord = 16384 + 1024;   // with what old versions may add
constexpr size_t kMaxMessage = 128 * 1024;    // of a handshake message
constexpr size_t kKeptMessage = 4096;         // room that stays for the next one
constexpr size_t kMostRooms = 16;             // a thread
constexpr size_t kMaxCertificates = 64;       // of a chain; further ones are not looked at
constexpr uint32_t kLast[2] = {kClientFinished, kServerFinished};  // by direction

enum RecordType : uint32_t {
  kChangeCipherSpec = 20, kAlertRecord = 21, kHandshake = 22, kApplicationData = 23,
  kHeartbeatRecord = 24
};
enum MessageType : uint32_t {
  kClientHello = 1, kServerHello = 2, kCertificateMessage = 11, kServerKeyExchange = 12,
  kServerHelloDoneMessage = 14, kClientKeyExchange = 16
};
enum Ssl2Message : uint32_t { kSsl2Error = 0, kSsl2ClientHello = 1, kSsl2ServerHello = 4 };

// The messages of RFC 5246 section 7.4 and what extends it; others are not read.
constexpr bool IsMessage(uint32_t type) {
  return type <= 2 || type == 4 || (type >= 11 && type <= 16) || (type >= 20 && type <= 22);
}

const char* VersionText(uint16_t version, std::array<char, 24>* scratch) {
  switch (version) {
    case kUndetermined: return "UNDETERMINED";
    case kSsl2: return "SSLv2";
    case kSsl3: return "SSLv3";
    case kTls10: return "TLSv1";
    case kTls11: return "TLS 1.1";
    case kTls12: return "TLS 1.2";
    case kTls13: return "TLS 1.3";
    case kTls13BeforeDraft16: return "TLS 1.3 draft-<16";
    default: break;
  }
  const char* form = "0x%04x";
  unsigned shown = version;
  if (IsKnownVersion(version)) {
    form = version >> 8 == 0xfb ? "TLS 1.3 draft-%u-fb" : "TLS 1.3 draft-%u";
    shown = version & 0xff;
  }
  std::snprintf(scratch->data(), scratch->size(), form, shown);
  return scratch->data();
}

uint64_t SslVersionBit(uint16_t version) {
  switch (version) {
    case kSsl2: return kBitSsl2;
    case kSsl3: return kBitSsl3;
    case kTls10: return kBitTls10;
    case kTls11: return kBitTls11;
    case kTls12: return kBitTls12;
    default: return IsTls13(version) ? uint64_t{kBitTls13} : 0;
  }
}

struct Options {
  enum class Encryption { kTrack, kBypass, kFull } encryption = Encryption::kTrack;
  enum class Fingerprint { kAuto, kYes, kNo } ja3 = Fingerprint::kAuto, ja4 = Fingerprint::kAuto;
  bool log_resumption = true;
  bool log_early = false;  // version 7 writes the record before it reads the last of the other side
};
Options options;  // set by Init, then read only

bool IsOn(View text) { return text == "yes" || text == "true" || text == "on" || text == "1"; }

Options::Fingerprint FingerprintOption(const char* key) {
  const char* value = host->option(key);
  if (value == nullptr || View(value) == "auto") return Options::Fingerprint::kAuto;
  return IsOn(value) ? Options::Fingerprint::kYes : Options::Fingerprint::kNo;
}

// One per thread, kept for their capacity: text of fingerprints, room for messages.
struct Scratch {
  std::string text, hash, pem;
  std::vector<std::string> rooms;  // empty
};
Scratch& ThreadScratch() {
  thread_local Scratch scratch;
  return scratch;
}

class Tls {
 public:
  explicit Tls(Flow flow) { Restart(flow); }

  void Restart(Flow flow) {
    tx_ = flow.Begin(TxFlags());
    reported_ = 0;
    for (Side& side : sides_) side = {};
    session_id_ = {};
    facts_ = {};
    flow.Set(tx_, kVersionText7, "UNDETERMINED");
    flow.Set(tx_, kVersionText, "UNDETERMINED");
    if (const char* from = flow.Info().from_protocol) flow.Set(tx_, kFromProtocol, from);
  }

  static int32_t Init() {
    options = {};
    const char* mode = host->option("encryption-handling");
    if (mode != nullptr && View(mode) == "full") options.encryption = Options::Encryption::kFull;
    if (mode != nullptr && View(mode) == "bypass") {
      options.encryption = Options::Encryption::kBypass;
    }
    options.ja3 = FingerprintOption("ja3-fingerprints");
    options.ja4 = FingerprintOption("ja4-fingerprints");
    const char* resumption = host->option("log-session-resumption");
    options.log_resumption = resumption == nullptr || IsOn(resumption);
    const char* compat = host->option("log-compat");
    options.log_early = compat != nullptr && View(compat) == "7";
    return 0;
  }

  // A handshake record of SSLv3 to TLS 1.3, or an SSLv2 hello.
  static int32_t Probe(const sluice_probe_input& input) {
    const View head = ToView(input.head);
    const bool client = input.direction == SLUICE_TO_SERVER;
    if (Byte(head, 0) & 0x80) return ProbeSsl2(head, client);
    if (Byte(head, 0) != kHandshake) return SLUICE_PROBE_NO;
    if (head.size() > 1 && Byte(head, 1) != 3) return SLUICE_PROBE_NO;
    if (head.size() > 2 && Byte(head, 2) > 4) return SLUICE_PROBE_NO;
    return head.size() > 2 ? SLUICE_PROBE_YES : SLUICE_PROBE_MAYBE;
  }

  ParseResult Parse(Flow flow, uint32_t direction, View in) {
    size_t pos = 0;
    while (pos < in.size() && !facts_.handed_over) {
      const View rest = in.substr(pos);
      const Step step = Skipping(direction, rest.size())  ? Skip(direction, rest.size())
                        : Byte(rest, 0) & 0xc0            ? Ssl2Record(flow, direction, rest)
                                                          : Record(flow, direction, rest);
      if (step.failed) {
        Close(flow, direction);
        return ParseError();
      }
      if (step.used == 0) return More(pos, step.needed);
      pos += step.used;
    }
    return Ok(pos);
  }

  // What is encrypted may be lost; after a loss in the handshake nothing can be told.
  bool Gap(Flow flow, uint32_t direction, uint64_t bytes) {
    Side& side = sides_[direction];
    if (side.skip >= bytes) {
      side.skip -= static_cast<uint32_t>(bytes);
      return true;
    }
    Close(flow, direction);
    return false;
  }

  void End(Flow flow, uint32_t direction, View) { Close(flow, direction); }

 private:
  struct Step {
    size_t used = 0;     // bytes done with
    size_t needed = 0;   // with used 0
    bool failed = false;
  };
  static uint32_t TxFlags() {
    const uint32_t early = options.log_early ? uint32_t{SLUICE_TX_LOG_EARLY} : 0;
    return SLUICE_TX_NO_LOG | SLUICE_TX_SESSION | early;
  }
  static Step Used(size_t bytes) { return {.used = bytes}; }
  static Step Need(size_t bytes) { return {.needed = bytes}; }
  Step Failed(Flow flow, uint32_t event) {
    Report(flow, event);
    return {.failed = true};
  }

  struct Side {
    uint16_t version = 0;  // of the hello, before it of the last record
    bool hello = false;
    bool change_cipher = false;
    bool encrypted = false;   // application data was seen
    bool certificate = false;
    bool closed = false;
    uint32_t skip = 0;        // bytes left of a record nobody reads
    uint32_t skip_message = 0;  // bytes left of a handshake message nobody reads
    uint32_t stage = 0;
    uint64_t num_ssl2 = 0, ssl2_bytes = 0;  // SSLv2 records so far
    std::string message;      // a handshake message that continues in the next record

    // Room that earlier messages have used goes from flow to flow, and stays with none.
    void BeginMessage() {
      auto& rooms = ThreadScratch().rooms;
      if (!message.empty() || rooms.empty()) return;
      message.swap(rooms.back());
      rooms.pop_back();
    }
    void ForgetMessage() {
      auto& rooms = ThreadScratch().rooms;
      message.clear();
      if (message.capacity() > kKeptMessage || rooms.size() >= kMostRooms) message = {};
      else if (message.capacity() > std::string().capacity()) rooms.push_back(std::exchange(message, {}));
    }
  };
  struct SessionId {  // RFC 8446 section 4.1.2 has 32 bytes at most; longer ones are like none
    std::array<char, 32> bytes{};
    uint8_t size = 0;
    void Set(View id) {
      size = id.size() <= bytes.size() ? static_cast<uint8_t>(id.size()) : 0;
      std::copy_n(id.data(), size, bytes.data());
    }
    View view() const { return {bytes.data(), size}; }
  };
  struct Facts {
    int32_t heartbeat_from = -1;   // direction of an unanswered heartbeat
    uint32_t heartbeat_length = 0; // of it, when encrypted
    bool ticket = false, same_session_id = false, early_data = false, offers_versions = false;
    bool tls13 = false, has_certificate = false, resumed = false, logged = false;
    bool handed_over = false;
  };

  static int32_t ProbeSsl2(View head, bool client) {
    if (head.size() < 7) return SLUICE_PROBE_MAYBE;
    const size_t length = Be16(head, 0) & 0x7fff;
    if (client) {  // type, version
      const uint32_t version = Be16(head, 3);
      const bool known = version == kSsl2 || (version >= kSsl3 && version <= kTls12);
      return Byte(head, 2) == kSsl2ClientHello && known && length >= 9 ? SLUICE_PROBE_YES
                                                                      : SLUICE_PROBE_NO;
    }
    const bool hello = Byte(head, 2) == kSsl2ServerHello && Be16(head, 5) == kSsl2 && length >= 11;
    return hello ? SLUICE_PROBE_YES : SLUICE_PROBE_NO;
  }

  bool Skipping(uint32_t direction, size_t) const { return sides_[direction].skip > 0; }
  Step Skip(uint32_t direction, size_t available) {
    Side& side = sides_[direction];
    const size_t used = std::min<size_t>(side.skip, available);
    side.skip -= static_cast<uint32_t>(used);
    return Used(used);
  }

  // ---- the transaction

  bool live() const { return !(sides_[0].stage == kLast[0] && sides_[1].stage == kLast[1]); }
  // Once a connection each: how often it is seen depends on how TCP cuts.
  void Report(Flow flow, uint32_t event) {
    static_assert(kNumEvents <= 64);
    if (reported_ >> event & 1) return;
    reported_ |= uint64_t{1} << event;
    flow.Event(live() ? tx_ : SLUICE_NO_TX, event);
  }

  void Stage(Flow flow, uint32_t direction, uint32_t stage) {
    Side& side = sides_[direction];
    if (stage <= side.stage) return;
    if (stage == kLast[direction] && sides_[1 - direction].stage == kLast[1 - direction]) {
      Conclude(flow);
    }
    side.stage = stage;
    flow.Stage(tx_, direction, stage);
  }

  // A side has ended, or cannot be followed any more.
  void Close(Flow flow, uint32_t direction) {
    if (sides_[direction].closed) return;
    sides_[direction].closed = true;
    sides_[direction].ForgetMessage();
    Stage(flow, direction, kLast[direction]);
  }

  // What can only be said once nothing more comes.
  void Conclude(Flow flow) { NoteResumption(flow); }

  bool resumption_claimed() const { return facts_.ticket || facts_.same_session_id; }

  // Without a certificate, after a ticket or with the client's own session id.
  void NoteResumption(Flow flow) {
    if (facts_.resumed || !live() || !resumption_claimed() || !sides_[1].hello) return;
    if (sides_[1].certificate || facts_.tls13) return;
    facts_.resumed = true;
    flow.SetUint(tx_, kSessionResumed, 1);
  }

  // Sessions are logged that have a certificate, hide it, or do without one.
  void MayLog(Flow flow) {
    const bool resumed = resumption_claimed() && options.log_resumption;
    if (facts_.logged || !(facts_.has_certificate || facts_.tls13 || resumed)) return;
    facts_.logged = true;
    flow.Log(tx_);
  }

  void SetVersion(Flow flow, uint32_t direction, uint16_t version) {
    Side& side = sides_[direction];
    if (side.version == version) return;
    side.version = version;
    if (!live()) return;
    std::array<char, 24> scratch;
    const char* text = VersionText(version, &scratch);
    if (direction == SLUICE_TO_CLIENT) flow.Set(tx_, kVersionText7, text);
    if (direction == SLUICE_TO_CLIENT || sides_[1].version == 0) flow.Set(tx_, kVersionText, text);
  }

  void SetVersionFields(Flow flow, uint32_t direction, uint16_t version) {
    if (const uint64_t bit = SslVersionBit(version)) {
      flow.SetUint(tx_, kClientSslVersion + direction, bit);
    }
    flow.SetUint(tx_, kClientTlsVersion + direction,
                 IsTls13(version) ? static_cast<uint64_t>(kTls13) : version);
  }

  void SetState(Flow flow, StateBit bit) {
    flow.SetUint(tx_, kClientState, bit);
    flow.SetUint(tx_, kServerState, bit);
  }

  // ---- SSLv2 records (the SSL 2.0 draft, section 1.1)

  Step Ssl2Record(Flow flow, uint32_t direction, View in) {
    const size_t header = Byte(in, 0) & 0x80 ? 2 : 3;
    if (in.size() < header + 1) return Need(header + 1);
    const size_t length = Be16(in, 0) & (header == 2 ? 0x7fff : 0x3fff);
    if (length == 0) return Failed(flow, kInvalidSsl2Header);
    if (in.size() < header + length) return Need(header + length);
    if (TooMany(direction, header + length)) return Failed(flow, kTooManyRecords);
    const View body = in.substr(header + 1, length - 1);
    const uint32_t type = Byte(in, header);
    if (!sides_[direction].hello) SetVersion(flow, direction, kSsl2);
    if (type == kSsl2Error) Report(flow, kErrorMessage);
    if (type == kSsl2ClientHello && direction == SLUICE_TO_SERVER) {
      if (body.size() < 6) return Failed(flow, kInvalidSslRecord);
      Ssl2Hello(flow, direction, static_cast<uint16_t>(Be16(body, 0)));
    } else if (type == kSsl2ServerHello && direction == SLUICE_TO_CLIENT) {
      Ssl2Hello(flow, direction, kSsl2);
    } else if (sides_[0].hello && sides_[1].hello) {
      HandOver(flow);  // master key and all that follows are encrypted
    }
    return Used(header + length);
  }

  // Records that hold next to nothing cost more than they can say.  Those of SSLv3 and later
  // cannot be as small.
  bool TooMany(uint32_t direction, size_t bytes) {
    Side& side = sides_[direction];
    ++side.num_ssl2;
    side.ssl2_bytes += bytes;
    return side.num_ssl2 > 1 && side.ssl2_bytes < kMinRecord * side.num_ssl2;
  }

  void Ssl2Hello(Flow flow, uint32_t direction, uint16_t version) {
    Side& side = sides_[direction];
    if (side.hello || !live()) return;
    SetVersion(flow, direction, version);
    side.hello = true;
    SetVersionFields(flow, direction, version);
    SetState(flow, direction == SLUICE_TO_SERVER ? kClientHelloBit : kServerHelloBit);
    Stage(flow, direction, 1);
  }

  // ---- records (RFC 8446 section 5.1)

  Step Record(Flow flow, uint32_t direction, View in) {
    Side& side = sides_[direction];
    if (in.size() < kHeader) return Need(kHeader);
    const uint32_t type = Byte(in, 0);
    const size_t length = Be16(in, 3);
    if (type < kChangeCipherSpec || type > kHeartbeatRecord) {
      // Wireshark and Suricata bear with it in these versions; where the next record begins
      // must not depend on how TCP cuts.
      if (side.version != kTls10 && side.version != kTls11) return Failed(flow, kInvalidRecordType);
      Report(flow, kInvalidRecordType);
      if (length == 0 || length > kMaxRecord) return Failed(flow, kInvalidRecordLength);
      side.skip = static_cast<uint32_t>(length);
      return Used(kHeader);
    }
    if (!side.hello) {
      SetVersion(flow, direction, static_cast<uint16_t>(Be16(in, 1)));
    } else if (Byte(in, 1) != 3) {  // RFC 8446 section 5.1: ignored by a receiver, sent by nobody
      Report(flow, kInvalidTlsHeader);
    }
    if (length == 0 || length > kMaxRecord) return Failed(flow, kInvalidRecordLength);
    if (!IsKnownVersion(side.version)) return Failed(flow, kInvalidRecordVersion);
    if (type == kApplicationData) {
      side.skip = static_cast<uint32_t>(length);
      if (live() && flow.Wanted(kHeaderFrame)) flow.Set(tx_, kHeaderFrame, in.substr(0, kHeader));
      Encrypted(flow, direction);
      return Used(kHeader);
    }
    if (in.size() < kHeader + length) return Need(kHeader + length);
    const View body = in.substr(kHeader, length);
    if (live()) Frames(flow, type, in.substr(0, kHeader), body);
    bool good = true;
    if (type == kChangeCipherSpec) ChangeCipher(flow, direction);
    if (type == kAlertRecord) good = Alert(flow, body);
    if (type == kHandshake) Handshake(flow, direction, body);
    if (type == kHeartbeatRecord) good = Heartbeat(flow, direction, body);
    return good ? Used(kHeader + length) : Step{.failed = true};
  }

  // The stretches that rules may look at.
  void Frames(Flow flow, uint32_t type, View header, View body) {
    const auto set = [&](uint32_t field, View bytes) {
      if (flow.Wanted(field)) flow.Set(tx_, field, bytes);
    };
    set(kRecordFrame, {header.data(), header.size() + body.size()});
    set(kHeaderFrame, header);
    set(kDataFrame, body);
    if (type == kAlertRecord) set(kAlertFrame, body);
    if (type == kHeartbeatRecord) set(kHeartbeatFrame, body);
  }

  void ChangeCipher(Flow flow, uint32_t direction) {
    sides_[direction].change_cipher = true;
    if (facts_.tls13) return;  // for middleboxes only: RFC 8446 appendix D.4
    if (direction == SLUICE_TO_CLIENT) NoteResumption(flow);
    Stage(flow, direction, kLast[direction] - 1);
  }

  // The first application data: RFC 8446 section 2.3 has it before the handshake, too.
  void Encrypted(Flow flow, uint32_t direction) {
    if (facts_.early_data && !sides_[1].hello) return;
    sides_[direction].encrypted = true;
    Stage(flow, direction, kLast[direction]);
    if (sides_[1].hello || sides_[1 - direction].encrypted) HandOver(flow);
  }

  void HandOver(Flow flow) {
    if (options.encryption == Options::Encryption::kFull || facts_.handed_over) return;
    if (live()) Conclude(flow);
    facts_.handed_over = true;
    flow.Encrypted();
    if (options.encryption == Options::Encryption::kBypass) {
      flow.Budget(SLUICE_TO_SERVER, SLUICE_BUDGET_NONE);
      flow.Budget(SLUICE_TO_CLIENT, SLUICE_BUDGET_NONE);
    }
    flow.Handover(nullptr);
  }

  // RFC 8446 section 6; more than two bytes are encrypted.
  bool Alert(Flow flow, View body) {
    if (body.size() < 2) {
      Report(flow, kInvalidAlert);
      return false;
    }
    if (body.size() > 2) return true;
    if (live()) flow.SetUint(tx_, kAlert, Byte(body, 1));
    if (Byte(body, 0) == 2) {
      Stage(flow, SLUICE_TO_SERVER, kLast[0]);
      Stage(flow, SLUICE_TO_CLIENT, kLast[1]);
    }
    return true;
  }

  // RFC 6520; what CVE-2014-0160 did with it.
  bool Heartbeat(Flow flow, uint32_t direction, View body) {
    Report(flow, kHeartbeat);
    if (body.size() < 3) return true;
    const bool encrypted = change_cipher();
    const uint32_t type = Byte(body, 0);
    if (!encrypted && type != 1 && type != 2) return BadHeartbeat(flow, kInvalidHeartbeat);
    if (facts_.heartbeat_from == static_cast<int32_t>(direction)) {
      return BadHeartbeat(flow, kInvalidHeartbeat);  // a second one before the answer
    }
    if (facts_.heartbeat_from >= 0) {
      const bool leak = encrypted && facts_.heartbeat_length > 0 && facts_.heartbeat_length < body.size();
      facts_.heartbeat_from = -1;
      facts_.heartbeat_length = 0;
      return !leak || BadHeartbeat(flow, kDataleakHeartbeat);
    }
    facts_.heartbeat_from = static_cast<int32_t>(direction);
    if (encrypted) {
      facts_.heartbeat_length = static_cast<uint32_t>(body.size());
      return true;
    }
    const size_t payload = Be16(body, 1);
    if (payload + 3 > body.size()) return BadHeartbeat(flow, kOverflowHeartbeat);
    if (body.size() - payload - 3 < 16) return BadHeartbeat(flow, kInvalidHeartbeat);
    return true;
  }
  bool BadHeartbeat(Flow flow, uint32_t event) {
    Report(flow, event);
    return false;
  }

  // ---- handshake messages (RFC 8446 section 4); one may span records

  bool change_cipher() const { return sides_[0].change_cipher || sides_[1].change_cipher; }

  void Handshake(Flow flow, uint32_t direction, View in) {
    // After ChangeCipherSpec they are encrypted; but a TLS 1.3 client may send it first.
    const bool early = sides_[0].hello && IsTls13(sides_[0].version) && !sides_[1].hello;
    if ((change_cipher() && !early) || !live()) return;
    Side& side = sides_[direction];
    while (!in.empty()) {
      if (side.skip_message > 0) {
        const size_t skipped = std::min<size_t>(side.skip_message, in.size());
        side.skip_message -= static_cast<uint32_t>(skipped);
        in.remove_prefix(skipped);
      } else if (side.message.empty() && in.size() >= 4 && in.size() - 4 >= Be24(in, 1)) {
        const View body = in.substr(4, Be24(in, 1));
        Message(flow, direction, Byte(in, 0), body);
        in.remove_prefix(4 + body.size());
      } else {
        Continue(flow, direction, &in);
      }
    }
  }

  // Moves bytes of `in` to a message that has begun, and reads it once it is whole.
  void Continue(Flow flow, uint32_t direction, View* in) {
    Side& side = sides_[direction];
    side.BeginMessage();
    std::string& message = side.message;
    const size_t whole = message.size() < 4 ? 4 : 4 + Be24(message, 1);
    const size_t taken = std::min(whole - message.size(), in->size());
    message.append(in->substr(0, taken));
    in->remove_prefix(taken);
    if (message.size() < 4) return;
    const uint32_t type = Byte(message, 0);
    const size_t length = Be24(message, 1);
    if (!IsMessage(type)) {  // its length is as good as its type: the next record starts anew
      Unknown(flow, direction);
      in->remove_prefix(std::min(length, in->size()));
      side.ForgetMessage();
      return;
    }
    if (length > kMaxMessage) {
      Report(flow, kHandshakeInvalidLength);
      side.skip_message = static_cast<uint32_t>(length);
      side.ForgetMessage();
      return;
    }
    if (message.size() < 4 + length) return;
    Message(flow, direction, type, View(message).substr(4));
    side.ForgetMessage();
  }

  void Unknown(Flow flow, uint32_t direction) {
    if (!sides_[direction].change_cipher) Report(flow, kInvalidHandshakeMessage);
  }

  void Message(Flow flow, uint32_t direction, uint32_t type, View body) {
    if (!IsMessage(type)) Unknown(flow, direction);
    const bool from_client = direction == SLUICE_TO_SERVER;
    switch (type) {
      case kClientHello:
        if (from_client && !sides_[0].hello) ClientHelloMessage(flow, body);
        break;
      case kServerHello:
        if (!from_client && !sides_[1].hello) ServerHelloMessage(flow, body);
        break;
      case kCertificateMessage: Certificates(flow, direction, body); break;
      case kServerKeyExchange: SetState(flow, kServerKeyBit); break;
      case kClientKeyExchange: SetState(flow, kClientKeyBit); break;
      case kServerHelloDoneMessage:
        if (!from_client) Stage(flow, direction, kServerHelloDone);
        break;
      default: break;
    }
  }

  void ReportProblems(Flow flow, const Hello& hello) {
    if (hello.problems & kManySni) Report(flow, kManySniExtensions);
    if (hello.problems & kSniType) Report(flow, kInvalidSniType);
    if (hello.problems & kSniLength) Report(flow, kInvalidSniLength);
    if (hello.problems & kBadLength) Report(flow, kHandshakeInvalidLength);
  }

  void SetRandom(Flow flow, const Hello& hello) {
    if (hello.random.empty()) return;
    flow.Set(tx_, kRandom, hello.random);
    flow.Set(tx_, kRandomTime, hello.random.substr(0, 4));
    flow.Set(tx_, kRandomBytes, hello.random.substr(4));
  }

  void SetHandshakeVersion(Flow flow, uint32_t field, uint16_t version) {
    if (!flow.Wanted(field)) return;
    std::array<char, 24> scratch;
    flow.Set(tx_, field, VersionText(version, &scratch));
  }

  void SetNumbers(Flow flow, uint32_t field, View list) {
    if (!flow.Wanted(field)) return;
    ForEach16(list, [&](uint32_t v) {
      if (!IsGrease(v)) flow.SetUint(tx_, field, v);
    });
  }
  void SetExtensions(Flow flow, uint32_t field, const Hello& hello) {
    if (!flow.Wanted(field)) return;
    ForEachExtension(hello.extensions, [&](uint32_t v) {
      if (!IsGrease(v)) flow.SetUint(tx_, field, v);
    });
  }

  static bool Computed(Flow flow, Options::Fingerprint option, uint32_t field, uint32_t also) {
    using enum Options::Fingerprint;
    return option == kYes || (option == kAuto && (flow.Wanted(field) || flow.Wanted(also)));
  }

  void ClientHelloMessage(Flow flow, View body) {
    const Hello hello = ParseClientHello(body);
    ReportProblems(flow, hello);
    const uint16_t version = hello.effective_version();
    SetVersion(flow, SLUICE_TO_SERVER, version);
    sides_[0].hello = true;
    facts_.ticket = hello.ticket;
    facts_.early_data = hello.early_data;
    facts_.offers_versions = hello.supported != 0;
    session_id_.Set(hello.session_id);
    SetVersionFields(flow, SLUICE_TO_SERVER, version);
    SetState(flow, kClientHelloBit);
    SetRandom(flow, hello);
    if (!hello.sni.empty()) flow.Set(tx_, kSni, hello.sni);
    ForEachAlpn(hello.alpn, [&](View name) { flow.Set(tx_, kClientAlpn, name); });
    if (hello.encrypted_hello) flow.SetUint(tx_, kEncryptedHello, 1);
    ClientFingerprints(flow, hello);
    SetHandshakeVersion(flow, kHelloVersion, version);
    SetNumbers(flow, kHelloCiphers, hello.ciphers);
    SetExtensions(flow, kHelloExtensions, hello);
    SetNumbers(flow, kHelloSignatures, hello.signature_algorithms);
    MayLog(flow);
    Stage(flow, SLUICE_TO_SERVER, kClientHelloDone);
  }

  void ClientFingerprints(Flow flow, const Hello& hello) {
    if (hello.ciphers.data() == nullptr) return;  // cut before there
    Scratch& scratch = ThreadScratch();
    if (Computed(flow, options.ja3, kJa3Hash, kJa3String)) {
      Ja3Text(hello, &scratch.text);
      Md5Hex(scratch.text, &scratch.hash);
      flow.Set(tx_, kJa3Hash, scratch.hash);
      flow.Set(tx_, kJa3String, scratch.text);
    }
    if (Computed(flow, options.ja4, kJa4, kJa4)) {
      Ja4Text(hello, &scratch.text);
      flow.Set(tx_, kJa4, scratch.text);
    }
  }

  void ServerHelloMessage(Flow flow, View body) {
    const Hello hello = ParseServerHello(body);
    ReportProblems(flow, hello);
    const uint16_t version = hello.effective_version();
    SetVersion(flow, SLUICE_TO_CLIENT, version);
    sides_[1].hello = true;
    const bool by_field = hello.version == kTls13 || hello.version >> 8 == 0x7f;
    facts_.tls13 = by_field || (facts_.offers_versions && hello.supported > kTls12);
    facts_.same_session_id = session_id_.size > 0 && hello.session_id == session_id_.view();
    SetVersionFields(flow, SLUICE_TO_CLIENT, version);
    SetState(flow, kServerHelloBit);
    SetRandom(flow, hello);
    ForEachAlpn(hello.alpn, [&](View name) { flow.Set(tx_, kServerAlpn, name); });
    Scratch& scratch = ThreadScratch();
    if (hello.ciphers.data() != nullptr && Computed(flow, options.ja3, kJa3sHash, kJa3sString)) {
      Ja3sText(hello, &scratch.text);
      Md5Hex(scratch.text, &scratch.hash);
      flow.Set(tx_, kJa3sHash, scratch.hash);
      flow.Set(tx_, kJa3sString, scratch.text);
    }
    SetHandshakeVersion(flow, kChoiceVersion, version);
    SetNumbers(flow, kChoiceCipher, hello.ciphers);
    SetExtensions(flow, kChoiceExtensions, hello);
    MayLog(flow);
    Stage(flow, SLUICE_TO_CLIENT, kServerHelloSeen);
  }

  // ---- certificates (RFC 5246 section 7.4.2); those of TLS 1.3 are never in the clear

  void Certificates(Flow flow, uint32_t direction, View list) {
    Side& side = sides_[direction];
    if (side.certificate) return;  // a renegotiation's
    if (list.size() < 3 || Be24(list, 0) > list.size() - 3) return Report(flow, kInvalidCertificate);
    list = list.substr(3, Be24(list, 0));
    const uint32_t base = direction == SLUICE_TO_CLIENT ? 0 : kToClientCertificate;
    uint32_t count = 0;
    while (!list.empty()) {
      if (list.size() < 3 || Be24(list, 0) > list.size() - 3) return Report(flow, kInvalidCertificate);
      const View der = list.substr(3, Be24(list, 0));
      list.remove_prefix(3 + der.size());
      // As in Suricata: the first that can be read stands for the session.
      if (!side.certificate && !Leaf(flow, base, der)) continue;
      side.certificate = true;
      if (++count > kMaxCertificates) continue;
      flow.Set(tx_, base + kChain, der);
      if (!flow.Wanted(base + kPem)) continue;
      std::string& pem = ThreadScratch().pem;
      ToPem(der, &pem);
      flow.Set(tx_, base + kPem, pem);
    }
    if (count == 0) return;  // a client without one says so
    flow.SetUint(tx_, base + kChainLength, count);
    if (direction == SLUICE_TO_CLIENT) facts_.has_certificate = true;
    MayLog(flow);
    Stage(flow, direction,
          direction == SLUICE_TO_CLIENT ? uint32_t{kServerCertDone} : uint32_t{kClientCertDone});
  }

  bool Leaf(Flow flow, uint32_t base, View der) {
    thread_local CertificateCache cache;
    uint32_t faults = 0;
    const CertificateCache::Entry* known = cache.Find(der, &faults);
    if (known == nullptr) {
      for (uint32_t i = 0; i < kNumCertificateFaults; ++i) {
        if (faults >> i & 1) Report(flow, kInvalidCertificate + i);
      }
      return false;
    }
    const Certificate& certificate = known->certificate;
    flow.Set(tx_, base + kSubject, certificate.subject);  // "": one without parts, as Suricata has it
    flow.Set(tx_, base + kIssuer, certificate.issuer);
    flow.Set(tx_, base + kSerial, certificate.serial);
    flow.Set(tx_, base + kFingerprint, known->fingerprint);
    for (const std::string& name : certificate.names) flow.Set(tx_, base + kNames, name);
    if (certificate.names.size() >= kMaxCertificateNames) Report(flow, kManyNames);
    const auto now = static_cast<int64_t>(flow.Now() / 1'000'000'000);
    const bool expired = certificate.not_after < now;
    flow.SetInt(tx_, base + kNotBefore, certificate.not_before);
    flow.SetInt(tx_, base + kNotAfter, certificate.not_after);
    flow.SetUint(tx_, base + kExpired, expired);
    flow.SetUint(tx_, base + kValid, !expired && certificate.not_before <= now);
    flow.Set(tx_, base + kCertificate, der);
    return true;
  }

  uint64_t reported_ = 0;  // bit per Event
  uint64_t tx_ = SLUICE_NO_TX;
  Side sides_[2];  // by direction
  SessionId session_id_;  // the client's
  Facts facts_;
};

}  // namespace
}  // namespace sluice::tls

extern "C" SLUICE_EXPORT constexpr sluice_plugin sluice_plugin_v1 =
    sluice::MakePlugin<sluice::tls::Tls>("tls", "TLS and SSL: handshakes and certificates")
        .Version("1.0").Ports("tcp/443 tcp/465 tcp/853 tcp/993 tcp/995 tcp/8443").Aliases("ssl").LogSource(SLUICE_LOG_UPPER_EVENTS)
        .Fields(sluice::tls::kFields).Forms(sluice::tls::kForms).Events(sluice::tls::kEvents)
        .Stages(sluice::tls::kClientStages, sluice::tls::kServerStages);
