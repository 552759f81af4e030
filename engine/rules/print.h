// engine/rules/print.h
// A rule's model as text in the dialect: parse(print(rule)) == rule.
//
// Canonical, not as written: sticky buffers instead of old modifiers, addresses as
// ranges instead of variables, one spelling for each test.
// Threads: main thread.  Memory: borrows what it is made with.
#pragma once

#include <string>
#include <string_view>

#include "engine/rules/keyword_source.h"
#include "engine/rules/parser.h"
#include "engine/rules/rule_set.h"

namespace sluice {

class RulePrinter {
 public:
  // `set` names the variables of its rules; `options` the classes and references.
  RulePrinter(const RuleSet& set, const RuleOptions& options, const KeywordSource& keywords)
      : set_(set), options_(options), keywords_(keywords) {}

  std::string Print(const Rule& rule) const;          // the whole rule
  std::string Header(const RuleHeader& header) const;  // without the action
  std::string Options(const Rule& rule) const;         // between the parentheses

  // Parts, as "keyword:value" or "keyword", several separated by "; ".
  std::string Buffer(const Inspection& inspection) const;  // name and transforms
  std::string Test(const Rule& rule, const BufferTest& test) const;
  std::string Number(const NumberInspection& number) const;
  std::string Packet(const PacketTest& test) const;
  std::string Condition(const FlowCondition& condition) const;
  std::string File(const FileTest& test) const;
  std::string Keep(const FileKeep& keep) const;

 private:
  const RuleSet& set_;
  const RuleOptions& options_;
  const KeywordSource& keywords_;
};

std::string PrintUintTest(const UintTest& test, bool is_signed = false);
std::string PrintAddresses(const AddressSet& set);
std::string PrintPorts(const PortSet& set);

}  // namespace sluice
