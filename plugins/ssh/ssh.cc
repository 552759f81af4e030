// SPDX-License-Identifier: Apache-2.0
// plugins/ssh/ssh.cc - the SSH dissector: banners (RFC 4253 section 4.2), the key exchange
// lists (section 7.1) and their HASSH.  One transaction per flow.  All bytes after NEWKEYS are
// opaque.
#include <algorithm>
#include <array>
#include <iterator>
#include <string>

#include <sluice/plugin.hpp>

#include "plugins/lib/digest.h"

namespace {

using sluice::View;

enum Field : uint32_t {
  kClientProto, kServerProto, kClientSoftware, kServerSoftware,
  kHassh, kHasshString, kHasshServer, kHasshServerString, kNumFields
};

enum Event : uint32_t { kInvalidBanner, kLongBanner, kInvalidRecord, kLongKexRecord };
enum Stage : uint32_t { kStart, kBannerSeen, kComplete };

constexpr uint32_t kC = SLUICE_DIR_TO_SERVER, kS = SLUICE_DIR_TO_CLIENT;

constexpr sluice_field kFields[] = {
    {"ssh.proto", "ssh_proto ssh.protoversion", nullptr, "client.proto_version",
     "protocol version of the client's banner", SLUICE_BYTES, 0, kC, kBannerSeen, nullptr, nullptr},
    {"ssh.proto", "ssh_proto ssh.protoversion", nullptr, "server.proto_version",
     "protocol version of the server's banner", SLUICE_BYTES, 0, kS, kBannerSeen, nullptr, nullptr},
    {"ssh.software", "ssh_software ssh.softwareversion", nullptr, "client.software_version",
     "software of the client's banner", SLUICE_BYTES, SLUICE_DIMENSION, kC, kBannerSeen, nullptr,
     nullptr},
    {"ssh.software", "ssh_software ssh.softwareversion", nullptr, "server.software_version",
     "software of the server's banner", SLUICE_BYTES, SLUICE_DIMENSION, kS, kBannerSeen, nullptr,
     nullptr},
    {"ssh.hassh", nullptr, nullptr, "client.hassh.hash", "MD5 of the client's HASSH string",
     SLUICE_BYTES, SLUICE_ON_DEMAND, kC, kComplete, nullptr, nullptr},
    {"ssh.hassh.string", nullptr, nullptr, "client.hassh.string",
     "kex;encryption;mac;compression lists of the client", SLUICE_BYTES, SLUICE_ON_DEMAND, kC, kComplete, nullptr,
     nullptr},
    {"ssh.hassh.server", nullptr, nullptr, "server.hassh.hash", "MD5 of the server's HASSH string",
     SLUICE_BYTES, SLUICE_ON_DEMAND, kS, kComplete, nullptr, nullptr},
    {"ssh.hassh.server.string", nullptr, nullptr, "server.hassh.string",
     "kex;encryption;mac;compression lists of the server", SLUICE_BYTES, SLUICE_ON_DEMAND, kS, kComplete, nullptr,
     nullptr},
};
static_assert(std::size(kFields) == kNumFields);

constexpr sluice_event kEvents[] = {
    {"invalid_banner", "the first line is not an SSH banner"},
    {"long_banner", "a banner longer than 255 bytes"},
    {"invalid_record", "a packet whose lengths contradict each other"},
    {"long_kex_record", "a KEXINIT longer than 32 KiB"},
};
constexpr const char* kStages[] = {"start", "banner", "complete"};

constexpr uint16_t kPort = 22;
constexpr size_t kMaxLine = 255;          // RFC 4253 section 4.2, CR LF included
constexpr uint32_t kMaxPreLines = 64;     // lines a server may send before its banner
constexpr uint32_t kMaxKex = 32 * 1024;
constexpr uint32_t kMaxPacket = 256 * 1024;
constexpr uint8_t kMsgKexInit = 20, kMsgNewKeys = 21;

uint32_t Be32(View v) {
  auto b = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(v[i])); };
  return b(0) << 24 | b(1) << 16 | b(2) << 8 | b(3);
}

// Lines before a banner are UTF-8 (RFC 4253 section 4.2): no control characters but these.
// What follows a banner does not count.
bool IsText(View v) {
  return std::ranges::all_of(v.substr(0, v.find("\nSSH-")), [](char c) {
    return static_cast<uint8_t>(c) >= 0x20 || c == '\r' || c == '\n' || c == '\t';
  });
}

