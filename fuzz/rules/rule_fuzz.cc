// Any text as a rule file.  Oracles: sanitizers; a problem has a place and a reason;
// each rule that loads can be printed, and the print means the same.
#include "engine/rules/print.h"
#include "tests/engine/rules/fake_keywords.h"
#include "tests/engine/rules/print_law.h"

using namespace sluice;

namespace {

const RuleOptions& Options() {
  static const RuleOptions options = [] {
    RuleOptions o;
    o.addresses = {{"HOME_NET", "[10.0.0.0/8,!10.1.0.0/16]"}, {"EXTERNAL_NET", "!$HOME_NET"}};
    o.ports = {{"HTTP_PORTS", "[80,8080:8090]"}};
    o.classes = {{"trojan-activity", {"A trojan", 1}}};
    o.references = {{"url", "http://"}};
    return o;
  }();
  return options;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const FakeKeywords keywords;
  RuleSet set;
  const auto parse = FUZZ_TOML ? ParseTomlRules : ParseRules;
  parse(AsText({data, size}), "fuzz", Options(), keywords, &set);
  for (const RuleProblem& problem : set.problems) {
    if (problem.place.line == 0 || problem.message.empty()) __builtin_trap();
  }
  for (size_t i = 0, n = set.rules.size(); i < n; ++i) {
    const std::string breach = PrintLawBreach(i, Options(), keywords, &set);
    if (breach.empty()) continue;
    fmt::print(stderr, "{}\n", breach);
    __builtin_trap();
  }
  return 0;
}
