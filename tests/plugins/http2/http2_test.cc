#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>
#include <sluice/plugin.hpp>

#include <algorithm>
#include <functional>

#include "tests/plugins/conversation.h"

namespace sluice::testing {
namespace {

constexpr Direction kC = Direction::kToServer, kS = Direction::kToClient;
const std::string kMagic = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

using Fields = std::vector<std::pair<std::string, std::string>>;
using Strings = std::vector<std::string>;

std::string Big(uint32_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
  return out;
}
std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, const std::string& payload) {
  return Big(static_cast<uint32_t>(payload.size()), 3) + static_cast<char>(type) + static_cast<char>(flags) + Big(stream, 4) + payload;
}

// One direction's encoder.
class Encoder {
 public:
  Encoder() { nghttp2_hd_deflate_new(&deflater_, 4096); }
  ~Encoder() { nghttp2_hd_deflate_del(deflater_); }
  std::string Block(const Fields& fields) {
    std::vector<nghttp2_nv> nva;
    for (const auto& [name, value] : fields) {
      nva.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
                     reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(), 0});
    }
    std::string out(nghttp2_hd_deflate_bound(deflater_, nva.data(), nva.size()), '\0');
    const ssize_t size = nghttp2_hd_deflate_hd(deflater_, reinterpret_cast<uint8_t*>(out.data()), out.size(), nva.data(), nva.size());
    out.resize(static_cast<size_t>(size));
    return out;
  }

 private:
  nghttp2_hd_deflater* deflater_;
};

bool Has(const Conversation& c, std::string_view event) {
  const auto events = c.Events();
  return std::ranges::find(events, event) != events.end();
}

const Fields kGet = {{":method", "GET"}, {":scheme", "http"}, {":path", "/a%20b?x=1"}, {":authority", "Example.COM:80"},
                     {"user-agent", "curl"}, {"cookie", "s=1"}};
const Fields kOk = {{":status", "200"}, {"server", "nginx"}, {"content-type", "text/html; charset=x"}, {"content-length", "5"}};

Turns Exchange() {
  Encoder client, server;
  const std::string request = client.Block(kGet), second = client.Block(kGet);
  return {{kC, kMagic + Frame(4, 0, 0, Big(3, 2) + Big(100, 4)) + Frame(1, 5, 1, request)},
          {kS, Frame(4, 0, 0, "") + Frame(1, 4, 1, server.Block(kOk)) + Frame(0, 8, 1, std::string("\3sho\0\0\0", 7)) + Frame(0, 1, 1, "wn")},
          {kC, Frame(1, 1, 3, second.substr(0, 2)) + Frame(9, 4, 3, second.substr(2))}};
}

TEST(Http2, StreamIsATransactionWithHttpsFields) {
  Conversation c;
  for (const auto& [direction, bytes] : Exchange()) c.Send(direction, bytes);
  ASSERT_GE(c.num_transactions(), 3u);
  const size_t i = 1;  // behind the settings of the client
  EXPECT_EQ(c.Value(i, "http.method"), "GET") << c.Snapshot();
  EXPECT_EQ(c.Value(i, "http.uri"), "/a b?x=1");
  EXPECT_EQ(c.Value(i, "http.request_line"), "GET /a%20b?x=1 HTTP/2");
  EXPECT_EQ(c.Value(i, "http.response_line", kS), "HTTP/2 200\r\n");
  EXPECT_EQ(c.Value(i, "http.stat_msg", kS), "");
  EXPECT_EQ(c.Value(i, "http.uri.raw"), "/a%20b?x=1");
  EXPECT_EQ(c.Value(i, "http.host"), "example.com");
  EXPECT_EQ(c.Value(i, "http.user_agent"), "curl");
  EXPECT_EQ(c.Value(i, "http.cookie"), "s=1");
  EXPECT_EQ(c.Value(i, "http.stat_code", kS), "200");
  EXPECT_EQ(c.Value(i, "http.server", kS), "nginx");
  EXPECT_EQ(c.Value(i, "http.response_body", kS), "shown");
  EXPECT_EQ(c.Number(i, "http2.stream_id"), 1u);
  EXPECT_EQ(c.Number(i, "length"), 5u);
  EXPECT_TRUE(c.tx(i).done());
  ASSERT_EQ(c.tx(i).files.size(), 1u);
  EXPECT_EQ(c.tx(i).files[0].size, 5u);
}

