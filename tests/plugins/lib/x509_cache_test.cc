// SPDX-License-Identifier: Apache-2.0
#include "plugins/lib/x509_cache.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/plugins/lib/der.h"

namespace sluice {
namespace {

std::string Numbered(int serial) {
  testing::Parts parts;
  parts.serial = testing::Tlv(0x02, {static_cast<char>(serial >> 8), static_cast<char>(serial)});
  return parts.Der();
}

// Whatever is there already, the answer is that of reading the bytes.
TEST(X509Cache, AgreesWithReading) {
  const auto cache = std::make_unique<CertificateCache>();
  uint32_t faults = 0;
  for (int round = 0; round < 2; ++round) {
    for (int serial = 0x0100; serial < 0x0100 + 4 * static_cast<int>(CertificateCache::kSlots); ++serial) {
      const std::string der = Numbered(serial);
      const CertificateCache::Entry* entry = cache->Find(der, &faults);
      ASSERT_NE(entry, nullptr);
      ASSERT_EQ(entry->certificate.serial, ReadCertificate(der)->serial);
      ASSERT_EQ(entry->fingerprint, Sha1Colons(der));
    }
  }
}

TEST(X509Cache, TheSameBytesAreReadOnce) {
  const auto cache = std::make_unique<CertificateCache>();
  uint32_t faults = 0;
  const char* subject = cache->Find(Numbered(0x0101), &faults)->certificate.subject.data();
  EXPECT_EQ(cache->Find(Numbered(0x0101), &faults)->certificate.subject.data(), subject);
}

TEST(X509Cache, WhatCannotBeReadIsNotKeptAndHarmsNothing) {
  const auto cache = std::make_unique<CertificateCache>();
  uint32_t faults = 0;
  EXPECT_EQ(cache->Find("", &faults), nullptr);
  EXPECT_EQ(faults, kFaultLength | kFaultMissing);
  const std::string der = Numbered(0x0101);
  EXPECT_NE(cache->Find(der, &faults), nullptr);
  EXPECT_EQ(cache->Find(der.substr(1), &faults), nullptr);
  EXPECT_EQ(cache->Find(der, &faults)->certificate.serial, "01:01");
}

TEST(X509Cache, ALongOneIsReadEachTime) {
  const auto cache = std::make_unique<CertificateCache>();
  uint32_t faults = 0;
  testing::Parts parts;
  parts.rest = testing::Tlv(0xa3, testing::Sequence(testing::Sequence(
                                      testing::kOid + testing::Tlv(0x04, std::string(9000, 'x')))));
  const CertificateCache::Entry* entry = cache->Find(parts.Der(), &faults);
  ASSERT_NE(entry, nullptr);
  EXPECT_TRUE(entry->der.empty());
}

}  // namespace
}  // namespace sluice
