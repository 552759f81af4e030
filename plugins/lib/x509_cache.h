// SPDX-License-Identifier: Apache-2.0
// plugins/lib/x509_cache.h - certificates that were read lately.
//
// Servers show the same ones again and again, and reading one costs OpenSSL over a thousand
// allocations.  What is found here has the very bytes that were asked for.
// Threads: one each.  Memory: kSlots entries of kMostBytes of DER and what is read of them;
// a newer certificate takes the slot of an older one with the same hash.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "plugins/lib/x509.h"

namespace sluice {

class CertificateCache {
 public:
  static constexpr size_t kSlots = 256;
  static constexpr size_t kMostBytes = 8 * 1024;  // longer ones are read each time

  struct Entry {
    std::string der, fingerprint;  // of Sha1Colons()
    Certificate certificate;
  };
  // Null if it cannot be read: *faults is then a set of CertificateFault.  Else valid until
  // the next call.
  const Entry* Find(std::string_view der, uint32_t* faults);

 private:
  std::array<Entry, kSlots> slots_;
  Entry large_;
};

}  // namespace sluice
