// engine/rules/keyword_source.h
// What the rule parser asks about dissector fields; engine/app connects it with
// the loaded plug-ins.
// Threads: main thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice {

struct FieldKeyword {
  uint16_t id = 0;             // the same for all names of one keyword
  std::string name;            // canonical: "http.uri"; of a frame "frame:dns.pdu"
  std::string protocol;        // the dissector's name
  bool number = false;         // UINT/INT/BOOL/ENUM/TIME: "keyword: >5"; else a sticky buffer
  bool is_signed = false;      // INT; TIME in seconds since the epoch
  bool repeated = false;
  bool modifier = false;       // the name asked for follows a content ("http_uri")
  bool content = false;        // the value of the name asked for is the content
  bool boolean = false;        // number: without a value it asks for true
  bool date = false;           // number: seconds since the epoch, asked for by dates
  bool bits = false;           // number: its names are single bits, asked for by lists
  bool store = false;          // no buffer: the values are kept when the rule matches
  enum class Case : uint8_t { kAny, kLower, kUpper } content_case = Case::kAny;
  std::string content_pattern; // what a content on it must look like; empty: any
  uint8_t directions = 3;      // bit 0 to_server, bit 1 to_client
  std::string help;
  std::string transform;       // applied first; empty: none
  std::vector<std::pair<uint64_t, std::string>> enum_names;
};

// A stage of a dissector's transactions: its direction (0 to_server) and number.
struct StageName {
  uint8_t direction = 0;
  uint8_t stage = 0;
};

class KeywordSource {
 public:
  virtual ~KeywordSource() = default;
  // The field behind a keyword, alias or modifier name; null if there is none.  Valid as
  // long as the source.
  virtual const FieldKeyword* Find(std::string_view name) const = 0;
  // Canonical keywords, for suggestions and --list-keywords; sorted.
  virtual std::vector<FieldKeyword> All() const = 0;
  // Whether a dissector of that name is loaded.
  virtual bool HasProtocol(std::string_view name) const = 0;
  // The stage that the dissector calls so, or "request_started", "request_complete",
  // "response_started", "response_complete", which every protocol has.
  virtual std::optional<StageName> FindStage(std::string_view, std::string_view) const { return std::nullopt; }
  // Whether that dissector declares the event; "": the engine, for any protocol.
  virtual bool HasEvent(std::string_view protocol, std::string_view event) const = 0;
};

}  // namespace sluice
