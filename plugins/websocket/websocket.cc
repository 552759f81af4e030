// SPDX-License-Identifier: Apache-2.0
// plugins/websocket/websocket.cc - the WebSocket dissector (RFC 6455 §5), behind an upgrade
// that http has seen.  One transaction per frame, of one direction.
//
// Threads: confined to the flow's worker.  Memory: per direction a frame and a message in
// parts, kMaxPayload each; the rest is skipped and reported.
// Bad input: any bytes are frames; an event where one cannot be.
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>

#include <sluice/plugin.hpp>


namespace {

using sluice::Flow;
using sluice::View;

constexpr size_t kMaxPayload = 65535;  // bytes kept of a frame, and of a message in parts

enum Field : uint32_t { kFlags, kFin, kMask, kOpcode, kPayload, kPayloadPrintable, kPayloadBase64, kNumFields };
enum Event : uint32_t { kSkipEnd, kReassemblyLimit, kReservedOpcode, kLongControl };
enum Stage : uint32_t { kStarted, kComplete };
enum Opcode : uint8_t { kContinuation = 0, kFirstControl = 8, kLastControl = 10 };

constexpr uint32_t kBoth = SLUICE_DIR_BOTH;
constexpr sluice_enum_name kFlagNames[] = {{0x80, "fin"}, {0x40, "comp"}, {0x20, "rsv2"}, {0x10, "rsv3"}, {0, nullptr}};
constexpr sluice_enum_name kOpcodeNames[] = {{0, "continuation"}, {1, "text"}, {2, "binary"}, {8, "connection_close"},
                                             {9, "ping"},         {10, "pong"}, {0, nullptr}};
constexpr sluice_field kFields[] = {
    {"websocket.flags", nullptr, nullptr, nullptr, "fin, comp (compressed), rsv2, rsv3", SLUICE_ENUM, SLUICE_BITS, kBoth,
     kComplete, kFlagNames, nullptr},
    {nullptr, nullptr, nullptr, "fin", "last frame of its message", SLUICE_BOOL, SLUICE_LOG_FALSE, kBoth, kComplete,
     nullptr, nullptr},
    {"websocket.mask", nullptr, nullptr, "mask", "the client's masking key", SLUICE_UINT, 0, kBoth, kComplete, nullptr,
     nullptr},
    {"websocket.opcode", nullptr, nullptr, "opcode", "kind of the frame", SLUICE_ENUM, SLUICE_DIMENSION, kBoth, kComplete,
     kOpcodeNames, nullptr},
    {"websocket.payload", nullptr, nullptr, nullptr, "payload, unmasked; with the last part of a message all of it",
     SLUICE_BYTES, 0, kBoth, kComplete, nullptr, nullptr},
    {nullptr, nullptr, nullptr, "payload_printable", "payload as text", SLUICE_BYTES, SLUICE_OPTIONAL, kBoth, kComplete,
     nullptr, nullptr},
    {nullptr, nullptr, nullptr, "payload_base64", "payload", SLUICE_BYTES, SLUICE_OPTIONAL | SLUICE_BASE64, kBoth, kComplete,
     nullptr, nullptr},
};
static_assert(std::size(kFields) == kNumFields);

constexpr sluice_event kEvents[] = {
    {"skip_end_of_payload", "a payload longer than is looked at"},
    {"reassembly_limit_reached", "a message in parts longer than is looked at"},
    {"reserved_opcode", "a frame of a kind that is not defined"},
    {"long_control_frame", "a control frame of more than 125 bytes or in parts"},
};
constexpr const char* kStages[] = {"started", "complete"};

class Connection {
 public:
  explicit Connection(Flow) {}
  // Its first bytes could be anything: the protocol that it began as hands over.
  static int32_t Probe(const sluice_probe_input&) { return SLUICE_PROBE_NO; }

  sluice::ParseResult Parse(Flow flow, uint32_t d, View in) {
    size_t used = 0;
    while (used < in.size()) {
      Side& side = side_[d];
      if (side.within) {
        used += Payload(flow, d, in.substr(used));
        continue;
      }
      const size_t need = HeaderLength(in.substr(used));
      if (need > in.size() - used) return sluice::More(used, need);
      Header(flow, d, in.substr(used, need));
      used += need;
    }
    return sluice::Ok(used);
  }

  // Within a payload the place of the next frame is known.
  bool Gap(Flow flow, uint32_t d, uint64_t bytes) {
    Side& side = side_[d];
    if (!side.within || bytes > side.left) return false;
    side.lost = true;
    side.at += bytes;
    side.left -= bytes;
    if (side.left == 0) EndOfFrame(flow, d);
    return true;
  }

