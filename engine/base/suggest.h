// engine/base/suggest.h
// "Did you mean ...?": the nearest of a list of names.
// Threads: pure function.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace sluice {

// The candidate nearest to `word` by edit distance, or "" if none is near enough
// (a third of the word's length, at least one edit).  O(words * length^2).
std::string Suggest(std::string_view word, std::span<const std::string> candidates);

}  // namespace sluice
