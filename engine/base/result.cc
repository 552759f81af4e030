#include "engine/base/result.h"

#include <cstdio>
#include <cstdlib>

namespace sluice {

void CheckFailed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "%s:%d: internal error: %s\n", file, line, condition);
  std::abort();
}

}  // namespace sluice
