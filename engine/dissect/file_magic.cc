#include "engine/dissect/file_magic.h"

#include <magic.h>
#include <spdlog/spdlog.h>

namespace sluice {

void FileMagic::Close::operator()(magic_set* handle) const { magic_close(handle); }

std::string_view FileMagic::Describe(Slice bytes) {
  if (!tried_) {
    tried_ = true;
    handle_.reset(magic_open(MAGIC_NONE));
    if (handle_ != nullptr && magic_load(handle_.get(), nullptr) != 0) {
      spdlog::warn("magic error=\"{}\"", magic_error(handle_.get()));
      handle_.reset();
    }
  }
  if (handle_ == nullptr || bytes.empty()) return {};
  const char* text = magic_buffer(handle_.get(), bytes.data(), bytes.size());
  return text == nullptr ? std::string_view() : text;
}

}  // namespace sluice
