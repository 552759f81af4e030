// engine/rules/sets.h
// Address and port expressions: lists, negation, ranges, variables -> flat sets.
// Threads: main thread.  Errors say which part is wrong and what would be right.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/rules/rule_set.h"

namespace sluice {

using RuleVariables = std::map<std::string, std::string, std::less<>>;  // without the '$'

Result<AddressSet> ParseAddressSet(std::string_view text, const RuleVariables& variables);
Result<PortSet> ParsePortSet(std::string_view text, const RuleVariables& variables);
Result<Address> ParseAddress(std::string_view text);

}  // namespace sluice
