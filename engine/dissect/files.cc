// Files of a transaction: their end, their kind, their way into the store.
#include "engine/dissect/dissector.h"

namespace sluice {
// Which of the open files the loss is of is not known: it may be of each.
void Dissector::MarkGaps(FlowDissection& flow, Direction direction) {
  for (LiveTransaction* live : flow.live_) {
    for (FileInfo& file : live->tx.files) file.has_gap |= !file.closed && file.direction == direction;
  }
}

// A part has no hash but the one that it is stored by: of the bytes that were seen.
void Dissector::CloseFile(LiveTransaction::Window& window, FileInfo& file, bool truncated) {
  file.closed = true;
  file.truncated = truncated || file.has_gap;
  HexDigest* out[3] = {&file.md5, &file.sha1, &file.sha256};
  for (size_t i = 0; i < 3; ++i) {
    const bool names_store = file_sink_ != nullptr && i == 2;
    if (!window.digests[i] || (file.truncated && !names_store)) continue;
    *out[i] = HexDigest(window.digests[i]->End());
  }
  FindMagic(window, file);
}

void Dissector::FindMagic(LiveTransaction::Window& window, FileInfo& file) {
  if (!window.magic || (!file.closed && file.data.size() < FileInfo::kMagicBytes)) return;
  window.magic = false;
  file.magic = magic_.Describe(file.data);
}

// `window` has all bytes seen of the file, or not all of them: then it is too late.
bool Dissector::BeginStoring(FileInfo& file, Slice window) {
  if (window.size() < file.size - file.missing) {
    file.unstorable = true;
    if (file.keep) file_sink_->GiveUp(0, KeepFailure::kWindow);
    return false;
  }
  file.store_id = file_sink_->Begin();
  file.unstorable = !file_sink_->Data(file.store_id, 0, window);
  return !file.unstorable;
}

bool Dissector::StoreFiles(FlowDissection& flow) {
  bool any = false;
  for (LiveTransaction* live : flow.live_) {
    for (FileInfo& file : live->tx.files) {
      any |= file.keep;
      if (file.keep && file.store_id == 0 && !file.unstorable && !file.logged) BeginStoring(file, file.data);
    }
  }
  return any;
}

void Dissector::CloseFiles(LiveTransaction& live) {
  for (uint32_t i = 0; i < live.num_windows; ++i) {
    LiveTransaction::Window& window = live.windows[i];
    if (!window.file || live.tx.files[window.owner].closed) continue;
    CloseFile(window, live.tx.files[window.owner], true);
  }
}

}  // namespace sluice
