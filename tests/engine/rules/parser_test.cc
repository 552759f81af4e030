// Tables of rules that load and of rules that are refused, with the reason.
#include "engine/rules/parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "engine/rules/lint.h"
#include "engine/rules/print.h"
#include "engine/rules/text.h"
#include "tests/engine/rules/fake_keywords.h"
#include "tests/engine/rules/print_law.h"

namespace sluice {
namespace {

using testing::HasSubstr;

RuleSet Parse(const std::string& text) {
  RuleOptions options;
  options.addresses = {{"HOME_NET", "10.0.0.0/8"}};
  options.ports = {{"HTTP_PORTS", "[80,8080]"}};
  RuleSet set;
  ParseRules(text, "t.rules", options, FakeKeywords(), &set);
  FinishRules(&set);
  return set;
}
std::string Tcp(const std::string& body) {
  return "alert tcp any any -> any any (" + body + " sid:1;)";
}

struct Case {
  const char* name;
  const char* body;
  const char* error;  // part of the message; null: loads
};
class Options : public testing::TestWithParam<Case> {};

TEST_P(Options, LoadOrAreRefusedWithTheReason) {
  const RuleSet set = Parse(Tcp(GetParam().body));
  if (GetParam().error == nullptr) {
    EXPECT_TRUE(set.problems.empty()) << set.problems[0].message;
    ASSERT_EQ(set.rules.size(), 1u);
    RuleSet again = set;
    EXPECT_EQ(PrintLawBreach(0, {}, FakeKeywords(), &again), "");
    EXPECT_EQ(ConvertLawBreach(0, {}, FakeKeywords(), &again), "");
    return;
  }
  EXPECT_TRUE(set.rules.empty());
  ASSERT_EQ(set.problems.size(), 1u);
  EXPECT_THAT(set.problems[0].message, HasSubstr(GetParam().error));
  EXPECT_EQ(set.problems[0].sid, 1u);
  EXPECT_EQ(set.problems[0].place.line, 1u);
}

INSTANTIATE_TEST_SUITE_P(
    Table, Options,
    testing::Values(
        Case{"content", "content:\"abc\";", nullptr}, Case{"hex", "content:\"|41 42|c\";", nullptr},
        Case{"semicolon_escaped", "content:\"a\\;b\";", nullptr},
        Case{"negated_content", "content:!\"abc\";", nullptr},
        Case{"sticky_buffer", "http.uri; content:\"/a\";", nullptr},
        Case{"old_modifier", "content:\"/a\"; http_uri;", nullptr},
        Case{"flow_pkts_of_a_direction", "flow.pkts:toserver,>10;", nullptr},
        Case{"flow_bytes_of_both", "flow.bytes:both,1<>9;", nullptr},
        Case{"flow_pkts_of_nothing", "flow.pkts:>10;", "toserver, toclient, both or either"},
        Case{"flow_pkts_without_number", "flow.pkts:toclient;", "not a number test"},
        Case{"flow_pkts_either", "flow.pkts:either,1;", nullptr},
        Case{"a_unit_behind_a_number", "dsize:>1kb;", nullptr},
        Case{"a_unit_that_is_none", "dsize:>1kx;", "not a number test"},
        Case{"tos_in_hex", "tos:!x1f;", nullptr},
        Case{"protocol_with_a_dash", "ip_proto:ipv6-icmp;", nullptr},
        Case{"protocols_in_a_range", "ip_proto:tcp-udp;", nullptr},
        Case{"l3_proto", "l3_proto:IPv6;", nullptr},
        Case{"l3_proto_word", "l3_proto:5;", "ipv4 or ipv6"},
        Case{"rpc", "rpc:100000,*,4;", nullptr}, Case{"rpc_program_alone", "rpc:100000;", nullptr},
        Case{"rpc_without_program", "rpc:*,1;", "write rpc"},
        Case{"geoip", "geoip:src,US,GB;", nullptr}, Case{"geoip_negated", "geoip:!US;", nullptr},
        Case{"geoip_of_no_country", "geoip:USA;", "no country"}, Case{"geoip_side_alone", "geoip:both;", "name 1 to"},
        Case{"iprep_without_categories", "iprep:src,CnC,>,10;", "rules.reputation-categories"},
        Case{"entropy", "entropy:bytes 100, offset 2, value >= 7.25;", nullptr},
        Case{"entropy_in_a_buffer", "http.uri; entropy:value <4;", nullptr},
        Case{"entropy_without_value", "entropy:bytes 100;", "entropy:value"},
        Case{"entropy_no_number", "entropy:value ? 7;", "not a number test"},
        Case{"asn1", "content:\"a\"; asn1:bitstring_overflow, oversize_length 10, relative_offset -2;", nullptr},
        Case{"decode_event_s_older_name", "engine-event:ipv4.trunc_pkt;", nullptr},
        Case{"asn1_without_commas", "asn1:double_overflow oversize_length 10 absolute_offset 4;", nullptr},
        Case{"asn1_looks_for_nothing", "asn1:absolute_offset 4;", "nothing is looked for"},
        Case{"asn1_two_places", "asn1:double_overflow, absolute_offset 1, relative_offset 2;", "each once"},
        Case{"xbits_noalert", "content:\"a\"; xbits:noalert;", nullptr},
        Case{"xbits_of_a_transaction", "http.uri; content:\"a\"; xbits:set,a,track tx;", nullptr},
        Case{"hostbits_of_a_transaction", "hostbits:set,a,tx;", "known"},
        Case{"unique_on", "detection_filter:track by_dst, count 10, seconds 60, unique_on dst_port;", nullptr},
        Case{"unique_on_nothing", "detection_filter:track by_dst, count 10, seconds 60, unique_on ttl;", "src_port or dst_port"},
        Case{"unique_on_of_a_threshold", "threshold:type both, track by_dst, count 10, seconds 60, unique_on dst_port;", "not an option"},
        Case{"values_all", "dns.rrtype:!a,all;", nullptr}, Case{"values_some_times", "dns.rrtype:1,nb>3;", nullptr},
        Case{"values_at_a_place", "dns.rrtype:>1,-2;", nullptr},
        Case{"values_at_a_place_or_none", "dns.rrtype:28,oob_or 3;", nullptr},
        Case{"values_of_a_part", "dns.rrtype:28,all_or_absent,1:-1;", nullptr},
        Case{"values_counted", "dns.rrtype:count >=2;", nullptr},
        Case{"values_of_which", "dns.rrtype:28,some;", "says not which"},
        Case{"values_of_a_single_field", "dns.opcode:1,all;", "not a number test"},
        Case{"inflated_size", "http.uri; gunzip:max-size 4kb; content:\"a\";", nullptr},
        Case{"hostbits_expiry_without_word", "hostbits:set,a,src,60;", nullptr},
        Case{"xbits_expiry_needs_its_word", "xbits:set,a,track ip_src,60;", "expire seconds"},
        Case{"absent", "http.referer; absent;", nullptr},
        Case{"absent_or_else", "http.referer; absent: or_else; content:!\"a\";", nullptr},
        Case{"absent_without_buffer", "absent;", "follows a sticky buffer"},
        Case{"absent_behind_a_test", "http.uri; content:\"a\"; absent;", "stands before"},
        Case{"checksum", "tcpv4-csum:invalid;", nullptr},
        Case{"checksum_word", "tcpv4-csum:wrong;", "valid or invalid"},
        Case{"side_outside_a_transactional_rule", "http.uri: to_server; content:\"a\";",
             "takes no value"},
        Case{"pcre", "pcre:\"/a+b/i\";", nullptr},
        Case{"pcre_captures", "pcre:\"/(a)(b)/i, flow:x, pkt:y\";", nullptr},
        Case{"pcre_capture_of_nothing", "pcre:\"/(a)/, host:x\";", "pkt:name or flow:name"},
        Case{"pcre_more_captures_than_are_kept",
             "pcre:\"/(.)(.)(.)(.)(.)(.)(.)(.)(.)/, pkt:a, pkt:b, pkt:c, pkt:d, pkt:e, pkt:f, pkt:g, pkt:h, pkt:i\";",
             "can keep 8 groups"},
        Case{"byte_test", "byte_test:4,>,100,0;", nullptr},
        Case{"transform", "http.uri; to_lowercase; content:\"/a\";", nullptr},
        Case{"flow", "flow:established,to_server; content:\"abc\";", nullptr},
        Case{"number_with_name", "dns.opcode:notify;", nullptr},
        Case{"number_greater", "dns.opcode:>1;", nullptr},
        Case{"empty_content", "content:\"\";", "empty"},
        Case{"depth_too_small", "content:\"abcd\"; depth:2;", "could never match"},
        Case{"modifier_first", "nocase;", "modifies a content"},
        Case{"old_modifier_first", "http_uri;", "modifies a content"},
        Case{"empty_sticky_buffer", "http.uri;", "nothing is looked for"},
        Case{"two_fast_patterns", "content:\"ab\"; fast_pattern; content:\"cd\"; fast_pattern;",
             "one fast_pattern"},
        Case{"fast_pattern_only_negated", "content:!\"ab\"; fast_pattern:only;", "without negation"},
        Case{"misspelt", "contnet:\"abc\";", "did you mean content"},
        Case{"unsupported", "lua:a.lua;", "not supported"},
        Case{"modifier_behind_isdataat", "content:\"abc\"; isdataat:!1,relative; nocase;", nullptr},
        Case{"modifier_behind_pcre", "content:\"abc\"; pcre:\"/x/R\"; distance:0;", nullptr},
        Case{"modifier_in_fresh_buffer", "content:\"abc\"; http.uri; nocase;", "modifies a content"},
        Case{"pcre_with_a_quote_mark", "pcre:\"/[\"']a/\";", nullptr},
        Case{"pcre_flag_in_its_sticky_buffer", "http.uri; pcre:\"/a/U\";", nullptr},
        Case{"byte_test_of_a_whole_string", "byte_test:0,=,0,0,string,dec;", nullptr},
        Case{"tag_session", "content:\"a\"; tag:session;", nullptr},
        Case{"tag_host", "content:\"a\"; tag:host,30,seconds,dst; tag:session,5,bytes;", nullptr},
        Case{"tag_of_nothing", "tag:flow;", "session or tag:host"},
        Case{"tag_side_of_a_session", "tag:session,5,packets,src;", "of a host"},
        Case{"tag_unit", "tag:session,5,hours;", "packets, bytes or seconds"},
        Case{"tag_of_zero", "tag:session,0,packets;", "from 1"},
        Case{"config_without_its_action", "config:logging disable, type tx, scope tx;", "go together"},
        Case{"byte_test_of_no_bytes", "byte_test:0,=,0,0;", "not 0"},
        Case{"urilen", "urilen:>5,raw;", nullptr},
        Case{"threshold_and_filter",
             "threshold:type limit,track by_src,count 1,seconds 6; "
             "detection_filter:track by_src,count 1,seconds 6;",
             "one threshold"},
        Case{"quote_not_closed", "content:\"abc;", "double quotes"},
        Case{"no_semicolon", "nonsense", "not a keyword"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Rules, ASetThatTakesAnothersPlaceKeepsItsNumbers) {
  const RuleSet before = Parse("alert ip any any -> any any (flowbits:set,a; flowint:n,+,1; sid:1;)\n"
                               "alert ip any any -> any any (flowbits:set,b; sid:2;)\n");
  RuleSet after;
  ContinueNames(before, &after);
  ParseRules("alert ip any any -> any any (flowbits:set,c; flowbits:isset,b; sid:2;)\n", "t.rules", {},
             FakeKeywords(), &after);
  EXPECT_EQ(after.flowbit_names, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(after.flowint_names, before.flowint_names);
  EXPECT_EQ(after.names_epoch, before.names_epoch);
}

TEST(Rules, TooManyNamesBeginANewEpoch) {
  RuleSet before, after;
  before.flowbit_names.assign(kMaxNames + 1, "a");
  ContinueNames(before, &after);
  EXPECT_TRUE(after.flowbit_names.empty());
  EXPECT_EQ(after.names_epoch, before.names_epoch + 1);
}

TEST(Rules, TransactionalRuleKeepsABufferOfEachSideApart) {
  const RuleSet set = Parse("alert http any any => any any (http.content_type: to_server; content:\"a\"; "
                            "http.content_type: to_client; content:\"b\"; sid:1;)");
  ASSERT_EQ(set.rules.size(), 1u) << set.problems[0].message;
  const auto& inspections = set.rules[0].inspections;
  ASSERT_EQ(inspections.size(), 2u);
  EXPECT_EQ(inspections[0].side, 1);
  EXPECT_EQ(inspections[1].side, 2);
  EXPECT_EQ(inspections[0].tests.size(), 1u);
  EXPECT_EQ(inspections[1].tests.size(), 1u);
}

TEST(Parser, ConfigRulesHaveWhatTheyChange) {
  for (const char* change : {"logging disable, type tx, scope tx", "logging disable,type flow,scope flow",
                             "logging disable, type tx, scope flow"}) {
    RuleSet set = Parse(fmt::format("config dns any any -> any any (config:{}; sid:1;)", change));
    ASSERT_EQ(set.rules.size(), 1u) << set.problems[0].message;
    EXPECT_EQ(PrintLawBreach(0, {}, FakeKeywords(), &set), "");
  }
  EXPECT_THAT(Parse("config dns any any -> any any (sid:1;)").problems[0].message, HasSubstr("go together"));
  EXPECT_THAT(Parse("config dns any any -> any any (config:logging disable, type flow, scope tx; sid:1;)")
                  .problems[0].message,
              HasSubstr("scope flow"));
}

struct LintCase {
  const char* name;
  const char* options;
  const char* why;  // "": it can match
};
class Lint : public testing::TestWithParam<LintCase> {};
TEST_P(Lint, SaysWhatCanNeverMatch) {
  const RuleSet set = Parse(Tcp(GetParam().options));
  ASSERT_EQ(set.rules.size(), 1u) << set.problems[0].message;
  const auto problems = FindRulesThatNeverMatch(set);
  if (*GetParam().why == 0) {
    EXPECT_TRUE(problems.empty()) << problems[0].message;
  } else {
    ASSERT_EQ(problems.size(), 1u);
    EXPECT_THAT(problems[0].message, HasSubstr(GetParam().why));
  }
}
INSTANTIATE_TEST_SUITE_P(
    Table, Lint,
    testing::Values(
        LintCase{"contents_within_bsize", "http.uri; content:\"abc\"; bsize:3;", ""},
        LintCase{"contents_beyond_bsize", "http.uri; content:\"abcd\"; bsize:3;", "do not fit"},
        LintCase{"chain_beyond_bsize", "http.uri; content:\"ab\"; content:\"cd\"; distance:2; bsize:<6;", "do not fit"},
        LintCase{"chain_that_may_go_back", "http.uri; content:\"ab\"; content:\"cd\"; distance:-4; bsize:2;", ""},
        LintCase{"transform_changes_the_size", "http.uri; url_decode; content:\"abcd\"; bsize:3;", ""},
        LintCase{"payload_beyond_dsize", "dsize:<4; content:\"abcd\";", "do not fit"},
        LintCase{"no_size_at_all", "dsize:>10; dsize:<5;", "no number"},
        LintCase{"size_between", "dsize:>5; dsize:<10;", ""},
        LintCase{"beyond_the_field", "ttl:>255;", "no number"},
        LintCase{"forbids_what_it_asks_for", "content:\"abc\"; content:!\"b\";", "forbids"},
        LintCase{"forbids_it_elsewhere", "content:\"abc\"; content:!\"b\"; within:5;", ""},
        LintCase{"forbids_one_case", "content:\"aBc\"; nocase; content:!\"b\";", ""},
        LintCase{"forbids_in_another_buffer", "http.uri; content:\"abc\"; http.method; content:!\"b\";", ""},
        LintCase{"bit_that_nobody_sets", "flowbits:isset,never; content:\"a\";", "no rule that is loaded sets never"},
        LintCase{"bit_that_it_sets_itself", "flowbits:isset,a|b; flowbits:set,b; content:\"a\";", ""},
        LintCase{"bit_that_must_not_be", "flowbits:isnotset,never; content:\"a\";", ""}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Parser, OldModifierMovesTheContentIntoItsField) {
  const RuleSet set = Parse(Tcp("content:\"/a\"; http_uri;"));
  ASSERT_EQ(set.rules.size(), 1u);
  ASSERT_EQ(set.rules[0].inspections.size(), 1u);
  EXPECT_EQ(set.rules[0].inspections[0].name, "http.uri");
}
TEST(Parser, OneBadRuleDoesNotStopTheOthers) {
  const RuleSet set = Parse("bad\nalert tcp any any -> any any (sid:2;)\n");
  EXPECT_EQ(set.rules.size(), 1u);
  EXPECT_EQ(set.num_failed, 1u);
}
TEST(Parser, RuleOverLinesIsNamedByItsFirst) {
  const RuleSet set = Parse("# c\nalert tcp any any -> \\\n any any (nonsense; \\\n sid:3;)\n");
  ASSERT_EQ(set.problems.size(), 1u);
  EXPECT_EQ(set.problems[0].place.line, 2u);
}
TEST(Parser, ProtocolWithoutDissectorIsInactive) {
  const RuleSet set = Parse("alert smtp any any -> any any (content:\"a\"; sid:1;)");
  EXPECT_EQ(set.num_inactive, 1u);
  EXPECT_EQ(set.num_failed, 0u);
}
TEST(Parser, NewestRevisionWins) {
  const RuleSet set = Parse("alert tcp any any -> any any (sid:1; rev:1;)\n"
                            "alert tcp any any -> any any (sid:1; rev:2;)\n");
  ASSERT_EQ(set.rules.size(), 1u);
  EXPECT_EQ(set.rules[0].rev, 2u);
}
TEST(Parser, MissingSidIsRefused) {
  const RuleSet set = Parse("alert tcp any any -> any any (content:\"a\";)");
  ASSERT_EQ(set.problems.size(), 1u);
  EXPECT_THAT(set.problems[0].message, HasSubstr("sid is missing"));
}
TEST(Parser, WarningNamesTheSidThatFollows) {
  const RuleSet set = Parse(Tcp(
      "threshold:type limit,count 1,seconds 9,track by_src reference:url,x/y/; classtype:unheard-of;"));
  EXPECT_EQ(set.rules.size(), 1u);
  ASSERT_EQ(set.problems.size(), 2u);
  EXPECT_EQ(set.problems[0].sid, 1u);
  EXPECT_EQ(set.problems[0].severity, RuleProblem::Severity::kWarning);
  EXPECT_THAT(set.problems[0].message, HasSubstr("semicolon missing"));
}
TEST(Parser, RandomBytesAreSurvived) {
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string text = Tcp("content:\"abc\"; http.uri; pcre:\"/a/U\"; byte_test:4,>,1,0;");
    for (int k = 0; k < 6; ++k) text[random() % text.size()] = static_cast<char>(random());
    Parse(text);
  }
}
TEST(Parser, LineOfOneMebibyteIsRefused) {
  const RuleSet set = Parse(Tcp("content:\"" + std::string(1 << 20, 'a') + "\";"));
  ASSERT_EQ(set.problems.size(), 1u);
  EXPECT_THAT(set.problems[0].message, HasSubstr("at most"));
}
TEST(Parser, MillionBadLinesKeepBoundedProblems) {
  std::string text;
  for (int i = 0; i < 1'000'000; ++i) text += "x\n";
  const RuleSet set = Parse(text);
  EXPECT_EQ(set.num_failed, 1'000'000u);
  EXPECT_LE(set.problems.size(), 10'000u);
}

TEST(Rules, ABufferNamedAgainGoesOnAndATransformBeginsAnother) {
  const RuleSet set = Parse(Tcp("tcp.hdr; content:\"a\"; tcp.hdr; content:\"b\"; distance:1; "
                                "http.uri; content:\"c\"; http.uri; to_lowercase; content:\"d\";"));
  ASSERT_EQ(set.rules.size(), 1u) << set.problems[0].message;
  ASSERT_EQ(set.rules[0].inspections.size(), 3u);
  EXPECT_EQ(set.rules[0].inspections[0].tests.size(), 2u);
}

struct Requirement {
  const char* name;
  const char* text;
  bool loads;
};
class Requires : public testing::TestWithParam<Requirement> {};
TEST_P(Requires, LoadsOrIsSkippedWithoutAnError) {
  const RuleSet set = Parse(Tcp(std::string("requires: ") + GetParam().text + ";"));
  EXPECT_EQ(set.rules.size(), GetParam().loads ? 1u : 0u);
  EXPECT_EQ(set.num_skipped, GetParam().loads ? 0u : 1u);
  EXPECT_EQ(set.num_failed, 0u);
}
INSTANTIATE_TEST_SUITE_P(Table, Requires,
                         testing::Values(Requirement{"old_version", "version >= 7.0.3", true},
                                         Requirement{"range", "version >= 7.0.3 < 8", false},
                                         Requirement{"either", "version < 7 | >= 8", true},
                                         Requirement{"without_blank", "version >=8.0.0", true},
                                         Requirement{"to_come", "version >= 99", false},
                                         Requirement{"keyword", "keyword content", true},
                                         Requirement{"field", "keyword http.uri", true},
                                         Requirement{"two", "version >= 7, keyword nosuch", false},
                                         Requirement{"unknown_kind", "foo bar", false}),
                         [](const auto& i) { return i.param.name; });

TEST(Rules, APayloadTestBehindPktDataLeavesTheFieldBefore) {
  const RuleSet set = Parse(Tcp("http.uri; content:\"a\"; pkt_data; isdataat:1,relative;"));
  ASSERT_EQ(set.rules.size(), 1u) << set.problems[0].message;
  ASSERT_EQ(set.rules[0].inspections.size(), 2u);
  EXPECT_EQ(set.rules[0].inspections[1].kind, BufferKind::kPayload);
}

TEST(Rules, SkippedBeforeItsUnknownKeywordIsRead) {
  const RuleSet set = Parse(Tcp("new.keyword:1; requires: version >= 99;"));
  EXPECT_EQ(set.num_skipped, 1u);
  EXPECT_EQ(set.num_failed, 0u);
}

TEST(Rules, OnAProtocolWithoutDissectorAreInactiveNotWrong) {
  for (const char* body : {"app-layer-protocol:smb;", "app-layer-protocol:!smb;"}) {
    const RuleSet set = Parse(Tcp(body));
    EXPECT_EQ(set.num_inactive, 1u) << body;
    EXPECT_EQ(set.num_failed, 0u) << body;
  }
}

// Names that are multiples of 2^32 say what the low half is.
TEST(UintTest, NamesTagTheirNumbers) {
  const std::vector<std::pair<uint64_t, std::string>> names = {{1ull << 32, "SIZE"}, {2ull << 32, "PUSH"}};
  const auto matches = [&](std::string_view text, uint64_t tag, uint64_t value) {
    const auto test = ParseUintTest(text, names);
    EXPECT_TRUE(test) << text;
    return test && test->Matches(tag << 32 | value);
  };
  EXPECT_TRUE(matches("SIZE", 1, 0));
  EXPECT_TRUE(matches("size", 1, UINT32_MAX));
  EXPECT_FALSE(matches("SIZE", 2, 0));
  EXPECT_TRUE(matches("SIZE>1000", 1, 1001));
  EXPECT_FALSE(matches("SIZE>1000", 1, 1000));
  EXPECT_FALSE(matches("SIZE>1000", 2, 1001));
  EXPECT_TRUE(matches("SIZE <=5", 1, 0));
  EXPECT_FALSE(matches("SIZE <=5", 1, 6));
  EXPECT_TRUE(matches("PUSH=1", 2, 1));
  EXPECT_FALSE(ParseUintTest("OTHER>5", names));
}
TEST(SignedNumbers, OrderAsNumbersDoAndPrintAsTheyWereWritten) {
  for (const char* text : {"-7", "!-7", "<0", "<=-1", ">-8", ">=3", "-8<>-6", "!-8<>6"}) {
    const auto test = ParseUintTest(text, {}, true);
    ASSERT_TRUE(test.has_value()) << text;
    EXPECT_EQ(PrintUintTest(*test, true), text);
  }
  const auto near = ParseUintTest("-8<>6", {}, true);
  for (const int64_t value : {-8, -7, 0, 5, 6}) {
    EXPECT_EQ(near->Matches(SignedOrder(value)), value > -8 && value < 6) << value;
  }
  EXPECT_FALSE(ParseUintTest("&0x10", {}, true).has_value());  // bits of a signed number mean nothing
  EXPECT_FALSE(ParseUintTest("-7").has_value());
}

}  // namespace
}  // namespace sluice