TEST(Http2, EveryCutGivesTheSame) {
  const Turns turns = Exchange();
  const std::string whole = RunTurns(turns);
  for (size_t t = 0; t < turns.size(); ++t) {
    for (size_t cut = 1; cut < turns[t].second.size(); ++cut) EXPECT_EQ(RunTurns(turns, t, cut), whole) << t << " " << cut;
  }
}

TEST(Http2, SettingsAreNumbersUnderTheirName) {
  Conversation c;
  c.Client(kMagic + Frame(4, 0, 0, Big(3, 2) + Big(100, 4)));
  ASSERT_EQ(c.num_transactions(), 1u);
  EXPECT_TRUE(c.tx(0).done());
  EXPECT_EQ(c.Number(0, "settings_id"), 3u);
  EXPECT_EQ(c.Number(0, "settings_value"), 100u);
}

TEST(Http2, AStreamWeighedTwiceSaysSo) {
  const std::string weight = Big(0, 4) + "\x07";
  for (const int times : {1, 2}) {
    Encoder client;
    Conversation c;
    std::string sent = kMagic;
    for (int i = 0; i < times; ++i) sent += Frame(2, 0, 1, weight);
    c.Client(sent + Frame(1, 5, 1, client.Block(kGet)));
    EXPECT_EQ(c.Number(0, "http2.request.priority"), 7u);
    const auto& values = c.tx(0).values;
    EXPECT_EQ(std::ranges::any_of(values, [&](const FieldValue& v) {
                return v.field != UINT16_MAX && c.tx(0).schema->fields[v.field].log == "http2.request.has_multiple" &&
                       AsText(v.bytes) == "priority";
              }), times == 2);
  }
}

TEST(Http2, InterimResponsesAndTrailersAreNotTheAnswer) {
  Encoder client, server;
  Conversation c;
  c.Client(kMagic + Frame(1, 5, 1, client.Block(kGet)));
  c.Server(Frame(1, 4, 1, server.Block({{":status", "103"}})));
  c.Server(Frame(1, 4, 1, server.Block(kOk)) + Frame(0, 0, 1, "x"));
  c.Server(Frame(1, 5, 1, server.Block({{"grpc-status", "0"}})));
  EXPECT_EQ(c.Values(0, "http.stat_code", kS), std::vector<std::string>{"200"});
  EXPECT_TRUE(c.tx(0).done());
}

TEST(Http2, GapInDataIsSteppedOver) {
  Encoder client, server;
  Conversation c;
  c.Client(kMagic + Frame(1, 5, 1, client.Block(kGet)));
  c.Client(Frame(1, 5, 3, client.Block(kGet)));
  const std::string data = Frame(0, 1, 1, std::string(50, 'x'));
  c.Server(Frame(1, 4, 1, server.Block(kOk)) + data.substr(0, 20)).Gap(kS, 30).Server(data.substr(50) + Frame(1, 5, 3, server.Block(kOk)));
  EXPECT_TRUE(c.tx(0).done());
  EXPECT_EQ(c.Value(1, "http.stat_code", kS), "200");
}

TEST(Http2, LostBytesOfABodyCountInItsFileAndLeaveOtherStreamsWhole) {
  Encoder client, server;
  Conversation c;
  c.Client(kMagic + Frame(1, 5, 1, client.Block(kGet))).Client(Frame(1, 5, 3, client.Block(kGet)));
  c.Server(Frame(1, 4, 1, server.Block(kOk))).Server(Frame(1, 4, 3, server.Block(kOk)) + Frame(0, 0, 3, "who"));
  const std::string cut = Frame(0, 1, 1, "0123456789");
  c.Server(cut.substr(0, 11)).Gap(kS, 5).Server(cut.substr(16) + Frame(0, 1, 3, "le"));
  const FileInfo &hole = c.tx(0).files[0], &whole = c.tx(1).files[0];
  EXPECT_TRUE(hole.closed && hole.truncated && hole.has_gap && hole.md5.empty());
  EXPECT_EQ(hole.size, 10u);
  EXPECT_TRUE(whole.closed && !whole.truncated && !whole.has_gap);
  EXPECT_EQ(whole.size, 5u);
}

