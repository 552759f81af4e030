#include "engine/output/eve.h"

#include <gtest/gtest.h>
#include <sluice/plugin.h>
#include <stdlib.h>
#include <time.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
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
  EXPECT_EQ(CommunityId(t, 0), c.id);
  if (c.protocol == 6 || c.protocol == 17) EXPECT_EQ(CommunityId(t.Reverse(), 0), c.id);
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

// A transaction built by hand on a schema with every shape of log.
class Protocol : public ::testing::Test {
 protected:
  Protocol() {
    schema.name = "toy";
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
    schema.fields[10].names = {{1, "one"}};
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
    const std::string path = ::testing::TempDir() + "/eve_test.json";
    {
      auto file = *LogFile::Open(path, false);
      EveOptions options;
      options.compat = compat;
      EveWriter writer(options, file.get());
      FlowView view;
      view.flow = &flow;
      writer.TransactionRecord(Packet{}, view, tx);
    }
    std::ifstream in(path);
    return Json::parse(in);
  }
  Schema schema;
  Transaction tx;
  Flow flow;
};

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
TEST_F(Protocol, EnumsAreNamesOrNumbers) {
  Set(10, "", 1);
  EXPECT_EQ(Write()["toy"]["kind"], "one");
  tx.values[0].number = 9;
  EXPECT_EQ(Write()["toy"]["kind"], 9);
}
TEST_F(Protocol, AGroupLeftOpenStillGivesValidJson) {
  Set(4, "", 1);
  Set(5, "a");
  EXPECT_EQ(Write()["toy"]["answers"], (Json{{{"data", "a"}}}));
}

TEST(Eve, StatsNestByDots) {
  const std::string path = ::testing::TempDir() + "/eve_stats.json";
  {
    auto file = *LogFile::Open(path, false);
    EveWriter writer({}, file.get());
    writer.Stats(Nanos{}, 9, {{"a.b", 1}, {"a.c.d", 2}, {"e.f", 3}});
  }
  std::ifstream in(path);
  const Json out = Json::parse(in);
  EXPECT_EQ(out["stats"], (Json{{"uptime", 9}, {"a", {{"b", 1}, {"c", {{"d", 2}}}}}, {"e", {{"f", 3}}}}));
}

TEST(FastLog, HasTheUsualForm) {
  Packet p;
  p.time = std::chrono::seconds{1700000000} + std::chrono::microseconds{5};
  p.l4 = L4::kTcp;
  p.ip_protocol = 6;
  p.source = Ip("10.0.0.1");
  p.destination = Ip("10.0.0.2");
  p.source_port = 1;
  p.destination_port = 2;
  Rule r;
  r.sid = 7;
  r.rev = 2;
  r.message = "hello";
  r.classification = "Misc";
  EXPECT_EQ(FastLogLine(p, r, "[Drop] "),
            "11/14/2023-22:13:20.000005  [Drop] [**] [1:7:2] hello [**] [Classification: Misc] "
            "[Priority: 3] {TCP} 10.0.0.1:1 -> 10.0.0.2:2\n");
}

TEST(LogFile, FullDiskLosesLinesAndCountsThem) {
  auto file = *LogFile::Open("/dev/full", true);
  for (int i = 0; i < 100; ++i) file->Write("line\n");
  file->Flush();
  EXPECT_EQ(file->lines_lost(), 100u);
  EXPECT_EQ(file->lines(), 0u);
}
TEST(LogFile, UnwritablePlaceIsAnErrorWithTheRemedy) {
  const auto file = LogFile::Open("/nonexistent/dir/eve.json", true);
  ASSERT_FALSE(file.has_value());
  EXPECT_NE(file.error().message.find("choose another directory"), std::string::npos);
}
TEST(LogFile, LinesOfFourThreadsAreNeverTorn) {
  const std::string path = ::testing::TempDir() + "/torn.log";
  {
    auto file = *LogFile::Open(path, false);
    std::vector<std::thread> threads;
    for (char c = 'a'; c < 'e'; ++c) {
      threads.emplace_back([&file, c] {
        for (int i = 0; i < 5000; ++i) file->Write(std::string(static_cast<size_t>(1 + i % 90), c) + "\n");
      });
    }
    for (std::thread& t : threads) t.join();
  }
  std::ifstream in(path);
  size_t lines = 0;
  for (std::string line; std::getline(in, line); ++lines) {
    ASSERT_EQ(line.find_first_not_of(line[0]), std::string::npos);
  }
  EXPECT_EQ(lines, 20'000u);
}
TEST(LogFile, ReopenWritesToTheNewFile) {
  const std::string path = ::testing::TempDir() + "/rotate.log";
  auto file = *LogFile::Open(path, false);
  file->Write("one\n");
  file->Flush();
  std::rename(path.c_str(), (path + ".1").c_str());
  ASSERT_TRUE(file->Reopen().has_value());
  file->Write("two\n");
  file->Flush();
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  EXPECT_EQ(line, "two");
}

}  // namespace
}  // namespace sluice
