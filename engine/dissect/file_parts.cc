#include "engine/dissect/file_parts.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>

namespace sluice {

// ------------------------------------------------------------------ the files

FileParts::File* FileParts::Find(uint64_t id) {
  const uint64_t slot = id & UINT32_MAX;
  if (id == 0 || slot >= files_.size()) return nullptr;
  File& file = files_[slot];
  return file.used && file.generation == id >> 32 ? &file : nullptr;
}

uint64_t FileParts::IdOf(const File& file) const {
  return uint64_t{file.generation} << 32 | static_cast<uint64_t>(&file - files_.data());
}

FileParts::File* FileParts::FindSame(Slice identity, uint64_t hash, uint64_t total) {
  for (File& file : files_) {
    if (file.used && file.hash == hash && file.total == total && AsSlice(file.identity).size() == identity.size() &&
        std::equal(identity.begin(), identity.end(), AsSlice(file.identity).begin())) {
      return &file;
    }
  }
  return nullptr;
}

size_t FileParts::num_files() const {
  return static_cast<size_t>(std::ranges::count_if(files_, &File::used));
}

uint64_t FileParts::Begin(Slice identity, Slice name, uint64_t offset, uint64_t total, Nanos now) {
  ++stats_.parts;
  Expire(now);
  const bool fits = options_.memcap > 0 && total > 0 && total <= options_.max_file_bytes && offset < total;
  if (!fits || options_.max_files == 0) {
    ++stats_.refused;
    return 0;
  }
  const uint64_t hash = XXH3_64bits(identity.data(), identity.size());
  if (File* known = FindSame(identity, hash, total); known != nullptr) {
    known->touched = now;
    return IdOf(*known);
  }
  if (num_files() >= options_.max_files) EvictOldest(nullptr);
  if (!Charge(identity.size() + name.size(), nullptr)) {
    ++stats_.refused;
    return 0;
  }
  auto slot = std::ranges::find(files_, false, &File::used);
  if (slot == files_.end()) slot = files_.emplace(files_.end());
  slot->used = true;
  slot->hash = hash;
  slot->total = total;
  slot->touched = now;
  slot->identity.assign(AsText(identity));
  slot->name.assign(AsText(name));
  slot->blocks.resize((total + kBlock - 1) / kBlock);
  slot->pieces.reserve(options_.max_pieces + 1);
  return IdOf(*slot);
}

void FileParts::Free(File& file) {
  memory_ -= file.identity.size() + file.name.size();
  for (auto& block : file.blocks) {
    if (block == nullptr) continue;
    memory_ -= kBlock;
    free_blocks_.push_back(std::move(block));
  }
  file.blocks.clear();
  file.pieces.clear();
  file.used = false;
  ++file.generation;
}

void FileParts::Forget(uint64_t id) {
  if (File* file = Find(id); file != nullptr) Free(*file);
}

// ----------------------------------------------------------------- the limits

void FileParts::Expire(Nanos now) {
  for (File& file : files_) {
    if (!file.used || now - file.touched < options_.timeout) continue;
    Free(file);
    ++stats_.expired;
  }
}

bool FileParts::EvictOldest(const File* but) {
  File* oldest = nullptr;
  for (File& file : files_) {
    if (file.used && &file != but && (oldest == nullptr || file.touched < oldest->touched)) oldest = &file;
  }
  if (oldest == nullptr) return false;
  Free(*oldest);
  ++stats_.evicted;
  return true;
}

// Makes room at the cost of others.
bool FileParts::Charge(uint64_t bytes, const File* but) {
  if (bytes > options_.memcap) return false;
  while (memory_ > options_.memcap - bytes) {
    if (!EvictOldest(but)) return false;
  }
  memory_ += bytes;
  return true;
}

// ------------------------------------------------------------------ the bytes

// Whether there is room for one more hole.
bool FileParts::AddPiece(File& file, Piece piece, size_t most) {
  auto& pieces = file.pieces;
  auto first = std::ranges::find_if(pieces, [&](const Piece& p) { return p.end >= piece.start; });
  auto last = first;
  for (; last != pieces.end() && last->start <= piece.end; ++last) {
    piece.start = std::min(piece.start, last->start);
    piece.end = std::max(piece.end, last->end);
  }
  if (first == last) {
    if (pieces.size() >= most) return false;
    pieces.insert(first, piece);
    return true;
  }
  *first = piece;
  pieces.erase(first + 1, last);
  return true;
}

// Copies to where nothing is yet.
bool FileParts::Fill(File& file, uint64_t from, uint64_t to, const uint8_t* bytes) {
  while (from < to) {
    auto& block = file.blocks[from / kBlock];
    if (block == nullptr) {
      if (!Charge(kBlock, &file)) return false;
      if (free_blocks_.empty()) {
        block = std::make_unique_for_overwrite<uint8_t[]>(kBlock);
      } else {
        block = std::move(free_blocks_.back());
        free_blocks_.pop_back();
      }
    }
    const uint64_t at = from % kBlock, n = std::min(to - from, kBlock - at);
    std::memcpy(block.get() + at, bytes, n);
    from += n;
    bytes += n;
  }
  return true;
}

bool FileParts::Write(uint64_t id, uint64_t offset, Slice bytes, Nanos now) {
  File* file = Find(id);
  if (file == nullptr || bytes.empty() || offset >= file->total) return false;
  const uint64_t end = offset + std::min<uint64_t>(bytes.size(), file->total - offset);
  file->touched = now;
  uint64_t at = offset;
  bool good = true;
  for (const Piece& piece : file->pieces) {
    if (piece.end <= at) continue;
    if (piece.start >= end || !good) break;
    if (piece.start > at) good = Fill(*file, at, piece.start, bytes.data() + (at - offset));
    at = std::max(at, piece.end);
  }
  if (good && at < end) good = Fill(*file, at, end, bytes.data() + (at - offset));
  if (!good || !AddPiece(*file, {offset, end}, options_.max_pieces)) {
    ++stats_.refused;
    Free(*file);  // it cannot become whole
    return false;
  }
  if (file->pieces.size() != 1 || file->pieces[0].start != 0 || file->pieces[0].end != file->total) return false;
  ++stats_.whole;
  return true;
}

Slice FileParts::name(uint64_t id) const {
  const File* file = Find(id);
  return file == nullptr ? Slice() : AsSlice(file->name);
}

uint64_t FileParts::size(uint64_t id) const {
  const File* file = Find(id);
  return file == nullptr ? 0 : file->total;
}

Slice FileParts::At(uint64_t id, uint64_t offset) const {
  const File* file = Find(id);
  if (file == nullptr || offset >= file->total) return {};
  const uint64_t at = offset % kBlock;
  return {file->blocks[offset / kBlock].get() + at, static_cast<size_t>(std::min(kBlock - at, file->total - offset))};
}

}  // namespace sluice
