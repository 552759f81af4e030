#include "engine/match/dataset.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/random.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/base/file.h"
#include "engine/match/transform.h"
#include "engine/rules/sets.h"
#include "engine/rules/text.h"

namespace sluice {
namespace {

using Type = DatasetSpec::Type;
using Json = nlohmann::ordered_json;

constexpr size_t kEntryOverhead = sizeof(Dataset::Entry) + 32;

uint64_t Seed() {
  static const uint64_t seed = [] {
    uint64_t value = 0;
    if (getrandom(&value, sizeof(value), 0) != sizeof(value)) value = 0x9e3779b97f4a7c15u;
    return value;
  }();
  return seed;
}

Slice AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::string Hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) fmt::format_to(std::back_inserter(out), "{:02x}", static_cast<uint8_t>(c));
  return out;
}

Result<std::string> FromHex(std::string_view text, size_t bytes) {
  std::string out;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    uint8_t byte = 0;
    const auto [end, error] = std::from_chars(&text[i], &text[i] + 2, byte, 16);
    if (error != std::errc() || end != &text[i] + 2) break;
    out += static_cast<char>(byte);
  }
  if (out.size() == bytes && text.size() == 2 * bytes) return out;
  return Fail(Errc::kInvalidArgument, "\"{}\" is not {} bytes in hex", text, bytes);
}

std::string Base64(std::string_view bytes) {
  static constexpr char kLetters[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j)
      group = group << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0u);
    for (size_t j = 0; j < 4; ++j)
      out += i + j > bytes.size() ? '=' : kLetters[group >> (18 - 6 * j) & 63];
  }
  return out;
}

// "a.b" in an object; null if there is no such key.
Json* At(Json* object, std::string_view key) {
  for (const std::string_view part : Split(key, '.')) {
    if (!object->is_object() || !object->contains(part)) return nullptr;
    object = &(*object)[std::string(part)];
  }
  return object;
}

void Erase(Json* object, std::string_view key) {
  const size_t dot = key.rfind('.');
  if (dot != key.npos) object = At(object, key.substr(0, dot));
  if (object && object->is_object()) object->erase(std::string(key.substr(dot == key.npos ? 0 : dot + 1)));
}

}  // namespace

// ---------------------------------------------------------------------- set

Dataset::Dataset(DatasetSpec spec) : spec_(std::move(spec)) {
  const size_t buckets = std::bit_ceil(std::clamp<size_t>(spec_.hash_size, 64, 1u << 24));
  mask_ = buckets - 1;
  buckets_ = std::make_unique<std::atomic<Entry*>[]>(buckets);
}

Dataset::~Dataset() {
  for (size_t i = 0; i <= mask_; ++i) {
    for (Entry* entry = buckets_[i].load(std::memory_order_relaxed); entry != nullptr;) {
      delete std::exchange(entry, entry->next);
    }
  }
}

std::atomic<Dataset::Entry*>& Dataset::Bucket(uint64_t hash) const { return buckets_[hash & mask_]; }

Dataset::Entry* Dataset::FindEntry(uint64_t hash, std::string_view value) const {
  Entry* entry = Bucket(hash).load(std::memory_order_acquire);
  while (entry != nullptr && (entry->hash != hash || entry->value != value)) entry = entry->next;
  return entry;
}

const Dataset::Entry* Dataset::Find(Slice value) const {
  const uint64_t hash = XXH3_64bits_withSeed(value.data(), value.size(), Seed());
  const Entry* entry = FindEntry(hash, AsText(value));
  return entry != nullptr && !entry->dead.load(std::memory_order_acquire) ? entry : nullptr;
}

const Dataset::Entry* Dataset::FindParent(Slice value) const {
  for (size_t i = 0; i < value.size(); ++i) {
    if (value[i] != '.' && i > 0) continue;
    if (const Entry* entry = Find(value.subspan(i))) return entry;
  }
  return nullptr;
}

