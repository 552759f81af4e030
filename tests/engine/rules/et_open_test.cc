// Measures how much of the public rule sets loads, and how fast.
#include <gtest/gtest.h>
#include <zlib.h>

#include <chrono>
#include <cstdio>
#include <map>

#include "engine/rules/parser.h"
#include "tests/engine/rules/fake_keywords.h"
#include "tests/engine/rules/print_law.h"

namespace sluice {
namespace {

std::string Gunzip(const std::string& path) {
  std::string out;
  gzFile in = gzopen(path.c_str(), "rb");
  if (in == nullptr) return out;
  char buffer[65536];
  for (int n; (n = gzread(in, buffer, sizeof buffer)) > 0;) out.append(buffer, static_cast<size_t>(n));
  gzclose(in);
  return out;
}

RuleOptions StockOptions() {
  RuleOptions options;
  options.addresses = {{"HOME_NET", "[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12]"},
                       {"EXTERNAL_NET", "!$HOME_NET"}};
  for (const char* name : {"HTTP_SERVERS", "SMTP_SERVERS", "SQL_SERVERS", "DNS_SERVERS",
                           "TELNET_SERVERS", "AIM_SERVERS", "DC_SERVERS", "DNP3_SERVER",
                           "DNP3_CLIENT", "MODBUS_CLIENT", "MODBUS_SERVER", "ENIP_CLIENT",
                           "ENIP_SERVER"}) {
    options.addresses[name] = "$HOME_NET";
  }
  options.ports = {{"HTTP_PORTS", "80"}, {"SHELLCODE_PORTS", "!80"}, {"ORACLE_PORTS", "1521"},
                   {"SSH_PORTS", "22"}, {"DNP3_PORTS", "20000"}, {"MODBUS_PORTS", "502"},
                   {"FILE_DATA_PORTS", "[$HTTP_PORTS,110,143]"}, {"FTP_PORTS", "21"},
                   {"GENEVE_PORTS", "6081"}, {"VXLAN_PORTS", "4789"}, {"TEREDO_PORTS", "3544"}};
  return options;
}

class EtOpen : public testing::TestWithParam<const char*> {};

TEST_P(EtOpen, LoadsAndSaysWhatDoesNot) {
  const std::string root = SLUICE_SHARED_DIR;
  const std::string text = root.empty() ? "" : Gunzip(root + "/rulesets/et-open/" + GetParam());
  if (text.empty()) GTEST_SKIP() << "SLUICE-SKIPPED: set SLUICE_SHARED_DIR to measure ET Open";
  RuleOptions options = StockOptions();
  std::vector<RuleProblem> ignored;
  ASSERT_TRUE(ReadClassifications(root + "/rulesets/et-open/classification.config", &options, &ignored));
  const FakeKeywords keywords;
  RuleSet set;
  const auto start = std::chrono::steady_clock::now();
  ParseRules(text, GetParam(), options, keywords, &set);
  FinishRules(&set);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::map<std::string, int> reasons;
  std::map<std::string, std::string> example;
  for (const RuleProblem& p : set.problems) {
    const std::string reason = (p.severity == RuleProblem::Severity::kError ? "E " : "W ") + p.message;
    ++reasons[reason];
    example.try_emplace(reason, std::to_string(p.sid));
  }
  std::printf("%s: %zu loaded, %u failed, %u inactive, %.2f s\n", GetParam(), set.rules.size(),
              set.num_failed, set.num_inactive, took.count());
  for (const auto& [reason, n] : reasons) {
    std::printf("  %5d %s (sid %s)\n", n, reason.c_str(), example[reason].c_str());
  }
  EXPECT_LE(set.num_failed, set.rules.size() / 200) << "more than 0.5 % of the rules fail";
  size_t breaches = 0;
  for (size_t i = 0, n = set.rules.size(); i < n; ++i) {
    const std::string breach = PrintLawBreach(i, options, keywords, &set);
    if (!breach.empty() && ++breaches <= 10) ADD_FAILURE() << breach;
    set.rules.pop_back();
    const std::string lost = ConvertLawBreach(i, options, keywords, &set);
    if (!lost.empty() && ++breaches <= 10) ADD_FAILURE() << lost;
  }
  EXPECT_EQ(breaches, 0u);
}

INSTANTIATE_TEST_SUITE_P(Files, EtOpen,
                         testing::Values("et-open-composite-2026-03.rules.gz",
                                         "emerging-all-2023-05-15.rules.gz"));

}  // namespace
}  // namespace sluice
