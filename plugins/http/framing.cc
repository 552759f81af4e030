// SPDX-License-Identifier: Apache-2.0
#include "framing.h"

namespace http {
namespace {

bool SkippedBeforeSize(char c) { return IsSpace(c); }

}  // namespace

bool ContentLength(View value, uint64_t* length) {
  const size_t first = value.find_first_of("0123456789");
  if (first == View::npos) return false;
  value.remove_prefix(first);
  return ToNumber(value.substr(0, value.find_first_not_of("0123456789")), length);
}

ChunkSize ParseChunkSize(View line) {
  ChunkSize out;
  while (!line.empty() && SkippedBeforeSize(line.front())) line.remove_prefix(1);
  if (line.empty()) {
    out.kind = ChunkSize::Kind::kBlank;
    return out;
  }
  size_t digits = 0;
  for (; digits < line.size() && Hex(line[digits]) >= 0; ++digits) {
    if (out.size >> 59) return out;  // past what a body can be
    out.size = out.size * 16 + static_cast<uint64_t>(Hex(line[digits]));
  }
  if (digits == 0) return out;
  out.kind = ChunkSize::Kind::kSize;
  out.extension = line.find(';', digits) != View::npos;
  return out;
}

bool MayBeChunkSize(View start) {
  while (!start.empty() && SkippedBeforeSize(start.front())) start.remove_prefix(1);
  return start.empty() || Hex(start.front()) >= 0;
}

bool ParseContentRange(View value, ContentRange* out) {
  value = Trim(value);
  if (!StartsWithNoCase(value, "bytes")) return false;
  value = TrimLeft(value.substr(5));
  const size_t slash = value.find('/');
  if (slash == View::npos) return false;
  const View range = Trim(value.substr(0, slash)), size = Trim(value.substr(slash + 1));
  out->has_size = size != "*";
  if (out->has_size && !ToNumber(size, &out->size)) return false;
  out->has_range = range != "*";
  if (!out->has_range) return true;
  const size_t dash = range.find('-');
  return dash != View::npos && ToNumber(range.substr(0, dash), &out->start) &&
         ToNumber(range.substr(dash + 1), &out->end) && out->start <= out->end;
}

}  // namespace http