enum class Hassh { kAuto, kYes, kNo } hassh = Hassh::kAuto;  // set by Init, then read only

class Ssh {
 public:
  explicit Ssh(sluice::Flow flow) { Restart(flow); }

  void Restart(sluice::Flow flow) {
    tx_ = flow.Begin();
    for (Side& side : sides_) side = {};
  }

  static int32_t Init() {
    const char* option = sluice::host->option("hassh");
    const View value = option == nullptr ? "auto" : option;
    const bool on = value == "yes" || value == "true" || value == "on" || value == "1";
    hassh = on ? Hassh::kYes : value == "auto" ? Hassh::kAuto : Hassh::kNo;
    return 0;
  }

  static int32_t Probe(const sluice_probe_input& input) {
    const View whole = sluice::ToView(input.head), head = whole.substr(0, 4);
    if (head == View("SSH-").substr(0, head.size())) {
      return head.size() == 4 ? SLUICE_PROBE_YES : SLUICE_PROBE_MAYBE;
    }
    // A server may send lines of text first.  So may any other server: only on the usual port
    // are they worth waiting for.
    if (input.direction != SLUICE_TO_CLIENT || input.port[1] != kPort || !IsText(whole)) {
      return SLUICE_PROBE_NO;
    }
    return whole.find("\nSSH-") != View::npos ? SLUICE_PROBE_YES : SLUICE_PROBE_MAYBE;
  }

  sluice::ParseResult Parse(sluice::Flow flow, uint32_t direction, View in) {
    Side& side = sides_[direction];
    size_t pos = 0;
    while (pos < in.size()) {
      const View rest = in.substr(pos);
      size_t need = 0;
      const int64_t used = side.state == State::kPacket ? Packet(flow, direction, rest, &need)
                           : side.state == State::kOpaque
                               ? static_cast<int64_t>(rest.size())
                               : Line(flow, direction, rest, &need);
      if (used < 0) return sluice::ParseError();
      if (used == 0) return sluice::More(pos, need);
      pos += static_cast<size_t>(used);
    }
    return sluice::Ok(pos);
  }

  // Only a loss inside a packet that is skipped anyway leaves the framing whole.
  bool Gap(sluice::Flow, uint32_t direction, uint64_t bytes) {
    Side& side = sides_[direction];
    if (side.state == State::kOpaque) return true;
    if (side.state != State::kPacket || side.skip < bytes) return false;
    side.skip -= static_cast<uint32_t>(bytes);
    return true;
  }

  void End(sluice::Flow flow, uint32_t direction, View) {
    Done(flow, direction);
  }

 private:
  enum class State { kBanner, kLongLine, kPacket, kOpaque };
  struct Side {
    State state = State::kBanner;
    bool done = false;
    bool kex = false;
    bool banner = false;
    uint32_t lines = 0;
    uint32_t skip = 0;  // bytes left of a packet nobody reads
  };

  void Done(sluice::Flow flow, uint32_t direction) {
    if (sides_[direction].done) return;
    sides_[direction].done = true;
    flow.Stage(tx_, direction, kComplete);
  }

  // What comes behind the transaction's end is the flow's.
  void Report(sluice::Flow flow, uint32_t event) {
    flow.Event(sides_[0].done && sides_[1].done ? SLUICE_NO_TX : tx_, event);
  }

  static bool WantsHassh(sluice::Flow flow) {
    if (hassh != Hassh::kAuto) return hassh == Hassh::kYes;
    return flow.Wanted(kHassh) || flow.Wanted(kHasshString) || flow.Wanted(kHasshServer) ||
           flow.Wanted(kHasshServerString);
  }

