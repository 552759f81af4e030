#include "engine/rules/options.h"

namespace sluice {

uint32_t FindSid(std::string_view text) {
  const size_t at = FindText(text, "sid:");
  if (at == text.npos) return 0;
  const size_t end = text.find(';', at);
  return ParseNumber<uint32_t>(text.substr(at + 4, end == text.npos ? end : end - at - 4)).value_or(0);
}

std::vector<std::string> HeaderWords(std::string_view text) {
  std::vector<std::string> words;
  bool in_word = false;
  int depth = 0;
  for (const char c : text) {
    depth += c == '[' ? 1 : c == ']' ? -1 : 0;
    if (c == ' ' || c == '\t') {
      in_word &= depth > 0;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    words.back() += c;
  }
  return words;
}

size_t OptionEnd(std::string_view text, size_t from) {
  for (size_t i = from; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == ';') {
      return i;
    }
  }
  return text.npos;
}

}  // namespace sluice
