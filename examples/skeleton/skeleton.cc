// A dissector to start from.  Its protocol: the client sends a line "command
// argument", the server answers with a line "code text".  Replace it by yours.
#include <sluice/plugin.hpp>

#include <charconv>

namespace {

using sluice::Flow;
using sluice::ParseResult;
using sluice::View;

constexpr size_t kMaxLine = 1024;  // bytes; a longer line is not this protocol

// Each field once: rules, logs and metrics follow from it.  A field's id is its
// place in the table.
enum Field : uint32_t { kCommand, kArgument, kCode, kText };
enum Event : uint32_t { kNoCode, kUnasked };
enum Stage : uint32_t { kStarted, kComplete };

constexpr sluice_field kFields[] = {
    {.keyword = "skeleton.command", .aliases = nullptr, .modifiers = nullptr, .log = "command",
     .help = "first word of the request", .type = SLUICE_BYTES, .flags = SLUICE_DIMENSION,
     .directions = SLUICE_DIR_TO_SERVER, .stage = kComplete, .names = nullptr, .transform = nullptr},
    {.keyword = "skeleton.argument", .aliases = nullptr, .modifiers = nullptr, .log = "argument",
     .help = "the rest of the request", .type = SLUICE_BYTES, .flags = 0,
     .directions = SLUICE_DIR_TO_SERVER, .stage = kComplete, .names = nullptr, .transform = nullptr},
    {.keyword = "skeleton.code", .aliases = nullptr, .modifiers = nullptr, .log = "code",
     .help = "code of the answer", .type = SLUICE_UINT, .flags = SLUICE_OUTCOME,
     .directions = SLUICE_DIR_TO_CLIENT, .stage = kComplete, .names = nullptr, .transform = nullptr},
    {.keyword = "skeleton.text", .aliases = nullptr, .modifiers = nullptr, .log = "text",
     .help = "text of the answer", .type = SLUICE_BYTES, .flags = 0,
     .directions = SLUICE_DIR_TO_CLIENT, .stage = kComplete, .names = nullptr, .transform = nullptr},
};
constexpr sluice_event kEvents[] = {
    {.name = "no_code", .help = "an answer that does not begin with a number"},
    {.name = "unasked", .help = "an answer without a request"},
};
constexpr const char* kStages[] = {"started", "complete"};

// One object per flow.
class Skeleton {
 public:
  explicit Skeleton(Flow) {}

  // Whether the first bytes of a direction are this protocol.  MAYBE asks again
  // with more; the port is a hint at most.
  static int32_t Probe(const sluice_probe_input& input) {
    const View head = sluice::ToView(input.head);
    if (input.direction != SLUICE_TO_SERVER) return SLUICE_PROBE_NO;
    for (const View command : {"get ", "put ", "delete "}) {
      if (head.starts_with(command)) return SLUICE_PROBE_YES;
      if (command.starts_with(head)) return SLUICE_PROBE_MAYBE;
    }
    return SLUICE_PROBE_NO;
  }

  // In-order bytes of one direction; what is not consumed is presented again.
  ParseResult Parse(Flow flow, uint32_t direction, View in) {
    const size_t end = in.find('\n');
    if (end == View::npos) {
      return in.size() > kMaxLine ? sluice::ParseError() : sluice::More(0, in.size() + 1);
    }
    View line = in.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    direction == SLUICE_TO_SERVER ? Request(flow, line) : Answer(flow, line);
    return sluice::Ok(end + 1);
  }

  // Bytes were lost: lines can no longer be told apart, so this direction ends.
  bool Gap(Flow, uint32_t, uint64_t) { return false; }

 private:
  void Request(Flow flow, View line) {
    const uint64_t tx = flow.Begin();
    const size_t space = line.find(' ');
    flow.Set(tx, kCommand, line.substr(0, space));
    if (space != View::npos) flow.Set(tx, kArgument, line.substr(space + 1));
    flow.Stage(tx, SLUICE_TO_SERVER, kComplete);
    ++asked_;
  }

  // Answers come in the order of the requests.
  void Answer(Flow flow, View line) {
    if (answered_ == asked_) return flow.Event(SLUICE_NO_TX, kUnasked);
    const uint64_t tx = answered_++;
    uint64_t code = 0;
    const auto [rest, error] = std::from_chars(line.data(), line.data() + line.size(), code);
    if (error == std::errc()) {
      flow.SetUint(tx, kCode, code);
      line.remove_prefix(static_cast<size_t>(rest - line.data()));
    } else {
      flow.Event(tx, kNoCode);
    }
    if (line.starts_with(' ')) line.remove_prefix(1);
    flow.Set(tx, kText, line);
    flow.Stage(tx, SLUICE_TO_CLIENT, kComplete);
  }

  uint64_t asked_ = 0, answered_ = 0;
};

}  // namespace

extern "C" SLUICE_EXPORT constexpr sluice_plugin sluice_plugin_v1 =
    sluice::MakePlugin<Skeleton>("skeleton", "lines: commands and answers")
        .Version("0.1").Ports("tcp/9300").Fields(kFields).Events(kEvents).Stages(kStages);
