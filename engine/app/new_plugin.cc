// sluice plugin new: a dissector to start from, that builds with the installed headers.
#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "engine/app/plugins.h"
#include "engine/app/skeleton_text.h"

namespace sluice {
namespace {

constexpr size_t kMaxName = 32;

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxName && name[0] >= 'a' && name[0] <= 'z' &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

void ReplaceAll(std::string* text, std::string_view from, std::string_view to) {
  for (size_t at = text->find(from); at != text->npos; at = text->find(from, at + to.size())) {
    text->replace(at, from.size(), to);
  }
}

// The skeleton's text under another name: "memory_cache", class MemoryCache.
std::string Renamed(std::string text, const std::string& name) {
  std::string type;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '_') continue;
    const bool first = i == 0 || name[i - 1] == '_';
    type += first && name[i] >= 'a' ? static_cast<char>(name[i] - 'a' + 'A') : name[i];
  }
  ReplaceAll(&text, "skeleton", name);
  ReplaceAll(&text, "Skeleton", type);
  return text;
}

}  // namespace

Result<void> WriteNewPlugin(const std::string& name) {
  if (!IsName(name)) {
    return Fail(Errc::kInvalidArgument, "{}: a name is a letter and then letters, digits or _, at most {}, all small",
                name, kMaxName);
  }
  std::error_code failure;
  if (!std::filesystem::create_directory(name, failure)) {
    return Fail(Errc::kIo, "{}: {}", name, failure ? failure.message() : "is there already; give another name");
  }
  const std::pair<std::string, const char*> files[] = {{"CMakeLists.txt", kSkeletonCmake},
                                                       {name + ".cc", kSkeletonSource},
                                                       {name + ".rules", kSkeletonRules}};
  for (const auto& [file, text] : files) {
    std::ofstream out(name + "/" + file);
    out << Renamed(text, name);
    if (!out.flush()) return Fail(Errc::kIo, "{}/{}: cannot be written", name, file);
  }
  fmt::print("{0}/ written.  Build it:  cmake -S {0} -B {0}/build && cmake --build {0}/build\n"
             "check it:  sluice plugin check {0}/build/{0}.so\n"
             "and use it:  sluice replay --plugin-dir {0}/build -S {0}/{0}.rules -r FILE\n",
             name);
  return {};
}

}  // namespace sluice