bool Dataset::Add(Slice value, uint16_t reputation, std::string context) {
  const uint64_t hash = XXH3_64bits_withSeed(value.data(), value.size(), Seed());
  std::atomic<Entry*>& bucket = Bucket(hash);
  Entry* head = bucket.load(std::memory_order_acquire);
  const Entry* looked_at = nullptr;  // from here on the list was searched before
  std::unique_ptr<Entry> fresh;
  const size_t size = value.size() + context.size() + kEntryOverhead;
  do {
    for (Entry* entry = head; entry != looked_at; entry = entry->next) {
      if (entry->hash != hash || entry->value != AsText(value)) continue;
      bool dead = true;  // a removed one comes back
      return entry->dead.compare_exchange_strong(dead, false);
    }
    looked_at = head;
    if (!fresh) {
      if (memory_.fetch_add(size, std::memory_order_relaxed) + size > spec_.memcap) {
        memory_.fetch_sub(size, std::memory_order_relaxed);
        refused_.fetch_add(1, std::memory_order_relaxed);
        return false;
      }
      fresh = std::make_unique<Entry>();
      fresh->hash = hash;
      fresh->reputation = reputation;
      fresh->value.assign(AsText(value));
      fresh->context = std::move(context);
    }
    fresh->next = head;
  } while (!bucket.compare_exchange_weak(head, fresh.get(), std::memory_order_release,
                                         std::memory_order_acquire));
  fresh.release();
  return true;
}

bool Dataset::Remove(Slice value) {
  const uint64_t hash = XXH3_64bits_withSeed(value.data(), value.size(), Seed());
  Entry* entry = FindEntry(hash, AsText(value));
  return entry != nullptr && !entry->dead.exchange(true, std::memory_order_acq_rel);
}

bool Dataset::Fits(size_t size) const {
  switch (spec_.type) {
    case Type::kString:
      return size > 0;
    case Type::kMd5:
      return size == 16;
    case Type::kSha256:
      return size == 32;
    case Type::kIpv4:
      return size == 4;
    case Type::kIp:
      return size == 4 || size == 16;
  }
  return false;
}

size_t Dataset::size() const {
  size_t count = 0;
  for (size_t i = 0; i <= mask_; ++i) {
    for (const Entry* entry = buckets_[i].load(std::memory_order_acquire); entry != nullptr;
         entry = entry->next) {
      count += !entry->dead.load(std::memory_order_relaxed);
    }
  }
  return count;
}

// -------------------------------------------------------------------- files

Result<std::string> Dataset::Parse(std::string_view text) const {
  switch (spec_.type) {
    case Type::kString: {
      std::vector<uint8_t> out;
      if (DecodeBase64(AsBytes(text), &out, text.size(), Base64Form::kStrict) == 0) {
        return Fail(Errc::kInvalidArgument, "\"{}\" is not base64", text);
      }
      return std::string(out.begin(), out.end());
    }
    case Type::kMd5:
      return FromHex(text, 16);
    case Type::kSha256:
      return FromHex(text, 32);
    case Type::kIpv4:
    case Type::kIp: {
      const auto address = ParseAddress(text);
      if (!address) return std::unexpected(address.error());
      if (spec_.type == Type::kIpv4 && address->version != 4) {
        return Fail(Errc::kInvalidArgument, "\"{}\" is not an IPv4 address", text);
      }
      return std::string(reinterpret_cast<const char*>(address->bytes.data()),
                         address->version == 4 ? 4 : 16);
    }
  }
  return std::string();
}

std::string Dataset::Print(std::string_view value) const {
  switch (spec_.type) {
    case Type::kString:
      return Base64(value);
    case Type::kMd5:
    case Type::kSha256:
      return Hex(value);
    case Type::kIpv4:
    case Type::kIp:
      break;
  }
  Address address;
  address.version = value.size() == 4 ? 4 : 6;
  std::memcpy(address.bytes.data(), value.data(), std::min<size_t>(value.size(), 16));
  return FormatAddress(address);
}

