// A dissector that uses every means of the ABI once.  Its protocol is made for the
// test: the client sends lines "SINK <what>", the server lines "OK <code>".
#include <sluice/plugin.hpp>

#include <charconv>
#include <string>

namespace {

using namespace sluice;

enum Field : uint32_t {
  kWhat, kPrivate, kNumber, kSigned, kFlag, kFlagFalse, kColour, kAddress, kTime, kBody,
  kAnswers, kAnswerName, kAnswerData, kMeta, kMetaKey, kNestA, kNestB, kTag, kHex, kBase64,
  kSeven, kEight, kAlertOnly, kLower, kTrimmed, kLast, kOptional, kSecret, kCode, kSaid, kSetting,
  kPeer, kLateHead, kContext, kAside, kAsideNote, kNumFields
};
enum Event : uint32_t { kOddTransaction, kOddFlow };
enum Stage : uint32_t { kStarted, kHead, kBodyStage, kDone };

constexpr sluice_enum_name kColours[] = {{1, "red"}, {2, "green"}, {0, nullptr}};

// keyword, aliases, modifiers, log, help, type, flags, directions, stage, names, transform
#define TO_SERVER(keyword, log, type, flags) \
  {keyword, nullptr, nullptr, log, "a field", type, flags, SLUICE_DIR_TO_SERVER, kHead, nullptr, nullptr}
constexpr sluice_field kFields[] = {
    {"sink.what", "sink_what old_what", "sink_what_mod", "what", "second word", SLUICE_BYTES,
     SLUICE_DIMENSION, SLUICE_DIR_TO_SERVER, kHead, nullptr, nullptr},
    TO_SERVER("sink.private", nullptr, SLUICE_BYTES, 0),
    TO_SERVER("sink.number", "number", SLUICE_UINT, SLUICE_MEASURE),
    TO_SERVER("sink.signed", "signed", SLUICE_INT, 0),
    TO_SERVER("sink.flag", "flag", SLUICE_BOOL, 0),
    TO_SERVER(nullptr, "flag_false", SLUICE_BOOL, SLUICE_LOG_FALSE),
    {"sink.colour", nullptr, nullptr, "colour", "red or green", SLUICE_ENUM, 0, SLUICE_DIR_TO_SERVER, kHead, kColours, nullptr},
    TO_SERVER("sink.address", "address", SLUICE_ADDRESS, 0),
    TO_SERVER("sink.time", "time", SLUICE_TIME, 0),
    {"sink.body", nullptr, nullptr, "body", "in chunks", SLUICE_CHUNKS, 0, SLUICE_DIR_TO_SERVER, kBodyStage, nullptr, nullptr},
    TO_SERVER(nullptr, "answers", SLUICE_GROUP, SLUICE_REPEATED),
    TO_SERVER("sink.answer.name", "name", SLUICE_BYTES, SLUICE_REPEATED),
    TO_SERVER(nullptr, "data", SLUICE_BYTES, 0),
    TO_SERVER(nullptr, "meta", SLUICE_GROUP, 0),
    TO_SERVER(nullptr, "key", SLUICE_BYTES, 0),
    TO_SERVER(nullptr, "nest.a", SLUICE_UINT, 0),
    TO_SERVER(nullptr, "nest.b", SLUICE_UINT, 0),
    TO_SERVER("sink.tag", "tags", SLUICE_BYTES, SLUICE_REPEATED),
    TO_SERVER(nullptr, "hex", SLUICE_BYTES, SLUICE_HEX),
    TO_SERVER(nullptr, "base64", SLUICE_BYTES, SLUICE_BASE64),
    TO_SERVER(nullptr, "seven", SLUICE_BYTES, SLUICE_LOG_V7),
    TO_SERVER(nullptr, "eight", SLUICE_BYTES, SLUICE_LOG_V8),
    TO_SERVER(nullptr, "alert_only", SLUICE_BYTES, SLUICE_ALERT_ONLY),
    TO_SERVER("sink.lower", "lower", SLUICE_BYTES, SLUICE_LOWERCASE),
    {"sink.trimmed", nullptr, nullptr, "trimmed", "raw in the log", SLUICE_BYTES, 0, SLUICE_DIR_TO_SERVER, kHead, nullptr, "strip_whitespace"},
    TO_SERVER(nullptr, "last", SLUICE_UINT, SLUICE_LOG_LAST),
    TO_SERVER(nullptr, "optional", SLUICE_BYTES, SLUICE_OPTIONAL),
    TO_SERVER("sink.secret", "secret", SLUICE_BYTES, SLUICE_SECRET),
    {"sink.code", nullptr, nullptr, "code", "of the answer", SLUICE_UINT, SLUICE_OUTCOME, SLUICE_DIR_TO_CLIENT, kHead, nullptr, nullptr},
    {"sink.said", nullptr, nullptr, "said", "the whole line, of both sides", SLUICE_BYTES, SLUICE_REPEATED, SLUICE_DIR_BOTH, kHead, nullptr, nullptr},
    TO_SERVER(nullptr, "setting", SLUICE_BYTES, 0),
    TO_SERVER(nullptr, "peer", SLUICE_UINT, 0),
    TO_SERVER("sink.late_head", nullptr, SLUICE_BYTES, 0),
    TO_SERVER("sink.context", "context", SLUICE_BYTES, 0),
    TO_SERVER(nullptr, "aside", SLUICE_GROUP, SLUICE_BESIDE),
    TO_SERVER(nullptr, "note", SLUICE_BYTES, 0),
};
constexpr sluice_event kEvents[] = {{"odd_transaction", "said odd"}, {"odd_flow", "said odd_flow"}};
constexpr const char* kStages[] = {"started", "head", "body", "done"};

std::string setting;

class Sink {
 public:
  static int32_t Init() {
    const char* given = host->option("greeting");
    setting = given == nullptr ? "none" : given;
    host->log(2, "the kitchen sink is installed");
    return 0;
  }
  explicit Sink(Flow flow) { Restart(flow); }

