// SPDX-License-Identifier: Apache-2.0
#include "plugins/lib/x509.h"

#include <ctime>
#include <memory>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace sluice {
namespace {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using X509Pointer = std::unique_ptr<X509, Deleter<X509_free>>;

std::string_view Bytes(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<size_t>(ASN1_STRING_length(string))};
}

X509Pointer Parse(std::string_view der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  X509Pointer certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  ERR_clear_error();  // else the thread's queue of errors grows
  return certificate;
}

// How Suricata's users know the attribute types; others are their dotted number.
const char* AttributeName(const ASN1_OBJECT* object, char (&dotted)[80]) {
  static constexpr struct {
    const char *oid, *name;
  } kNames[] = {
      {"2.5.4.3", "CN"}, {"2.5.4.4", "SN"}, {"2.5.4.5", "serialNumber"}, {"2.5.4.6", "C"},
      {"2.5.4.7", "L"}, {"2.5.4.8", "ST"}, {"2.5.4.9", "streetAddress"}, {"2.5.4.10", "O"},
      {"2.5.4.11", "OU"}, {"2.5.4.12", "title"}, {"2.5.4.13", "description"},
      {"2.5.4.15", "businessCategory"}, {"2.5.4.16", "postalAddress"}, {"2.5.4.17", "postalCode"},
      {"2.5.4.18", "postOfficeBox"}, {"2.5.4.20", "telephoneNumber"}, {"2.5.4.41", "name"},
      {"2.5.4.42", "GN"}, {"2.5.4.43", "initials"}, {"2.5.4.44", "generationQualifier"},
      {"2.5.4.46", "dnQualifier"}, {"2.5.4.65", "pseudonym"},
      {"2.5.4.97", "organizationIdentifier"}, {"2.5.29.17", "subjectAltName"},
      {"1.2.840.113549.1.9.1", "Email"}, {"1.2.840.113549.1.9.2", "unstructuredName"},
      {"0.9.2342.19200300.100.1.1", "UID"}, {"0.9.2342.19200300.100.1.25", "DC"},
      {"1.3.6.1.4.1.311.60.2.1.1", "msJurisdictionLocality"},
      {"1.3.6.1.4.1.311.60.2.1.2", "msJurisdictionStateOrProvince"},
      {"1.3.6.1.4.1.311.60.2.1.3", "msJurisdictionCountry"}};
  if (OBJ_obj2txt(dotted, sizeof(dotted), object, 1) <= 0) return "?";
  for (const auto& known : kNames) {
    if (std::string_view(known.oid) == dotted) return known.name;
  }
  return dotted;
}

// Text as it is, NUL and all; 16 and 32 bit characters as UTF-8.
void AppendValue(const ASN1_STRING* value, std::string* out) {
  const int type = ASN1_STRING_type(value);
  if (type == V_ASN1_BMPSTRING || type == V_ASN1_UNIVERSALSTRING) {
    unsigned char* utf8 = nullptr;
    if (const int length = ASN1_STRING_to_UTF8(&utf8, value); length >= 0) {
      out->append(reinterpret_cast<char*>(utf8), static_cast<size_t>(length));
      OPENSSL_free(utf8);
      return;
    }
    ERR_clear_error();
  }
  out->append(Bytes(value));
}

// RFC 5280 section 4.1.2.4: parts in the order encoded; those of one set by " + ".
std::string NameText(const X509_NAME* name) {
  std::string out;
  int set = -1;
  for (int i = 0; i < X509_NAME_entry_count(name) && out.size() < kMaxCertificateText; ++i) {
    const X509_NAME_ENTRY* entry = X509_NAME_get_entry(name, i);
    if (i > 0) out += X509_NAME_ENTRY_set(entry) == set ? " + " : ", ";
    set = X509_NAME_ENTRY_set(entry);
    char dotted[80];
    out.append(AttributeName(X509_NAME_ENTRY_get_object(entry), dotted)).append("=");
    AppendValue(X509_NAME_ENTRY_get_data(entry), &out);
  }
  if (out.size() > kMaxCertificateText) out.resize(kMaxCertificateText);
  return out;
}

