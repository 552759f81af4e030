// engine/dissect/file_magic.h
// What kind of file its first bytes look like, as libmagic says it ("PDF document, ...").
//
// Threads: confined to its worker; each has its own handle (the database is mapped once).
// Memory: libmagic's; it allocates while it looks, so it is asked only where a rule or a
//   log wants to know, once a file.
#pragma once

#include <memory>
#include <string_view>

#include "engine/base/types.h"

struct magic_set;

namespace sluice {

class FileMagic {
 public:
  // Opens the system's database when first asked; without one nothing is ever known.
  // "" if it has no answer.  Valid until the next call.
  std::string_view Describe(Slice bytes);

 private:
  struct Close {
    void operator()(magic_set* handle) const;
  };
  std::unique_ptr<magic_set, Close> handle_;
  bool tried_ = false;
};

}  // namespace sluice
