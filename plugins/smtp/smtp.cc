// SPDX-License-Identifier: Apache-2.0
// plugins/smtp/smtp.cc - the SMTP dissector (RFC 5321, 2920 pipelining, 3030 BDAT, 3207 STARTTLS):
// one transaction per mail.
//
// Threads: confined to the flow's worker.  Memory: kMaxWaiting commands without a reply, a mail's
// state while it is sent; lines wait in the engine, kMaxLine bytes at most.
// Bad input: any line is a command, a reply or a line of a mail; behind a loss the next line is.
#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "mail.h"

namespace smtp {
namespace {

using sluice::Flow;

constexpr size_t kMaxLine = 4096;      // bytes read of a line at once
constexpr uint64_t kLongestLine = 64 * 1024;  // bytes that no client sends
constexpr size_t kMaxWaiting = 512;    // commands without a reply
constexpr size_t kMaxHelo = 512;       // bytes kept of a client's name
constexpr char kTlsHandshake = 0x16;   // RFC 8446 section 5.1: no command begins with it
constexpr size_t kMaxHeld = 16 * 1024;  // of what may be TLS, until the reply tells

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Whether a line begins with a command and not with a longer word.
bool IsCommand(View line, View command) {
  if (!StartsWithNoCase(line, command)) return false;
  const char next = line.size() > command.size() ? line[command.size()] : ' ';
  return !((next | 0x20) >= 'a' && (next | 0x20) <= 'z') && !IsDigit(next);
}

// The word behind a command, its colon and blanks: what ESMTP adds stands behind another blank.
View Argument(View line, size_t command) {
  View text = line.substr(std::min(line.size(), command));
  while (!text.empty() && (text[0] == ' ' || text[0] == ':')) text.remove_prefix(1);
  return text.substr(0, text.find(' '));
}

// RFC 5321 section 4.2: 2yz to 5yz, with a second digit up to 5.
bool IsReplyCode(View line) {
  return line.size() >= 3 && line[0] >= '2' && line[0] <= '5' && line[1] >= '0' && line[1] <= '5' && IsDigit(line[2]);
}

class Session {
 public:
  explicit Session(Flow) {}
  void Restart(Flow flow) { *this = Session(flow); }

  static int32_t Probe(const sluice_probe_input& input) {
    const View head = sluice::ToView(input.head);
    if (input.direction == SLUICE_TO_CLIENT) {  // FTP greets the same way: the client's words tell
      return head.substr(0, 3) == View("220").substr(0, head.size()) ? SLUICE_PROBE_MAYBE : SLUICE_PROBE_NO;
    }
    for (const View word : {"EHLO", "HELO", "QUIT"}) {
      if (head.size() <= word.size() && StartsWithNoCase(word, head)) return SLUICE_PROBE_MAYBE;
      if (IsCommand(head, word)) return SLUICE_PROBE_YES;
    }
    return SLUICE_PROBE_NO;
  }

  sluice::ParseResult Parse(Flow flow, uint32_t direction, View in) {
    size_t used = 0;
    while (used < in.size() && !handed_over_) {
      const View rest = in.substr(used);
      const size_t done = direction == SLUICE_TO_CLIENT ? Answer(flow, rest) : mail_ ? MailBytes(flow, rest) : Client(flow, rest);
      if (done == 0) return sluice::More(used, rest.size() + 1);
      used += done;
    }
    return sluice::Ok(used);
  }

  bool Gap(Flow flow, uint32_t direction, uint64_t bytes) {
    skip_[direction] = true;
    if (direction == SLUICE_TO_SERVER && mail_) return LostOfMail(flow, bytes);
    Forget(flow);
    return true;
  }

  void End(Flow flow, uint32_t direction, View rest) {
    if (handed_over_) return;
    if (direction == SLUICE_TO_CLIENT) {
      if (!rest.empty() && !skip_[direction]) Reply(flow, rest);
      return;
    }
    if (mail_held_) {
      if (mail_) carry_.append(Unstuff(rest));
      EndMail(flow, false);
    } else if (!rest.empty() && !skip_[direction]) {
      Command(flow, rest);
    }
  }