  // What the one before says is a transaction of its own.
  void Restart(Flow flow) {
    answered_ = file_tx_ = 0;
    file_ = 0;
    const sluice_flow_info info = flow.Info();
    if (info.from_protocol == nullptr || info.context.len == 0) return;  // or it was announced
    const uint64_t tx = flow.Begin(SLUICE_TX_TO_SERVER);
    flow.Set(tx, kWhat, ToView(info.context));
    flow.Stage(tx, SLUICE_TO_SERVER, kDone);
  }

  static int32_t Probe(const sluice_probe_input& input) {
    const View head = ToView(input.head), magic = input.direction == SLUICE_TO_SERVER ? "SINK " : "OK ";
    if (head.starts_with(magic)) return SLUICE_PROBE_YES;
    return magic.starts_with(head) ? SLUICE_PROBE_MAYBE : SLUICE_PROBE_NO;
  }

  ParseResult Parse(Flow flow, uint32_t direction, View in) {
    const size_t end = in.find('\n');
    if (end == View::npos) return in.size() > 4096 ? ParseError() : More(0, in.size() + 1);
    direction == SLUICE_TO_SERVER ? Request(flow, in.substr(0, end)) : Answer(flow, in.substr(0, end));
    return Ok(end + 1);
  }

  // A file that is open goes on behind the gap.
  bool Gap(Flow, uint32_t, uint64_t) { return true; }

  void End(Flow flow, uint32_t direction, View rest) {
    if (direction != SLUICE_TO_SERVER || rest.empty()) return;
    const uint64_t tx = flow.Begin(SLUICE_TX_TO_SERVER);
    flow.Set(tx, kWhat, rest);  // the unfinished line
    flow.Stage(tx, SLUICE_TO_SERVER, kDone);
  }

 private:
  void Request(Flow flow, View line) {
    const View what = line.starts_with("SINK ") ? line.substr(5) : line;
    if (file_ != 0) return FileLine(flow, what);
    uint32_t flags = 0;
    if (what == "quiet") flags = SLUICE_TX_NO_LOG;
    if (what == "oneway" || what == "encrypted" || what.starts_with("file ") || what.starts_with("part ")) flags = SLUICE_TX_TO_SERVER;
    const uint64_t tx = flow.Begin(flags);
    flow.Set(tx, kWhat, what);
    flow.Set(tx, kSaid, line);
    if (flow.Context().data() != nullptr) flow.Set(tx, kContext, flow.Context());
    if (what.starts_with("expect ")) Expect(flow, what.substr(7));
    if (what == "all") All(flow, tx);
    if (what == "odd") flow.Event(tx, kOddTransaction);
    if (what == "odd_flow") flow.Event(SLUICE_NO_TX, kOddFlow);
    if (what.starts_with("secret ")) flow.Set(tx, kSecret, what.substr(7));
    if (what.starts_with("file ")) {
      file_tx_ = tx;
      file_ = flow.FileOpen(tx, SLUICE_TO_SERVER, what.substr(5));
      return;
    }
    if (what.starts_with("part ")) {  // "part 5": of ten bytes those from 5 on
      file_tx_ = tx;
      file_ = flow.FileOpen(tx, SLUICE_TO_SERVER, "parted");
      flow.FilePart(file_, "ten bytes", static_cast<uint64_t>(what[5] - '0'), 10);
      return;
    }
    if (what == "late") {  // complete to rules only with the stage
      flow.Stage(tx, SLUICE_TO_SERVER, kHead);
      flow.Set(tx, kLateHead, "late");
    }
    if (what.starts_with("say ")) flow.Handover("", what.substr(4));
    if (what == "encrypted") flow.Encrypted();
    if (what == "to http") flow.Handover("http");
    if (what == "to any") flow.Handover("");
    if (what == "opaque") flow.Handover(nullptr);
    if (what == "none") flow.Budget(SLUICE_TO_SERVER, SLUICE_BUDGET_NONE);
    if (what == "bytes") flow.Budget(SLUICE_TO_SERVER, SLUICE_BUDGET_BYTES, 10);
    if (what == "skip") flow.Budget(SLUICE_TO_SERVER, SLUICE_BUDGET_NEXT_TX, 10);
    flow.Stage(tx, SLUICE_TO_SERVER, kDone);
  }

