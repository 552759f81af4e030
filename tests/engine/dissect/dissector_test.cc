#include "engine/dissect/dissector.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/line_plugin.h"

namespace sluice {
namespace {

using testing::LinePlugin;

std::unique_ptr<Catalog> MakeCatalog() {
  std::vector<std::unique_ptr<Plugin>> plugins;
  plugins.push_back(*Plugin::FromStruct(LinePlugin(), "test", {}));
  std::vector<Error> problems;
  auto catalog = Catalog::Create(std::move(plugins), {}, &problems);
  EXPECT_TRUE(problems.empty());
  return catalog;
}

// What rules and logs would see, as text.
std::string Snapshot(const FlowDissection& flow) {
  std::string out;
  for (const LiveTransaction* live : flow.transactions()) {
    const Transaction& tx = live->tx;
    out += fmt::format("tx {} done={}:", tx.number, tx.done());
    for (const FieldValue& v : tx.values) {
      out += fmt::format(" {}={}/{}/{}", v.field, AsText(v.bytes), v.number, v.complete);
    }
    out += fmt::format(" events={}\n", tx.events.size());
  }
  return out;
}

class DissectorTest : public ::testing::Test {
 protected:
  FlowDissection* Open(uint32_t transport = SLUICE_TCP, bool midstream = false) {
    FlowFacts facts;
    facts.midstream = midstream;
    facts.transport = transport;
    return dissector.Open(facts);
  }
  void Send(FlowDissection* flow, std::string_view text, Direction d = Direction::kToServer) {
    dissector.Data(*flow, d, AsSlice(text), Nanos{1});
  }
  std::unique_ptr<Catalog> catalog = MakeCatalog();
  DissectOptions options{.flow_memcap = 64 * 1024, .max_live_transactions = 8,
                         .max_kept_transactions = 32, .max_probe_bytes = 16, .chunk_window = 64, .max_context = 1000};
  Dissector dissector{*catalog, options};
};

TEST_F(DissectorTest, RequestAndAnswerAreOneTransaction) {
  FlowDissection* flow = Open();
  Send(flow, "do thing\n");
  Send(flow, "200\n", Direction::kToClient);
  ASSERT_EQ(flow->transactions().size(), 1u);
  const Transaction& tx = flow->transactions()[0]->tx;
  EXPECT_TRUE(tx.done());
  EXPECT_EQ(AsText(tx.values[0].bytes), "do");
  EXPECT_EQ(tx.values.back().number, 200u);
  EXPECT_EQ(tx.values.back().direction, Direction::kToClient);
  dissector.Close(flow);
}

TEST_F(DissectorTest, EveryCutGivesTheSameValues) {
  const std::string input = "do one\ndo two words\nauth x\n\ndo three\n";
  FlowDissection* whole = Open();
  Send(whole, input);
  const std::string expected = Snapshot(*whole);
  for (size_t cut = 0; cut <= input.size(); ++cut) {
    for (size_t second = cut; second <= input.size(); second += 5) {
      FlowDissection* flow = Open();
      Send(flow, input.substr(0, cut));
      Send(flow, input.substr(cut, second - cut));
      Send(flow, input.substr(second));
      EXPECT_EQ(Snapshot(*flow), expected) << "cut=" << cut << "," << second;
      dissector.Close(flow);
    }
  }
  dissector.Close(whole);
}

TEST_F(DissectorTest, OtherProtocolIsUndissected) {
  FlowDissection* flow = Open();
  Send(flow, "GET / HTTP/1.1\r\n");
  Send(flow, "HTTP/1.1 200\r\n", Direction::kToClient);
  EXPECT_TRUE(flow->failed());
  EXPECT_EQ(dissector.stats().undissected, 1u);
  dissector.Close(flow);
}

TEST_F(DissectorTest, TheServersSideAloneFindsTheProtocol) {
  FlowDissection* flow = Open();
  Send(flow, "2", Direction::kToClient);
  ASSERT_NE(flow->schema(), nullptr);
  EXPECT_EQ(flow->schema()->name, "line");
  dissector.Close(flow);
}

// A request that no probe knows is one all the same if the answer says so.
TEST_F(DissectorTest, WhatASideSaidIsParsedOnceTheOtherTellsTheProtocol) {
  FlowDissection* flow = Open();
  Send(flow, "DO it");
  Send(flow, "\n");
  EXPECT_EQ(flow->schema(), nullptr);
  Send(flow, "200\n", Direction::kToClient);
  ASSERT_EQ(flow->transactions().size(), 1u);
  EXPECT_EQ(AsText(flow->transactions()[0]->tx.values[0].bytes), "DO");
  dissector.Close(flow);
}

TEST_F(DissectorTest, MidstreamTheRestOfAMessageIsNotTakenForOne) {
  FlowDissection* flow = Open(SLUICE_TCP, true);
  Send(flow, "o it\n");
  Send(flow, "200\n", Direction::kToClient);
  EXPECT_NE(flow->schema(), nullptr);
  EXPECT_TRUE(flow->transactions().empty());
  dissector.Close(flow);
}

// Found by fuzzing: which side was parsed first depended on how the other was cut.
TEST_F(DissectorTest, WhoSpokeFirstIsParsedFirst) {
  const std::string request = "do it\n";
  for (const size_t cut : {size_t{0}, size_t{4}}) {
    FlowDissection* flow = Open();
    Send(flow, "100\n", Direction::kToClient);  // no answer that a probe knows, nor to anything
    Send(flow, request.substr(0, cut));
    Send(flow, request.substr(cut));
    ASSERT_EQ(flow->transactions().size(), 1u) << "cut=" << cut;
    EXPECT_FALSE(flow->transactions()[0]->tx.complete[1]) << "cut=" << cut;
    dissector.Close(flow);
  }
}

TEST_F(DissectorTest, OfAnUnknownSideNoMoreIsKeptThanAProbeMayAskFor) {
  const std::string input = "DO it\n" + std::string(options.max_probe_bytes, 'x');
  for (const size_t cut : {size_t{0}, size_t{6}, input.size()}) {
    FlowDissection* flow = Open();
    Send(flow, input.substr(0, cut));
    Send(flow, input.substr(cut));
    Send(flow, "200\n", Direction::kToClient);
    EXPECT_NE(flow->schema(), nullptr);
    EXPECT_TRUE(flow->transactions().empty()) << "cut=" << cut;
    dissector.Close(flow);
  }
}

TEST_F(DissectorTest, ExceptionStopsThatDirectionOnly) {
  FlowDissection* flow = Open();
  Send(flow, "do x\nthrow\ndo y\n");
  EXPECT_EQ(dissector.stats().parse_errors, 1u);
  Send(flow, "do z\n");
  EXPECT_EQ(flow->num_transactions(), 1u);
  Send(flow, "200\n", Direction::kToClient);
  EXPECT_TRUE(flow->transactions()[0]->tx.done());
  dissector.Close(flow);
}

TEST_F(DissectorTest, OpaqueHandoverEndsDissection) {
  FlowDissection* flow = Open();
  Send(flow, "do x\nopaque\ndo never\n");
  EXPECT_TRUE(flow->opaque());
  EXPECT_EQ(flow->num_transactions(), 2u);
  EXPECT_TRUE(flow->transactions()[0]->tx.done());
  dissector.Close(flow);
}

TEST_F(DissectorTest, HandoverProbesTheRestAnew) {
  FlowDissection* flow = Open();
  Send(flow, "do x\nagain\ndo after\n");
  EXPECT_EQ(flow->num_transactions(), 3u);
  EXPECT_EQ(flow->original_schema(), flow->schema());
  dissector.Close(flow);
}

TEST_F(DissectorTest, TheNextDissectorHearsWhatTheLastOneSays) {
  for (const std::string_view how : {"with", "named"}) {
    FlowDissection* flow = Open();
    Send(flow, fmt::format("do x\n{} love\n", how));
    Send(flow, "do after\n");  // "with": who has the flow is known here only
    ASSERT_EQ(flow->num_transactions(), 4u) << how;
    const Transaction& first = flow->transactions()[2]->tx;
    EXPECT_EQ(AsText(first.values[0].bytes), "line");
    EXPECT_EQ(AsText(first.values[1].bytes), "love");
    EXPECT_EQ(first.id, 0u);
    Send(flow, "again\ndo more\n");  // says nothing, so nothing is heard of the earlier word
    EXPECT_EQ(flow->num_transactions(), 6u);
    dissector.Close(flow);
  }
}

TEST_F(DissectorTest, ALongWordAtAHandOverIsNotKeptAndCounted) {
  FlowDissection* flow = Open();
  Send(flow, "do x\nnamed " + std::string(options.max_context + 1, 'x') + "\ndo y\n");
  EXPECT_EQ(flow->num_transactions(), 3u);
  EXPECT_EQ(dissector.stats().memcap, 1u);
  dissector.Close(flow);
}

TEST_F(DissectorTest, EncryptedIsTheFlowsUntilItEnds) {
  FlowDissection* flow = Open();
  Send(flow, "do x\n");
  EXPECT_FALSE(flow->encrypted());
  Send(flow, "encrypted\ndo y\n");
  EXPECT_TRUE(flow->encrypted());
  EXPECT_EQ(flow->num_transactions(), 3u);
  dissector.Close(flow);
  FlowDissection* next = Open();
  EXPECT_FALSE(next->encrypted());
  dissector.Close(next);
}

TEST_F(DissectorTest, SkippedBytesAreNotParsedHoweverCut) {
  const std::string input = "do x\nskip\n0123456789do y\n";
  for (size_t cut = 0; cut <= input.size(); ++cut) {
    FlowDissection* flow = Open();
    Send(flow, input.substr(0, cut));
    Send(flow, input.substr(cut));
    EXPECT_EQ(flow->num_transactions(), 3u) << cut;
    dissector.Close(flow);
  }
}

TEST_F(DissectorTest, NothingPastASpentBudgetIsParsedHoweverCut) {
  const std::string input = "do x\nnone\ndo y\nfive\ndo zz\n";
  for (size_t cut = 0; cut <= input.size(); ++cut) {
    FlowDissection* flow = Open();
    Send(flow, input.substr(0, cut));
    Send(flow, input.substr(cut));
    EXPECT_EQ(flow->num_transactions(), 2u) << cut;
    dissector.Close(flow);
  }
  EXPECT_EQ(dissector.stats().bytes_withheld, 16u * (input.size() + 1));
}

TEST_F(DissectorTest, ABudgetOfBytesCountsFromTheEndOfWhatWasConsumedHoweverCut) {
  const std::string input = "do x\nfive\nab\ncd\nef\n";
  for (size_t cut = 0; cut <= input.size(); ++cut) {
    FlowDissection* flow = Open();
    Send(flow, input.substr(0, cut));
    Send(flow, input.substr(cut));
    EXPECT_EQ(flow->num_transactions(), 3u) << cut;  // "cd" is cut in the middle
    dissector.Close(flow);
  }
}

TEST_F(DissectorTest, ARenewedBudgetTellsWhatWasWithheldAsAGap) {
  FlowDissection* flow = Open();
  Send(flow, "do x\nresync\nnone\n0123456789");
  Send(flow, "299\n", Direction::kToClient);
  Send(flow, "do y\n");
  ASSERT_EQ(flow->num_transactions(), 5u);
  EXPECT_EQ(flow->transactions()[3]->tx.values[0].number, 10u);
  EXPECT_EQ(AsText(flow->transactions()[4]->tx.values[0].bytes), "do");
  dissector.Close(flow);
}

TEST_F(DissectorTest, TheLastBudgetRequestOfAPacketIsTheOneThatCounts) {
  FlowDissection* flow = Open();
  std::string input = "do x\n";
  for (int i = 0; i < 30; ++i) input += "skip\n0123456789";
  Send(flow, input + "none\n");
  ASSERT_TRUE(flow->budget_request(Direction::kToServer).has_value());
  EXPECT_EQ(flow->budget_request(Direction::kToServer)->mode, uint32_t{SLUICE_BUDGET_NONE});
  EXPECT_FALSE(flow->budget_request(Direction::kToClient).has_value());
  dissector.Retire(*flow);
  EXPECT_FALSE(flow->budget_request(Direction::kToServer).has_value());
  dissector.Close(flow);
}

TEST_F(DissectorTest, GroupsPastTheDepthAreRefusedAndTheirClosesSwallowed) {
  FlowDissection* flow = Open();
  Send(flow, "do x\ndeep\n");
  const Transaction& tx = flow->transactions()[1]->tx;
  const auto is = [](uint64_t number) {
    return [number](const FieldValue& v) { return v.type == FieldType::kGroup && v.number == number; };
  };
  EXPECT_EQ(std::ranges::count_if(tx.values, is(1)), options.max_group_depth);
  EXPECT_EQ(std::ranges::count_if(tx.values, is(0)), options.max_group_depth);
  EXPECT_EQ(dissector.stats().memcap, 100 - options.max_group_depth);
  EXPECT_EQ(dissector.stats().bad_calls, 0u);
  dissector.Close(flow);
}

TEST_F(DissectorTest, EachCallIsCountedForItsPlugin) {
  FlowDissection* flow = Open();
  Send(flow, "do x\n");
  dissector.Close(flow);
  EXPECT_EQ(dissector.plugin_stats()[0].calls, 4u);  // probe, flow_new, parse, flow_free
}

TEST_F(DissectorTest, GapStopsADissectorThatCannotGoOn) {
  FlowDissection* flow = Open();
  Send(flow, "do x\ndo ");
  dissector.Gap(*flow, Direction::kToServer, 5, Nanos{2});
  Send(flow, "tail\n");
  EXPECT_EQ(flow->num_transactions(), 1u);
  EXPECT_EQ(dissector.stats().gap_stops, 1u);
  dissector.Close(flow);
}

TEST_F(DissectorTest, OldestTransactionIsCompletedAtTheLimit) {
  FlowDissection* flow = Open();
  for (int i = 0; i < 9; ++i) Send(flow, "do x\n");
  EXPECT_EQ(dissector.stats().transactions_forced, 1u);
  EXPECT_TRUE(flow->transactions()[0]->tx.done());
  EXPECT_FALSE(flow->transactions()[1]->tx.done());
  for (int i = 0; i < 40; ++i) Send(flow, "do x\n");
  EXPECT_GT(dissector.stats().transactions_lost, 0u);
  EXPECT_LE(flow->transactions().size(), options.max_kept_transactions);
  dissector.Close(flow);
}

TEST_F(DissectorTest, MemcapRefusesValuesAndCounts) {
  FlowDissection* flow = Open();
  Send(flow, "do x\n");
  const std::string line = "do " + std::string(4000, 'a') + "\n";
  for (int i = 0; i < 30; ++i) Send(flow, line);
  EXPECT_GT(dissector.stats().memcap, 0u);
  dissector.Close(flow);
}

TEST_F(DissectorTest, PendingBytesAreBounded) {
  FlowDissection* flow = Open();
  Send(flow, "do x\n");
  const std::string part(4000, 'a');
  for (int i = 0; i < 3; ++i) Send(flow, part);
  EXPECT_EQ(dissector.stats().parse_errors, 1u);  // the dissector's own limit
  dissector.Close(flow);
}

TEST_F(DissectorTest, AtTheEndRulesWaitForNoMoreOfAValueThatWasCut) {
  FlowDissection* flow = Open();
  Send(flow, "do it\ngrow for ever\n");
  const FieldValue& body = flow->transactions()[1]->tx.values.back();
  ASSERT_EQ(body.field, testing::kBody);
  EXPECT_FALSE(body.complete);
  dissector.Cut(*flow, Direction::kToServer);
  dissector.Finish(*flow, Nanos{9});
  EXPECT_TRUE(body.complete);
  dissector.Close(flow);
}

TEST_F(DissectorTest, ChunkWindowKeepsTheFirstBytesAndTheTotal) {
  FlowDissection* flow = Open();
  Send(flow, "do " + std::string(100, 'b') + "\n");
  for (const FieldValue& v : flow->transactions()[0]->tx.values) {
    if (v.field != testing::kBody) continue;
    EXPECT_EQ(v.bytes.size(), 64u);
    EXPECT_EQ(v.total, 103u);
    EXPECT_TRUE(v.cut);
  }
  dissector.Close(flow);
}

TEST_F(DissectorTest, UnwantedFieldsAreSkipped) {
  std::vector<bool> keywords(catalog->keywords().size(), false);
  keywords[catalog->FindKeyword("line.argument").id] = true;
  catalog->SetWanted(keywords, {});
  dissector.TakeWanted();
  FlowDissection* flow = Open();
  Send(flow, "do thing\n");
  for (const FieldValue& v : flow->transactions()[0]->tx.values) {
    EXPECT_NE(v.field, testing::kVerb);
  }
  dissector.Close(flow);
}

TEST_F(DissectorTest, RetireFreesWhatWasLogged) {
  FlowDissection* flow = Open();
  Send(flow, "do a\ndo b\n");
  Transaction& first = flow->transactions()[0]->tx;
  first.logged = first.inspected[0] = true;
  dissector.Retire(*flow);
  EXPECT_EQ(flow->transactions().size(), 2u);  // rules have not seen the other direction
  first.inspected[1] = true;
  dissector.Retire(*flow);
  ASSERT_EQ(flow->transactions().size(), 1u);
  EXPECT_EQ(flow->transactions()[0]->tx.number, 1u);
  dissector.Close(flow);
}

TEST_F(DissectorTest, FinishCompletesEverything) {
  FlowDissection* flow = Open();
  Send(flow, "do a\n");
  dissector.Finish(*flow, Nanos{9});
  EXPECT_TRUE(flow->transactions()[0]->tx.done());
  dissector.Close(flow);
}

TEST_F(DissectorTest, DatagramsAreParsedWhole) {
  FlowDissection* flow = Open(SLUICE_UDP);
  Send(flow, "do a\nrest is dropped");
  Send(flow, "do b\n");
  EXPECT_EQ(flow->num_transactions(), 2u);
  dissector.Close(flow);
}

TEST_F(DissectorTest, ReusedStateStartsClean) {
  FlowDissection* flow = Open();
  Send(flow, "do a\ndo half");
  dissector.Close(flow);
  flow = Open();
  EXPECT_EQ(flow->schema(), nullptr);
  EXPECT_TRUE(flow->transactions().empty());
  Send(flow, "do b\n");
  EXPECT_EQ(flow->transactions()[0]->tx.number, 0u);
  dissector.Close(flow);
}

TEST(Catalog, NamesAliasesAndModifiersFindOneKeyword) {
  auto catalog = MakeCatalog();
  EXPECT_EQ(catalog->FindKeyword("line.verb").id, catalog->FindKeyword("line_verb").id);
  EXPECT_TRUE(catalog->FindKeyword("line_verb_mod").use == Catalog::Name::Use::kModifier);
  EXPECT_EQ(catalog->FindKeyword("nope").id, kNoKeyword);
}

// A second version of a protocol, which answers to the first one's name.
sluice_plugin SecondVersion(const sluice_field* fields, uint32_t count, const char* aliases) {
  sluice_plugin plugin = LinePlugin();
  plugin.name = "line2";
  plugin.aliases = aliases;
  plugin.log_name = "line";
  plugin.fields = fields;
  plugin.num_fields = count;
  return plugin;
}
std::unique_ptr<Catalog> CreateBoth(const sluice_plugin& second, std::vector<Error>* problems) {
  std::vector<std::unique_ptr<Plugin>> plugins;
  plugins.push_back(*Plugin::FromStruct(LinePlugin(), "first", {}));
  plugins.push_back(*Plugin::FromStruct(second, "second", {}));
  return Catalog::Create(std::move(plugins), {}, problems);
}

TEST(Catalog, AKeywordIsSharedWithTheDissectorThatIsAnAlias) {
  std::vector<Error> problems;
  auto catalog = CreateBoth(SecondVersion(testing::kLineFields, 1, "line"), &problems);
  ASSERT_TRUE(problems.empty()) << problems[0].message;
  const KeywordInfo& verb = catalog->keywords()[catalog->FindKeyword("line.verb").id];
  EXPECT_EQ(verb.schemas, (std::vector<uint16_t>{0, 1}));
  EXPECT_EQ(catalog->schemas()[1]->fields[0].keyword_id, catalog->schemas()[0]->fields[0].keyword_id);
  EXPECT_EQ(catalog->schemas()[0]->log_name, "line");
  EXPECT_EQ(catalog->schemas()[1]->log_name, "line");
}

TEST(Catalog, AKeywordIsNotSharedWithStrangers) {
  std::vector<Error> problems;
  auto catalog = CreateBoth(SecondVersion(testing::kLineFields, 1, "other"), &problems);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_NE(problems[0].message.find("keyword line_verb is already taken by dissector line"), std::string::npos) << problems[0].message;
}

TEST(Catalog, ASharedKeywordHasOneTypeAndStage) {
  static sluice_field number = testing::kLineFields[0];
  number.type = SLUICE_UINT;
  static sluice_field late = testing::kLineFields[0];
  late.stage = 2;
  for (const sluice_field* field : {&number, &late}) {
    std::vector<Error> problems;
    auto catalog = CreateBoth(SecondVersion(field, 1, "line"), &problems);
    ASSERT_EQ(problems.size(), 1u);
    EXPECT_NE(problems[0].message.find("another type or stage"), std::string::npos) << problems[0].message;
  }
}

TEST_F(DissectorTest, IdsBeginAnewWithTheNextDissector) {
  FlowDissection* flow = Open();
  Send(flow, "do a\nagain b\n");
  Send(flow, "do c\n");
  ASSERT_EQ(flow->transactions().size(), 3u);
  EXPECT_EQ(flow->transactions()[1]->tx.id, 1u);
  EXPECT_EQ(flow->transactions()[2]->tx.number, 2u);
  EXPECT_EQ(flow->transactions()[2]->tx.id, 0u);
  dissector.Close(flow);
}

TEST(Catalog, SecondDissectorOfANameIsLeftOut) {
  std::vector<std::unique_ptr<Plugin>> plugins;
  plugins.push_back(*Plugin::FromStruct(LinePlugin(), "first", {}));
  plugins.push_back(*Plugin::FromStruct(LinePlugin(), "second", {}));
  std::vector<Error> problems;
  auto catalog = Catalog::Create(std::move(plugins), {}, &problems);
  EXPECT_EQ(catalog->schemas().size(), 1u);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_NE(problems[0].message.find("second: a dissector named line"), std::string::npos);
}

// What an option says to a plug-in: its own, else what all are told.
std::string option_seen;
class Asks {
 public:
  explicit Asks(Flow) {}
  static int32_t Init() {
    const char* value = host->option("log-compat");
    option_seen = value == nullptr ? "" : value;
    return 0;
  }
  static int32_t Probe(const sluice_probe_input&) { return SLUICE_PROBE_NO; }
  ParseResult Parse(Flow, uint32_t, View in) { return Ok(in.size()); }
};

TEST(Options, OneForAllPlugInsHoldsWhereOneHasNone) {
  static constexpr const char* kStages[] = {"all"};
  static constexpr sluice_plugin plugin = MakePlugin<Asks>("asks", "reads an option").Stages(kStages);
  const std::string all(kAllPlugins);
  const std::pair<PluginOptions, const char*> cases[] = {
      {{}, ""},
      {{{"other", {{"log-compat", "7"}}}}, ""},
      {{{all, {{"log-compat", "8"}}}}, "8"},
      {{{all, {{"log-compat", "8"}}}, {"asks", {{"x", "y"}}}}, "8"},
      {{{all, {{"log-compat", "8"}}}, {"asks", {{"log-compat", "7"}}}}, "7"}};
  for (const auto& [options, seen] : cases) {
    std::vector<std::unique_ptr<Plugin>> plugins;
    plugins.push_back(*Plugin::FromStruct(plugin, "test", {}));
    std::vector<Error> problems;
    const auto catalog = Catalog::Create(std::move(plugins), options, &problems);
    EXPECT_EQ(option_seen, seen);
  }
}

}  // namespace
}  // namespace sluice
