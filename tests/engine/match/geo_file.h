// A MaxMind database of a few networks, written by hand: the format's specification is at
// maxmind.github.io/MaxMind-DB.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/decode/address.h"

namespace sluice::testing {

class GeoFile {
 public:
  GeoFile() : nodes_(1) {}
  // IPv4 networks lie in ::/96.
  void Add(const Address& address, uint32_t prefix, const std::string& country) {
    const size_t at = data_.size();
    data_ += Map(1) + Text("country") + Map(1) + Text("iso_code") + Text(country);
    std::string bits(12, '\0');
    const bool v4 = address.version == 4;
    bits = v4 ? bits : "";
    bits.append(reinterpret_cast<const char*>(address.bytes.data()), v4 ? 4 : 16);
    size_t node = 0;
    const uint32_t depth = prefix + (v4 ? 96 : 0);
    for (uint32_t i = 0; i < depth; ++i) {
      const size_t side = static_cast<uint8_t>(bits[i / 8]) >> (7 - i % 8) & 1;
      if (i + 1 == depth) {
        nodes_[node].child[side] = {Kind::kData, at};
      } else {
        if (nodes_[node].child[side].kind != Kind::kNode) {
          nodes_.emplace_back();
          nodes_[node].child[side] = {Kind::kNode, nodes_.size() - 1};
        }
        node = nodes_[node].child[side].value;
      }
    }
  }
  std::string Bytes() const {
    std::string out;
    for (const Node& node : nodes_) {
      for (const Child& child : node.child) {
        const size_t value = child.kind == Kind::kNode   ? child.value
                             : child.kind == Kind::kData ? nodes_.size() + 16 + child.value
                                                         : nodes_.size();
        for (int shift = 16; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
      }
    }
    out += std::string(16, '\0') + data_ + "\xab\xcd\xefMaxMind.com";
    out += Map(9) + Text("node_count") + Number(6, nodes_.size()) + Text("record_size") + Number(5, 24) +
           Text("ip_version") + Number(5, 6) + Text("database_type") + Text("Test") + Text("languages") +
           std::string("\x00\x04", 2) + Text("binary_format_major_version") + Number(5, 2) +
           Text("binary_format_minor_version") + Number(5, 0) + Text("build_epoch") + std::string("\x01\x02\x01", 3) +
           Text("description") + Map(0);
    return out;
  }

 private:
  enum class Kind : uint8_t { kNone, kNode, kData };
  struct Child {
    Kind kind = Kind::kNone;
    size_t value = 0;
  };
  struct Node {
    Child child[2];
  };
  static std::string Map(size_t pairs) { return std::string(1, static_cast<char>(7 << 5 | pairs)); }
  static std::string Text(const std::string& text) {
    std::string out(1, static_cast<char>(2 << 5 | std::min<size_t>(text.size(), 29)));
    if (text.size() >= 29) out += static_cast<char>(text.size() - 29);
    return out + text;
  }
  static std::string Number(uint8_t type, size_t value) {  // 5: 16 bits, 6: 32
    std::string bytes;
    for (; value > 0; value >>= 8) bytes.insert(bytes.begin(), static_cast<char>(value));
    return static_cast<char>(type << 5 | bytes.size()) + bytes;
  }

  std::vector<Node> nodes_;
  std::string data_;
};

}  // namespace sluice::testing