  // A flow from the same client to the port told; the context is the port's text.
  void Expect(Flow flow, View port) {
    const sluice_flow_info info = flow.Info();
    sluice_expectation data{};
    data.transport = SLUICE_TCP;
    data.ip_version = info.ip_version;
    std::from_chars(port.data(), port.data() + port.size(), data.port[1]);
    std::memcpy(data.address, info.address, sizeof(data.address));
    data.protocol = "sink";
    data.context = ToSlice(port);
    flow.Expect(data);
  }

  void All(Flow flow, uint64_t tx) {
    sluice_flow_info info{};
    info.struct_size = sizeof(info);
    host->flow_info(flow.get(), &info);
    flow.Set(tx, kPrivate, "matched, not logged");
    flow.SetUint(tx, kNumber, 7);
    flow.SetInt(tx, kSigned, -7);
    flow.SetUint(tx, kFlag, 1);
    flow.SetUint(tx, kFlagFalse, 0);
    flow.SetUint(tx, kColour, 2);
    flow.Set(tx, kAddress, View("\xc0\x00\x02\x01", 4));
    flow.SetInt(tx, kTime, static_cast<int64_t>(flow.Now()));
    flow.Chunk(tx, kBody, "first half, ");
    flow.Chunk(tx, kBody, "second half", true);
    for (const View name : {"one", "two"}) {
      flow.Open(tx, kAnswers);
      flow.Set(tx, kAnswerName, name);
      flow.Set(tx, kAnswerData, "data");
      flow.Open(tx, kMeta);
      flow.Set(tx, kMetaKey, name);
      flow.Close(tx);
      flow.Close(tx);
    }
    flow.Open(tx, kAside);
    flow.Set(tx, kAsideNote, "beside");
    flow.Close(tx);
    flow.SetUint(tx, kNestA, 1);
    flow.SetUint(tx, kNestB, 2);
    for (const View tag : {"alpha", "beta"}) flow.Set(tx, kTag, tag);
    flow.Set(tx, kHex, View("\x01\xfe", 2));
    flow.Set(tx, kBase64, View("\x01\xfe", 2));
    flow.Set(tx, kSeven, "7");
    flow.Set(tx, kEight, "8");
    flow.Set(tx, kAlertOnly, "in alerts");
    flow.Set(tx, kLower, "MiXeD");
    flow.Set(tx, kTrimmed, "a b");
    flow.SetUint(tx, kLast, 1);
    flow.SetUint(tx, kLast, 2);
    flow.Set(tx, kOptional, "asked for");
    flow.Set(tx, kSetting, setting);
    flow.SetUint(tx, kPeer, info.port[1]);
  }

  void FileLine(Flow flow, View what) {
    if (what != "end" && what != "cut") {
      flow.FileData(file_, what);
      return;
    }
    flow.FileClose(file_, what == "cut" ? SLUICE_FILE_TRUNCATED : SLUICE_FILE_COMPLETE);
    flow.Stage(file_tx_, SLUICE_TO_SERVER, kDone);
    file_ = 0;
  }

  void Answer(Flow flow, View line) {
    uint64_t code = 0;
    if (line.size() > 3) std::from_chars(line.data() + 3, line.data() + line.size(), code);
    flow.SetUint(answered_, kCode, code);
    flow.Set(answered_, kSaid, line);
    if (code == 299) flow.Budget(SLUICE_TO_SERVER, SLUICE_BUDGET_ALL);
    flow.Stage(answered_++, SLUICE_TO_CLIENT, kDone);
  }

  uint64_t answered_ = 0, file_tx_ = 0;
  int64_t file_ = 0;
};

}  // namespace

extern "C" SLUICE_EXPORT constexpr sluice_plugin sluice_plugin_v1 =
    sluice::MakePlugin<Sink>("sink", "every means of the ABI")
        .Version("1.0").Ports("tcp/4545").Aliases("kitchen").Fields(kFields).Events(kEvents)
        .Stages(kStages);
