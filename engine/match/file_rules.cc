// Rules on files: what they are called and contain, size, hashes, and keeping them.
#include "engine/match/detector_impl.h"

namespace sluice {

Slice Detector::Impl::FileBuffer(const FileInfo& file, BufferKind kind) {
  switch (kind) {
    case BufferKind::kFileName: return file.name;
    case BufferKind::kFileMagic: return AsSlice(file.magic);
    default: return file.data;
  }
}

// Whether the buffer is as it will stay.
bool Detector::Impl::FileBufferIsWhole(const FileInfo& file, BufferKind kind) {
  return kind == BufferKind::kFileName || file.closed ||
         (kind == BufferKind::kFileMagic &&
          (!file.magic.empty() || file.data.size() >= FileInfo::kMagicBytes));
}

// Rules whose fast pattern was elsewhere in the file are the first to ask.
void Detector::Impl::FindMagic(const FileInfo& file) {
  if (file.magic.empty()) file.magic = file_magic.Describe(file.data);
}

void Detector::Impl::ScanNewFile(const FileInfo& file, size_t i) {
  for (const uint32_t rank : rp->new_file_rules[i]) Hit(rank);
  ScanGroups(rp->file_groups[FileBufferIndex(BufferKind::kFileName)][i], file.name);
}

bool Detector::Impl::ScanGrowingFile(Growing& g, const FileInfo& file, size_t i) {
  bool grown = false;
  if (!g.magic && !file.magic.empty()) {
    g.magic = grown = true;
    ScanGroups(rp->file_groups[FileBufferIndex(BufferKind::kFileMagic)][i], AsSlice(file.magic));
  }
  if (Due(g, file.data.size(), file.closed, i)) {
    grown = true;
    ScanGroups(rp->file_groups[FileBufferIndex(BufferKind::kFileData)][i], file.data);
  }
  return grown;
}

Look Detector::Impl::TryFileBuffer(const CompiledInspection& inspection, const Transaction& tx,
                                   uint32_t index) {
  const FileInfo& file = tx.files[index];
  const bool whole = FileBufferIsWhole(file, inspection.kind);
  const bool content = inspection.kind == BufferKind::kFileData;
  if (!whole && (!content || inspection.confirm.needs_end ||
                 !Ready(tx.inspection, index | Growing::kFile))) {
    return Look::kWait;
  }
  if (inspection.kind == BufferKind::kFileMagic) FindMagic(file);
  const Slice bytes = FileBuffer(file, inspection.kind);
  if (!bytes.empty() && BufferMatches(inspection, bytes)) return Look::kMatch;
  return whole ? Look::kNever : Look::kWait;
}

Look Detector::Impl::TryFiles(const CompiledInspection& inspection, const Transaction& tx, uint8_t sides) {
  bool waits = false, seen = false;
  for (uint32_t f = 0; f < tx.files.size(); ++f) {
    if (!Counts(sides, tx.files[f].direction)) continue;
    if (inspection.absent == Inspection::Absent::kMatches) return Look::kNever;
    seen = true;
    const Look look = TryFileBuffer(inspection, tx, f);
    if (look == Look::kMatch) return look;
    waits |= look == Look::kWait;
  }
  return WhenAbsent(inspection, seen, !waits && Complete(tx, sides));
}

// Of what is not whole only that it is larger can be said: it is at least what was seen.
Look Detector::Impl::TryFileSize(const FileSizeTest& test, const FileInfo& file) {
  if (!file.closed) return Look::kWait;
  const CompareOp op = test.test.op;
  const bool tells = !file.truncated || op == CompareOp::kGreater || op == CompareOp::kGreaterEqual;
  return tells && test.test.Matches(file.size) ? Look::kMatch : Look::kNever;
}

// Only the hash of a whole file means something, also to "not in the list".
Look Detector::Impl::TryFileHash(const FileHashTest& test, const HashList& list, const FileInfo& file) {
  if (!file.closed) return Look::kWait;
  const HexDigest& hash = test.hash == FileHash::kMd5    ? file.md5
                          : test.hash == FileHash::kSha1 ? file.sha1
                                                         : file.sha256;
  if (file.truncated || hash.empty()) return Look::kNever;
  return list.Contains(hash) != test.negated ? Look::kMatch : Look::kNever;
}

Look Detector::Impl::TryFile(const CompiledRule& r, const Transaction& tx, uint32_t index) {
  const FileInfo& file = tx.files[index];
  Look all = Look::kMatch;
  const auto take = [&all](Look look) {
    if (look != Look::kMatch) all = look;
    return look != Look::kNever;
  };
  for (const CompiledInspection& f : r.fields) {
    if (!IsFileBuffer(f.kind)) continue;
    if (!Counts(f.directions, file.direction) || !take(TryFileBuffer(f, tx, index))) return Look::kNever;
  }
  for (const CompiledFileTest& t : r.file_tests) {
    const auto* size = std::get_if<FileSizeTest>(t.test);
    const Look look = size ? TryFileSize(*size, file)
                           : TryFileHash(std::get<FileHashTest>(*t.test), *t.list, file);
    if (!take(look)) return Look::kNever;
  }
  return all;
}

Look Detector::Impl::TryEachFile(const CompiledRule& r, uint32_t once, const Transaction& tx,
                                 uint8_t sides) {
  file_hits.clear();
  bool waits = !Complete(tx, sides);
  for (uint32_t f = 0; f < tx.files.size(); ++f) {
    if (!Counts(sides, tx.files[f].direction) || HasMatched(tx.inspection, once, f + 1)) continue;
    const Look look = TryFile(r, tx, f);
    if (look == Look::kMatch) file_hits.push_back(f);
    waits |= look == Look::kWait;
  }
  return !file_hits.empty() ? Look::kMatch : waits ? Look::kWait : Look::kNever;
}

void Detector::Impl::KeepFiles(const CompiledRule& r, Transaction& tx, Direction direction) {
  using Side = FileKeep::Side;
  const FileKeep& keep = *r.rule->file_keep;
  const uint8_t sides = keep.side == Side::kRule       ? static_cast<uint8_t>(1 << Index(direction))
                        : keep.side == Side::kToServer ? uint8_t{1}
                        : keep.side == Side::kToClient ? uint8_t{2}
                                                       : uint8_t{3};
  if (keep.scope == FileKeep::Scope::kFile) {
    for (const uint32_t f : file_hits) {
      if (keep.side == Side::kRule || Counts(sides, tx.files[f].direction)) tx.files[f].KeepFor(r.rule->sid);
    }
    return;
  }
  for (FileInfo& file : tx.files) {
    if (Counts(sides, file.direction)) file.KeepFor(r.rule->sid);
  }
  tx.keep_files |= sides;
  if (keep.scope == FileKeep::Scope::kFlow) context.flow->keep_files |= sides;
}

}  // namespace sluice