 private:
  struct Side {
    bool within = false;       // a frame's payload
    bool lost = false;         // some of it: the rest is not looked at
    uint8_t first = 0;         // byte of the header: flags and opcode
    bool masked = false;
    uint8_t key[4] = {};
    uint64_t left = 0, at = 0;  // bytes of the payload to come, and done with
    uint64_t tx = SLUICE_NO_TX;
    std::string frame, message;
    bool message_lost = false;
    uint8_t opcode() const { return first & 0x0f; }
    bool fin() const { return first & 0x80; }
    bool control() const { return opcode() >= kFirstControl; }
  };

  static size_t HeaderLength(View in) {
    if (in.size() < 2) return 2;
    const uint8_t second = static_cast<uint8_t>(in[1]), length = second & 0x7f;
    return 2 + (length == 126 ? 2u : length == 127 ? 8u : 0u) + (second & 0x80 ? 4u : 0u);
  }

  void Header(Flow flow, uint32_t d, View in) {
    Side& side = side_[d];
    const auto byte = [&in](size_t i) { return static_cast<uint8_t>(in[i]); };
    side.within = true;
    side.lost = false;
    side.first = byte(0);
    side.masked = byte(1) & 0x80;
    side.frame.clear();
    side.at = 0;
    side.left = byte(1) & 0x7f;
    const size_t extended = side.left == 126 ? 2 : side.left == 127 ? 8 : 0;
    if (extended > 0) side.left = 0;
    for (size_t i = 0; i < extended; ++i) side.left = side.left << 8 | byte(2 + i);
    for (size_t i = 0; i < 4; ++i) side.key[i] = side.masked ? byte(2 + extended + i) : 0;
    side.tx = flow.Begin(d == SLUICE_TO_SERVER ? SLUICE_TX_TO_SERVER : SLUICE_TX_TO_CLIENT);
    flow.SetUint(side.tx, kFlags, side.first & 0xf0);
    flow.SetUint(side.tx, kFin, side.fin());
    flow.SetUint(side.tx, kOpcode, side.opcode());
    if (side.masked) {
      uint64_t mask = 0;
      for (const uint8_t k : side.key) mask = mask << 8 | k;
      flow.SetUint(side.tx, kMask, mask);
    }
    if (side.opcode() > kLastControl || (side.opcode() > 2 && !side.control())) flow.Event(side.tx, kReservedOpcode);
    if (side.control() && (side.left > 125 || !side.fin())) flow.Event(side.tx, kLongControl);
    if (side.left == 0) EndOfFrame(flow, d);
  }

  size_t Payload(Flow flow, uint32_t d, View in) {
    Side& side = side_[d];
    const auto n = static_cast<size_t>(std::min<uint64_t>(side.left, in.size()));
    const size_t kept = side.lost ? 0 : std::min(n, kMaxPayload - side.frame.size());
    for (size_t i = 0; i < kept; ++i) {
      side.frame += static_cast<char>(static_cast<uint8_t>(in[i]) ^ side.key[(side.at + i) % 4]);
    }
    if (kept < n && !side.lost) {
      flow.Event(side.tx, kSkipEnd);
      side.lost = true;
    }
    side.at += n;
    side.left -= n;
    if (side.left == 0) EndOfFrame(flow, d);
    return n;
  }

  void EndOfFrame(Flow flow, uint32_t d) {
    Side& side = side_[d];
    side.within = false;
    const bool part = !side.control() && (!side.fin() || side.opcode() == kContinuation);
    if (part) Join(flow, side);
    const bool joined = part && side.fin();
    const View payload = joined ? side.message : side.frame;
    if (!payload.empty()) {
      flow.Set(side.tx, kPayload, payload);
      if (flow.Wanted(kPayloadPrintable)) flow.Set(side.tx, kPayloadPrintable, payload);
      if (flow.Wanted(kPayloadBase64)) flow.Set(side.tx, kPayloadBase64, payload);
    }
    flow.Stage(side.tx, d, kComplete);
    side.tx = SLUICE_NO_TX;
    if (joined) side.message.clear();
  }

  // A message is what was seen of it before anything was lost.
  void Join(Flow flow, Side& side) {
    if (side.opcode() != kContinuation) {
      side.message.clear();
      side.message_lost = false;
    }
    const size_t room = side.message_lost ? 0 : kMaxPayload - side.message.size();
    side.message.append(side.frame, 0, room);
    if (side.frame.size() > room && !side.message_lost) flow.Event(side.tx, kReassemblyLimit);
    side.message_lost |= side.lost || side.frame.size() > room;
  }

  Side side_[2];
};

}  // namespace

extern "C" SLUICE_EXPORT constexpr sluice_plugin sluice_plugin_v1 =
    sluice::MakePlugin<Connection>("websocket", "WebSocket frames behind an HTTP upgrade")
        .Version("1.0").LogSource(SLUICE_LOG_SENDER).Fields(kFields).Events(kEvents).Stages(kStages, kStages);
