// SPDX-License-Identifier: Apache-2.0
// plugins/dns/dns.cc - DNS over UDP and TCP (RFC 1035, RFC 6891): which bytes are messages,
// and what each of them is to its flow.
//
// Each message is a transaction of its own, in one direction: a query to_server, an answer
// to_client.  Memory: one small object per flow; bytes are kept by the engine.
#include <sluice/plugin.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <utility>

#include "emit.h"
#include "fields.h"
#include "message.h"

namespace sluice::dns {
namespace {

constexpr unsigned kFlood = 500;  // queries of a flow without an answer
constexpr uint16_t kMulticast[] = {5353, 5355};  // mDNS (RFC 6762), LLMNR (RFC 4795)
constexpr size_t kLengthSize = 2;                // before a message over TCP, RFC 1035 section 4.2.2

// A set of ports, as the user wrote it: "53 5353", "[53, 5353]", "any".
class Ports {
 public:
  void Parse(View text) {
    any_ = text == "any";
    num_ = 0;
    for (size_t at = text.find_first_of(kDigits); at != View::npos; at = text.find_first_of(kDigits, at)) {
      const size_t end = std::min(text.find_first_not_of(kDigits, at), text.size());
      uint16_t port = 0;
      const bool good = std::from_chars(text.data() + at, text.data() + end, port).ec == std::errc();
      if (good && num_ < ports_.size()) ports_[num_++] = port;
      at = end;
    }
  }
  bool Has(uint16_t port) const {
    return std::find(ports_.begin(), ports_.begin() + num_, port) != ports_.begin() + num_;
  }
  bool any() const { return any_; }

 private:
  static constexpr const char* kDigits = "0123456789";
  std::array<uint16_t, 16> ports_{};
  size_t num_ = 0;
  bool any_ = false;
};

// Set by Init(), then constant.  By transport: 0 TCP, 1 UDP.
struct Settings {
  Ports server[2];  // of the responder
  Ports client[2];  // of the initiator: answers whose query was not seen
  bool multicast = false;
} settings;

bool IsMulticast(uint16_t client_port, uint16_t server_port) {
  return std::ranges::any_of(kMulticast, [&](uint16_t p) { return p == client_port || p == server_port; });
}

bool IsKnownType(uint16_t type) {
  return std::ranges::any_of(kTypes, [&](const auto& t) { return t.name != nullptr && t.value == type; });
}

// Whether the bytes hold together as a message, and use nothing that is not in use: what
// is asked of them on a port that is not known for DNS.
bool IsStrict(View message, const Header& header, const Shape& shape) {
  const unsigned questions = header.count[kQuestions], opcode = header.opcode();
  if (questions == 0 || questions > 16 || header.z() || opcode == 3 || opcode > 6) return false;
  if (!header.response() && header.rcode() != 0) return false;
  if (!shape.read[kAdditionals] || shape.oddities != 0) return false;
  NameReader names(message);
  size_t at = kHeaderSize;
  for (unsigned i = 0; i < questions; ++i) {
    uint16_t type;
    if (!ReadQuestion(&names, &at, nullptr, &type)) return false;
    const uint16_t cls = Be16(message, at - 2) & 0x7fff;  // mDNS uses the first bit
    if (!IsKnownType(type) || (cls != 1 && cls != 3 && cls != 4 && cls != 255)) return false;
  }
  return true;
}

// Whether a datagram, or the message behind a length over TCP, is one.
bool IsMessage(View message, bool strict) {
  Header header;
  if (!ReadHeader(message, &header) || !IsPlausible(header, message.size())) return false;
  const Shape shape = Walk(message, header);
  return shape.holds && (!strict || IsStrict(message, header, shape));
}

// The same of bytes that begin with the length; of a part of a message its header decides.
int32_t ProbeStream(View head, bool strict) {
  if (head.size() < kLengthSize + kHeaderSize) return SLUICE_PROBE_MAYBE;
  const size_t size = Be16(head, 0);
  const View message = head.substr(kLengthSize, size);
  if (message.size() == size) return IsMessage(message, strict) ? SLUICE_PROBE_YES : SLUICE_PROBE_NO;
  Header header;
  if (size < kHeaderSize || !ReadHeader(message, &header) || !IsPlausible(header, size)) return SLUICE_PROBE_NO;
  return strict ? SLUICE_PROBE_MAYBE : SLUICE_PROBE_YES;
}

// Queries that wait for their answers: the last ones by id, all by number.
class Waiting {
 public:
  // True when it became one too many.
  bool Ask(uint16_t id) {
    ids_[next_++ % ids_.size()] = id;
    known_ = std::min<size_t>(known_ + 1, ids_.size());
    return ++asked_ == kFlood;
  }
  // Whether a query of this id may have been asked.
  bool Answer(uint16_t id) {
    if (asked_ == 0) return false;
    const auto end = ids_.begin() + static_cast<ptrdiff_t>(known_);
    const bool found = std::find(ids_.begin(), end, id) != end;
    if (!found && asked_ <= known_) return false;
    --asked_;
    return true;
  }

 private:
  std::array<uint16_t, 16> ids_{};
  size_t next_ = 0, known_ = 0;
  uint32_t asked_ = 0;
};

class Dns {
 public:
  explicit Dns(Flow flow) { Restart(flow); }

  void Restart(Flow flow) {
    waiting_ = {};
    begun_ = server_initiated_ = gap_[0] = gap_[1] = false;
    const sluice_flow_info info = flow.Info();
    tcp_ = info.transport == SLUICE_TCP;
    multicast_ = IsMulticast(info.port[0], info.port[1]);
  }

