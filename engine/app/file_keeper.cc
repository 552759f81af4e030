#include "engine/app/file_keeper.h"

#include <algorithm>

namespace sluice {
namespace {

EveOptions ForFiles(EveOptions eve) {
  eve.all_types = true;
  return eve;
}

}  // namespace

FileKeeper::FileKeeper(const FileKeeperOptions& options, RecordSink* sink)
    : options_(options), sink_(sink), writer_(ForFiles(options.eve), &record_) {}

bool FileKeeper::Send(const StoreMessage& message, std::string_view bytes) {
  message_.clear();
  message.AppendTo(bytes, &message_);
  const bool taken = sink_->Put(RecordType::kStored, message_);
  stats_.lost_queue += !taken;
  return taken;
}

bool FileKeeper::Data(uint64_t id, uint64_t offset, Slice bytes) {
  while (!bytes.empty()) {
    const Slice piece = bytes.first(std::min(bytes.size(), kPiece));
    if (!Send({.op = StoreMessage::Op::kData, .id = id, .offset = offset}, AsText(piece))) return false;
    offset += piece.size();
    bytes = bytes.subspan(piece.size());
  }
  return true;
}

void FileKeeper::GiveUp(uint64_t id, KeepFailure why) {
  ++(why == KeepFailure::kWindow ? stats_.lost_window : stats_.lost_flow);
  if (id != 0) Send({.op = StoreMessage::Op::kDrop, .id = id}, {});
}

void FileKeeper::End(const Packet& packet, const FlowView& flow, const Transaction& tx, FileInfo& file) {
  const bool keep = file.keep && !file.unstorable && !file.sha256.empty();
  stats_.lost_hash += file.keep && !file.unstorable && file.sha256.empty();
  if (!keep) {
    if (file.store_id == 0) return;
    ++stats_.dropped;
    Send({.op = StoreMessage::Op::kDrop, .id = file.store_id}, {});
    return;
  }
  file.stored = true;  // as the record says
  std::string text(file.sha256);
  if (options_.write_records) {
    writer_.FileRecord(packet, flow, tx, file);
    text += record_.text;
  }
  const auto seconds = std::chrono::floor<std::chrono::seconds>(packet.time).count();
  file.stored = Send({.op = StoreMessage::Op::kKeep, .seconds = static_cast<uint32_t>(seconds),
                      .id = file.store_id, .offset = file.size - file.missing}, text);
  stats_.kept += file.stored;
}

}  // namespace sluice
