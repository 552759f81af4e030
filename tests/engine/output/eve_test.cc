#include "engine/output/eve.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sluice/plugin.h>
#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <regex>
#include <sstream>
#include <thread>

#include "engine/output/fast_log.h"

namespace sluice {
namespace {

using Json = nlohmann::json;

class Utc : public ::testing::Environment {
  void SetUp() override {
    setenv("TZ", "UTC", 1);
    tzset();
  }
};
const auto* const kUtc = ::testing::AddGlobalTestEnvironment(new Utc);

struct StringCase {
  const char* name;
  std::string in, out;  // out: what a JSON reader gets back
};
class JsonString : public ::testing::TestWithParam<StringCase> {};
TEST_P(JsonString, ReadsBackAs) {
  JsonWriter w;
  w.String(GetParam().in);
  EXPECT_EQ(Json::parse(w.text()).get<std::string>(), GetParam().out);
}
const StringCase kStrings[] = {
    {"Plain", "abc", "abc"},
    {"QuoteAndBackslash", "a\"b\\c", "a\"b\\c"},
    {"Controls", std::string("\x00\x1f\n\t", 4), std::string("\x00\x1f\n\t", 4)},
    {"ValidUtf8", "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
    {"LoneByteBecomesText", "a\xff", "a\\xff"},
    {"AsDoesAllBesideIt", "gr\xc3\xbc\xff", "gr\\xc3\\xbc\\xff"},
    {"CutSequenceBecomesText", "\xe2\x82", "\\xe2\\x82"},
    {"OverlongBecomesText", "\xc0\xaf", "\\xc0\\xaf"},
    {"SurrogateBecomesText", "\xed\xa0\x80", "\\xed\\xa0\\x80"},
};
INSTANTIATE_TEST_SUITE_P(Eve, JsonString, ::testing::ValuesIn(kStrings),
                         [](const auto& info) { return info.param.name; });

TEST(JsonWriter, AnyBytesGiveValidJson) {
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string in(random() % 40, '\0');
    for (char& c : in) c = static_cast<char>(random());
    JsonWriter w;
    w.String(in);
    ASSERT_TRUE(Json::accept(w.text()));
  }
}

TEST(JsonWriter, TimeHasSixDigitsAndAnOffsetWithoutColon) {
  JsonWriter w;
  w.Time(std::chrono::seconds{1700000000} + std::chrono::microseconds{42});
  EXPECT_EQ(w.text(), "\"2023-11-14T22:13:20.000042+0000\"");
}

TEST(JsonWriter, Ipv6IsWholeOrShort) {
  for (const auto& [groups, text] : {std::pair{std::array<int, 8>{0xfe80, 0, 0, 0, 0, 0, 0, 1}, "fe80::1"},
                                     {{0, 0, 0, 0, 0, 0, 0, 0}, "::"}, {{0, 0, 0, 0, 0, 0, 0, 1}, "::1"},
                                     {{0x2001, 0xdb8, 0, 0, 0, 0, 0, 0}, "2001:db8::"},
                                     {{0x2001, 0xdb8, 0, 1, 1, 1, 1, 1}, "2001:db8:0:1:1:1:1:1"},
                                     {{0x2001, 0, 0, 1, 0, 0, 0, 1}, "2001:0:0:1::1"},
                                     {{0x2001, 0xdb8, 0, 0, 1, 0, 0, 1}, "2001:db8::1:0:0:1"}}) {
    Address address;
    address.version = 6;
    for (size_t i = 0; i < 8; ++i) {
      address.bytes[2 * i] = static_cast<uint8_t>(groups[i] >> 8);
      address.bytes[2 * i + 1] = static_cast<uint8_t>(groups[i]);
    }
    std::string out;
    AppendShortIpv6(address, &out);
    EXPECT_EQ(out, text);
    JsonWriter w;
    w.Ip(address);
    EXPECT_EQ(w.text().size(), 41u);
    w.Clear();
    w.set_short_ipv6(true);
    w.Ip(address);
    EXPECT_EQ(w.text(), '"' + out + '"');
  }
}

TEST(JsonWriter, Base64HasPadding) {
  for (const auto& [in, out] : {std::pair{"", ""}, std::pair{"f", "Zg=="}, std::pair{"fo", "Zm8="},
                                std::pair{"foo", "Zm9v"}, std::pair{"foobar", "Zm9vYmFy"}}) {
    std::string text;
    AppendBase64(AsSlice(in), &text);
    EXPECT_EQ(text, out);
  }
}

struct CommunityCase {
  uint8_t protocol;
  const char *source, *destination;
  uint16_t sport, dport;
  int version;
  const char* id;
};
Address Ip(const char* text);

class Community : public ::testing::TestWithParam<CommunityCase> {};
TEST_P(Community, EqualsTheSpecification) {
  const CommunityCase& c = GetParam();
  Tuple t;
  t.source = Ip(c.source);
  t.destination = Ip(c.destination);
  t.source_port = c.sport;
  t.destination_port = c.dport;
  t.ip_protocol = c.protocol;
  const auto id = [](const Tuple& tuple) {
    std::string out;
    AppendCommunityId(tuple, 0, &out);
    return out;
  };
  EXPECT_EQ(id(t), c.id);
  if (c.protocol == 6 || c.protocol == 17) {
    EXPECT_EQ(id(t.Reverse()), c.id);
  }
}
Address Ip(const char* text) {
  Address a;
  unsigned b[4];
  if (std::sscanf(text, "%u.%u.%u.%u", &b[0], &b[1], &b[2], &b[3]) == 4) {
    a.version = 4;
    for (size_t i = 0; i < 4; ++i) a.bytes[i] = static_cast<uint8_t>(b[i]);
  }
  return a;
}
const CommunityCase kCommunity[] = {
    {6, "10.0.0.1", "127.0.0.1", 1234, 80, 4, "1:F/BCgQTUT/FXrTnSBgdsKwJ26iE="},
    {17, "192.168.1.52", "8.8.8.8", 54585, 53, 4, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
    {132, "192.168.170.8", "192.168.170.56", 7, 7, 4, "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="},
    {1, "192.168.0.89", "192.168.0.1", 8, 0, 4, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
    {46, "10.1.12.1", "10.1.12.2", 0, 0, 4, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="}};
INSTANTIATE_TEST_SUITE_P(Version1, Community, ::testing::ValuesIn(kCommunity));

struct StringSink final : RecordSink {
  bool Put(RecordType, std::string_view record) override {
    text += record;
    return true;
  }
  std::string text;
};

// A transaction built by hand on a schema with every shape of log.
class Protocol : public ::testing::Test {
 protected:
  Protocol() {
    schema.name = "toy2";
    schema.log_name = "toy";
    Add("name", FieldType::kBytes, 0);
    Add("client.version", FieldType::kBytes, 0);
    Add("size", FieldType::kUint, 0);
    Add("client.software", FieldType::kBytes, 0);
    Add("answers", FieldType::kGroup, SLUICE_REPEATED);
    Add("data", FieldType::kBytes, 0);
    Add("words", FieldType::kBytes, SLUICE_REPEATED);
    Add("password", FieldType::kBytes, SLUICE_SECRET);
    Add("old", FieldType::kBool, SLUICE_LOG_V7);
    Add("new", FieldType::kBool, SLUICE_LOG_V8);
    Add("kind", FieldType::kEnum, 0);
    Add("via", FieldType::kBytes, SLUICE_FORWARDED);
    schema.fields[10].names = {{1, "one"}, {2, "two"}};
    schema.fields[10].list = "kinds";
    Add("ask", FieldType::kGroup, SLUICE_REPEATED | SLUICE_LOG_V7 | SLUICE_RECORD_EACH);
    Add("", FieldType::kGroup, SLUICE_LOG_V8);
    schema.fields[13].merged = true;
    Add("short", FieldType::kBytes, SLUICE_RECORD_ONLY);
    schema.fields[14].log_name = "short";
    schema.fields[14].list = "forms";
    schema.stages[0] = schema.stages[1] = {"done"};
    tx.schema = &schema;
    flow.tuple.source = Ip("10.0.0.1");
    flow.tuple.destination = Ip("10.0.0.2");
    flow.tuple.ip_protocol = 6;
    flow.id = 77;
  }
  void Add(const char* log, FieldType type, uint32_t flags) {
    FieldInfo info;
    info.log = log;
    info.type = type;
    info.flags = flags;
    schema.fields.push_back(info);
  }
  void Set(uint16_t field, std::string_view text, uint64_t number = 0) {
    FieldValue v;
    v.field = field;
    v.type = schema.fields[field].type;
    v.bytes = AsSlice(text);
    v.number = number;
    tx.values.push_back(v);
  }
  void Close() {
    FieldValue v;
    v.field = UINT16_MAX;
    v.type = FieldType::kGroup;
    tx.values.push_back(v);
  }
  Json Write(int compat = 8) {
    options.compat = compat;
    return Json::parse(WriteLines());
  }
  std::string WriteLines() {
    StringSink sink;
    EveWriter writer(options, &sink);
    FlowView view;
    view.flow = &flow;
    writer.TransactionRecord(Packet{}, view, tx);
    return sink.text;
  }
  Json WriteAlert() {
    StringSink sink;
    EveWriter writer(options, &sink);
    FlowView view;
    view.flow = &flow;
    Rule rule;
    AlertView alert;
    alert.rule = &rule;
    alert.tx = &tx;
    writer.Alert(Packet{}, view, alert);
    return Json::parse(sink.text);
  }
  // Two questions, in the form of each version.
  void Ask() {
    Set(13, "", 1);
    Set(0, "both");
    Close();
    for (const uint64_t kind : {1, 2}) {
      Set(12, "", 1);
      Set(0, kind == 1 ? "first" : "second");
      Set(10, "", kind);
      Close();
    }
  }
  EveOptions options;
  Schema schema;
  Transaction tx;
  Flow flow;
};

TEST_F(Protocol, BodiesAreInAlertsIfAskedForAndOtherGrowingValuesAsTheyWere) {
  Add("body", FieldType::kChunks, SLUICE_ALERT_ONLY | SLUICE_OPTIONAL);
  Add("growing", FieldType::kChunks, 0);
  Set(15, "a\tb");
  Set(16, "text");
  EXPECT_EQ(WriteAlert()["toy"], (Json{{"growing", "text"}}));
  options.bodies = options.bodies_printable = true;
  EXPECT_EQ(WriteAlert()["toy"], (Json{{"body", "YQli"}, {"body_printable", "a.b"}, {"growing", "text"}}));
  EXPECT_EQ(Write()["toy"], (Json{{"growing", "text"}}));
}

// A group of a name and a value, as headers are logged.
class Redacted : public Protocol {
 protected:
  Redacted() {
    Add("headers", FieldType::kGroup, SLUICE_REPEATED);
    Add("value", FieldType::kBytes, 0);
    options.redacted = {"authorization"};
  }
  Json Header(std::string_view name, std::string_view value) {
    tx.values.clear();
    Set(15, "", 1);
    Set(0, name);
    Set(16, value);
    Close();
    return Write()["toy"]["headers"][0]["value"];
  }
};
TEST_F(Redacted, ValuesOfHiddenNamesAreADigest) {
  const Json one = Header("Authorization", "Basic c2VjcmV0");
  EXPECT_TRUE(std::regex_match(one.get<std::string>(), std::regex("sha256:[0-9a-f]{16}")));
  EXPECT_EQ(Header("authorization", "Basic c2VjcmV0"), one);
  EXPECT_NE(Header("authorization", "Basic other"), one);
  EXPECT_EQ(Header("Accept", "text/html"), "text/html");
  options.salt = "another";
  EXPECT_NE(Header("Authorization", "Basic c2VjcmV0"), one);
}
// RFC 4231, test case 2.
TEST(Redactor, TheDigestIsHmacSha256) {
  std::string out;
  Redactor({}, "Jefe").Append(AsSlice(std::string_view("what do ya want for nothing?")), &out);
  EXPECT_EQ(out, "sha256:5bdcc146bf60754e");
}

struct ForwardedCase {
  const char* name;
  std::string list;
  bool overwrite, forward;
  Direction direction;
  const char *xff, *source, *destination;  // of the alert; "" absent
};
class Forwarded : public Protocol, public ::testing::WithParamInterface<ForwardedCase> {};
TEST_P(Forwarded, ClientIsNamed) {
  const ForwardedCase& c = GetParam();
  Set(11, c.list);
  EveOptions options;
  options.xff = true;
  options.xff_overwrite = c.overwrite;
  options.xff_forward = c.forward;
  StringSink sink;
  EveWriter writer(options, &sink);
  const Rule rule;
  AlertView alert;
  alert.rule = &rule;
  alert.tx = &tx;
  alert.direction = c.direction;
  Packet packet;
  packet.ip_version = 4;
  packet.source = Ip("10.0.0.1");
  packet.destination = Ip("10.0.0.2");
  FlowView view;
  view.flow = &flow;
  writer.Alert(packet, view, alert);
  const Json out = Json::parse(sink.text);
  EXPECT_EQ(out["alert"].value("xff", ""), c.xff);
  EXPECT_EQ(out["src_ip"], c.source);
  EXPECT_EQ(out["dest_ip"], c.destination);
}
const ForwardedCase kForwarded[] = {
    {"ReverseTakesTheLast", "1.1.1.1, 2.2.2.2", false, false, Direction::kToServer, "2.2.2.2", "10.0.0.1", "10.0.0.2"},
    {"ForwardTakesTheFirst", "1.1.1.1, 2.2.2.2", false, true, Direction::kToServer, "1.1.1.1", "10.0.0.1", "10.0.0.2"},
    {"OverwriteReplacesTheClient", "1.1.1.1", true, true, Direction::kToServer, "", "1.1.1.1", "10.0.0.2"},
    {"OverwriteReplacesTheClientInAnswers", "1.1.1.1", true, true, Direction::kToClient, "", "10.0.0.1", "1.1.1.1"},
    {"WhatIsNoAddressIsIgnored", "unknown", true, true, Direction::kToServer, "", "10.0.0.1", "10.0.0.2"},
};
INSTANTIATE_TEST_SUITE_P(Xff, Forwarded, ::testing::ValuesIn(kForwarded),
                         [](const auto& info) { return info.param.name; });

TEST_F(Protocol, ObjectIsNamedAfterTheDissector) {
  Set(0, "x");
  const Json out = Write();
  EXPECT_EQ(out["event_type"], "toy");
  EXPECT_EQ(out["toy"]["name"], "x");
  EXPECT_EQ(out["tx_id"], 0);
  EXPECT_EQ(out["flow_id"], 77);
  EXPECT_EQ(out["src_ip"], "10.0.0.1");
}
TEST_F(Protocol, DottedKeysShareOneObjectWhereverTheyStand) {
  Set(1, "2.0");
  Set(2, "", 5);
  Set(3, "ssh");
  EXPECT_EQ(Write()["toy"], (Json{{"client", {{"version", "2.0"}, {"software", "ssh"}}}, {"size", 5}}));
}
TEST_F(Protocol, RepeatedGroupsAreArraysOfObjects) {
  for (const char* word : {"a", "b"}) {
    Set(4, "", 1);
    Set(5, word);
    Close();
  }
  EXPECT_EQ(Write()["toy"]["answers"], (Json{{{"data", "a"}}, {{"data", "b"}}}));
}
TEST_F(Protocol, RepeatedValuesAreAnArray) {
  Set(6, "a");
  Set(6, "b");
  EXPECT_EQ(Write()["toy"]["words"], (Json{"a", "b"}));
}
TEST_F(Protocol, SecretsAreNeverWritten) {
  Set(7, "hunter2");
  EXPECT_EQ(Write()["toy"], Json::object());
}
TEST_F(Protocol, CompatChoosesTheForm) {
  Set(8, "", 1);
  Set(9, "", 1);
  EXPECT_EQ(Write(7)["toy"], (Json{{"old", true}}));
  EXPECT_EQ(Write(8)["toy"], (Json{{"new", true}}));
}
TEST_F(Protocol, AMergedGroupHasNoObjectOfItsOwn) {
  Ask();
  EXPECT_EQ(Write()["toy"], (Json{{"name", "both"}}));
}

TEST_F(Protocol, EachOfTheGroupsHasARecordAndInAlertsAnObject) {
  Ask();
  options.compat = 7;
  std::istringstream lines(WriteLines());
  std::string first, second;
  ASSERT_TRUE(std::getline(lines, first) && std::getline(lines, second));
  EXPECT_EQ(Json::parse(first)["toy"], (Json{{"name", "first"}, {"kind", "one"}}));
  EXPECT_EQ(Json::parse(second)["toy"], (Json{{"name", "second"}, {"kind", "two"}}));
  EXPECT_EQ(WriteAlert()["toy"]["ask"].size(), 2u);
}

TEST_F(Protocol, ARecordMayHaveAnOlderFormThanItsAlert) {
  Ask();
  options.records["toy2"].compat = 7;
  const std::string lines = WriteLines();
  EXPECT_EQ(std::ranges::count(lines, '\n'), 2);
  EXPECT_EQ(WriteAlert()["toy"], (Json{{"name", "both"}}));
}

TEST_F(Protocol, AListChoosesRecordsByTheirValues) {
  Ask();
  options.records["toy2"].compat = 7;
  options.records["toy2"].lists["kinds"] = {"two"};
  EXPECT_EQ(Json::parse(WriteLines())["toy"]["name"], "second");
  options.records["toy2"].lists["kinds"] = {"other"};
  EXPECT_EQ(WriteLines(), "");
  EXPECT_EQ(WriteAlert()["toy"], (Json{{"name", "both"}}));
}

TEST_F(Protocol, AListChoosesFieldsByTheirNames) {
  Set(0, "n");
  Set(14, "s");
  EXPECT_EQ(Write()["toy"], (Json{{"name", "n"}, {"short", "s"}}));
  EXPECT_EQ(WriteAlert()["toy"], (Json{{"name", "n"}}));
  options.records["toy2"].lists["forms"] = {"long"};
  EXPECT_EQ(Write()["toy"], (Json{{"name", "n"}}));
}

TEST_F(Protocol, RequestsOrResponsesMayBeLeftOut) {
  Set(0, "n");
  tx.directions = SLUICE_DIR_TO_CLIENT;
  options.records["toy2"].requests = false;
  EXPECT_NE(WriteLines(), "");
  options.records["toy2"].responses = false;
  EXPECT_EQ(WriteLines(), "");
}

TEST_F(Protocol, EnumsAreNamesOrDigits) {
  Set(10, "", 1);
  EXPECT_EQ(Write()["toy"]["kind"], "one");
  tx.values[0].number = 9;
  EXPECT_EQ(Write()["toy"]["kind"], "9");
}
TEST_F(Protocol, AGroupLeftOpenStillGivesValidJson) {
  Set(4, "", 1);
  Set(5, "a");
  EXPECT_EQ(Write()["toy"]["answers"], (Json{{{"data", "a"}}}));
}

Json Stats(const EveOptions& options, const NamedCounters& counters) {
  StringSink sink;
  EveWriter(options, &sink).Stats(Nanos{}, 9, counters);
  return Json::parse(sink.text)["stats"];
}
TEST(Eve, StatsNestByDots) {
  EXPECT_EQ(Stats({}, {{"a.b", 1}, {"a.c.d", 2}, {"e.f", 3}}),
            (Json{{"uptime", 9}, {"a", {{"b", 1}, {"c", {{"d", 2}}}}}, {"e", {{"f", 3}}}}));
}
TEST(Eve, StatsLeaveOutWhatIsNotWanted) {
  const NamedCounters counters = {{"a.b", 0}, {"a.c", 2}, {"threads.W#01.a.c", 2}};
  EveOptions options;
  options.stats_zero = false;
  EXPECT_EQ(Stats(options, counters), (Json{{"uptime", 9}, {"a", {{"c", 2}}}}));
  options.stats_totals = false;
  options.stats_threads = true;
  EXPECT_EQ(Stats(options, counters), (Json{{"uptime", 9}, {"threads", {{"W#01", {{"a", {{"c", 2}}}}}}}}));
}
TEST(Eve, StatsDeltasAreSinceTheLastRecord) {
  StringSink sink;
  EveOptions options;
  options.stats_deltas = true;
  EveWriter writer(options, &sink);
  writer.Stats(Nanos{}, 1, {{"a.b", 5}});
  sink.text.clear();
  writer.Stats(Nanos{}, 2, {{"a.b", 7}});
  EXPECT_EQ(Json::parse(sink.text)["stats"]["a"], (Json{{"b", 7}, {"b_delta", 2}}));
}

struct FastCase {
  const char* name;
  uint8_t protocol;
  const char* tag;
  const char* end;  // from "{" on
};
class FastLog : public ::testing::TestWithParam<FastCase> {};
TEST_P(FastLog, HasTheUsualForm) {
  Packet p;
  p.time = std::chrono::seconds{1700000000} + std::chrono::microseconds{5};
  p.ip_protocol = GetParam().protocol;
  p.l4 = p.ip_protocol == 6 ? L4::kTcp : p.ip_protocol == 1 ? L4::kIcmp : L4::kNone;
  p.ip_version = 4;
  p.source = Ip("10.0.0.1");
  p.destination = Ip("10.0.0.2");
  if (p.ip_protocol == 6) p.source_port = 1, p.destination_port = 2;
  p.icmp_type = 8;
  Rule r;
  r.sid = 7;
  r.rev = 2;
  r.message = "hello";
  r.classification = "Misc";
  std::string line;
  AppendFastLog(p, r, GetParam().tag, &line);
  EXPECT_EQ(line, "11/14/2023-22:13:20.000005  " + std::string(GetParam().tag) +
                      "[**] [1:7:2] hello [**] [Classification: Misc] [Priority: 3] " +
                      GetParam().end + "\n");
}
const FastCase kFast[] = {
    {"Tcp", 6, "[Drop] ", "{TCP} 10.0.0.1:1 -> 10.0.0.2:2"},
    {"IcmpShowsTypeAndCode", 1, "[wDrop] ", "{ICMP} 10.0.0.1:8 -> 10.0.0.2:0"},
    {"ProtocolWithoutNameIsANumber", 200, "", "{PROTO:200} 10.0.0.1:0 -> 10.0.0.2:0"}};
INSTANTIATE_TEST_SUITE_P(Form, FastLog, ::testing::ValuesIn(kFast),
                         [](const auto& info) { return info.param.name; });

TEST(FastLogRaw, APacketThatIsNotIpIsShownByItsFirstBytes) {
  const uint8_t bytes[40] = {0xab, 0xcd};
  Packet p;
  p.number = 9;
  p.frame = Slice(bytes, 40);
  Rule r;
  r.sid = 7;
  std::string line;
  AppendFastLog(p, r, "", &line);
  EXPECT_NE(line.find("[Classification: (null)] [Priority: 3] [**] [Raw pkt: AB CD 00 "), line.npos);
  EXPECT_TRUE(line.ends_with("00 ] [pcap file packet: 9]\n"));
}

TEST(Eve, StatsHaveAHundredKeysALevelAtMost) {
  NamedCounters counters;
  for (int i = 0; i < 66; ++i) counters.emplace_back(fmt::format("many.{:02}", i), i < 60 ? i : 0);
  for (int i = 0; i < 50; ++i) counters.emplace_back(fmt::format("some.{:02}", i), 0);
  EveOptions options;
  options.stats_deltas = true;
  const Json out = Stats(options, counters);
  EXPECT_EQ(out["many"].size(), 100u);
  EXPECT_TRUE(out["many"].contains("65"));
  EXPECT_TRUE(out["many"].contains("01_delta"));
  EXPECT_EQ(out["some"].size(), 100u);  // there is room: each has its delta
}
TEST(Eve, MemcapPressureStandsWhereEachVersionHasIt) {
  const NamedCounters counters = {{"a.b", 1}, {"memcap.pressure", 5}, {"memcap.pressure_max", 7}, {"z.y", 2}};
  EXPECT_EQ(Stats({}, counters)["memcap"], (Json{{"pressure", 5}, {"pressure_max", 7}}));
  EveOptions seven;
  seven.compat = 7;
  EXPECT_EQ(Stats(seven, counters), (Json{{"uptime", 9}, {"a", {{"b", 1}}}, {"memcap_pressure", 5},
                                          {"memcap_pressure_max", 7}, {"z", {{"y", 2}}}}));
}

TEST(Eve, ProtocolsHaveNamesOrThreeDigits) {
  for (const auto& [number, name] : {std::pair{1, "ICMP"}, {4, "IP-in-IP"}, {6, "TCP"}, {17, "UDP"}, {33, "DCCP"}, {41, "IPv6"},
                                     {44, "IPv6-Frag"}, {50, "ESP"}, {58, "IPv6-ICMP"}, {61, "061"}, {88, "EIGRP"}, {89, "OSPF"},
                                     {103, "PIM"}, {108, "IPComp"}, {112, "VRRP"}, {115, "L2TP"}, {132, "SCTP"}, {136, "UDPLite"},
                                     {139, "HIP"}, {145, "NSH"}, {146, "146"}, {253, "253"}}) {
    EXPECT_EQ(IpProtocolName(static_cast<uint8_t>(number)), name);
  }
}

// A record's Ethernet addresses stand as its IP addresses do, whichever side's packet it is written at.
class EtherOrder : public Protocol {
 protected:
  EtherOrder() {
    options.ethernet = true;
    packet.ip_version = 4;
    packet.ethernet = Slice(header, 14);
    view.flow = &flow;
    flow.packets[0] = flow.packets[1] = 1;
    macs[0].Add(Slice(header + 6, 6));
    macs[1].Add(Slice(header, 6));
    view.macs = macs;
  }
  void SentBy(bool client) {
    packet.source = client ? flow.tuple.source : flow.tuple.destination;
    packet.destination = client ? flow.tuple.destination : flow.tuple.source;
  }
  template <typename F>
  std::vector<Json> Lines(F write) {
    StringSink sink;
    EveWriter writer(options, &sink);
    write(writer);
    std::vector<Json> out;
    std::istringstream lines(sink.text);
    for (std::string line; std::getline(lines, line);) out.push_back(Json::parse(line));
    return out;
  }
  const uint8_t header[14] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0};  // to ...02 from ...01
  const std::string first = "02:00:00:00:00:01", second = "02:00:00:00:00:02";
  Packet packet;
  FlowView view;
  MacSet macs[2];
};
TEST_F(EtherOrder, OfAClientsPacketItIsThePackets) {
  SentBy(true);
  const Json out = Lines([&](EveWriter& w) { w.TransactionRecord(packet, view, tx); })[0];
  EXPECT_EQ(out["ether"], (Json{{"ether_type", 0x800}, {"src_mac", first}, {"dest_mac", second}}));
}
TEST_F(EtherOrder, OfAServersPacketItIsTurned) {
  SentBy(false);
  const Json out = Lines([&](EveWriter& w) { w.TransactionRecord(packet, view, tx); })[0];
  EXPECT_EQ(out["src_ip"], "10.0.0.1");
  EXPECT_EQ(out["ether"]["src_mac"], second);
  EXPECT_EQ(out["ether"]["dest_mac"], first);
}
TEST_F(EtherOrder, OfADirectionItIsItsSenders) {
  options.types = {"netflow"};
  options.all_types = false;
  const auto out = Lines([&](EveWriter& w) { w.NetflowRecords(view, Nanos{}); });
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0]["ether"]["src_macs"], Json{first});
  EXPECT_EQ(out[1]["src_ip"], "10.0.0.2");
  EXPECT_EQ(out[1]["ether"]["src_macs"], Json{second});
}

// What one packet's drop record says.
class DropFields : public EtherOrder {
 protected:
  Json Drop() {
    options.ethernet = false;
    DropView drop;
    drop.reason = "rules";
    return Lines([&](EveWriter& w) { w.Drop(packet, view, drop); })[0];
  }
};
TEST_F(DropFields, WhatIsNotIpHasItsLengthAlone) {
  packet.ip_version = 0;
  packet.wire_len = 60;
  EXPECT_EQ(Drop()["drop"], (Json{{"len", 60}, {"reason", "rules"}}));
}
TEST_F(DropFields, UdpLengthIsTheHeaders) {
  const uint8_t udp[8] = {0, 53, 0, 53, 1, 2, 0, 0};
  packet.l4 = L4::kUdp;
  packet.l4_header = Slice(udp, 8);
  EXPECT_EQ(Drop()["drop"]["udplen"], 0x102);
}
TEST_F(DropFields, OnlyAnEchoHasAnIdentifier) {
  packet.l4 = L4::kIcmp;
  packet.icmp_id = 7;
  packet.icmp_type = 8;
  EXPECT_EQ(Drop()["drop"]["icmp_id"], 7);
  packet.icmp_type = 3;
  EXPECT_FALSE(Drop()["drop"].contains("icmp_id"));
}
TEST_F(DropFields, AnInnerPacketNamesTheOneAroundIt) {
  Packet outer = packet;
  outer.source = Ip("192.0.2.1");
  packet.outer = &outer;
  EXPECT_EQ(Drop()["tunnel"]["src_ip"], "192.0.2.1");
}

TEST_F(EtherOrder, AFlowSaysWhatItsSidesSpeakAndWhatWasTakenOut) {
  flow.tuple.ip_protocol = 6;
  view.app_proto = "toy";
  view.side_protos[1] = "other";
  view.urgent_bytes[0] = 3;
  const Json out = Lines([&](EveWriter& w) { w.FlowRecord(view, FlowEndReason::kForced, Nanos{}); })[0];
  EXPECT_FALSE(out.contains("app_proto_ts"));
  EXPECT_EQ(out["app_proto_tc"], "other");
  EXPECT_EQ(out["tcp"]["ts_urgent_oob_data"], 3);
  EXPECT_FALSE(out["tcp"].contains("tc_urgent_oob_data"));
  EXPECT_EQ(out["flow"]["emergency"], true);
}
TEST_F(EtherOrder, APartOfAFileSaysWhichBytesItIs) {
  FileInfo file;
  file.size = 100;
  file.whole = 1;
  file.whole_at = 50;
  const Json out = Lines([&](EveWriter& w) { w.FileRecord(packet, view, tx, file); })[0];
  EXPECT_EQ(out["fileinfo"]["start"], 50);
  EXPECT_EQ(out["fileinfo"]["end"], 149);
  EXPECT_EQ(out["pkt_src"], "wire/pcap");
}

TEST_F(EtherOrder, TheInterfaceIsThePacketsOrTheFlows) {
  view.interface = "eth0";
  const auto out = Lines([&](EveWriter& w) {
    w.set_interface("eth1");
    w.TransactionRecord(packet, view, tx);
    w.FlowRecord(view, FlowEndReason::kTimeout, Nanos{});
  });
  EXPECT_EQ(out[0]["in_iface"], "eth1");
  EXPECT_EQ(out[1]["in_iface"], "eth0");
}
TEST_F(EtherOrder, TheSensorSaysWhatItLost) {
  const Packet* none = nullptr;
  const SensorView::Loss loss{5, std::chrono::seconds{1700000000}, 12.5};
  const Json out = Lines([&](EveWriter& w) {
    w.Sensor(Nanos{}, FlowView{}, none, {.state = "degraded", .what = "packet_loss", .detail = "d", .loss = loss});
  })[0];
  EXPECT_EQ(out["sensor"], (Json{{"state", "degraded"}, {"what", "packet_loss"}, {"detail", "d"}, {"lost_pkts", 5},
                                 {"lost_since", "2023-11-14T22:13:20.000000+0000"}, {"blind_pct", 12.5}}));
}
TEST_F(EtherOrder, RulesHaveTheirShare) {
  const RuleCostView rule{1, 7, 640, 3, 2, 99.5, 200, 25};
  const Json out = Lines([&](EveWriter& w) { w.RuleStats(Nanos{}, std::span(&rule, 1)); })[0];
  EXPECT_EQ(out["rule_stats"], (Json{{{"gid", 1}, {"sid", 7}, {"checks", 640}, {"matches", 3}, {"alerts", 2}, {"ticks_avg", 99.5},
                                      {"ticks_max", 200}, {"share_pct", 25.0}}}));
}

TEST(MacSet, KeepsEachOnceAndABoundedNumber) {
  MacSet set;
  for (int round = 0; round < 2; ++round) {
    for (uint8_t i = 0; i < 20; ++i) {
      const uint8_t mac[6] = {0, 0, 0, 0, 0, i};
      set.Add(Slice(mac, 6));
    }
  }
  EXPECT_EQ(set.count, MacSet::kMax);
}

}  // namespace
}  // namespace sluice
