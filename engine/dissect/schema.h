// engine/dissect/schema.h
// The fields of all loaded dissectors, numbered once at load time.
//
// Threads: built on the main thread, then immutable.
// Memory: views point into the plug-ins' static tables.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/types.h"

struct sluice_plugin;

namespace sluice {

using KeywordId = uint16_t;
inline constexpr KeywordId kNoKeyword = 0xffff;

enum class FieldType : uint8_t {
  kBytes = 1, kUint, kInt, kBool, kEnum, kAddress, kTime, kChunks, kGroup,
};

struct FieldInfo {
  std::string_view keyword;  // empty: not matchable
  std::string_view log;      // empty: not logged
  std::string_view log_name; // by which users ask for it in lists; empty: always logged
  std::string_view list;     // by whose entries users choose what is logged; empty: none
  std::string_view store_suffix = "bin";  // SLUICE_STORE: how names of its files end
  std::string_view help;
  FieldType type = FieldType::kBytes;
  uint32_t flags = 0;        // SLUICE_REPEATED ...
  uint8_t directions = 3;    // bit per Direction
  uint8_t stage = 0;
  bool merged = false;       // a group without an object of its own
  KeywordId keyword_id = kNoKeyword;
  std::vector<std::pair<uint64_t, std::string_view>> names;  // sorted by value
  std::string_view Name(uint64_t value) const;  // empty if it has none
};

struct EventInfo {
  std::string_view name, help;
  std::vector<std::string> names = {};  // also old ones
  std::string logged = {};              // as EVE has it
  bool Answers(std::string_view to) const {
    return to == name || std::find(names.begin(), names.end(), to) != names.end();
  }
};

// One dissector as the rest of the engine sees it.
struct Schema {
  uint16_t id = 0;  // index in Catalog
  std::string_view name;
  std::string_view log_name;  // event type and object of its records; most often the name
  std::vector<std::string> aliases;  // other names that rules may use
  std::vector<std::string> record_types;  // whose records its own come with
  std::string_view help;
  uint32_t log_source = 0;  // SLUICE_LOG_*
  std::vector<FieldInfo> fields;
  std::vector<EventInfo> events;
  std::vector<std::string_view> stages[2];  // by Direction
  bool Answers(std::string_view to) const {
    return to == name || std::find(aliases.begin(), aliases.end(), to) != aliases.end();
  }
  uint8_t last_stage(Direction d) const { return static_cast<uint8_t>(stages[Index(d)].size() - 1); }
};

}  // namespace sluice