  int64_t Line(sluice::Flow flow, uint32_t direction, View in, size_t* need) {
    Side& side = sides_[direction];
    if (side.state == State::kLongLine) {
      const size_t end = in.find('\n');
      if (end == View::npos) return static_cast<int64_t>(in.size());
      side.state = side.banner ? State::kPacket : State::kBanner;
      return static_cast<int64_t>(end + 1);
    }
    const size_t end = in.substr(0, kMaxLine).find('\n');
    if (end == View::npos && in.size() < kMaxLine) {
      *need = in.size() + 1;
      return 0;
    }
    const bool is_long = end == View::npos;
    const size_t used = is_long ? kMaxLine : end + 1;
    View line = in.substr(0, is_long ? kMaxLine : end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (is_long) Report(flow, kLongBanner);
    if (line.starts_with("SSH-")) {
      if (!Banner(flow, direction, line.substr(4))) return -1;
      side.banner = true;
      if (sides_[1 - direction].banner && !WantsHassh(flow)) {  // all is said
        Done(flow, direction);
        Done(flow, 1 - direction);
      }
    } else if (direction == SLUICE_TO_SERVER || ++side.lines > kMaxPreLines) {
      Report(flow, kInvalidBanner);
      return -1;
    }
    side.state = is_long ? State::kLongLine : side.banner ? State::kPacket : State::kBanner;
    return static_cast<int64_t>(used);
  }

  bool Banner(sluice::Flow flow, uint32_t direction, View text) {
    const size_t dash = text.find('-');
    if (dash == View::npos || dash == 0) {
      Report(flow, kInvalidBanner);
      return false;
    }
    const View software = text.substr(dash + 1);
    flow.Set(tx_, kClientProto + direction, text.substr(0, dash));
    flow.Set(tx_, kClientSoftware + direction, software.substr(0, software.find(' ')));
    flow.Stage(tx_, direction, kBannerSeen);
    return true;
  }

  int64_t Packet(sluice::Flow flow, uint32_t direction, View in, size_t* need) {
    Side& side = sides_[direction];
    if (side.skip > 0) {
      const size_t used = std::min<size_t>(side.skip, in.size());
      side.skip -= static_cast<uint32_t>(used);
      return static_cast<int64_t>(used);
    }
    if (in.size() < 6) {
      *need = 6;
      return 0;
    }
    const uint32_t length = Be32(in);
    const uint8_t padding = static_cast<uint8_t>(in[4]);
    const uint8_t type = static_cast<uint8_t>(in[5]);
    if (length < 2 || length > kMaxPacket || padding + 2u > length) {
      Report(flow, kInvalidRecord);
      return -1;
    }
    if (type == kMsgKexInit && !side.kex) {
      if (length > kMaxKex) {
        Report(flow, kLongKexRecord);
      } else if (in.size() < 4 + length) {
        *need = 4 + length;
        return 0;
      } else {
        KexInit(flow, direction, in.substr(6, length - 2 - padding));
        return 4 + static_cast<int64_t>(length);
      }
    }
    if (type == kMsgNewKeys) {
      // Everything after this packet is encrypted, so its own tail is of no interest either.
      side.state = State::kOpaque;
      Done(flow, direction);
      if (sides_[1 - direction].state == State::kOpaque) {
        flow.Encrypted();
        flow.Handover(nullptr);
      }
    }
    side.skip = length - 2;
    return 6;
  }

  void KexInit(sluice::Flow flow, uint32_t direction, View in) {
    sides_[direction].kex = true;
    std::array<View, 8> lists;
    in = in.size() < 16 ? View() : in.substr(16);  // the cookie
    for (View& list : lists) {
      if (in.size() < 4 || Be32(in) > in.size() - 4) {
        Report(flow, kInvalidRecord);
        Done(flow, direction);
        return;
      }
      list = in.substr(4, Be32(in));
      in.remove_prefix(4 + list.size());
    }
    if (!sides_[direction].done && WantsHassh(flow)) SetHassh(flow, direction, lists);
    Done(flow, direction);
  }

  void SetHassh(sluice::Flow flow, uint32_t direction, const std::array<View, 8>& lists) {
    thread_local std::string text, hash;
    text.assign(lists[0]);
    for (size_t i : {2u, 4u, 6u}) text.append(";").append(lists[i + direction]);
    const uint32_t field = direction == SLUICE_TO_SERVER ? kHassh : kHasshServer;
    hash.clear();
    sluice::AppendMd5Hex(text, &hash);
    flow.Set(tx_, field, hash);
    flow.Set(tx_, field + 1, text);
  }

  uint64_t tx_ = SLUICE_NO_TX;
  Side sides_[2];
};

}  // namespace

extern "C" SLUICE_EXPORT constexpr sluice_plugin sluice_plugin_v1 =
    sluice::MakePlugin<Ssh>("ssh", "Secure Shell: banners and key exchange")
        .Version("1.0").Ports("tcp/22").Fields(kFields).Events(kEvents).Stages(kStages);
