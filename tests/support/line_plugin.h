// tests/support/line_plugin.h
// A dissector small enough to see through: lines "verb argument\n", answered by
// lines "code\n".  Used wherever a test needs a protocol and no protocol matters.
#pragma once

#include <sluice/plugin.hpp>

#include <string>

namespace sluice::testing {

enum LineField : uint32_t { kVerb, kArgument, kCode, kBody, kArgs, kItem, kSecret };

inline constexpr sluice_field kLineFields[] = {
    {"line.verb", "line_verb", "line_verb_mod", "verb", "first word", SLUICE_BYTES, 0, SLUICE_DIR_TO_SERVER, 1, nullptr, nullptr},
    {"line.argument", nullptr, nullptr, "argument", "second word", SLUICE_BYTES, 0, SLUICE_DIR_TO_SERVER, 1, nullptr, nullptr},
    {"line.code", nullptr, nullptr, "code", "answer", SLUICE_UINT, SLUICE_OUTCOME, SLUICE_DIR_TO_CLIENT, 1, nullptr, nullptr},
    {"line.body", nullptr, nullptr, nullptr, "everything sent", SLUICE_CHUNKS, 0, SLUICE_DIR_TO_SERVER, 1, nullptr, nullptr},
    {nullptr, nullptr, nullptr, "args", "letters", SLUICE_GROUP, SLUICE_REPEATED, SLUICE_DIR_TO_SERVER, 1, nullptr, nullptr},
    {"line.item", nullptr, nullptr, "item", "one letter", SLUICE_BYTES, SLUICE_REPEATED, SLUICE_DIR_TO_SERVER, 1, nullptr, nullptr},
    {"line.secret", nullptr, nullptr, "secret", "argument of auth", SLUICE_BYTES, SLUICE_SECRET, SLUICE_DIR_TO_SERVER, 1, nullptr, nullptr},
};
inline constexpr sluice_event kLineEvents[] = {{"empty_line", "a line without a verb"}};
inline constexpr const char* kLineStages[] = {"started", "line", "complete"};

class LineDissector {
 public:
  explicit LineDissector(Flow flow) {
    const sluice_flow_info info = flow.Info();
    if (info.context.len == 0) return;
    const uint64_t tx = flow.Begin(SLUICE_TX_TO_SERVER);
    flow.Set(tx, kVerb, info.from_protocol);
    flow.Set(tx, kArgument, ToView(info.context));
    flow.Stage(tx, SLUICE_TO_SERVER, 2);
  }

  static int32_t Probe(const sluice_probe_input& input) {
    const View head = ToView(input.head);
    const View magic = input.direction == SLUICE_TO_SERVER ? "do " : "2";
    if (head.starts_with(magic)) return SLUICE_PROBE_YES;
    return magic.starts_with(head) ? SLUICE_PROBE_MAYBE : SLUICE_PROBE_NO;
  }

  ParseResult Parse(Flow flow, uint32_t direction, View in) {
    const size_t end = in.find('\n');
    if (end == View::npos) {
      return in.size() > 4096 ? ParseError() : More(0, in.size() + 1);
    }
    const View line = in.substr(0, end);
    if (line == "throw") throw 1;
    direction == SLUICE_TO_SERVER ? Request(flow, line) : Answer(flow, line);
    return Ok(end + 1);
  }

  bool Gap(Flow flow, uint32_t, uint64_t bytes) {
    if (!resync_) return false;
    flow.SetUint(flow.Begin(), kCode, bytes);  // a transaction that says what was lost
    return true;
  }

 private:
  void Request(Flow flow, View line) {
    const uint64_t tx = flow.Begin(line.starts_with("early") ? uint32_t{SLUICE_TX_LOG_EARLY} : 0);
    if (line.empty()) flow.Event(tx, 0);
    const size_t space = line.find(' ');
    const View verb = line.substr(0, space);
    flow.Set(tx, kVerb, verb);
    if (space != View::npos) {
      const View argument = line.substr(space + 1);
      flow.Set(tx, verb == "auth" ? kSecret : kArgument, argument);
      flow.Open(tx, kArgs);
      for (const char& c : argument) flow.Set(tx, kItem, View(&c, 1));
      flow.Close(tx);
    }
    flow.Chunk(tx, kBody, line, verb != "grow");
    flow.Stage(tx, SLUICE_TO_SERVER, 2);
    if (verb == "opaque") flow.Handover(nullptr);
    if (verb == "again") flow.Handover("");
    if (verb == "with") flow.Handover("", line.substr(5));
    if (verb == "named") flow.Handover("line", line.substr(6));
    if (verb == "encrypted") flow.Encrypted();
    if (verb == "skip") flow.Budget(SLUICE_TO_SERVER, SLUICE_BUDGET_NEXT_TX, 10);
    if (verb == "blind") {
      flow.Budget(SLUICE_TO_SERVER, SLUICE_BUDGET_NONE);
      flow.Budget(SLUICE_TO_CLIENT, SLUICE_BUDGET_NONE);
      flow.Handover(nullptr);
    }
    if (verb == "none") flow.Budget(SLUICE_TO_SERVER, SLUICE_BUDGET_NONE);
    if (verb == "five") flow.Budget(SLUICE_TO_SERVER, SLUICE_BUDGET_BYTES, 5);
    if (verb == "resync") resync_ = true;
    if (verb == "deep") {
      for (int i = 0; i < 100; ++i) flow.Open(tx, kArgs);
      for (int i = 0; i < 100; ++i) flow.Close(tx);
    }
  }

  void Answer(Flow flow, View line) {
    uint64_t code = 0;
    for (const char c : line) code = code * 10 + static_cast<uint64_t>(c - '0');
    if (code == 299) flow.Budget(SLUICE_TO_SERVER, SLUICE_BUDGET_ALL);
    flow.SetUint(answered_, kCode, code);
    flow.Stage(answered_++, SLUICE_TO_CLIENT, 2);
  }

  uint64_t answered_ = 0;
  bool resync_ = false;
};

inline sluice_plugin LinePlugin() {
  return MakePlugin<LineDissector>("line", "lines of text")
      .Fields(kLineFields).Events(kLineEvents).Transports(SLUICE_TCP | SLUICE_UDP).Stages(kLineStages);
}

}  // namespace sluice::testing
