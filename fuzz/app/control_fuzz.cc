// Any bytes to the control socket, cut anywhere.  Oracles: sanitizers; a request is what
// stands before the first newline, if that fits; cut and whole input give the same one.
#include <fuzzer/FuzzedDataProvider.h>

#include <string>

#include "engine/app/control.h"

using sluice::ControlRequest;
using State = ControlRequest::State;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider in(data, size);
  ControlRequest cut;
  std::string sent;
  State state = State::kMore;
  while (in.remaining_bytes() > 0) {
    std::string part = in.ConsumeRandomLengthString(512);
    if (in.ConsumeBool()) part.resize(part.size() * 64, 'a');  // long ones are rare by chance
    sent += part;
    state = cut.Feed(part);
  }
  ControlRequest whole;
  const State expected = whole.Feed(sent);
  const size_t end = sent.find('\n');
  const bool fits = std::min(end, sent.size()) < ControlRequest::kMaxBytes;
  if (expected != (!fits ? State::kTooLong : end == sent.npos ? State::kMore : State::kReady)) __builtin_trap();
  if (state != expected) __builtin_trap();
  if (state == State::kReady && (cut.line() != whole.line() || whole.line() != sent.substr(0, end))) __builtin_trap();
  return 0;
}
