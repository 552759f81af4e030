// engine/match/placement.h
// When a rule is looked at, which of its literals stands for it in the prefilter, and
// which table of the program it goes into.
// Threads: main thread, while a program is compiled.
#pragma once

#include <string>
#include <vector>

#include "engine/match/program.h"

namespace sluice {

struct FastPattern {
  std::string literal;  // empty: none
  bool nocase = false;
  size_t inspection = 0;  // in payload or fields
  uint32_t head = 0;      // > 0: lies within the first `head` bytes
};

// Sets kind, on_packets and on_stream, from all else that is known of the rule.
void Classify(const Rule& rule, CompiledRule* c);

class Placement {
 public:
  Placement(RuleProgram::Impl& out, const CompileOptions& options) : out_(out), options_(options) {}
  // Chooses the fast pattern of a classified rule and enters its rank where it is looked for.
  void Place(CompiledRule& c, uint32_t rank);

 private:
  void PlaceFields(const CompiledRule& c, uint32_t rank, const FastPattern& best);
  std::vector<uint16_t> SchemasOf(const CompiledRule& c) const;
  FieldGroup& Group(const CompiledInspection& inspection, int d);
  void PlacePacket(const CompiledRule& c, uint32_t rank, const FastPattern& best);
  void AddTo(PayloadGroup* group, const CompiledRule& c, uint32_t rank, const FastPattern& best);

  RuleProgram::Impl& out_;
  const CompileOptions& options_;
};

}  // namespace sluice
