#include "engine/dissect/expectations.h"

#include <sys/random.h>
#include <xxhash.h>

#include <algorithm>

#include "engine/base/cycles.h"

namespace sluice {
namespace {

uint64_t RandomSeed() {
  uint64_t seed = 0;
  if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) seed = Cycles();
  return seed;
}

bool Fits(const ExpectedEnds& expected, const ExpectedEnds& flow) {
  static constexpr std::array<uint8_t, 16> kAny{};
  return expected.transport == flow.transport && expected.ip_version == flow.ip_version &&
         expected.responder_port == flow.responder_port && expected.responder == flow.responder &&
         (expected.initiator_port == 0 || expected.initiator_port == flow.initiator_port) &&
         (expected.initiator == kAny || expected.initiator == flow.initiator);
}

}  // namespace

Expectations::Expectations() : seed_(RandomSeed()), slots_(std::make_unique<Slot[]>(kSlots)) {}

// Of what every announcement has: the responder.
uint64_t Expectations::Hash(const ExpectedEnds& ends) const noexcept {
  std::array<uint8_t, 20> key{};
  std::ranges::copy(ends.responder, key.begin());
  key[16] = static_cast<uint8_t>(ends.responder_port >> 8);
  key[17] = static_cast<uint8_t>(ends.responder_port);
  key[18] = static_cast<uint8_t>(ends.transport);
  key[19] = static_cast<uint8_t>(ends.ip_version);
  return XXH3_64bits_withSeed(key.data(), key.size(), seed_);
}

bool Expectations::Seize(Slot& slot, uint64_t word) noexcept {
  return slot.word.compare_exchange_strong(word, (word & ~kStateBits) | kBusy, std::memory_order_acquire,
                                           std::memory_order_relaxed);
}

void Expectations::Free(Slot& slot) noexcept {
  slot.word.store(0, std::memory_order_release);
  used_.fetch_sub(1, std::memory_order_relaxed);
}

Expectations::Slot* Expectations::SeizeSame(uint64_t hash, const ExpectedEnds& ends) noexcept {
  const uint64_t ready = (hash & ~kStateBits) | kReady;
  Slot* const bucket = Bucket(hash);
  for (size_t i = 0; i < kWays; ++i) {
    Slot& slot = bucket[i];
    if (slot.word.load(std::memory_order_relaxed) != ready || !Seize(slot, ready)) continue;
    if (slot.ends == ends) return &slot;
    slot.word.store(ready, std::memory_order_release);
  }
  return nullptr;
}

// An empty one, one past its end, or the one that ends soonest; null if others are at all of them.
Expectations::Slot* Expectations::SeizeAny(uint64_t hash, Nanos now, Added* how) noexcept {
  Slot* const bucket = Bucket(hash);
  for (size_t round = 0; round < kWays; ++round) {
    Slot* best = nullptr;
    uint64_t best_word = 0;
    int64_t best_end = INT64_MAX;
    for (size_t i = 0; i < kWays; ++i) {
      const uint64_t word = bucket[i].word.load(std::memory_order_relaxed);
      if ((word & kStateBits) == kBusy) continue;
      const int64_t end = word == 0 ? INT64_MIN : bucket[i].end.load(std::memory_order_relaxed);
      if (best != nullptr && end >= best_end) continue;
      best = &bucket[i];
      best_word = word;
      best_end = end;
    }
    if (best == nullptr) return nullptr;
    if (!Seize(*best, best_word)) continue;
    if (best_word == 0) used_.fetch_add(1, std::memory_order_relaxed);
    *how = best_word == 0 || best_end <= now.count() ? Added::kNew : Added::kEvicted;
    return best;
  }
  return nullptr;
}

Expectations::Added Expectations::Add(const ExpectedEnds& ends, const What& what, Slice context, Nanos now,
                                      Nanos life) noexcept {
  if (context.size() > kMaxContext) return Added::kRefused;
  const uint64_t hash = Hash(ends);
  Added how = Added::kReplaced;
  Slot* slot = SeizeSame(hash, ends);
  if (slot == nullptr) slot = SeizeAny(hash, now, &how);
  if (slot == nullptr) return Added::kRefused;
  slot->ends = ends;
  slot->what = what;
  slot->length = static_cast<uint16_t>(context.size());
  std::ranges::copy(context, slot->context.begin());
  slot->end.store((now + std::min(life, kLongestLife)).count(), std::memory_order_relaxed);
  slot->word.store((hash & ~kStateBits) | kReady, std::memory_order_release);
  return how;
}

bool Expectations::Take(const ExpectedEnds& flow, Nanos now, What* what, std::vector<uint8_t>* context) {
  if (size() == 0) return false;  // nearly always
  const uint64_t hash = Hash(flow), ready = (hash & ~kStateBits) | kReady;
  Slot* const bucket = Bucket(hash);
  for (size_t i = 0; i < kWays; ++i) {
    Slot& slot = bucket[i];
    if (slot.word.load(std::memory_order_relaxed) != ready || !Seize(slot, ready)) continue;
    const bool over = slot.end.load(std::memory_order_relaxed) <= now.count();
    if (!over && !Fits(slot.ends, flow)) {
      slot.word.store(ready, std::memory_order_release);
      continue;
    }
    if (!over) {
      *what = slot.what;
      context->assign(slot.context.begin(), slot.context.begin() + slot.length);
    }
    Free(slot);
    if (!over) return true;
  }
  return false;
}

}  // namespace sluice
