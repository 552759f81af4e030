// engine/match/flow_vars.h
// What rules remember in a flow: flowbits, flowints, texts, which once-per-flow rules
// have run, how far the raw stream was inspected.
//
// Life: a member of the worker's flow record; Clear() when the record is reused.
// Memory: inline for kInline variables, then one vector up to kMax; past it the
//   change is refused and counted.  Texts: kMaxTexts, whose room is kept.
// Threads: confined to the flow's worker.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

class FlowVars {
 public:
  static constexpr uint32_t kInline = 6;
  static constexpr uint32_t kMax = 256;
  static constexpr uint32_t kMaxTexts = 16;
  static constexpr uint32_t kPending = 4;  // stream candidates kept per direction

  struct Text {
    std::string name, value;
  };
  struct Entry {
    uint32_t key = 0;  // id * 2 (flowbit) or id * 2 + 1 (flowint)
    uint32_t value = 0;
  };
  // A rule whose fast pattern was seen but whose other tests may still come.
  struct Pending {
    uint32_t rule = 0;
    uint32_t tries = 0;  // 0: slot free
    uint64_t from = 0;   // stream offset behind the hit
  };

  // The rules are others now.  What they keep by name stays, if both number names alike;
  // what belongs to single rules goes, and rules that run once a flow run once more.
  void Adopt(uint32_t generation, uint32_t names_epoch) {
    if (names_epoch_ != names_epoch) Clear();
    generation_ = generation;
    names_epoch_ = names_epoch;
    once_[0] = once_[1] = false;
    app_known_[0] = app_known_[1] = 0;
    pending_ = {};
  }
  void Clear() {
    generation_ = names_epoch_ = 0;
    num_ = 0;
    more_.clear();
    num_texts_ = 0;
    once_[0] = once_[1] = false;
    app_known_[0] = app_known_[1] = 0;
    stream_seen_[0] = stream_seen_[1] = 0;
    pending_ = {};
  }

  void RestartStream(Direction d) {
    stream_seen_[Index(d)] = 0;
    pending_[Index(d)] = {};
  }

  bool GetBit(uint32_t id) const { return Find(id * 2) != nullptr; }
  bool SetBit(uint32_t id) { return Put(id * 2, 1); }  // false: full
  void ClearBit(uint32_t id) { Erase(id * 2); }
  // Null if the variable is not set.
  const uint32_t* GetInt(uint32_t id) const {
    const Entry* entry = Find(id * 2 + 1);
    return entry ? &entry->value : nullptr;
  }
  bool SetInt(uint32_t id, uint32_t value) { return Put(id * 2 + 1, value); }
  void EraseInt(uint32_t id) { Erase(id * 2 + 1); }

  // What a rule's expression captured; the newest of a name stays.  False: full.
  bool SetText(std::string_view name, std::string_view value) {
    Text* text = std::find_if(texts_.data(), texts_.data() + num_texts_, [&](const Text& t) { return t.name == name; });
    if (text == texts_.data() + num_texts_) {
      if (num_texts_ == kMaxTexts) return false;
      if (num_texts_ == texts_.size()) texts_.emplace_back();
      text = &texts_[num_texts_++];
      text->name = name;
    }
    text->value = value;
    return true;
  }
  std::span<const Text> texts() const { return std::span(texts_).first(num_texts_); }

  // For EVE's flow variables: calls f(id, is_int, value).
  template <typename F>
  void ForEach(F&& f) const {
    for (uint32_t i = 0; i < num_; ++i)
      f(inline_[i].key / 2, (inline_[i].key & 1) != 0, inline_[i].value);
    for (const Entry& e : more_) f(e.key / 2, (e.key & 1) != 0, e.value);
  }
  bool empty() const { return num_ == 0 && more_.empty(); }

 private:
  friend class Detector;

  const Entry* Find(uint32_t key) const {
    for (uint32_t i = 0; i < num_; ++i) {
      if (inline_[i].key == key) return &inline_[i];
    }
    for (const Entry& e : more_) {
      if (e.key == key) return &e;
    }
    return nullptr;
  }
  bool Put(uint32_t key, uint32_t value) {
    if (const Entry* entry = Find(key)) {
      const_cast<Entry*>(entry)->value = value;
      return true;
    }
    if (num_ < kInline) {
      inline_[num_++] = {key, value};
      return true;
    }
    if (more_.size() + num_ >= kMax) return false;
    more_.push_back({key, value});
    return true;
  }
  void Erase(uint32_t key) {
    for (uint32_t i = 0; i < num_; ++i) {
      if (inline_[i].key != key) continue;
      inline_[i] = inline_[--num_];
      return;
    }
    for (Entry& e : more_) {
      if (e.key != key) continue;
      e = more_.back();
      more_.pop_back();
      return;
    }
  }

  uint32_t generation_ = 0;   // RuleProgram::generation() of the last look
  uint32_t names_epoch_ = 0;  // RuleSet::names_epoch that the ids belong to
  uint32_t num_ = 0;
  std::array<Entry, kInline> inline_{};
  std::vector<Entry> more_;
  std::vector<Text> texts_;  // the first num_texts_
  uint32_t num_texts_ = 0;
  bool once_[2] = {false, false};      // address-only rules have run, by Direction
  // What protocol-only rules have run on, by Direction: bit 0 the flow's protocol, or that
  // it has none; bits 1 and 2 what each direction speaks.
  uint8_t app_known_[2] = {0, 0};
  uint64_t stream_seen_[2] = {0, 0};   // raw stream offset inspected up to
  std::array<std::array<Pending, kPending>, 2> pending_{};
};

}  // namespace sluice