 private:
  enum class Kind : uint8_t { kDone, kOther, kStartTls, kData, kMailEnd, kReset };  // kDone: it waits already
  enum class Body : uint8_t { kNone, kData, kChunk };
  struct Waiting {
    Kind kind = Kind::kOther;
    uint64_t tx = SLUICE_NO_TX;
  };

  // ---- lines

  // Takes a line of at most kMaxLine bytes off `rest`; 0: it is not all there.  What is longer is
  // skipped after its beginning was read.
  size_t TakeLine(uint32_t direction, View rest, std::optional<View>* line, bool* is_long) {
    if (skip_[direction]) {
      const size_t any = rest.find('\n');
      skip_[direction] = any == View::npos;
      return any == View::npos ? rest.size() : any + 1;
    }
    const size_t end = rest.substr(0, kMaxLine).find('\n');
    if (end == View::npos && rest.size() < kMaxLine) return 0;
    *is_long = skip_[direction] = end == View::npos;
    View text = rest.substr(0, *is_long ? kMaxLine : end);
    const size_t used = text.size() + !*is_long;
    if (text.ends_with('\r')) text.remove_suffix(1);
    *line = text;
    return used;
  }

  size_t Client(Flow flow, View rest) {
    if (tls_waits_ && rest[0] == kTlsHandshake && rest.size() <= kMaxHeld) return 0;  // until the reply
    std::optional<View> line;
    bool is_long = false;
    const size_t used = TakeLine(SLUICE_TO_SERVER, rest, &line, &is_long);
    if (!line) {
      skipped_ += used;
      if (skipped_ > kLongestLine) Raise(flow, kLongCommand);
      return used;
    }
    Command(flow, *line);
    if (is_long) Raise(flow, kTruncatedLine);
    skipped_ = 0;
    return used;
  }

  size_t Answer(Flow flow, View rest) {
    std::optional<View> line;
    bool is_long = false;
    const size_t used = TakeLine(SLUICE_TO_CLIENT, rest, &line, &is_long);
    if (!line) return used;
    if (is_long) Raise(flow, kLongReply);
    Reply(flow, *line);
    return used;
  }

  // ---- transactions

  void Raise(Flow flow, Event event) {
    if (raised_ & 1u << event) return;
    raised_ |= 1u << event;
    flow.Event(tx_, event);
  }

  void BeginTx(Flow flow) {
    tx_ = flow.Begin();
    tx_done_ = tx_answered_ = end_waits_ = has_sender_ = has_data_ = false;
    raised_ = 0;
    if (!helo_.empty()) flow.Set(tx_, kHelo, helo_);
  }

  void EndRequest(Flow flow) {
    if (tx_ == SLUICE_NO_TX || tx_done_) return;
    tx_done_ = true;
    flow.Stage(tx_, SLUICE_TO_SERVER, kComplete);
    if (tx_answered_) tx_ = SLUICE_NO_TX;
  }

  void EndReply(Flow flow, uint64_t tx) {
    if (tx == SLUICE_NO_TX || (tx == tx_ && tx_answered_)) return;
    flow.Stage(tx, SLUICE_TO_CLIENT, kReplyComplete);
    if (tx != tx_) return;
    tx_answered_ = true;
    if (tx_done_) tx_ = SLUICE_NO_TX;  // the engine may have freed it
  }

  // What is open of the transaction will not go on.
  void EndTx(Flow flow) {
    if (mail_held_) EndMail(flow, false);
    const uint64_t tx = tx_;
    EndReply(flow, tx);
    EndRequest(flow);
  }

  // ---- the client's commands