Result<void> Dataset::LoadLines(const std::string& path, std::string_view text) {
  uint32_t line = 0;
  bool with[2] = {false, false};  // seen a line without, with a reputation
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view part = Trim(text.substr(at, end - at));
    at = end + 1;
    ++line;
    if (part.empty() || part[0] == '#') continue;
    const size_t comma = part.find(',');
    with[comma != part.npos] = true;
    if (with[0] && with[1]) {
      return Fail(Errc::kInvalidArgument, "{}:{}: some lines have a reputation, some do not; give all or none one", path, line);
    }
    const auto value = Parse(Trim(part.substr(0, comma)));
    if (!value) return Fail(Errc::kInvalidArgument, "{}:{}: {}", path, line, value.error().message);
    std::optional<uint16_t> reputation = uint16_t{0};
    if (comma != part.npos) reputation = ParseNumber<uint16_t>(part.substr(comma + 1));
    if (!reputation) return Fail(Errc::kInvalidArgument, "{}:{}: the reputation is not a number from 0 to 65535", path, line);
    Add(AsBytes(*value), *reputation);
  }
  return {};
}

Result<void> Dataset::LoadJson(const std::string& path, std::string_view text) {
  std::vector<Json> objects;
  const bool lines = spec_.format == DatasetSpec::Format::kJsonLines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = lines ? std::min(text.find('\n', at), text.size()) : text.size();
    const std::string_view part = Trim(text.substr(at, end - at));
    at = end + 1;
    if (part.empty()) continue;
    Json json = Json::parse(part, nullptr, false);
    if (json.is_discarded()) return Fail(Errc::kInvalidArgument, "{}: not JSON near \"{}\"", path, part.substr(0, 40));
    objects.push_back(std::move(json));
  }
  if (!lines && !objects.empty()) {
    Json* array = spec_.array_key.empty() ? &objects[0] : At(&objects[0], spec_.array_key);
    if (array == nullptr || !array->is_array()) {
      return Fail(Errc::kInvalidArgument, "{}: there is no array at \"{}\"; set array_key", path, spec_.array_key);
    }
    std::vector<Json> elements(array->begin(), array->end());
    objects = std::move(elements);
  }
  size_t taken = 0;
  for (Json& object : objects) {
    const Json* value = At(&object, spec_.value_key);
    if (value == nullptr || !value->is_string()) continue;  // says nothing of ours
    ++taken;
    const std::string written = value->get<std::string>();
    const auto bytes = spec_.type == Type::kString ? Result<std::string>(written) : Parse(written);
    if (!bytes) return Fail(Errc::kInvalidArgument, "{}: {}", path, bytes.error().message);
    if (spec_.remove_key) Erase(&object, spec_.value_key);
    Add(AsBytes(*bytes), 0, object.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  if (taken == 0 && !objects.empty()) {
    return Fail(Errc::kInvalidArgument, "{}: no object has text at \"{}\"; set value_key", path, spec_.value_key);
  }
  return {};
}

Result<void> Dataset::Load(const std::string& path) {
  const auto text = ReadFile(path, "dataset");
  if (!text) return std::unexpected(text.error());
  auto loaded = spec_.format == DatasetSpec::Format::kLines ? LoadLines(path, *text) : LoadJson(path, *text);
  if (loaded && refused() > 0) {
    return Fail(Errc::kOutOfMemory, "{}: {} of its values do not fit into {} bytes; raise the set's memcap", path, refused(),
                spec_.memcap);
  }
  return loaded;
}

// Written beside and renamed: a crash leaves the old file.
Result<void> Dataset::Save(const std::string& path) const {
  const std::string beside = path + ".new";
  std::ofstream out(beside, std::ios::binary | std::ios::trunc);
  for (size_t i = 0; i <= mask_; ++i) {
    for (const Entry* entry = buckets_[i].load(std::memory_order_acquire); entry != nullptr;
         entry = entry->next) {
      if (entry->dead.load(std::memory_order_relaxed)) continue;
      out << Print(entry->value);
      if (entry->reputation != 0) out << ',' << entry->reputation;
      out << '\n';
    }
  }
  out.close();
  std::error_code failure;
  if (out) std::filesystem::rename(beside, path, failure);
  if (out && !failure) return {};
  return Fail(Errc::kIo, "{}: the dataset cannot be saved; check the directory's rights and room", path);
}

// ----------------------------------------------------------------- registry

// Rules may come from anywhere: what they write stays below data_dir.
Result<std::string> DatasetRegistry::WritePath(const std::string& name) const {
  if (!options_.allow_write) {
    return Fail(Errc::kInvalidArgument, "Rules containing save/state datasets have been disabled; see datasets.allow-write, or remove save or state {}", name);
  }
  const std::filesystem::path path(name);
  if (path.is_absolute()) {
    if (options_.allow_absolute) {
      spdlog::info("Allowing absolute filename for dataset rule: {}", name);
      return name;
    }
    return Fail(Errc::kInvalidArgument, "Absolute paths not allowed: {}; name a file below data-dir, or see datasets.allow-absolute", name);
  }
  if (std::ranges::find(path, "..") != path.end()) {
    return Fail(Errc::kInvalidArgument, "Directory traversals not allowed: {}; name a file below data-dir", name);
  }
  return (std::filesystem::path(options_.data_dir) / path).string();
}

// Beside the rule file, else below data_dir.
Result<std::string> DatasetRegistry::ReadPath(const std::string& name,
                                              const std::string& directory) const {
  const std::filesystem::path path(name);
  if (path.is_absolute()) return name;
  std::error_code failure;
  const auto beside = std::filesystem::path(directory) / path;
  if (std::filesystem::exists(beside, failure)) return beside.string();
  return (std::filesystem::path(options_.data_dir) / path).string();
}

Result<std::shared_ptr<Dataset>> DatasetRegistry::Open(const DatasetSpec& spec,
                                                       const std::string& directory) {
  const auto known = sets_.find(spec.name);
  const bool keeps_state = !spec.save.empty() || !spec.state.empty() || spec.load.empty();
  if (known != sets_.end() && (known->second.generation == generation_ || keeps_state)) {
    if (spec.has_type && known->second.set->spec().type != spec.type) {
      return Fail(Errc::kInvalidArgument, "dataset {} is of another type in an earlier rule", spec.name);
    }
    known->second.generation = generation_;
    return known->second.set;
  }
  if (!spec.has_type) {
    return Fail(Errc::kInvalidArgument, "dataset {} has no type; add type string, md5, sha256, ipv4 or ip", spec.name);
  }
  Slot slot;
  slot.set = std::make_shared<Dataset>(spec);
  slot.generation = generation_;
  if (const std::string& name = spec.state.empty() ? spec.save : spec.state; !name.empty()) {
    auto path = WritePath(name);
    if (!path) return std::unexpected(path.error());
    slot.save_path = std::move(*path);
  }
  if (!spec.load.empty()) {
    const auto path = ReadPath(spec.load, directory);
    if (!path) return std::unexpected(path.error());
    if (auto ok = slot.set->Load(*path); !ok) return std::unexpected(ok.error());
  } else if (std::error_code failure;
             !spec.state.empty() && std::filesystem::exists(slot.save_path, failure)) {
    if (auto ok = slot.set->Load(slot.save_path); !ok) return std::unexpected(ok.error());
  }
  auto set = slot.set;
  sets_[spec.name] = std::move(slot);
  return set;
}

Result<void> DatasetRegistry::SaveAll() const {
  Result<void> result;
  for (const auto& [name, slot] : sets_) {
    if (slot.save_path.empty()) continue;
    if (auto ok = slot.set->Save(slot.save_path); !ok && result) result = std::unexpected(ok.error());
  }
  return result;
}

}  // namespace sluice
