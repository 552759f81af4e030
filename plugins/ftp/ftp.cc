// SPDX-License-Identifier: Apache-2.0
// plugins/ftp/ftp.cc - FTP's control connection (RFC 959, 2228, 2428): commands and their
// replies, one transaction each; data connections are announced to ftp-data.
//
// Threads: confined to the flow's worker.  Memory: kMaxWaiting commands without a reply; lines
// wait in the engine, max-line-length at most.
// Bad input: any line is a command or a reply; a loss ends the exchanges that are open.
#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include "address.h"
#include "fields.h"
#include "plugins/lib/ftp_transfer.h"

namespace ftp {
namespace {

using sluice::Flow;
using sluice::FtpTransfer;

constexpr uint32_t kDefaultMaxLine = 4096;  // bytes, without the line's end
constexpr size_t kMaxWaiting = 64;          // commands without a reply; the oldest makes room
constexpr uint32_t kMaxReplyLines = 256;    // logged of one reply
constexpr size_t kMaxVerb = 16;             // bytes; longer words are no commands
constexpr uint16_t kPort = 21;
constexpr char kTlsHandshake = 0x16;        // RFC 8446 section 5.1: no command begins with it
constexpr size_t kMaxHeld = 16 * 1024;      // of what may be TLS, until the reply tells

struct Options {
  uint32_t max_line = kDefaultMaxLine;
  bool secret_passwords = false;
} options;  // set by Init, then read only

// "4096", "4kb"; `otherwise` if it is no size.
uint64_t ReadSize(View text, uint64_t otherwise) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return otherwise;
  const char unit = end == text.data() + text.size() ? ' ' : static_cast<char>(*end | 0x20);
  return uint64_t{number} << (unit == 'k' ? 10 : unit == 'm' ? 20 : 0);
}

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 0x20) : c; }

