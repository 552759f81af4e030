// The two forms of each example in docs/rules.md are one rule, in every part.
#include <gtest/gtest.h>

#include <regex>

#include "engine/base/file.h"
#include "engine/rules/parser.h"
#include "engine/rules/print.h"
#include "tests/engine/rules/fake_keywords.h"

namespace sluice {
namespace {

TEST(DocsLaw, BothFormsOfAnExampleAreTheSameRule) {
  const auto page = ReadFile("docs/rules.md", "page");
  ASSERT_TRUE(page) << page.error().message;
  const std::regex pair(R"(```rules\n([^`]*)```\s*```toml\n([^`]*)```)");
  const FakeKeywords keywords;
  const RuleOptions options;
  int pairs = 0;
  for (std::sregex_iterator it(page->begin(), page->end(), pair), end; it != end; ++it, ++pairs) {
    RuleSet set;  // one for both: bits have the same numbers
    ParseRules((*it)[1].str(), "docs.rules", options, keywords, &set);
    ParseTomlRules((*it)[2].str(), "docs.toml", options, keywords, &set);
    ASSERT_EQ(set.rules.size(), 2u) << (*it)[1] << (set.num_failed == 0 ? "" : set.problems.back().message);
    const RulePrinter printer(set, options, keywords);
    EXPECT_TRUE(SameMeaning(set.rules[0], set.rules[1]))
        << printer.Print(set.rules[0]) << "\n" << printer.Print(set.rules[1]);
  }
  EXPECT_GE(pairs, 6);
}

TEST(DocsLaw, TomlKeepsTheOrderOfConditions) {
  const FakeKeywords keywords;
  const RuleOptions options;
  RuleSet set;
  ParseRules("alert tcp any any -> any any (xbits:isset,x,track ip_src; flowint:n,+,1; flowbits:set,b; sid:1;)\n",
             "a.rules", options, keywords, &set);
  ParseTomlRules("[[rule]]\nprotocol = \"tcp\"\nxbits = \"isset,x,track ip_src\"\nflowint = \"n,+,1\"\n"
                 "flowbits = \"set,b\"\nsid = 1\n",
                 "a.toml", options, keywords, &set);
  ASSERT_EQ(set.rules.size(), 2u);
  EXPECT_TRUE(SameMeaning(set.rules[0], set.rules[1]));
}

}  // namespace
}  // namespace sluice
