// Rules as users write them: text through the parser, then against bytes.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "engine/rules/parser.h"
#include "tests/engine/match/support.h"

namespace sluice::testing {
namespace {

// The keywords of TestProtocol.
class TestKeywords final : public KeywordSource {
 public:
  TestKeywords() {
    for (uint16_t k = 0; k < protocol_.keywords.size(); ++k) {
      FieldKeyword& f = all_.emplace_back();
      f.id = k;
      f.name = protocol_.keywords[k].name;
      f.protocol = "test";
      f.number = k == 3;
      f.repeated = k == 1 || k == 3;
      f.directions = protocol_.keywords[k].directions;
    }
  }
  const FieldKeyword* Find(std::string_view name) const override {
    for (const FieldKeyword& k : all_) {
      if (k.name == name) return &k;
    }
    return nullptr;
  }
  std::vector<FieldKeyword> All() const override { return all_; }
  bool HasProtocol(std::string_view name) const override {
    return name == "test" || name == "other" || name == "test2";
  }
  bool HasEvent(std::string_view protocol, std::string_view) const override {
    return protocol == "test";
  }

 private:
  TestProtocol protocol_;
  std::vector<FieldKeyword> all_;
};

std::shared_ptr<const RuleProgram> FromText(const std::string& text) {
  static const TestProtocol protocol;
  RuleSet set;
  ParseRules(text, "test.rules", RuleOptions{}, TestKeywords(), &set);
  FinishRules(&set);
  EXPECT_EQ(set.num_failed, 0u) << (set.problems.empty() ? "" : set.problems[0].message);
  auto program = RuleProgram::Compile(std::move(set), protocol.options());
  return program ? *program : nullptr;
}

struct Case {
  const char* name;
  const char* options;  // of a udp rule
  std::string payload;
  bool matches;
};
class Parsed : public ::testing::TestWithParam<Case> {};
TEST_P(Parsed, Decides) {
  Bench bench(FromText(std::string("alert udp any any -> any any (msg:\"m\"; ") +
                       GetParam().options + " sid:1;)\n"));
  EXPECT_EQ(!bench.Send(GetParam().payload).empty(), GetParam().matches);
}
const Case kCases[] = {
    {"ContentWithHex", "content:\"ev|69|l\";", "so evil", true},
    {"NocaseLowersThePattern", "content:\"EvIl\"; nocase;", "so eViL", true},
    {"OffsetAndDepth", "content:\"evil\"; offset:3; depth:4;", "so evil", true},
    {"DepthTooShort", "content:\"evil\"; offset:2; depth:4;", "so evil", false},
    {"DistanceAndWithin", "content:\"so\"; content:\"evil\"; distance:1; within:4;", "so evil",
     true},
    {"NegatedContent", "content:\"so\"; content:!\"evil\";", "so evil", false},
    {"FastPatternChop", "content:\"so evil\"; fast_pattern:3,4;", "so evil", true},
    {"Pcre", "content:\"so\"; pcre:\"/^\\s?EV[i]l$/Ri\";", "so evil", true},
    {"IsDataAt", "content:\"evil\"; isdataat:!1,relative;", "so evil", true},
    {"Dsize", "dsize:7;", "so evil", true},
    {"ByteTest", "content:\"so\"; byte_test:1,=,32,0,relative;", "so evil", true},
    {"ByteTestOfANumberOfAnyLength", "content:\"n=\"; byte_test:0,>,1000,0,relative,string,dec;",
     "n=1234;", true},
    {"ByteTestOfNoNumber", "content:\"n=\"; byte_test:0,>,1000,0,relative,string,dec;", "n=x", false},
    {"ByteJumpBeforeTheBufferGoesToItsStart",
     "content:\"evil\"; byte_jump:0,0,relative,post_offset -50; content:\"so\"; within:2;", "so evil!",
     true},
    {"ByteMathWithBytesFromAVariable",
     "byte_extract:1,0,n,string,dec; byte_math:bytes n, offset 1, oper +, rvalue 1, result r, "
     "string dec; content:\"x\"; offset:r; depth:1;",
     "203.x", true},
    {"PcreWithoutQuotes", "pcre:/ev[i]l/;", "so evil", true},
    {"SourceAddressIsABuffer", "ip.src; content:\"|0a 00 00 01|\"; bsize:4;", "so evil", true},
    {"AlertKeyword", "content:\"evil\"; alert;", "so evil", true},
    {"ByteJump", "byte_jump:1,0,string,dec; content:\"x\"; within:1;", "2..x", true},
    {"ByteExtract", "byte_extract:1,0,n,string,dec; content:\"x\"; offset:n;", "3..x", true},
    {"Base64", "content:\"b=\"; base64_decode:relative; base64_data; content:\"evil\";",
     "b=c28gZXZpbA==", true},
};
INSTANTIATE_TEST_SUITE_P(Match, Parsed, ::testing::ValuesIn(kCases),
                         [](const auto& c) { return c.param.name; });

TEST(ParsedRules, AHookSaysWhichPackets) {
  Bench bench(FromText("alert udp:all any any -> any any (sid:1;)\n"
                       "alert udp:flow_start any any -> any any (sid:2;)\n"
                       "alert arp any any -> any any (sid:3;)\n"));
  EXPECT_EQ(bench.Send("x"), (Sids{1, 2}));
  EXPECT_EQ(bench.Send("y", Direction::kToClient), Sids{1});
  EXPECT_EQ(bench.Send("z"), Sids{1});
  static const uint8_t kArp[28] = {};
  bench.with_flow = false;
  bench.packet.ip_version = 0;
  bench.packet.l4 = L4::kNone;
  bench.packet.arp = kArp;
  EXPECT_EQ(bench.Send(""), Sids{3});
}

TEST(ParsedRules, ACallOfRpcIsTold) {
  const auto rule = [](const char* value) {
    return FromText(fmt::format("alert udp any any -> any any (rpc:{}; sid:1;)\n", value));
  };
  std::string call(40, '\0');
  call[11] = 2;                                // RPC's version
  call.replace(12, 4, std::string("\x00\x01\x86\xa0", 4));  // program 100000
  call[19] = 2, call[23] = 4;
  for (const char* value : {"100000,*,*", "100000,2,4", "100000,2,*", "100000"}) {
    EXPECT_EQ(Bench(rule(value)).Send(call), Sids{1}) << value;
  }
  for (const char* value : {"100001,*,*", "100000,3,*", "100000,2,5"}) {
    EXPECT_EQ(Bench(rule(value)).Send(call), Sids{}) << value;
  }
  call[7] = 1;  // an answer
  EXPECT_EQ(Bench(rule("100000,2,4")).Send(call), Sids{});
}

TEST(ParsedRules, EitherDirectionsCountWillDo) {
  Bench bench(FromText("alert udp any any -> any any (flow.pkts:either,2; sid:1;)\n"));
  EXPECT_EQ(bench.Send("x"), Sids{});
  EXPECT_EQ(bench.Send("x", Direction::kToClient), Sids{});
  EXPECT_EQ(bench.Send("x", Direction::kToClient), Sids{1});
}

// Ports seen again do not count; what comes behind the count fires each time.
TEST(ParsedRules, UniqueOnCountsPorts) {
  Bench bench(FromText("alert udp any any -> any any (detection_filter:track by_src, count 2, seconds 60, "
                       "unique_on src_port; content:\"x\"; sid:1;)\n"));
  const auto send = [&](uint16_t port) {
    bench.Begin("x");
    bench.packet.source_port = port;
    bench.detector.InspectPayload(false);
    return bench.End();
  };
  for (const uint16_t port : {1, 2, 2, 1, 1}) EXPECT_EQ(send(port), Sids{}) << port;
  EXPECT_EQ(send(3), Sids{1});
  EXPECT_EQ(send(3), Sids{1});
  bench.now += std::chrono::seconds(61);
  for (const uint16_t port : {1, 2, 3, 3}) EXPECT_EQ(send(port), port == 3 ? Sids{1} : Sids{}) << port;
}

TEST(ParsedRules, BitsOfATransactionStayWithIt) {
  TestProtocol p;
  Bench bench(FromText("alert test any any -> any any (test.name; content:\"a\"; xbits:set,h,track tx; xbits:noalert; sid:1;)\n"
                       "alert test any any -> any any (test.note; content:\"b\"; xbits:isset,h,track tx; sid:2;)\n"));
  TestTransaction with(p), without(p);
  with.Add(0, "a");
  with.Add(1, "b");
  without.Add(1, "b");
  EXPECT_EQ(bench.Look(with.tx), Sids{2});
  EXPECT_EQ(bench.Look(without.tx), Sids{});
}

struct NumbersCase {
  const char* name;
  const char* option;
  std::vector<uint64_t> codes;
  bool matches;
};
class Numbers : public ::testing::TestWithParam<NumbersCase> {};
TEST_P(Numbers, DecideOnceAllAreThere) {
  TestProtocol p;
  Bench bench(FromText(fmt::format("alert test any any -> any any (test.code:{}; sid:1;)\n", GetParam().option)));
  TestTransaction t(p);
  for (const uint64_t code : GetParam().codes) {
    FieldValue& value = t.Add(3, "", Direction::kToClient);
    value.type = FieldType::kUint;
    value.number = code;
  }
  EXPECT_EQ(bench.Look(t.tx, Direction::kToClient), Sids{}) << "more may come";
  t.tx.complete[1] = true;
  EXPECT_EQ(!bench.Look(t.tx, Direction::kToClient).empty(), GetParam().matches);
}
const NumbersCase kNumbersCases[] = {
    {"All", ">1,all", {2, 3}, true},
    {"AllButOne", ">1,all", {2, 1}, false},
    {"AllOfNone", ">1,all", {}, false},
    {"AllOrAbsentOfNone", ">1,all_or_absent", {}, true},
    {"OrAbsentOfNone", ">1,or_absent", {}, true},
    {"OrAbsentOfOthers", ">1,or_absent", {1}, false},
    {"SoManyTimes", ">1,nb>=2", {2, 1, 3}, true},
    {"NotSoManyTimes", ">1,nb>=2", {2, 1, 1}, false},
    {"AtAPlace", "3,1", {2, 3}, true},
    {"AtAnotherPlace", "3,0", {2, 3}, false},
    {"AtTheEnd", "3,-1", {2, 3}, true},
    {"AtNoPlace", "3,5", {2, 3}, false},
    {"AtNoPlaceIsFine", "3,oob_or 5", {2, 3}, true},
    {"AtAPlaceThatIsThere", "3,oob_or 0", {2, 3}, false},
    {"InAPart", ">2,all,1:3", {1, 3, 4, 1}, true},
    {"InAPartFromTheEnd", ">2,all,-3:-1", {1, 3, 4, 1}, true},
    {"InAPartThatIsOut", ">2,all,1:9", {1, 3, 4, 1}, false},
    {"Counted", "count 2", {7, 8}, true},
    {"CountedOtherwise", "count >2", {7, 8}, false},
};
INSTANTIATE_TEST_SUITE_P(Match, Numbers, ::testing::ValuesIn(kNumbersCases), [](const auto& c) { return c.param.name; });

TEST(ParsedRules, FieldsFlowbitsAndThresholds) {
  TestProtocol p;
  Bench bench(
      FromText("alert test any any -> any any (msg:\"set\"; test.name; content:\"alpha\"; "
               "flowbits:set,seen; flowbits:noalert; sid:1;)\n"
               "alert test any any -> any any (msg:\"read\"; flowbits:isset,seen; test.note; "
               "to_lowercase; content:\"beta\"; sid:2;)\n"
               "alert test any any -> any any (msg:\"code\"; test.code:>499; threshold:type limit, "
               "track by_src, count 1, seconds 60; sid:3;)\n"));
  TestTransaction t(p);
  t.Add(0, "alpha");
  t.Add(1, "BETA");
  EXPECT_EQ(bench.Look(t.tx), Sids{2});
  for (const Sids& expect : {Sids{3}, Sids{}}) {
    TestTransaction answer(p);
    FieldValue& code = answer.Add(3, "", Direction::kToClient);
    code.type = FieldType::kUint;
    code.number = 500;
    EXPECT_EQ(bench.Look(answer.tx, Direction::kToClient), expect);
  }
}

TEST(ParsedRules, AnAliasNamesTheProtocolToo) {
  TestProtocol p;
  p.other.aliases = {"test2"};
  Bench bench(FromText("alert test2 any any -> any any (app-layer-protocol:test2; "
                       "content:\"evil\"; sid:1;)\n"));
  EXPECT_EQ(bench.Send("evil"), Sids{});
  bench.flow.app = &p.other;
  EXPECT_EQ(bench.Send("evil"), Sids{1});
}

// "=>": fields of request and response in one rule, its header naming the client.
TEST(ParsedRules, ATransactionalRuleNeedsBothSides) {
  TestProtocol p;
  Bench bench(FromText("alert test any any => any any (test.name; content:\"alpha\"; "
                       "test.code:>499; sid:1;)\n"));
  TestTransaction t(p);
  t.Add(0, "alpha");
  EXPECT_EQ(bench.Look(t.tx), Sids{});
  FieldValue& code = t.Add(3, "", Direction::kToClient);
  code.type = FieldType::kUint;
  code.number = 500;
  EXPECT_EQ(bench.Look(t.tx, Direction::kToClient), Sids{1});
}

TEST(ParsedRules, AbsentNeedsToKnowThatNothingComes) {
  TestProtocol p;
  Bench bench(FromText("alert test any any -> any any (test.note; absent; sid:1;)\n"
                       "alert test any any -> any any (test.note; absent: or_else; "
                       "content:!\"beta\"; sid:2;)\n"));
  TestTransaction t(p);
  t.Add(0, "alpha");
  EXPECT_EQ(bench.Look(t.tx), Sids{}) << "a note may still come";
  t.tx.complete[0] = true;
  EXPECT_EQ(bench.Look(t.tx), (Sids{1, 2}));
  TestTransaction with(p);
  with.Add(1, "gamma");
  with.tx.complete[0] = true;
  EXPECT_EQ(bench.Look(with.tx), Sids{2});
}

}  // namespace
}  // namespace sluice::testing
