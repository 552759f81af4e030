// SPDX-License-Identifier: Apache-2.0
// plugins/http/emit.h - from parsed lines and headers to fields and events.
//
// Threads: none of its own; confined to the flow's worker.  Memory: `scratch` is the
// caller's, kept for reuse.
#pragma once

#include <string>

#include "fields.h"
#include "headers.h"
#include "normalise.h"
#include "start_line.h"

namespace http {

// A transaction as its fields are set.
struct Emitter {
  static constexpr uint32_t kMostEvents = 512;  // of a connection, then no more are told

  sluice::Flow flow;
  uint64_t tx;
  std::string& scratch;
  uint32_t& num_events;  // of the connection so far

  void Set(uint32_t field, View value) const {
    if (flow.Wanted(field)) flow.Set(tx, field, value);
  }
  void Event(enum Event event) const {
    if (num_events > kMostEvents) return;
    flow.Event(tx, num_events++ < kMostEvents ? event : kEventTooManyWarnings);
  }
};

// A request line with its target.
void EmitRequestLine(const Emitter& to, View text, const RequestLine& line, const Target& target,
                     NormaliseOptions options);
void EmitStatusLine(const Emitter& to, View text, const StatusLine& line);

// All headers of a message, in the buffers that hold several.  `start`: the start line
// without its end; `raw`: the block as sent.
void EmitHeaderBuffers(const Emitter& to, uint32_t direction, const HeaderTable& headers, View start, View raw);
// ... and each for itself: last, as a transaction's values have a limit that many headers reach.
void EmitEachHeader(const Emitter& to, uint32_t direction, const HeaderTable& headers);
// Single headers, host, authorization.  `server_port`: of the connection.
void EmitRequestHeaders(const Emitter& to, const HeaderTable& headers, const Target& target,
                        unsigned version, uint16_t server_port);
void EmitResponseHeaders(const Emitter& to, const HeaderTable& headers, unsigned status);
// Oddities of one header line.
void EmitHeaderFlags(const Emitter& to, uint32_t direction, uint32_t flags);

}  // namespace http
