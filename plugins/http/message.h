// SPDX-License-Identifier: Apache-2.0
// plugins/http/message.h - one direction's message in progress, and its exchange.
//
// Memory: strings and tables keep their capacity for the next message, and up to 80 KiB of it
// for the next flow; a decoder is made for the first coded body of a flow.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "content_coding.h"
#include "event_stream.h"
#include "headers.h"
#include "multipart.h"
#include "start_line.h"

namespace http {

// Clears it, and gives room back that is more than `most` bytes.
inline void ClearTo(std::string* text, size_t most) {
  text->clear();
  if (text->capacity() > most) text->shrink_to_fit();
}

enum class State : uint8_t {
  kStartLine, kHeaders, kBodyLength, kBodyClose, kChunkSize, kChunkData, kChunkEnd, kTrailers,
  kBareBody,  // of a response without a status line
  kTail,      // behind a body whose length is in doubt: its, unless a status line
  kWait,      // CONNECT: for the answer
};

// A request and its response.  What the response must know of the request.
struct Exchange {
  uint64_t tx = SLUICE_NO_TX;
  Method method = Method::kUnknown;
  bool expects_continue = false, seen_continue = false;
  uint64_t requested = 0;  // when the request was complete, ns
  std::string path;  // normalised: names the file
  std::string resource;  // see NameResource()
};

// The exchanges without a complete response: a ring of power-of-two size.
class Exchanges {
 public:
  static constexpr size_t kMostKept = 1024;

  Exchange& at(uint64_t number) { return slots_[number & (slots_.size() - 1)]; }
  // Room for `number` without touching any from `oldest` on; both below kMostKept apart.
  Exchange& Start(uint64_t number, uint64_t oldest) {
    while (number - oldest >= slots_.size()) Grow(oldest);
    Exchange& exchange = at(number);
    exchange.tx = SLUICE_NO_TX;
    exchange.method = Method::kUnknown;
    exchange.expects_continue = exchange.seen_continue = false;
    exchange.requested = 0;
    exchange.path.clear();
    exchange.resource.clear();
    return exchange;
  }

  // Numbers begin anew.
  void Restart() {
    constexpr size_t kMostSlots = 16, kMostName = 1024;
    if (slots_.size() > kMostSlots) slots_ = std::vector<Exchange>(4);
    for (Exchange& exchange : slots_) {
      ClearTo(&exchange.path, kMostName);
      ClearTo(&exchange.resource, kMostName);
    }
  }

 private:
  void Grow(uint64_t oldest) {
    std::vector<Exchange> bigger(slots_.size() * 2);
    for (uint64_t i = oldest; i < oldest + slots_.size(); ++i) {
      bigger[i & (bigger.size() - 1)] = std::move(at(i));
    }
    slots_.swap(bigger);
  }
  std::vector<Exchange> slots_ = std::vector<Exchange>(4);
};

struct Message {
  State state = State::kStartLine;
  uint64_t tx = SLUICE_NO_TX;
  uint64_t left = 0;          // bytes of the body or chunk still to come
  uint64_t wire_bytes = 0;    // body as sent, with its framing
  uint64_t header_bytes = 0;
  unsigned version = 0, status = 0;
  bool body_open = false;     // its first byte was delivered
  bool drop_rest = false;     // of the body: undecodable
  bool lengths_differ = false, length_in_doubt = false;
  bool skip_line_rest = false;
  bool behind_gap = false;    // bytes are lost: only a start line will do
  uint32_t flags_seen = 0;    // HeaderFlags already reported
  bool repetition_seen = false;
  int64_t file = 0;           // handle, 0: none
  uint64_t file_bytes = 0;    // seen of the body's files
  bool file_cut = false;      // at the limit
  HeaderParser parser;
  HeaderTable headers;
  std::unique_ptr<ContentDecoder> decoder;
  Multipart multipart;
  EventStream stream;         // of a response
  uint64_t stream_events = 0;
  std::string line, raw;      // the start line without its end; the headers as sent
  std::string name, value;    // scratch of the header parser

  void Begin(uint64_t transaction) {
    state = State::kHeaders;
    tx = transaction;
    left = wire_bytes = header_bytes = 0;
    version = status = 0;
    body_open = drop_rest = lengths_differ = length_in_doubt = skip_line_rest = behind_gap = repetition_seen = false;
    flags_seen = 0;
    file = 0;
    file_bytes = 0;
    file_cut = false;
    stream = {};
    stream_events = 0;
    parser.Reset();
    headers.Clear();
    line.clear();
    raw.clear();
  }
  // As new, for another flow.
  void Restart() {
    constexpr size_t kMost = 4096;
    Begin(SLUICE_NO_TX);
    state = State::kStartLine;
    decoder.reset();
    multipart = {};
    headers.ClearTo(2 * kMost);
    for (std::string* text : {&line, &raw, &name, &value}) ClearTo(text, kMost);
  }
};

}  // namespace http