  void Command(Flow flow, View line) {
    const bool quit = IsCommand(line, "QUIT"), reset = IsCommand(line, "RSET");
    if (tx_done_ ? !quit && !reset : tx_ == SLUICE_NO_TX) BeginTx(flow);
    if (!greeted_) Raise(flow, kNoWelcome);
    if (tls_waits_) Raise(flow, kInvalidPipelining);
    Kind kind = Kind::kOther;
    if (IsCommand(line, "STARTTLS")) {
      kind = Kind::kStartTls;
      tls_waits_ = true;
    } else if (IsCommand(line, "DATA")) {
      kind = Kind::kData;
      BeginData(flow);
    } else if (IsCommand(line, "BDAT")) {
      kind = BeginChunk(flow, line);
    } else if (IsCommand(line, "EHLO") || IsCommand(line, "HELO") || IsCommand(line, "LHLO")) {
      Helo(flow, Argument(line, 4));
    } else if (IsCommand(line, "MAIL FROM")) {
      if (has_sender_) Raise(flow, kDuplicateFields);
      if (!has_sender_) flow.Set(tx_, kMailFrom, Argument(line, 9));
      has_sender_ = true;
    } else if (IsCommand(line, "RCPT TO")) {
      flow.Set(tx_, kRcptTo, Argument(line, 7));
    } else if (reset) {
      kind = Kind::kReset;
    }
    if (kind != Kind::kDone) Wait(flow, kind);
  }

  void Helo(Flow flow, View name) {
    if (!helo_.empty()) return Raise(flow, kDuplicateFields);
    helo_ = name.substr(0, kMaxHelo);
    if (!helo_.empty()) flow.Set(tx_, kHelo, helo_);
  }

  // What follows is the mail, unless the server refuses before any of it came: so a client that
  // does not wait is read, too.
  void BeginData(Flow flow) {
    if (has_data_) Raise(flow, kUnparsableContent);
    BeginMail(flow, Body::kData);
  }

  void BeginMail(Flow flow, Body how) {
    if (!mail_held_) mail_held_ = std::make_unique<Mail>(tx_);
    mail_ = mail_held_.get();
    body_ = how;
    has_data_ = line_starts_ = true;
    body_seen_ = lost_of_mail_ = false;
    flow.Stage(tx_, SLUICE_TO_SERVER, kEnvelope);
  }

  // RFC 3030 section 2: "BDAT 1000", "BDAT 1000 LAST".
  Kind BeginChunk(Flow flow, View line) {
    const View size = Argument(line, 4);
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), number);
    if (size.empty() || error != std::errc() || end != size.data() + size.size() || number > UINT32_MAX) {
      Raise(flow, kBdatLength);
      return Kind::kOther;
    }
    const View behind = Trim(line.substr(static_cast<size_t>(size.data() + size.size() - line.data())));
    last_chunk_ = StartsWithNoCase(behind, "LAST");
    chunk_left_ = number;
    const bool starts = !mail_held_ || line_starts_;  // a long line may go on in the next chunk
    BeginMail(flow, Body::kChunk);
    line_starts_ = starts;
    const Kind kind = last_chunk_ ? Kind::kMailEnd : Kind::kOther;  // its reply is the mail's
    if (number > 0) return kind;
    Wait(flow, kind);
    EndChunk(flow);
    return Kind::kDone;
  }

  // ---- the mail

  View Unstuff(View text) const {  // RFC 5321 section 4.5.2
    return body_ == Body::kData && line_starts_ && text.size() > 1 && text[0] == '.' ? text.substr(1) : text;
  }

