// SPDX-License-Identifier: Apache-2.0
// plugins/lib/x509_faults.h - what is wrong with bytes that are no certificate.
//
// Walks the DER (X.690) of RFC 5280 section 4.1 up to the first fault, which may have several
// names: where it is, and what it is.
// Threads: a pure function.  Memory: none.  Time: linear; each step takes bytes off the input.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice {

// A set of bits.
enum CertificateFault : uint32_t {
  kFaultCertificate = 1u << 0,  // an element says it is longer than what holds it; or none below
  kFaultLength = 1u << 1,       // an element's tag and length are cut
  kFaultVersion = 1u << 2,      // no number
  kFaultSerial = 1u << 3,
  kFaultAlgorithm = 1u << 4,
  kFaultName = 1u << 5,         // of the subject or the issuer
  kFaultDate = 1u << 6,
  kFaultExtensions = 1u << 7,
  kFaultDer = 1u << 8,          // no DER, or not that of a certificate
  kFaultSubject = 1u << 9,
  kFaultIssuer = 1u << 10,
  kFaultValidity = 1u << 11,
  kFaultMissing = 1u << 12,     // bytes end where an element must follow
  kFaultUnknown = 1u << 13,     // an element that may not stand there
  kFaultString = 1u << 14,      // text that is not of its type
};
constexpr uint32_t kNumCertificateFaults = 15;

constexpr size_t kMaxSerial = 64;  // bytes; RFC 5280 section 4.1.2.2 allows 20

// Never 0: called for what cannot be read.
uint32_t CertificateFaults(std::string_view der);

}  // namespace sluice
