// What is known of hosts from elsewhere: reputation files and countries, and rules on them.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "engine/match/geo_database.h"
#include "engine/match/reputation.h"
#include "engine/rules/parser.h"
#include "tests/engine/match/geo_file.h"
#include "tests/engine/match/support.h"
#include "tests/engine/rules/fake_keywords.h"

namespace sluice::testing {
namespace {

std::shared_ptr<Reputation> From(const std::string& text, std::vector<RuleProblem>* problems = nullptr) {
  std::vector<RuleProblem> unused;
  auto out = std::make_shared<Reputation>();
  out->Parse(text, "r.list", problems ? problems : &unused);
  out->Finish();
  return out;
}

struct ReputationCase {
  const char* name;
  const char* lines;
  Address address;
  uint8_t category;
  int value;  // -1: none
};
class Reputations : public ::testing::TestWithParam<ReputationCase> {};
TEST_P(Reputations, AreFound) {
  std::vector<RuleProblem> problems;
  const auto value = From(GetParam().lines, &problems)->Find(GetParam().address, GetParam().category);
  EXPECT_EQ(value ? *value : -1, GetParam().value);
  EXPECT_TRUE(problems.empty());
}
const ReputationCase kReputations[] = {
    {"OfAHost", "10.0.0.1,3,20\n", Ip(10, 0, 0, 1), 3, 20},
    {"NotOfItsNeighbour", "10.0.0.1,3,20\n", Ip(10, 0, 0, 2), 3, -1},
    {"NotInAnotherCategory", "10.0.0.1,3,20\n", Ip(10, 0, 0, 1), 4, -1},
    {"OfANetwork", "10.0.0.0/8,3,20\n", Ip(10, 200, 0, 1), 3, 20},
    {"BitsBehindThePrefixMeanNothing", "10.1.2.3/8,3,20\n", Ip(10, 200, 0, 1), 3, 20},
    {"ThePrefixMayBeEmpty", "0.0.0.0/0,3,20\n", Ip(200, 0, 0, 1), 3, 20},
    {"TheHostOutranksItsNetwork", "10.0.0.1,3,1\n10.0.0.0/8,3,20\n", Ip(10, 0, 0, 1), 3, 1},
    {"TheLongestPrefixOfTheCategoryCounts", "10.0.0.0/24,4,1\n10.0.0.0/8,3,20\n", Ip(10, 0, 0, 1), 3, 20},
    {"TheLastLineCounts", "10.0.0.1,3,1\n10.0.0.1,3,2\n", Ip(10, 0, 0, 1), 3, 2},
    {"CommentsAndBlanksAreSkipped", "# hosts\n\nip,category,value\n 10.0.0.1, 3, 127\r\n", Ip(10, 0, 0, 1), 3, 127},
    {"Ipv4IsNotIpv6", "::/0,3,20\n", Ip(10, 0, 0, 1), 3, -1},
};
INSTANTIATE_TEST_SUITE_P(Table, Reputations, ::testing::ValuesIn(kReputations), [](const auto& c) { return c.param.name; });

TEST(Reputation, ABrokenLineIsNamedAndTheOthersCount) {
  std::vector<RuleProblem> problems;
  const auto r = From("10.0.0.1,60,1\n10.0.0.2,1,128\n10.0.0.0/33,1,1\nx,1,1\n10.0.0.1,1\n10.0.0.9,1,5\n", &problems);
  ASSERT_EQ(problems.size(), 5u);
  for (uint32_t i = 0; i < 5; ++i) EXPECT_EQ(problems[i].place.line, i + 1);
  EXPECT_EQ(r->Find(Ip(10, 0, 0, 9), 1), std::optional<uint8_t>(5));
}

// Of all entries that cover the address, the longest and last: said by trying each.
TEST(Reputation, LawAgreesWithTryingEachEntry) {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    struct Line {
      uint32_t network, prefix, category, value;
    };
    std::vector<Line> lines;
    std::string text;
    for (int i = 0; i < 40; ++i) {
      const Line line{static_cast<uint32_t>(random() & 0xf000000f), static_cast<uint32_t>(random() % 33),
                      static_cast<uint32_t>(random() % 2), static_cast<uint32_t>(random() % 128)};
      lines.push_back(line);
      text += fmt::format("{}.0.0.{}/{},{},{}\n", line.network >> 24, line.network & 255, line.prefix, line.category, line.value);
    }
    const auto r = From(text);
    for (int probe = 0; probe < 100; ++probe) {
      const auto address = static_cast<uint32_t>(random() & 0xf000000f), category = static_cast<uint32_t>(random() % 2);
      int expect = -1;
      uint32_t longest = 0;
      for (const Line& line : lines) {
        const uint32_t mask = line.prefix == 0 ? 0 : ~0u << (32 - line.prefix);
        if (line.category != category || (line.network & mask) != (address & mask) || line.prefix < longest) continue;
        longest = line.prefix;
        expect = static_cast<int>(line.value);
      }
      const auto got = r->Find(Ip(static_cast<uint8_t>(address >> 24), 0, 0, static_cast<uint8_t>(address)), static_cast<uint8_t>(category));
      ASSERT_EQ(got ? *got : -1, expect) << text << address;
    }
  }
}

// ------------------------------------------------------------------ countries

class Countries : public ::testing::Test {
 protected:
  Countries() : path_(std::filesystem::temp_directory_path() / fmt::format("sluice-geo-{}.mmdb", getpid())) {
    GeoFile file;
    file.Add(Ip(10, 0, 0, 0), 8, "DE");
    file.Add(Ip(192, 168, 0, 0), 16, "US");
    Address v6;
    v6.version = 6;
    v6.bytes = {0x20, 0x01, 0x0d, 0xb8};
    file.Add(v6, 32, "FR");
    Write(file.Bytes());
  }
  ~Countries() override { std::filesystem::remove(path_); }
  void Write(const std::string& bytes) { std::ofstream(path_, std::ios::binary) << bytes; }
  std::string path_;
};

TEST_F(Countries, OfBothVersionsAreFound) {
  const auto database = GeoDatabase::Open(path_);
  ASSERT_TRUE(database) << database.error().message;
  EXPECT_EQ((*database)->CountryOf(Ip(10, 1, 2, 3)), "DE");
  EXPECT_EQ((*database)->CountryOf(Ip(192, 168, 7, 7)), "US");
  EXPECT_EQ((*database)->CountryOf(Ip(8, 8, 8, 8)), "");
  Address v6;
  v6.version = 6;
  v6.bytes = {0x20, 0x01, 0x0d, 0xb8, 1};
  EXPECT_EQ((*database)->CountryOf(v6), "FR");
  EXPECT_EQ((*database)->CountryOf({}), "");
}

TEST_F(Countries, AFileThatIsNoneIsNamed) {
  Write("not a database");
  const auto database = GeoDatabase::Open(path_);
  ASSERT_FALSE(database);
  EXPECT_NE(database.error().message.find(path_), std::string::npos);
}

TEST_F(Countries, AFileCutAnywhereNeverHurts) {
  GeoFile file;
  file.Add(Ip(10, 0, 0, 0), 8, "DE");
  const std::string whole = file.Bytes();
  for (size_t size = 0; size < whole.size(); size += 7) {
    Write(whole.substr(0, size));
    if (const auto database = GeoDatabase::Open(path_)) (*database)->CountryOf(Ip(10, 0, 0, 1));
  }
}

// ---------------------------------------------------------------------- rules

struct HostCase {
  const char* name;
  const char* option;
  bool matches;  // from 10.0.0.1 (DE; categories 1: 20) to 192.168.0.1 (US; categories 1: 80, 2: 5)
};
class HostRules : public Countries, public ::testing::WithParamInterface<HostCase> {};
TEST_P(HostRules, Decide) {
  RuleOptions options;
  options.reputation_categories = {{"Bad", 1}, {"Good", 2}};
  RuleSet set;
  ParseRules(fmt::format("alert ip any any -> any any ({}; sid:1;)\n", GetParam().option), "t.rules", options, FakeKeywords(), &set);
  FinishRules(&set);
  ASSERT_EQ(set.rules.size(), 1u) << (set.problems.empty() ? "" : set.problems[0].message);
  CompileOptions compile;
  compile.reputation = From("10.0.0.1,1,20\n192.168.0.0/16,1,80\n192.168.0.1,2,5\n");
  compile.geo_database = path_;
  const auto program = RuleProgram::Compile(std::move(set), compile);
  ASSERT_TRUE(program && (*program)->problems().empty());
  Bench bench(*program);
  EXPECT_EQ(!bench.Send("x").empty(), GetParam().matches);
}
const HostCase kHostCases[] = {
    {"AnyIsEither", "iprep:any,Bad,>,50", true},
    {"SourceAlone", "iprep:src,Bad,>,50", false},
    {"DestinationAlone", "iprep:dst,Bad,>=,80", true},
    {"BothMustHold", "iprep:both,Bad,>,50", false},
    {"BothHold", "iprep:both,Bad,>,10", true},
    {"NoValueIsNotZero", "iprep:src,Good,<,50", false},
    {"IsSet", "iprep:dst,Good,isset", true},
    {"IsSetNeedsAValue", "iprep:src,Good,isset", false},
    {"IsNotSet", "iprep:src,Good,isnotset", true},
    {"BothAreNotSet", "iprep:both,Good,isnotset", false},
    {"CountryOfEither", "geoip:DE", true},
    {"CountryOfTheSource", "geoip:src,DE,GB", true},
    {"CountryOfTheOther", "geoip:src,US", false},
    {"CountriesOfBoth", "geoip:both,DE,US", true},
    {"CountriesOfBothMiss", "geoip:both,DE", false},
    {"NegatedCountry", "geoip:dst,!DE,!FR", true},
    {"NegatedCountryMisses", "geoip:src,!DE", false},
};
INSTANTIATE_TEST_SUITE_P(Table, HostRules, ::testing::ValuesIn(kHostCases), [](const auto& c) { return c.param.name; });

TEST(HostRules, OnReputationAloneFireOncePerFlowAndDirection) {
  Rule rule = MakeRule(1, "ip");
  rule.packet_tests = {ReputationTest{.side = HostSide::kSource, .category = "Bad", .category_id = 1}};
  CompileOptions options;
  options.reputation = From("10.0.0.1,1,20\n");
  Bench bench(CompileRules({rule}, options));
  EXPECT_EQ(bench.Send("x"), Sids{1});
  EXPECT_EQ(bench.Send("x"), Sids{});
}

TEST(HostRules, OnCountriesNeedADatabase) {
  Rule rule = MakeRule(1, "ip");
  rule.packet_tests = {CountryTest{.countries = {"DE"}}};
  const auto program = CompileRules({rule});
  ASSERT_EQ(program->problems().size(), 1u);
  EXPECT_NE(program->problems()[0].message.find("rules.geoip-database"), std::string::npos);
}

}  // namespace
}  // namespace sluice::testing