  // One line, or a piece of one; 0: it is not all there.
  size_t MailBytes(Flow flow, View rest) {
    const uint64_t left = body_ == Body::kChunk ? chunk_left_ : UINT64_MAX;
    if (rest.size() > left) rest = rest.substr(0, static_cast<size_t>(left));
    body_seen_ = true;
    if (skip_[SLUICE_TO_SERVER]) return SkipMail(flow, rest);
    const size_t end = rest.substr(0, kMaxLine).find('\n');
    if (end == View::npos && rest.size() < std::min<uint64_t>(kMaxLine, left)) return 0;
    const View piece = rest.substr(0, end == View::npos ? kMaxLine : end + 1);
    if (end == View::npos && piece.size() == left && !last_chunk_ && carry_.size() + left < kMaxLine) {
      carry_.append(piece);  // the line goes on in the next chunk
      Chunk(flow, piece.size());
      return piece.size();
    }
    if (!carry_.empty()) carry_.append(piece);
    View text = carry_.empty() ? piece : View(carry_), eol;
    if (end != View::npos) {
      const size_t length = text.ends_with("\r\n") ? 2 : 1;
      eol = text.substr(text.size() - length);
      text.remove_suffix(length);
    }
    if (body_ == Body::kData && line_starts_ && text == "." && !eol.empty()) {
      Wait(flow, Kind::kMailEnd);
      EndMail(flow, true);
      return piece.size();
    }
    mail_->Line(flow, {Unstuff(text), eol, line_starts_});
    MailEvents(flow);
    line_starts_ = !eol.empty();
    carry_.clear();
    Chunk(flow, piece.size());
    return piece.size();
  }

  // Behind a loss, up to where a line begins.
  size_t SkipMail(Flow flow, View rest) {
    const size_t any = rest.find('\n');
    skip_[SLUICE_TO_SERVER] = any == View::npos;
    line_starts_ = any != View::npos;
    const size_t used = any == View::npos ? rest.size() : any + 1;
    mail_->Lost(flow, used);
    Chunk(flow, used);
    return used;
  }

  void Chunk(Flow flow, uint64_t bytes) {
    if (body_ != Body::kChunk) return;
    chunk_left_ -= bytes;
    if (chunk_left_ == 0) EndChunk(flow);
  }

  void EndChunk(Flow flow) {
    if (last_chunk_) EndMail(flow, true);
    mail_ = nullptr;
    body_ = Body::kNone;
    skip_[SLUICE_TO_SERVER] = false;  // a chunk's end is known, whatever was lost in it
  }

  bool LostOfMail(Flow flow, uint64_t bytes) {
    if (body_ == Body::kChunk && bytes >= chunk_left_) {  // the mail's end, and perhaps more
      EndMail(flow, false);
      Forget(flow);
      return true;
    }
    carry_.clear();
    lost_of_mail_ = true;
    mail_->Lost(flow, bytes);
    Chunk(flow, bytes);
    return true;
  }

  void MailEvents(Flow flow) {
    const uint32_t events = mail_held_->TakeEvents();
    for (uint32_t i = 0; events != 0 && i < kNumEvents; ++i) {
      if (events & 1u << i) Raise(flow, static_cast<Event>(i));
    }
  }

  void EndMail(Flow flow, bool complete) {
    if (!carry_.empty()) mail_held_->Line(flow, {carry_, {}, line_starts_});
    carry_.clear();
    mail_held_->End(flow, complete);
    MailEvents(flow);
    mail_held_.reset();
    mail_ = nullptr;
    body_ = Body::kNone;
    EndRequest(flow);
  }

  // ---- the server's replies

  void Wait(Flow flow, Kind kind) {
    if (kind == Kind::kMailEnd && std::exchange(end_waits_, true)) kind = Kind::kOther;  // one each
    if (num_waiting_ == kMaxWaiting) {  // lost track: replies are read for themselves
      Raise(flow, kTooManyCommands);
      return Forget(flow);
    }
    waiting_[(first_waiting_ + num_waiting_++) % kMaxWaiting] = {kind, tx_};
  }

  // Which command a reply is to is not known any more.
  void Forget(Flow flow) {
    for (; num_waiting_ > 0; --num_waiting_) {
      const Waiting& one = waiting_[first_waiting_];
      if (one.kind == Kind::kMailEnd) EndReply(flow, one.tx);
      first_waiting_ = (first_waiting_ + 1) % kMaxWaiting;
    }
    tls_waits_ = false;
    forgot_ = true;
  }