  // Own names first; then those of Suricata's app-layer.protocols.dns.
  static int32_t Init() {
    for (const int udp : {0, 1}) {
      const std::string transport = udp ? "udp." : "tcp.";
      const auto set = [&](Ports* ports, View standard, const char* name, const std::string& suricata) {
        ports->Parse(standard);
        for (const std::string& key : {transport + suricata, suricata, std::string(name)}) {
          if (const char* value = host->option(key.c_str())) ports->Parse(value);
        }
      };
      set(&settings.server[udp], "53", "ports", "detection-ports.dp");
      set(&settings.client[udp], "", "source-ports", "detection-ports.sp");
    }
    const char* option = host->option("mdns");
    settings.multicast = option != nullptr && (View(option) == "true" || View(option) == "yes");
    return 0;
  }

  static int32_t Probe(const sluice_probe_input& input) {
    const View head = ToView(input.head);
    const int udp = input.transport == SLUICE_UDP;
    const Ports &server = settings.server[udp], &client = settings.client[udp];
    const bool known = server.Has(input.port[1]) || client.Has(input.port[0]);
    const bool multicast = IsMulticast(input.port[0], input.port[1]);
    if (!known && (multicast ? !settings.multicast : !server.any())) return SLUICE_PROBE_NO;
    const bool strict = !known && !multicast;
    if (!udp) return ProbeStream(head, strict);
    return IsMessage(head, strict) ? SLUICE_PROBE_YES : SLUICE_PROBE_NO;
  }

  ParseResult Parse(Flow flow, uint32_t direction, View in) {
    if (!tcp_) {
      Message(flow, direction, in);  // of a bad datagram the next may still be good
      return Ok(in.size());
    }
    if (gap_[direction]) {
      if (ProbeStream(in, false) == SLUICE_PROBE_NO) return Ok(in.size());
      gap_[direction] = false;
    }
    size_t used = 0;
    while (in.size() - used >= kLengthSize) {
      const size_t size = Be16(in, used);
      if (in.size() - used - kLengthSize < size) return More(used, kLengthSize + size);
      if (size > 0 && !Message(flow, direction, in.substr(used + kLengthSize, size))) return ParseError();
      used += kLengthSize + size;
    }
    return used == in.size() ? Ok(used) : More(used, kLengthSize);
  }

  // Messages begin again where one is to be seen.
  bool Gap(Flow, uint32_t direction, uint64_t) {
    return gap_[direction] = true;
  }

 private:
  // False: these bytes are no message, and where the next begins is not known.
  bool Message(Flow flow, uint32_t direction, View message) {
    Header header;
    if (!ReadHeader(message, &header) || !IsPlausible(header, message.size())) return false;
    const Shape shape = Walk(message, header);
    if (!shape.holds) {
      flow.Event(SLUICE_NO_TX, kMalformed);
      return false;
    }
    const bool from_server = FromServer(direction, header);
    const bool response = multicast_ ? header.response() : from_server;
    if (!response && header.response()) {
      flow.Event(SLUICE_NO_TX, kNotRequest);
      return false;
    }
    // Without a question, as in a zone's later messages, Suricata writes no record.
    const uint32_t log = header.count[kQuestions] == 0 ? uint32_t{SLUICE_TX_NO_LOG} : 0;
    const uint64_t tx = flow.Begin(log | (direction == SLUICE_TO_SERVER ? SLUICE_TX_TO_SERVER : SLUICE_TX_TO_CLIENT));
    Oddities(flow, tx, header, shape, response);
    thread_local Scratch scratch;  // capacity is kept
    Emitter emitter(flow, tx, message, header, shape, response, &scratch);
    emitter.Rules();
    if (log == 0) emitter.Log();
    flow.Stage(tx, direction, 0);
    return true;
  }

  // The flow's first message tells who is the server: its initiator, if that answered.
  bool FromServer(uint32_t direction, const Header& header) {
    if (!std::exchange(begun_, true)) server_initiated_ = direction == SLUICE_TO_SERVER && header.response();
    return (direction == SLUICE_TO_CLIENT) != server_initiated_;
  }

  void Oddities(Flow flow, uint64_t tx, const Header& header, const Shape& shape, bool response) {
    const std::pair<Event, bool> found[] = {
        {kInvalidAuthorities, !shape.read[kAuthorities]},
        {kInvalidAdditionals, shape.read[kAuthorities] && !shape.read[kAdditionals]},
        {kNotResponse, response && !header.response()},
        {kZFlag, header.z()},
        {kInvalidOpcode, header.opcode() >= 7},
        {kNameTooLong, (shape.oddities & kTooLong) != 0},
        {kInfiniteLoop, (shape.oddities & kLoop) != 0},
        {kLabelLimit, (shape.oddities & kTooManyLabels) != 0},
        {kFlooded, !response && waiting_.Ask(header.id)},
    };
    for (const auto& [event, is] : found) {
      if (is) flow.Event(tx, event);
    }
    if (response) flow.SetUint(tx, kUnsolicited, !waiting_.Answer(header.id));
  }

  Waiting waiting_;
  bool tcp_ = false, multicast_ = false;
  bool begun_ = false, server_initiated_ = false;
  bool gap_[2] = {false, false};
};

constexpr const char* kStages[] = {"message"};

}  // namespace
}  // namespace sluice::dns

extern "C" SLUICE_EXPORT constexpr sluice_plugin sluice_plugin_v1 =
    sluice::MakePlugin<sluice::dns::Dns>("dns", "Domain Name System over UDP and TCP")
        .Version("1.0").Transports(SLUICE_TCP | SLUICE_UDP).LogSource(SLUICE_LOG_SENDER_V8)
        .Ports("udp/53 tcp/53").Fields(sluice::dns::kFields).Events(sluice::dns::kEvents)
        .Forms(sluice::dns::kForms).Stages(sluice::dns::kStages);