std::string Hex(std::string_view bytes, const char* digits, bool colons) {
  std::string out;
  out.reserve(bytes.size() * 3);
  for (size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<uint8_t>(bytes[i]);
    if (colons && i > 0) out += ':';
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
}

// The content octets of the INTEGER, with the zero that keeps it positive.
std::string SerialBytes(const X509* certificate) {
  unsigned char der[kMaxSerial + 8];
  const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate);
  const int length = i2d_ASN1_INTEGER(serial, nullptr);
  if (length < 3 || length > static_cast<int>(kMaxSerial) + 2) return {};
  unsigned char* at = der;
  i2d_ASN1_INTEGER(serial, &at);
  return {reinterpret_cast<char*>(der) + 2, static_cast<size_t>(length - 2)};
}

bool Seconds(const ASN1_TIME* time, int64_t* out) {
  tm parts{};
  const bool ok = ASN1_TIME_to_tm(time, &parts) == 1;
  ERR_clear_error();
  if (ok) *out = timegm(&parts);
  return ok;
}

std::string AddressText(std::string_view bytes) {
  const auto at = [&](size_t i) { return static_cast<unsigned>(static_cast<uint8_t>(bytes[i])); };
  std::string out;
  if (bytes.size() == 4) {
    for (size_t i = 0; i < 4; ++i) out += (i ? "." : "") + std::to_string(at(i));
  } else if (bytes.size() == 16) {
    for (size_t i = 0; i < 16; i += 2) {
      out += (i ? ":" : "") + Hex(bytes.substr(i, 2), "0123456789abcdef", false);
    }
  }
  return out;
}

std::vector<std::string> AlternativeNames(const X509* certificate) {
  using Names = std::unique_ptr<GENERAL_NAMES, Deleter<GENERAL_NAMES_free>>;
  const Names all(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  ERR_clear_error();
  std::vector<std::string> out;
  const int count = all ? sk_GENERAL_NAME_num(all.get()) : 0;
  for (int i = 0; i < count && out.size() < kMaxCertificateNames; ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(all.get(), i);
    if (name->type == GEN_DNS || name->type == GEN_EMAIL || name->type == GEN_URI) {
      out.emplace_back(Bytes(name->d.ia5).substr(0, kMaxCertificateText));
    } else if (name->type == GEN_IPADD) {
      out.push_back(AddressText(Bytes(name->d.iPAddress)));
    }
  }
  return out;
}

}  // namespace

std::expected<Certificate, uint32_t> ReadCertificate(std::string_view der) {
  const X509Pointer certificate = Parse(der);
  if (certificate == nullptr) return std::unexpected(CertificateFaults(der));
  Certificate out;
  out.subject = NameText(X509_get_subject_name(certificate.get()));
  out.issuer = NameText(X509_get_issuer_name(certificate.get()));
  out.serial = Hex(SerialBytes(certificate.get()), "0123456789ABCDEF", true);
  if (out.serial.empty()) return std::unexpected(uint32_t{kFaultSerial});
  if (!Seconds(X509_get0_notBefore(certificate.get()), &out.not_before) ||
      !Seconds(X509_get0_notAfter(certificate.get()), &out.not_after)) {
    return std::unexpected(kFaultDate | kFaultValidity);
  }
  out.names = AlternativeNames(certificate.get());
  return out;
}

std::string Sha1Colons(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest, &length, EVP_sha1(), nullptr) != 1) return {};
  return Hex({reinterpret_cast<char*>(digest), length}, "0123456789abcdef", true);
}

void ToPem(std::string_view der, std::string* out) {
  constexpr size_t kLine = 48;  // bytes in a line of 64 characters
  out->assign("-----BEGIN CERTIFICATE-----\n");
  for (; !der.empty(); der.remove_prefix(std::min(kLine, der.size()))) {
    unsigned char line[kLine / 3 * 4 + 1];
    const int length = EVP_EncodeBlock(line, reinterpret_cast<const unsigned char*>(der.data()),
                                       static_cast<int>(std::min(kLine, der.size())));
    out->append(reinterpret_cast<const char*>(line), static_cast<size_t>(length)).append("\n");
  }
  out->append("-----END CERTIFICATE-----\n");
}

std::string PlainSerial(std::string_view der) {
  const X509Pointer certificate = Parse(der);
  if (certificate == nullptr) return {};
  const std::string bytes = SerialBytes(certificate.get());
  if (bytes.empty()) return {};
  const std::string hex = Hex(bytes, "0123456789abcdef", false);
  const size_t first = hex.find_first_not_of('0');
  return first == hex.npos ? "0" : hex.substr(first);
}

}  // namespace sluice
