// SPDX-License-Identifier: Apache-2.0
// plugins/http/connection.h - one HTTP/1 connection: a state machine per direction.
//
// One transaction per exchange: the n-th response belongs to the n-th request.  Bodies
// are handed on in the pieces they come in and never collected here.
//
// Threads: confined to the flow's worker.  Memory: see message.h; bounded by Limits.
// Bad input: an event, and the reading that most peers take; a direction is given up
// only where nobody could go on.
#pragma once

#include <string>

#include "emit.h"
#include "message.h"

namespace http {

struct Limits {
  uint64_t line_bytes = 18432;          // of one line or header, with its folds
  uint64_t header_bytes = 256 * 1024;   // of one message
  uint64_t headers = 1024;              // names of one message
  uint64_t open_exchanges = 512;        // requests without a response
  uint64_t file_bytes[2] = {100 * 1024, 100 * 1024};  // by direction, of the files in a body that nobody
                                                     // keeps; 0: any
  CodingLimits coding;
  NormaliseOptions normalise;
};

class Connection {
 public:
  explicit Connection(sluice::Flow flow);
  void Restart(sluice::Flow flow);

  static int32_t Init();
  static int32_t Probe(const sluice_probe_input& input);
  sluice::ParseResult Parse(sluice::Flow flow, uint32_t direction, View in);
  bool Gap(sluice::Flow flow, uint32_t direction, uint64_t bytes);
  void End(sluice::Flow flow, uint32_t direction, View rest);

 private:
  class Sink;
  static constexpr size_t kMaxFileName = 4096;  // bytes, then it is cut
  static constexpr size_t kMore = SIZE_MAX, kError = SIZE_MAX - 1;

  // All take the unread bytes and return how many are done with, kMore or kError.
  size_t Step(sluice::Flow flow, uint32_t d, View in, bool last);
  void Frame(sluice::Flow flow, uint32_t d, View bytes);
  size_t StartLine(sluice::Flow flow, uint32_t d, View in, bool last);
  size_t Headers(sluice::Flow flow, uint32_t d, View in, bool last);
  size_t Chunks(sluice::Flow flow, uint32_t d, View in, bool last);
  void EndOfPiece(sluice::Flow flow, uint32_t d);
  size_t TooLong(sluice::Flow flow, uint32_t d);
  void EmitHeaders(sluice::Flow flow, uint32_t d);
  size_t StopInHeaders(sluice::Flow flow, uint32_t d);

  size_t Bare(sluice::Flow flow, uint32_t d, View line, View behind, bool last);
  void StartRequest(sluice::Flow flow, View line);
  void StartResponse(sluice::Flow flow, View line);
  void EnsureResponse(sluice::Flow flow);
  void Reach(sluice::Flow flow, uint32_t d, uint32_t stage);
  void EmitStatus(sluice::Flow flow);
  bool AddHeader(sluice::Flow flow, uint32_t d, uint32_t flags);
  void EndOfHeaders(sluice::Flow flow, uint32_t d);
  void StartRequestBody(sluice::Flow flow);
  void StartResponseBody(sluice::Flow flow);
  bool Interim(sluice::Flow flow);
  bool Switches(sluice::Flow flow);
  View RequestHead();
  bool WasAskedFor(View protocol);
  void PlanDecoder(sluice::Flow flow, uint32_t d);
  void ChunkSizeLine(sluice::Flow flow, uint32_t d, View line);
  void NoChunks(sluice::Flow flow, uint32_t d);

  void Body(sluice::Flow flow, uint32_t d, View bytes);
  void OpenBody(sluice::Flow flow, uint32_t d);
  void StartStream(sluice::Flow flow);
  void CountEvents(sluice::Flow flow, uint64_t events);
  uint64_t SinceRequest(sluice::Flow flow);
  void OpenFile(sluice::Flow flow, uint32_t d, View name);
  void NamePart(sluice::Flow flow);
  void KeepResource(const Target& target);
  void FileBytes(sluice::Flow flow, uint32_t d, View bytes);
  void CloseFile(sluice::Flow flow, uint32_t d, bool complete);
  void CloseBody(sluice::Flow flow, uint32_t d, bool complete);
  void Finish(sluice::Flow flow, uint32_t d);
  void Unexpected(sluice::Flow flow, uint32_t d, View bytes);
  void CloseUnexpected(sluice::Flow flow, uint32_t d);
  void Lost(sluice::Flow flow, uint32_t d, uint64_t bytes);

  Emitter To(sluice::Flow flow, uint64_t tx) { return {flow, tx, scratch_, num_events_}; }
  Exchange& RequestExchange() { return exchanges_.at(next_request_ - 1); }
  Exchange& ResponseExchange() { return exchanges_.at(next_response_ - 1); }

  static Limits limits_;  // set by Init(), then constant
  Message side_[2];
  uint64_t stray_tx_[2] = {SLUICE_NO_TX, SLUICE_NO_TX};  // bytes that belong to no message
  Exchanges exchanges_;
  uint64_t next_request_ = 0, next_response_ = 0;
  uint16_t server_port_ = 0;
  bool handed_over_ = false, too_many_ = false;
  uint32_t num_events_ = 0;
  std::string scratch_;
};

}  // namespace http