View TrimEnd(View text) {
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

bool StartsWithNoCase(View text, View upper) {
  return text.size() >= upper.size() &&
         std::equal(upper.begin(), upper.end(), text.begin(), [](char u, char t) { return u == Upper(t); });
}

enum class Verb : uint8_t { kOther, kPort, kEprt, kRetrieve, kStore, kPassword, kAuthTls };

Verb VerbOf(View command, View data) {
  struct Named {
    View name;
    Verb verb;
  };
  static constexpr Named kVerbs[] = {{"PORT", Verb::kPort},   {"EPRT", Verb::kEprt},  {"RETR", Verb::kRetrieve},
                                     {"STOR", Verb::kStore},  {"STOU", Verb::kStore}, {"APPE", Verb::kStore},
                                     {"PASS", Verb::kPassword}, {"ACCT", Verb::kPassword}};
  for (const Named& named : kVerbs) {
    if (named.name == command) return named.verb;
  }
  // RFC 4217 section 4; SSL is what older clients say.
  if (command == "AUTH" && (StartsWithNoCase(data, "TLS") || StartsWithNoCase(data, "SSL"))) return Verb::kAuthTls;
  return Verb::kOther;
}

class Control {
 public:
  explicit Control(Flow flow) : info_(flow.Info()) {}
  void Restart(Flow flow) { *this = Control(flow); }

  static int32_t Init() {
    Options read;
    if (const char* text = sluice::host->option("max-line-length"); text != nullptr) {
      read.max_line = static_cast<uint32_t>(std::clamp<uint64_t>(ReadSize(text, read.max_line), 64, 64 * 1024));
    }
    const char* secret = sluice::host->option("secret-passwords");
    read.secret_passwords = secret != nullptr && (View(secret) == "yes" || View(secret) == "true" || View(secret) == "1");
    options = read;
    return 0;
  }

  static int32_t Probe(const sluice_probe_input& input) {
    static constexpr View kClient[] = {"USER ", "PASS ", "PORT ", "FEAT"}, kOnPort[] = {"AUTH TLS", "AUTH SSL"};
    static constexpr View kServer[] = {"220 ("};
    const View head = sluice::ToView(input.head);
    if (input.direction == SLUICE_TO_CLIENT) return ProbeWords(head, kServer);
    const int32_t any = ProbeWords(head, kClient);
    return input.port[1] == kPort ? std::max(any, ProbeWords(head, kOnPort)) : any;
  }

  sluice::ParseResult Parse(Flow flow, uint32_t direction, View in) {
    size_t used = 0;
    while (used < in.size() && !handed_over_) {
      const View rest = in.substr(used);
      if (direction == SLUICE_TO_SERVER && auth_waits_ && rest[0] == kTlsHandshake && rest.size() <= kMaxHeld) {
        return sluice::More(used, rest.size() + 1);  // the reply that makes it TLS is still to come
      }
      const size_t end = rest.substr(0, options.max_line).find('\n');
      if (end == View::npos && rest.size() < options.max_line && !skip_[direction]) {
        return sluice::More(used, rest.size() + 1);
      }
      used += Line(flow, direction, rest, end);
    }
    return sluice::Ok(used);
  }

  // Which commands or replies are lost is not known: what is open stays without a reply.
  bool Gap(Flow flow, uint32_t direction, uint64_t) {
    skip_[direction] = true;
    EndAll(flow);
    return true;
  }

  void End(Flow flow, uint32_t direction, View rest) {
    if (!handed_over_ && !skip_[direction] && !rest.empty()) {
      direction == SLUICE_TO_SERVER ? Command(flow, rest, false) : Reply(flow, rest, false);
    }
    ended_ |= direction == SLUICE_TO_CLIENT;
    if (ended_) EndAll(flow);
  }

 private:
  struct Waiting {
    uint64_t tx = 0;
    Verb verb = Verb::kOther;
    uint32_t lines = 0;     // of its reply so far
    bool truncated = false;  // its reply
  };

  template <size_t N>
  static int32_t ProbeWords(View head, const View (&words)[N]) {
    int32_t answer = SLUICE_PROBE_NO;
    for (const View word : words) {
      if (StartsWithNoCase(head, word)) return SLUICE_PROBE_YES;
      if (head.size() < word.size() && StartsWithNoCase(head, word.substr(0, head.size()))) answer = SLUICE_PROBE_MAYBE;
    }
    return answer;
  }

  // One line, or as much of one as is read; returns how many bytes are done with.
  size_t Line(Flow flow, uint32_t direction, View rest, size_t end) {
    if (skip_[direction]) {
      const size_t any = rest.find('\n');
      skip_[direction] = any == View::npos;
      return any == View::npos ? rest.size() : any + 1;
    }
    const bool whole = end != View::npos;
    const View line = rest.substr(0, whole ? end : options.max_line);
    skip_[direction] = !whole;
    direction == SLUICE_TO_SERVER ? Command(flow, line, !whole) : Reply(flow, line, !whole);
    return line.size() + whole;
  }

  // ---- the client's side

  void Command(Flow flow, View line, bool truncated) {
    line = TrimEnd(line);
    if (line.empty()) return;
    const uint64_t tx = flow.Begin();
    char upper[kMaxVerb];
    size_t length = 0;
    while (length < kMaxVerb && length < line.size() && IsLetter(line[length])) {
      upper[length] = Upper(line[length]);
      ++length;
    }
    const bool named = length > 0 && (length == line.size() || IsSpace(line[length]));
    const View command = named ? View(upper, length) : View();
    const View data = !named ? line : length == line.size() ? View() : line.substr(length + 1);
    const Verb verb = VerbOf(command, data);
    if (named) flow.Set(tx, kCommand, command);
    if (!data.empty()) {
      flow.Set(tx, verb == Verb::kPassword && options.secret_passwords ? kPassword : kCommandData, data);
      flow.SetUint(tx, kCommandTruncated, truncated);
    }
    if (truncated) flow.Event(tx, kRequestTooLong);
    Act(flow, tx, verb, data);
    flow.Stage(tx, SLUICE_TO_SERVER, kComplete);
    Wait(flow, {.tx = tx, .verb = verb});
  }

  void Act(Flow flow, uint64_t tx, Verb verb, View data) {
    switch (verb) {
      case Verb::kPort:
      case Verb::kEprt:
        if (const auto to = verb == Verb::kPort ? ParsePort(data) : ParseEprt(data)) {
          if (!IsClient(*to)) flow.SetUint(tx, kBounce, 1);
          Announced(flow, tx, to->port, true);
        }
        break;
      case Verb::kRetrieve:
      case Verb::kStore:
        Transfer(flow, verb, data);
        break;
      case Verb::kAuthTls:
        auth_waits_ = true;
        break;
      default:
        break;
    }
  }

  bool IsClient(const Endpoint& to) const {
    return to.ip_version != info_.ip_version ||
           std::equal(to.address.begin(), to.address.begin() + (to.ip_version == 4 ? 4 : 16), info_.address[0]);
  }

  void Announced(Flow flow, uint64_t tx, uint16_t port, bool active) {
    data_port_ = port;
    active_ = active;
    flow.SetUint(tx, kDynamicPort, port);
    flow.SetUint(tx, kMode, active);
  }

  // Between the control connection's ends, whatever addresses were told: behind address
  // translation they are others, and to a third host nobody should transfer anything.
  void Transfer(Flow flow, Verb verb, View name) {
    if (data_port_ == 0) return;
    const bool retrieve = verb == Verb::kRetrieve;
    // The data connection's initiator is the server in active mode.
    const FtpTransfer transfer{retrieve ? FtpTransfer::kRetrieve : FtpTransfer::kStore,
                               retrieve == active_ ? uint32_t{SLUICE_TO_SERVER} : uint32_t{SLUICE_TO_CLIENT}, name};
    const std::string context = transfer.Pack();
    sluice_expectation data{};
    data.transport = SLUICE_TCP;
    data.ip_version = info_.ip_version;
    data.port[1] = data_port_;
    std::ranges::copy(info_.address[active_ ? 1 : 0], data.address[0]);
    std::ranges::copy(info_.address[active_ ? 0 : 1], data.address[1]);
    data.protocol = "ftp-data";
    data.context = sluice::ToSlice(context);
    flow.Expect(data);
    data_port_ = 0;
    active_ = false;
  }

  // ---- commands that wait

  void Wait(Flow flow, const Waiting& command) {
    if (num_waiting_ == kMaxWaiting) {
      flow.Event(command.tx, kTooManyWaiting);
      Finish(flow, false);
    }
    waiting_[(first_waiting_ + num_waiting_++) % kMaxWaiting] = command;
  }

  // The exchange that waits longest has its end.
  void Finish(Flow flow, bool answered) {
    const Waiting& oldest = waiting_[first_waiting_];
    flow.SetUint(oldest.tx, kReplyReceived, answered);
    flow.SetUint(oldest.tx, kReplyTruncated, oldest.truncated);
    flow.Stage(oldest.tx, SLUICE_TO_CLIENT, kComplete);
    if (oldest.verb == Verb::kAuthTls) auth_waits_ = false;
    first_waiting_ = (first_waiting_ + 1) % kMaxWaiting;
    --num_waiting_;
    multiline_ = false;
  }

  void EndAll(Flow flow) {
    while (num_waiting_ > 0) Finish(flow, false);
  }

  // ---- the server's side

  void Reply(Flow flow, View line, bool truncated) {
    line = TrimEnd(line);
    if (line.empty()) return;
    const bool coded = line.size() >= 3 && IsDigit(line[0]) && IsDigit(line[1]) && IsDigit(line[2]);
    if (num_waiting_ == 0) {
      if (!coded && !truncated) return;  // the reply to nothing
      Wait(flow, {.tx = flow.Begin(SLUICE_TX_TO_CLIENT)});  // a greeting
    }
    Waiting& to = waiting_[first_waiting_];
    Log(flow, to, line, coded, truncated);
    if (coded) Passive(flow, to, line);
    if (to.verb == Verb::kAuthTls && line.starts_with("234")) {  // RFC 4217 section 4
      handed_over_ = true;
      Finish(flow, true);
      return flow.Handover("tls");
    }
    if (!EndsReply(line, coded)) return;
    const bool preliminary = coded && line[0] == '1';  // another reply follows (RFC 959 section 4.2)
    if (!preliminary) Finish(flow, true);
  }

  void Log(Flow flow, Waiting& to, View line, bool coded, bool truncated) {
    if (truncated) flow.Event(to.tx, kResponseTooLong);
    to.truncated |= truncated || to.lines >= kMaxReplyLines;
    if (to.lines++ >= kMaxReplyLines) return;
    if (coded) flow.Set(to.tx, kCompletionCode, line.substr(0, 3));
    if (!coded) flow.Set(to.tx, kReply, line);
    if (coded && line.size() >= 4) flow.Set(to.tx, kReply, line.substr(4));
  }

  void Passive(Flow flow, const Waiting& to, View line) {
    if (!line.starts_with("227 ") && !line.starts_with("229 ")) return;
    const auto where = line[2] == '7' ? ParsePassive(line.substr(4)) : ParseExtendedPassive(line.substr(4));
    if (where) Announced(flow, to.tx, where->port, false);
  }

  // "230-" begins several lines, up to one with the same code and a blank (RFC 959 section 4.2).
  bool EndsReply(View line, bool coded) {
    if (multiline_) {
      multiline_ = !(coded && line.substr(0, 3) == View(code_.data(), 3) && (line.size() == 3 || line[3] == ' '));
      return !multiline_;
    }
    if (!coded || line.size() < 4 || line[3] != '-') return true;
    std::copy_n(line.begin(), 3, code_.begin());
    multiline_ = true;
    return false;
  }

  sluice_flow_info info_;
  bool skip_[2] = {false, false};  // up to the end of a line that is not read
  bool auth_waits_ = false;        // AUTH TLS has no reply yet
  bool handed_over_ = false;
  bool ended_ = false;             // the server's side
  bool active_ = false;
  uint16_t data_port_ = 0;         // of the next data connection; 0: none is agreed upon
  bool multiline_ = false;
  std::array<char, 3> code_{};     // of a reply of several lines
  std::array<Waiting, kMaxWaiting> waiting_;  // a ring, the oldest at first_waiting_
  size_t first_waiting_ = 0, num_waiting_ = 0;
};

}  // namespace
}  // namespace ftp

extern "C" SLUICE_EXPORT constexpr sluice_plugin sluice_plugin_v1 =
    sluice::MakePlugin<ftp::Control>("ftp", "File Transfer Protocol: control connections")
        .Version("1.0").Ports("tcp/21").Fields(ftp::kFields).Events(ftp::kEvents).Stages(ftp::kStages);
