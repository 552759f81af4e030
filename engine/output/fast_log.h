// engine/output/fast_log.h
// One line per alert, in the format every IDS tool reads.
// Threads: pure function.
#pragma once

#include <string>

#include "engine/decode/packet.h"
#include "engine/rules/rule_set.h"

namespace sluice {

// Appended with its newline.  `tag`: "" or "[Drop] ", "[wDrop] " after the time.
// A packet that is not IP is shown by its first bytes.
void AppendFastLog(const Packet& packet, const Rule& rule, std::string_view tag, std::string* out);

// "05/06/2015-19:25:41.068903", local time.
void AppendLogTime(Nanos time, std::string* out);

}  // namespace sluice
