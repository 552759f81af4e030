// Any bytes as a frame of any link type.  Oracles: sanitizers; views lie inside the
// frame; decoding is a function of the bytes.
#include "engine/decode/decode.h"

using namespace sluice;

namespace {

void Inside(Slice view, Slice frame) {
  if (view.empty()) return;
  if (view.data() < frame.data() || view.data() + view.size() > frame.data() + frame.size()) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto link = static_cast<LinkType>(data[0] % 7);
  const Slice frame(data + 1, size - 1);
  Packet first, second;
  Decode(link, frame, {.verify_checksums = true}, &first);
  Decode(link, frame, {.verify_checksums = true}, &second);
  for (const Slice view : {first.ip_header, first.ip_options, first.ip_payload, first.l4_header,
                           first.payload, first.ethernet}) {
    Inside(view, frame);
  }
  if (first.payload.data() != second.payload.data() || first.source != second.source ||
      first.num_events != second.num_events) {
    __builtin_trap();
  }
  if (first.l4 == L4::kTcp && first.ip_payload.size() != first.l4_header.size() + first.payload.size()) {
    __builtin_trap();
  }
  return 0;
}