TEST(Http2, SizeUpdatesAtTheFrontOfABlockAreNumbersWhereverItIsCut) {
  Encoder encoder;
  const std::string block = "\x20\x3f\xe1\x1f" + encoder.Block(kGet);  // 0, then 31 + 0x61 + 0x1f * 128
  const std::string sent = kMagic + Frame(1, 5, 1, block);
  for (size_t at = 1; at < sent.size(); ++at) {
    Conversation c;
    c.Client(sent.substr(0, at)).Client(sent.substr(at));
    const auto& values = c.tx(0).values;
    std::vector<uint64_t> sizes;
    for (const FieldValue& v : values) {
      if (v.field != UINT16_MAX && c.tx(0).schema->fields[v.field].keyword == "http2.size_update") sizes.push_back(v.number);
    }
    EXPECT_EQ(sizes, (std::vector<uint64_t>{0, 31 + 0x61 + (0x1f << 7)})) << at;
    EXPECT_EQ(c.Value(0, "http.method"), "GET");
  }
}

TEST(Http2, ADnsMessageLongerThanOneCanBeIsReported) {
  for (const size_t size : {65535u, 65536u}) {
    Encoder client;
    Conversation c;
    Fields post = kGet;
    post[0].second = "POST";
    post.emplace_back("content-type", "application/dns-message");
    c.Client(kMagic + Frame(1, 4, 1, client.Block(post)));
    for (size_t at = 0; at < size; at += 16000) c.Client(Frame(0, 0, 1, std::string(std::min<size_t>(16000, size - at), 'x')));
    EXPECT_EQ(Has(c, "dns_request_too_long"), size > 65535);
  }
}