  void Reply(Flow flow, View line) {
    if (line.empty()) return;
    if (!IsReplyCode(line)) return Raise(flow, kInvalidReply);
    const bool more = line.size() > 3 && line[3] == '-';
    if (num_waiting_ == 0) {
      if (mail_ && lost_of_mail_) EndMail(flow, false);  // its end was lost: this is the reply to it
      if (!greeted_ && !line.starts_with("220")) Raise(flow, kInvalidReply);
      if (greeted_ && !forgot_ && !line.starts_with("421")) Raise(flow, kUnmatchedReply);
      greeted_ |= !more;
      return;
    }
    greeted_ = true;
    if (more) return;
    const Waiting to = waiting_[first_waiting_];
    first_waiting_ = (first_waiting_ + 1) % kMaxWaiting;
    --num_waiting_;
    Answered(flow, to, line);
  }

  void Answered(Flow flow, const Waiting& to, View line) {
    switch (to.kind) {
      case Kind::kStartTls:
        tls_waits_ = false;
        if (!line.starts_with("220")) return Raise(flow, kTlsRejected);
        if (to.tx == tx_) EndTx(flow);
        handed_over_ = true;
        return flow.Handover("tls");
      case Kind::kData:
        if (line.starts_with("354")) return;
        Raise(flow, kDataRejected);
        if (body_ == Body::kData && !body_seen_) {
          mail_ = nullptr;
          body_ = Body::kNone;
        }
        return;
      case Kind::kMailEnd:
        EndReply(flow, to.tx);
        return;
      case Kind::kReset:
        if (to.tx == tx_ && mail_ == nullptr && !end_waits_ && line.starts_with("250")) EndTx(flow);
        return;
      case Kind::kOther:
      case Kind::kDone: return;
    }
  }

  bool skip_[2] = {false, false};  // up to a line's end
  bool greeted_ = false;           // the server's first reply is there
  bool handed_over_ = false;
  bool tls_waits_ = false;         // STARTTLS has no reply yet
  std::string helo_;
  uint64_t skipped_ = 0;           // bytes of a command line that was cut

  uint64_t tx_ = SLUICE_NO_TX;
  bool tx_done_ = false, tx_answered_ = false;  // all of it was sent; its last reply is there
  bool end_waits_ = false;         // for that reply
  bool has_sender_ = false, has_data_ = false;
  uint32_t raised_ = 0;            // events of tx_, a set of 1 << Event

  Body body_ = Body::kNone;
  std::unique_ptr<Mail> mail_held_;  // from DATA or the first BDAT to the mail's end
  Mail* mail_ = nullptr;             // mail_held_ while its bytes come
  bool body_seen_ = false;           // some of them did
  bool lost_of_mail_ = false;        // some were lost
  bool line_starts_ = true;
  bool last_chunk_ = false;
  std::string carry_;                // a line's beginning at a chunk's end
  uint64_t chunk_left_ = 0;          // bytes

  std::array<Waiting, kMaxWaiting> waiting_;  // a ring, the oldest at first_waiting_
  size_t first_waiting_ = 0, num_waiting_ = 0;
  bool forgot_ = false;  // replies may be to commands that are not there any more
};

}  // namespace
}  // namespace smtp

extern "C" SLUICE_EXPORT constexpr sluice_plugin sluice_plugin_v1 =
    sluice::MakePlugin<smtp::Session>("smtp", "Simple Mail Transfer Protocol")
        .Version("1.0").Ports("tcp/25 tcp/465 tcp/587").LogSource(SLUICE_LOG_UPPER_EVENTS).Fields(smtp::kFields)
        .Events(smtp::kEvents).Stages(smtp::kRequestStages, smtp::kReplyStages);
