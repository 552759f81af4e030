// SPDX-License-Identifier: Apache-2.0
// The memcached text protocol as a sluice dissector: commands and their answers.
#include <sluice/plugin.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <string_view>

namespace {

using sluice::Flow;
using sluice::ParseResult;
using sluice::View;

constexpr size_t kMaxLine = 2048;      // the server's own limit
constexpr size_t kMaxWaiting = 1024;   // commands without an answer
constexpr uint64_t kMaxValue = 1u << 30;

enum Field : uint32_t { kCommand, kKey, kFlags, kBytes, kValue, kStatus, kAnswerKey, kAnswerValue, kItems };
enum Event : uint32_t { kBadLine, kTooManyWaiting };
enum Stage : uint32_t { kStarted, kLine, kComplete };

constexpr sluice_field kFields[] = {
    {"memcached.command", nullptr, nullptr, "command", "the command", SLUICE_BYTES, SLUICE_DIMENSION, SLUICE_DIR_TO_SERVER, kLine, nullptr, nullptr},
    {"memcached.key", nullptr, nullptr, "keys", "each key named", SLUICE_BYTES, SLUICE_REPEATED, SLUICE_DIR_TO_SERVER, kLine, nullptr, nullptr},
    {"memcached.flags", nullptr, nullptr, "flags", "flags stored with a value", SLUICE_UINT, 0, SLUICE_DIR_TO_SERVER, kLine, nullptr, nullptr},
    {"memcached.bytes", nullptr, nullptr, "bytes", "size of the value sent", SLUICE_UINT, SLUICE_MEASURE, SLUICE_DIR_TO_SERVER, kLine, nullptr, nullptr},
    {"memcached.value", nullptr, nullptr, nullptr, "value sent", SLUICE_CHUNKS, 0, SLUICE_DIR_TO_SERVER, kComplete, nullptr, nullptr},
    {"memcached.status", nullptr, nullptr, "status", "first word of the answer", SLUICE_BYTES, SLUICE_DIMENSION, SLUICE_DIR_TO_CLIENT, kComplete, nullptr, nullptr},
    {"memcached.answer_key", nullptr, nullptr, "found", "each key answered", SLUICE_BYTES, SLUICE_REPEATED, SLUICE_DIR_TO_CLIENT, kComplete, nullptr, nullptr},
    {"memcached.value", nullptr, nullptr, nullptr, "value answered", SLUICE_CHUNKS, 0, SLUICE_DIR_TO_CLIENT, kComplete, nullptr, nullptr},
    {nullptr, nullptr, nullptr, "items", "values answered", SLUICE_UINT, SLUICE_MEASURE, SLUICE_DIR_TO_CLIENT, kComplete, nullptr, nullptr},
};
constexpr sluice_event kEvents[] = {
    {"bad_line", "a line that is no command"},
    {"too_many_waiting", "more commands than the limit wait for their answers"},
};
constexpr const char* kStages[] = {"started", "line", "complete"};

constexpr std::array<View, 22> kCommands = {
    "get", "gets", "gat", "gats", "set", "add", "replace", "append", "prepend", "cas", "delete", "incr",
    "decr", "touch", "stats", "version", "verbosity", "flush_all", "quit", "mg", "ms", "mn"};

bool IsStorage(View command) {
  return command == "set" || command == "add" || command == "replace" || command == "append" ||
         command == "prepend" || command == "cas";
}

View NextWord(View* line) {
  while (line->starts_with(' ')) line->remove_prefix(1);
  const View word = line->substr(0, line->find(' '));
  line->remove_prefix(word.size());
  return word;
}

bool ToNumber(View text, uint64_t* out) {
  if (text.empty() || text.size() > 18) return false;
  *out = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    *out = *out * 10 + static_cast<uint64_t>(c - '0');
  }
  return true;
}

class Memcached {
 public:
  explicit Memcached(Flow) {}

  static int32_t Probe(const sluice_probe_input& input) {
    const View head = sluice::ToView(input.head);
    if (input.direction == SLUICE_TO_CLIENT) return SLUICE_PROBE_NO;  // the client speaks first
    const View word = head.substr(0, head.find_first_of(" \r"));
    const bool known = std::ranges::find(kCommands, word) != kCommands.end();
    if (word.size() == head.size()) {
      const bool begins = std::ranges::any_of(kCommands, [&](View c) { return c.starts_with(head); });
      return begins ? SLUICE_PROBE_MAYBE : SLUICE_PROBE_NO;
    }
    if (!known) return SLUICE_PROBE_NO;
    const size_t end = head.find('\n');
    if (end == View::npos) return head.size() < kMaxLine ? SLUICE_PROBE_MAYBE : SLUICE_PROBE_NO;
    return end > 0 && head[end - 1] == '\r' ? SLUICE_PROBE_YES : SLUICE_PROBE_NO;
  }

