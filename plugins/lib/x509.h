// SPDX-License-Identifier: Apache-2.0
// plugins/lib/x509.h - what rules and logs say of a certificate, from its DER bytes.
//
// Input is hostile: OpenSSL parses it; what it cannot read is an error, and text is bounded.
// Threads: pure functions; OpenSSL's queue of errors is left empty.
// Memory: plain values.  OpenSSL allocates while it parses and frees before the call returns.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/lib/x509_faults.h"

namespace sluice {

struct Certificate {
  std::string subject, issuer;     // "C=FR, ST=IDF, O=Stamus, CN=SELKS": in the order encoded
  std::string serial;              // "00:97:E6": hex of the encoded integer, upper case
  int64_t not_before = 0, not_after = 0;  // seconds since the epoch
  std::vector<std::string> names;  // subject alternative names: DNS, mail, URI, address
};

constexpr size_t kMaxCertificateText = 16 * 1024;  // bytes of one name; the rest is cut
constexpr size_t kMaxCertificateNames = 1024;      // alternative names; the rest is left out

// Fails with a set of CertificateFault.
std::expected<Certificate, uint32_t> ReadCertificate(std::string_view der);

// "14:f3:..": hex pairs of the SHA-1 of the bytes, lower case.
std::string Sha1Colons(std::string_view bytes);

// The bytes between the lines of RFC 7468.
void ToPem(std::string_view der, std::string* out);

// The serial number without leading zeros or marks, lower case; "" if the certificate does not
// hold.
std::string PlainSerial(std::string_view der);

}  // namespace sluice
