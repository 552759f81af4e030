// engine/rules/threshold_config.h
// threshold.config: limits and exceptions that a site puts on rules it does not
// write itself.
//
//   threshold|event_filter gen_id G, sig_id S, type T, track by_X, count N, seconds N
//   rate_filter gen_id G, sig_id S, track by_X, count N, seconds N, new_action A, timeout N
//   suppress gen_id G, sig_id S [, track by_src|by_dst|by_either, ip ADDRESSES]
//
// sig_id 0 stands for every rule of the generator, gen_id 0 for every rule.  What
// names a rule outranks what names many; a rule's own threshold outranks the latter.
// Threads: main thread.
#pragma once

#include <string>
#include <string_view>

#include "engine/rules/parser.h"

namespace sluice {

// Puts the lines of `text` on the rules of `set`; bad ones become its problems.
void ApplyThresholds(std::string_view text, const std::string& file, const RuleOptions& options,
                     RuleSet* set);
// The same for a file; fails only if it cannot be read.
Result<void> ReadThresholds(const std::string& path, const RuleOptions& options, RuleSet* set);

}  // namespace sluice
