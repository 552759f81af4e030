// Keywords on files: what each spelling means, and that a print means the same.
#include <gtest/gtest.h>

#include "tests/engine/rules/fake_keywords.h"
#include "tests/engine/rules/print_law.h"

namespace sluice {
namespace {

struct Case {
  const char* name;     // states the expectation
  const char* options;
  const char* printed;  // what stands between "sid:1" and the header; "" means: refused
};
class FileKeywords : public ::testing::TestWithParam<Case> {};
TEST_P(FileKeywords, MeanWhatTheyPrint) {
  const FakeKeywords keywords;
  const RuleOptions options;
  RuleSet set;
  ParseRules(std::string("alert http any any -> any any (") + GetParam().options + "; sid:1;)", "a.rules",
             options, keywords, &set);
  ASSERT_EQ(set.rules.size(), *GetParam().printed == '\0' ? 0u : 1u)
      << (set.problems.empty() ? "" : set.problems[0].message);
  if (set.rules.empty()) return;
  EXPECT_EQ(RulePrinter(set, options, keywords).Options(set.rules[0]), std::string(GetParam().printed) + "; sid:1;");
  EXPECT_EQ(PrintLawBreach(0, options, keywords, &set), "");
}
const Case kCases[] = {
    {"StickyName", "file.name; content:\"x\"", "file.name; content:\"x\""},
    {"OldNameIsAnyCase", "filename:\"Setup\"", "file.name; content:\"setup\"; nocase"},
    {"OldNameNegated", "filename:!\"a b\"", "file.name; content:!\"a b\"; nocase"},
    {"ExtensionIsAnEnd", "fileext:\"PDF\"", "file.name; content:\".pdf\"; nocase; endswith"},
    {"OldOnesMeanOneFile", "filename:\"r\"; fileext:\"pdf\"",
     "file.name; content:\"r\"; nocase; content:\".pdf\"; nocase; endswith"},
    {"OldMagic", "filemagic:\"PDF\"", "file.magic; content:\"pdf\"; nocase"},
    {"TwiceNamedMayBeTwoFiles", "file.data; content:\"a\"; file.data; content:\"b\"",
     "file.data; content:\"a\"; file.data; content:\"b\""},
    {"SizeWithUnit", "filesize:>10KiB", "filesize:>10240"},
    {"SizeRange", "filesize:1<>2MB", "filesize:1<>2097152"},
    {"HashList", "filemd5:list.md5", "filemd5:list.md5"},
    {"NegatedHashList", "filesha256:!\"lists/a.txt\"", "filesha256:!lists/a.txt"},
    {"StoreIsOfTheRule", "filestore", "filestore"},
    {"StoreOfASide", "filestore:request", "filestore:to_server"},
    {"StoreOfAFlow", "filestore:both,flow", "filestore:both,flow"},
    {"StoreOldWord", "filestore:both,ssn", "filestore:both,flow"},
    {"StoreNoSuchSide", "filestore:left", ""},
    {"StoreNoSuchScope", "filestore:both,world", ""},
    {"StoreTwice", "filestore; filestore", ""},
    {"SizeTooLarge", "filesize:>99999999999GiB", ""},
    {"HashWithoutList", "filemd5:", ""},
    {"NameWithoutText", "filename:\"\"", ""},
    {"AbsentAndStored", "file.data; absent; filestore", ""},
};
INSTANTIATE_TEST_SUITE_P(Table, FileKeywords, ::testing::ValuesIn(kCases),
                         [](const auto& c) { return c.param.name; });

}  // namespace
}  // namespace sluice
