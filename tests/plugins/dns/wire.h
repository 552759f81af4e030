// tests/plugins/dns/wire.h
// DNS messages as tests write them.
#pragma once

#include <string>
#include <string_view>

namespace sluice::testing::dns {

inline std::string U16(unsigned v) { return {static_cast<char>(v >> 8), static_cast<char>(v)}; }
inline std::string Label(std::string_view text) { return static_cast<char>(text.size()) + std::string(text); }
inline std::string Name(std::string_view dotted) {
  std::string out;
  while (!dotted.empty()) {
    const std::string_view label = dotted.substr(0, dotted.find('.'));
    out += Label(label);
    dotted.remove_prefix(std::min(dotted.size(), label.size() + 1));
  }
  return out + '\0';
}
inline std::string Pointer(unsigned offset) { return U16(0xc000 | offset); }
inline std::string Header(unsigned flags, unsigned qd, unsigned an = 0, unsigned ns = 0, unsigned ar = 0,
                          unsigned id = 0x1234) {
  return U16(id) + U16(flags) + U16(qd) + U16(an) + U16(ns) + U16(ar);
}
inline std::string Question(std::string_view name, unsigned type = 1) { return Name(name) + U16(type) + U16(1); }
inline std::string Record(const std::string& name, unsigned type, const std::string& data) {
  return name + U16(type) + U16(1) + U16(0) + U16(300) + U16(static_cast<unsigned>(data.size())) + data;
}
inline std::string Framed(const std::string& message) { return U16(static_cast<unsigned>(message.size())) + message; }

inline const std::string kFirstName = Pointer(12);  // that of the first question
constexpr unsigned kAsks = 0x0100, kAnswers = 0x8180;

}  // namespace sluice::testing::dns