  ParseResult Parse(Flow flow, uint32_t direction, View in) {
    size_t used = 0;
    while (used < in.size()) {
      const View rest = in.substr(used);
      if (left_[direction] > 0) {
        used += Value(flow, direction, rest);
        continue;
      }
      const size_t end = rest.find('\n');
      if (end == View::npos) {
        return rest.size() > kMaxLine ? sluice::ParseError() : sluice::More(used, rest.size() + 1);
      }
      View line = rest.substr(0, end);
      if (line.ends_with('\r')) line.remove_suffix(1);
      used += end + 1;
      if (!(direction == SLUICE_TO_SERVER ? Command(flow, line) : Answer(flow, line))) return sluice::ParseError();
    }
    return sluice::Ok(used);
  }

  // A hole within a value of known length is stepped over.
  bool Gap(Flow, uint32_t direction, uint64_t bytes) {
    if (bytes > left_[direction]) return false;
    left_[direction] -= bytes;
    return true;
  }

 private:
  // The bytes of a value and its line end; returns how many were taken.
  size_t Value(Flow flow, uint32_t direction, View in) {
    const auto n = static_cast<size_t>(std::min<uint64_t>(left_[direction], in.size()));
    const auto data = static_cast<size_t>(left_[direction] > 2 ? std::min<uint64_t>(left_[direction] - 2, n) : 0);
    const uint64_t tx = direction == SLUICE_TO_SERVER ? storing_ : Oldest();
    left_[direction] -= n;
    if (tx != SLUICE_NO_TX) {
      flow.Chunk(tx, direction == SLUICE_TO_SERVER ? kValue : kAnswerValue, in.substr(0, data), left_[direction] <= 2);
      if (direction == SLUICE_TO_SERVER && left_[direction] == 0) flow.Stage(tx, SLUICE_TO_SERVER, kComplete);
    }
    return n;
  }

  bool Command(Flow flow, View line) {
    if (waiting_.size() >= kMaxWaiting) {
      flow.Event(SLUICE_NO_TX, kTooManyWaiting);
      return false;
    }
    const bool silent = line.ends_with(" noreply");
    View rest = line;
    const View command = NextWord(&rest);
    if (std::ranges::find(kCommands, command) == kCommands.end()) {
      flow.Event(SLUICE_NO_TX, kBadLine);
      return false;
    }
    const uint64_t tx = flow.Begin(silent ? uint32_t{SLUICE_TX_TO_SERVER} : 0);
    if (!silent) waiting_.push_back(tx);
    flow.Set(tx, kCommand, command);
    uint64_t flags = 0, bytes = 0;
    if (IsStorage(command)) {
      flow.Set(tx, kKey, NextWord(&rest));
      const bool good = ToNumber(NextWord(&rest), &flags);
      NextWord(&rest);  // expiry
      if (!good || !ToNumber(NextWord(&rest), &bytes) || bytes > kMaxValue) {
        flow.Event(tx, kBadLine);
        return false;
      }
      flow.SetUint(tx, kFlags, flags);
      flow.SetUint(tx, kBytes, bytes);
      flow.Stage(tx, SLUICE_TO_SERVER, kLine);
      storing_ = tx;
      left_[SLUICE_TO_SERVER] = bytes + 2;  // and its line end
      return true;
    }
    const bool many = command == "get" || command == "gets";
    do {
      const View key = NextWord(&rest);
      if (key.empty() || command == "stats" || command == "version" || command == "flush_all" || command == "verbosity" || command == "quit") break;
      flow.Set(tx, kKey, key);
    } while (many);
    flow.Stage(tx, SLUICE_TO_SERVER, kComplete);
    return true;
  }

  bool Answer(Flow flow, View line) {
    const uint64_t tx = Oldest();
    if (tx == SLUICE_NO_TX) return false;
    View rest = line;
    const View word = NextWord(&rest);
    if (word == "VALUE") {
      uint64_t bytes = 0;
      flow.Set(tx, kAnswerKey, NextWord(&rest));
      NextWord(&rest);  // flags
      if (!ToNumber(NextWord(&rest), &bytes) || bytes > kMaxValue) return false;
      left_[SLUICE_TO_CLIENT] = bytes + 2;
      ++items_;
      return true;
    }
    if (word == "STAT") return true;
    flow.Set(tx, kStatus, word);
    flow.SetUint(tx, kItems, items_);
    flow.Stage(tx, SLUICE_TO_CLIENT, kComplete);
    waiting_.pop_front();
    items_ = 0;
    return true;
  }

  uint64_t Oldest() const { return waiting_.empty() ? SLUICE_NO_TX : waiting_.front(); }

  std::deque<uint64_t> waiting_;
  uint64_t storing_ = SLUICE_NO_TX;
  uint64_t left_[2] = {0, 0};  // bytes of the value in progress
  uint64_t items_ = 0;
};

}  // namespace

extern "C" SLUICE_EXPORT constexpr sluice_plugin sluice_plugin_v1 =
    sluice::MakePlugin<Memcached>("memcached", "memcached text protocol")
        .Version("1.0").Ports("tcp/11211").Fields(kFields).Events(kEvents).Stages(kStages);
