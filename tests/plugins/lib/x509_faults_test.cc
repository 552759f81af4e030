// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>

#include "plugins/lib/x509.h"
#include "tests/plugins/lib/der.h"

namespace sluice {
namespace {

using namespace testing;  // der.h

TEST(X509Faults, NoneAreFoundInWhatOpenSslReads) {
  for (const std::string& version : {Parts{}.version, std::string()}) {
    Parts parts;
    parts.version = version;
    ASSERT_TRUE(ReadCertificate(parts.Der()).has_value());
    EXPECT_EQ(CertificateFaults(parts.Der()), kFaultCertificate);  // the name for what has no other
  }
}

TEST(X509Faults, ACutIsALengthThatDoesNotFit) {
  const std::string der = Parts{}.Der();
  const size_t header = der[1] & 0x80 ? 4 : 2;
  for (size_t size = 0; size < der.size(); ++size) {
    const uint32_t expected = size == 0       ? kFaultLength | kFaultMissing
                              : size < header ? uint32_t{kFaultLength}
                                              : uint32_t{kFaultCertificate};
    const auto read = ReadCertificate(der.substr(0, size));
    ASSERT_FALSE(read.has_value()) << size;
    EXPECT_EQ(read.error(), expected) << size;
  }
}

struct FaultCase {
  const char* name;
  std::string Parts::*part;
  std::string value;
  uint32_t faults;
};
class X509FaultTable : public ::testing::TestWithParam<FaultCase> {};
TEST_P(X509FaultTable, IsNamed) {
  Parts parts;
  parts.*GetParam().part = GetParam().value;
  const auto read = ReadCertificate(parts.Der());
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error(), GetParam().faults);
}

constexpr uint32_t kUnknown = kFaultUnknown;
const FaultCase kCases[] = {
    {"VersionIsMissing", &Parts::version, Tlv(0xa0, ""), kFaultLength | kFaultMissing},
    {"VersionIsNoNumber", &Parts::version, Tlv(0xa0, Tlv(0x04, "\x02")), kFaultVersion | kUnknown},
    {"SerialIsNoNumber", &Parts::serial, Tlv(0x04, "\x07"), kFaultSerial | kUnknown},
    {"SerialIsEmpty", &Parts::serial, Tlv(0x02, ""), kFaultSerial},
    {"SerialOf65Bytes", &Parts::serial, Tlv(0x02, std::string(65, 'x')), kFaultSerial},
    {"AlgorithmIsNoSequence", &Parts::algorithm, kOid, kFaultAlgorithm | kUnknown},
    {"AlgorithmWithoutAnOid", &Parts::algorithm, Sequence(""), kFaultLength | kFaultMissing},
    {"IssuerIsNoName", &Parts::issuer, Tlv(0x31, ""), kFaultName | kFaultIssuer | kUnknown},
    {"IssuerOfHalfACharacter", &Parts::issuer, Name(0x1e, "abc"), kFaultName | kFaultIssuer | kFaultString},
    {"SubjectOfNoSet", &Parts::subject, Sequence(kOid), kFaultName | kFaultSubject | kUnknown},
    {"SubjectOfHalfACharacter", &Parts::subject, Name(0x1c, "abcde"),
     kFaultName | kFaultSubject | kFaultString},
    {"ValidityIsNoSequence", &Parts::validity, kOid, kFaultDate | kFaultValidity | kUnknown},
    {"ValidityWithoutAnEnd", &Parts::validity, Sequence(Tlv(0x17, "150305142500Z")),
     kFaultLength | kFaultMissing},
    {"ValidityOfNoDates", &Parts::validity, Sequence(Tlv(0x17, "x") + Tlv(0x17, "y")),
     kFaultDate | kFaultValidity},
    {"KeyIsMissing", &Parts::key, "", kFaultCertificate | kUnknown},
    {"ExtensionIsNoSequence", &Parts::rest, Tlv(0xa3, Sequence(kOid)), kFaultExtensions | kUnknown},
    {"ExtensionsAreNoSequence", &Parts::rest, Tlv(0xa3, kOid), kFaultExtensions | kUnknown},
    {"SomethingBehindTheExtensions", &Parts::rest, Parts{}.rest + kOid, kFaultCertificate | kUnknown},
    {"ALengthThatIsCut", &Parts::rest, std::string("\xa3\x82\x01", 3), kFaultLength},
    {"ALengthBeyondTheEnd", &Parts::rest, std::string("\xa3\x05\x01", 3), kFaultCertificate},
    {"AnIndefiniteLength", &Parts::rest, std::string("\xa3\x80\0\0", 4), kFaultDer},
    {"SignatureIsMissing", &Parts::outer, "", kFaultLength | kFaultMissing},
    {"SignatureIsNoBits", &Parts::outer, kAlgorithm + kOid, kFaultDer | kUnknown},
};
INSTANTIATE_TEST_SUITE_P(Rfc5280, X509FaultTable, ::testing::ValuesIn(kCases),
                         [](const auto& c) { return c.param.name; });

TEST(X509Faults, OtherBytesAreNoDer) {
  EXPECT_EQ(CertificateFaults("hello"), kFaultCertificate);  // 101 bytes of type 'h'
  EXPECT_EQ(CertificateFaults(std::string("\x02\x01\x07", 3)), kFaultDer | kUnknown);
  EXPECT_EQ(CertificateFaults(Sequence(Tlv(0x02, "\x07"))), kFaultDer | kUnknown);
}

// No byte of a certificate can be changed so that it fails without a name.
TEST(X509Faults, EveryChangedByteIsReadOrNamed) {
  const std::string der = Parts{}.Der();
  for (size_t at = 0; at < der.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string changed = der;
      changed[at] = static_cast<char>(value);
      const auto read = ReadCertificate(changed);
      EXPECT_TRUE(read.has_value() || read.error() != 0) << at;
    }
  }
}

}  // namespace
}  // namespace sluice
