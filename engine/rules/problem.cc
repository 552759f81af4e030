#include "engine/rules/problem.h"

#include <fmt/format.h>

namespace sluice {

std::string FormatProblem(const RuleProblem& problem) {
  std::string out = fmt::format("{}:{}:", problem.place.file, problem.place.line);
  if (problem.column != 0) out += fmt::format("{}:", problem.column);
  out += problem.severity == RuleProblem::Severity::kError ? " error: " : " warning: ";
  if (problem.sid != 0) out += fmt::format("sid {}: ", problem.sid);
  return out + problem.message;
}

}  // namespace sluice
