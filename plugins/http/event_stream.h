// SPDX-License-Identifier: Apache-2.0
// plugins/http/event_stream.h - counts the events in a response that is a stream of them:
// server-sent events (HTML standard §9.2) and JSON by lines.
//
// Pure but for its own few bytes of state; any bytes are a stream.
#pragma once

#include "text.h"

namespace http {

class EventStream {
 public:
  enum class Kind : uint8_t { kNone, kServerSent, kJsonLines };

  void Begin(View content_type);
  Kind kind() const { return kind_; }
  View name() const { return kind_ == Kind::kServerSent ? "sse" : "ndjson"; }
  // How many events end in these bytes.
  uint64_t Feed(View bytes);
  // The body is over: 1 if that ends one.
  uint64_t Finish();

 private:
  bool EndOfLine();

  Kind kind_ = Kind::kNone;
  bool after_cr_ = false;    // a line feed is of the same line end
  bool data_ = false;        // the event has data
  uint64_t in_line_ = 0;     // bytes of the line; of JSON: but blanks
  uint32_t matched_ = 0;     // of "data:"
};

}  // namespace http
