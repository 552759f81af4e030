// SPDX-License-Identifier: Apache-2.0
#include "plugins/lib/x509_cache.h"

#include <functional>
#include <utility>

namespace sluice {

const CertificateCache::Entry* CertificateCache::Find(std::string_view der, uint32_t* faults) {
  const bool kept = der.size() <= kMostBytes;
  Entry& entry = kept ? slots_[std::hash<std::string_view>{}(der) % kSlots] : large_;
  if (kept && !der.empty() && entry.der == der) return &entry;
  auto read = ReadCertificate(der);
  if (!read) {
    *faults = read.error();
    return nullptr;
  }
  entry.certificate = std::move(*read);
  entry.fingerprint = Sha1Colons(der);
  if (kept) entry.der.assign(der);
  return &entry;
}

}  // namespace sluice