struct EventCase {
  const char* name;
  std::string bytes, event;
};
class Http2Event : public ::testing::TestWithParam<EventCase> {};
TEST_P(Http2Event, IsReported) {
  Conversation c;
  c.Client(kMagic + GetParam().bytes);
  EXPECT_TRUE(Has(c, GetParam().event)) << c.Snapshot();
}
std::string Repeat(int times, const std::function<std::string(uint32_t)>& make) {
  std::string out;
  for (int i = 0; i < times; ++i) out += make(static_cast<uint32_t>(2 * i + 1));
  return out;
}
const EventCase kEvents[] = {
    {"BlockThatDoesNotDecode", Frame(1, 5, 1, "\xff\xff\xff\xff\xff\xff"), "invalid_header"},
    {"BlockInterrupted", Frame(1, 1, 1, "\x82") + Frame(6, 0, 0, std::string(8, 'x')), "invalid_frame_header"},
    {"WindowOfTheWrongLength", Frame(8, 0, 0, "abc"), "invalid_frame_length"},
    {"SettingsOfTheWrongLength", Frame(4, 0, 0, "abc"), "invalid_frame_length"},
    {"PaddingLongerThanTheFrame", Frame(0, 8, 1, "\x09x"), "invalid_frame_data"},
    {"DataOnStreamZero", Frame(0, 0, 0, "x"), "data_stream_zero"},
    {"LongControlFrame", Frame(4, 0, 0, std::string(70'002, '\0')), "long_frame_data"},
    {"UserNameInTheAuthority", Frame(1, 5, 1, Encoder().Block({{":method", "GET"}, {":authority", "a:b@c"}})), "userinfo_in_uri"},
    {"HostThatDiffers", Frame(1, 5, 1, Encoder().Block({{":authority", "a"}, {"host", "b"}})), "authority_host_mismatch"},
    {"StreamReused", Frame(1, 5, 3, "\x82") + Frame(3, 0, 3, std::string(4, '\0')) + Frame(1, 5, 3, "\x82"), "stream_id_reuse"},
    {"ContinuationFlood", Frame(1, 1, 1, "") + Repeat(200, [](uint32_t) { return Frame(9, 0, 1, ""); }), "reassembly_limit_reached"},
    {"ManyStreams", Repeat(600, [](uint32_t id) { return Frame(1, 5, id, "\x82"); }), "too_many_streams"},
};
INSTANTIATE_TEST_SUITE_P(Rfc9113, Http2Event, ::testing::ValuesIn(kEvents),
                         [](const auto& info) { return info.param.name; });

TEST(Http2, ARapidResetFloodIsReportedAndBounded) {
  Conversation c;
  c.Client(kMagic);
  for (uint32_t id = 1; id < 400; id += 2) c.Client(Frame(1, 5, id, "\x82") + Frame(3, 0, id, Big(8, 4)));
  const auto events = c.Events();
  EXPECT_EQ(std::ranges::count(events, "rapid_reset"), 1);
  for (size_t i = 0; i + 16 < c.num_transactions(); ++i) EXPECT_TRUE(c.tx(i).done());
}

TEST(Http2, AResponseUnderWayBelongsToTheStreamThatWasReset) {
  Encoder client, server;
  Conversation c;
  c.Client(kMagic + Frame(1, 5, 1, client.Block(kGet)) + Frame(3, 0, 1, Big(8, 4)));
  EXPECT_FALSE(c.tx(0).done());
  c.Server(Frame(1, 4, 1, server.Block(kOk)) + Frame(0, 1, 1, "shown"));
  ASSERT_EQ(c.num_transactions(), 1u);
  EXPECT_TRUE(c.tx(0).done());
  EXPECT_EQ(c.Value(0, "http.stat_code", kS), "200");
}

TEST(Http2, OfStreamsThatWereResetTheLastAreWaitedFor) {
  Encoder client;
  Conversation c;
  c.Client(kMagic);
  for (uint32_t i = 0; i < 20; ++i) c.Client(Frame(1, 5, 2 * i + 1, client.Block(kGet)) + Frame(3, 0, 2 * i + 1, Big(8, 4)));
  for (size_t i = 0; i < 20; ++i) EXPECT_EQ(c.tx(i).done(), i < 4) << i;
}

// ---- behind an upgrade of HTTP/1

// Stands for http: what the client says first is what it gives along.
class Before {
 public:
  explicit Before(sluice::Flow) {}
  static int32_t Probe(const sluice_probe_input& input) {
    return input.direction == SLUICE_TO_SERVER ? SLUICE_PROBE_YES : SLUICE_PROBE_NO;
  }
  ParseResult Parse(sluice::Flow flow, uint32_t, View in) {
    flow.Handover("http2", in);
    return Ok(in.size());
  }
};

// A flow that became HTTP/2 by a request.
class Upgraded {
 public:
  explicit Upgraded(std::string_view head) {
    std::vector<std::unique_ptr<Plugin>> plugins;
    static constexpr const char* kStages[] = {"started", "complete"};
    plugins.push_back(*Plugin::FromStruct(MakePlugin<Before>("http", "stands for http").Stages(kStages), "static", {}));
    plugins.push_back(*Plugin::FromStruct(sluice_plugin_v1, "static", {.call_budget = std::chrono::hours{1}}));
    std::vector<Error> problems;
    catalog_ = Catalog::Create(std::move(plugins), {}, &problems);
    dissector_ = std::make_unique<Dissector>(*catalog_, DissectOptions{});
    flow_ = dissector_->Open({});
    Send(kC, head);
  }
  ~Upgraded() { dissector_->Close(flow_); }
  Upgraded& Send(Direction d, std::string_view bytes) {
    dissector_->Data(*flow_, d, AsSlice(bytes), Nanos{1});
    return *this;
  }
  const FlowDissection& flow() const { return *flow_; }
  const Transaction& tx(size_t i) const { return flow_->transactions()[i]->tx; }
  // Of a transaction, by keyword or log key.
  Strings Values(size_t i, std::string_view name, Direction d = kC) const {
    Strings out;
    for (const FieldValue& v : tx(i).values) {
      if (v.field == UINT16_MAX || v.direction != d) continue;
      const bool keyword = v.keyword != kNoKeyword && catalog_->keywords()[v.keyword].name == name;
      if (!keyword && tx(i).schema->fields[v.field].log != name) continue;
      out.push_back(v.bytes.empty() ? std::to_string(v.number) : std::string(AsText(v.bytes)));
    }
    return out;
  }

 private:
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<Dissector> dissector_;
  FlowDissection* flow_;
};

const std::string kUpgrade =
    "GET /a%20b?x=1 HTTP/1.1\r\nHost: Example.COM:80\r\nUser-Agent: curl\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n";

TEST(Http2Upgrade, TheRequestIsStreamOneAndItsResponsePairs) {
  Encoder server;
  Upgraded c(kUpgrade);
  ASSERT_EQ(c.flow().num_transactions(), 1u);
  EXPECT_TRUE(c.tx(0).complete[0]);
  c.Send(kC, kMagic + Frame(4, 0, 0, ""));
  c.Send(kS, Frame(4, 0, 0, "") + Frame(1, 4, 1, server.Block(kOk)) + Frame(0, 1, 1, "shown"));
  EXPECT_TRUE(c.tx(0).done());
  EXPECT_EQ(c.Values(0, "http2.stream_id"), Strings{"1"});
  EXPECT_EQ(c.Values(0, "http.method"), Strings{"GET"});
  EXPECT_EQ(c.Values(0, "http.uri"), Strings{"/a b?x=1"});
  EXPECT_EQ(c.Values(0, "http.host"), Strings{"example.com"});
  EXPECT_EQ(c.Values(0, "http_user_agent"), Strings{"curl"});
  EXPECT_EQ(c.Values(0, "http.user_agent"), Strings{}) << "rules saw it in HTTP/1";
  EXPECT_EQ(c.Values(0, "http2.settings"), Strings{std::to_string(3ull << 32 | 100)});
  EXPECT_EQ(c.Values(0, "http.stat_code", kS), Strings{"200"});
  EXPECT_EQ(c.Values(0, "http.response_body", kS), Strings{"shown"});
  ASSERT_EQ(c.tx(0).files.size(), 1u);
  EXPECT_EQ(AsText(c.tx(0).files[0].name), "/a b");
}

TEST(Http2Upgrade, SettingsThatDoNotDecodeAreAnEvent) {
  for (const char* bad : {"A", "AAMAAABk!", "AAMAAA", "AAMA AABk"}) {
    std::string head = kUpgrade;
    head.replace(head.find("AAMAAABk"), 8, bad);
    Upgraded c(head);
    ASSERT_EQ(c.tx(0).events.size(), 1u) << bad;
    EXPECT_EQ(c.tx(0).schema->events[c.tx(0).events[0].index].name, "invalid_http1_settings");
  }
}

// Whatever the other dissector says: it is a request or it is nothing.
TEST(Http2Upgrade, AnyCutOfTheRequestIsReadOrLeft) {
  for (size_t cut = 1; cut <= kUpgrade.size(); ++cut) {
    Upgraded c(kUpgrade.substr(0, cut));
    EXPECT_LE(c.flow().num_transactions(), 1u);
    EXPECT_EQ(c.flow().num_transactions(), cut >= kUpgrade.find('\n') + 1 ? 1u : 0u) << cut;
  }
}

// ---- parts of a file

TEST(Http2, PartsOfOneFileInSeveralStreamsAreAlsoTheWhole) {
  Encoder client, server;
  Conversation c;
  c.Client(kMagic);
  const std::string file = "0123456789";
  for (const auto& [stream, from, to] : {std::tuple{1u, 5u, 9u}, {3u, 0u, 4u}}) {
    c.Client(Frame(1, 5, stream, client.Block(kGet)));
    const std::string range = fmt::format("bytes {}-{}/10", from, to);
    c.Server(Frame(1, 4, stream, server.Block({{":status", "206"}, {"content-range", range}})) +
             Frame(0, 1, stream, file.substr(from, to - from + 1)));
  }
  ASSERT_EQ(c.num_transactions(), 2u);
  EXPECT_EQ(c.tx(0).files.size(), 1u);
  ASSERT_EQ(c.tx(1).files.size(), 2u);
  EXPECT_EQ(AsText(c.tx(1).files[1].data), file);
  EXPECT_EQ(AsText(c.tx(1).files[1].name), "/a b");
}

}  // namespace
}  // namespace sluice::testing
