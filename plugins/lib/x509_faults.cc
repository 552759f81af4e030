// SPDX-License-Identifier: Apache-2.0
#include "plugins/lib/x509_faults.h"

namespace sluice {
namespace {

using View = std::string_view;

enum Tag : uint32_t {
  kBoolean = 0x01, kInteger = 0x02, kBits = 0x03, kOctets = 0x04, kOid = 0x06, kUtf8 = 0x0c,
  kUtcTime = 0x17, kGeneralizedTime = 0x18, kUniversalString = 0x1c, kBmpString = 0x1e,
  kSequence = 0x30, kSet = 0x31, kVersionTag = 0xa0, kIssuerId = 0x81, kSubjectId = 0x82,
  kExtensionsTag = 0xa3,
};

uint32_t Byte(View v, size_t i) { return static_cast<uint8_t>(v[i]); }

// The bytes that follow the first one of a character (RFC 3629 section 3); 4: none begins so.
size_t Utf8Tail(uint32_t first) {
  if (first < 0x80) return 0;
  if (first >= 0xc2 && first < 0xe0) return 1;
  if (first >= 0xe0 && first < 0xf0) return 2;
  return first >= 0xf0 && first < 0xf5 ? 3 : 4;
}
bool IsUtf8(View text) {
  while (!text.empty()) {
    const size_t tail = Utf8Tail(Byte(text, 0));
    if (tail > 3 || text.size() <= tail) return false;
    for (size_t i = 1; i <= tail; ++i) {
      if ((Byte(text, i) & 0xc0) != 0x80) return false;
    }
    text.remove_prefix(1 + tail);
  }
  return true;
}

bool IsText(uint32_t tag, View value) {
  if (tag == kUtf8) return IsUtf8(value);
  if (tag == kBmpString) return value.size() % 2 == 0;
  return tag != kUniversalString || value.size() % 4 == 0;
}

// Each step returns whether the walk goes on; else `faults` says why not.
class Walk {
 public:
  uint32_t faults = 0;

  bool Certificate(View der) {
    View whole, tbs, unused;
    return Take(&der, kSequence, kFaultDer, &whole) && Take(&whole, kSequence, kFaultDer, &tbs) &&
           ToBeSigned(tbs) && Algorithm(&whole) && Take(&whole, kBits, kFaultDer, &unused);
  }

 private:
  bool Fail(uint32_t what) {
    faults |= what;
    return false;
  }

  static bool Next(View rest, uint32_t tag) { return !rest.empty() && Byte(rest, 0) == tag; }

  // Takes an element off `rest`.
  bool Any(View* rest, uint32_t* tag, View* content) {
    if (rest->empty()) return Fail(kFaultLength | kFaultMissing);
    if (rest->size() < 2) return Fail(kFaultLength);
    *tag = Byte(*rest, 0);
    size_t length = Byte(*rest, 1), header = 2;
    if (length >= 0x80) {
      const size_t bytes = length & 0x7f;
      if (bytes == 0 || bytes > 4) return Fail(kFaultDer);  // indefinite, or beyond any message
      if (rest->size() < 2 + bytes) return Fail(kFaultLength);
      length = 0;
      for (size_t i = 0; i < bytes; ++i) length = length << 8 | Byte(*rest, 2 + i);
      header += bytes;
    }
    if (length > rest->size() - header) return Fail(kFaultCertificate);
    *content = rest->substr(header, length);
    rest->remove_prefix(header + length);
    return true;
  }

  // `place`: what it is called when another element stands there.
  bool Take(View* rest, uint32_t tag, uint32_t place, View* content) {
    uint32_t found;
    if (!Any(rest, &found, content)) return false;
    return found == tag || Fail(place | kFaultUnknown);
  }

  bool ToBeSigned(View tbs) {
    View serial, key;
    if (Next(tbs, kVersionTag) && !Version(&tbs)) return false;
    if (!Take(&tbs, kInteger, kFaultSerial, &serial)) return false;
    if (serial.empty() || serial.size() > kMaxSerial) return Fail(kFaultSerial);
    return Algorithm(&tbs) && Name(&tbs, kFaultIssuer) && Validity(&tbs) &&
           Name(&tbs, kFaultSubject) && Take(&tbs, kSequence, kFaultCertificate, &key) && Key(key) &&
           Rest(tbs);
  }

  bool Version(View* tbs) {
    View holder, number;
    return Take(tbs, kVersionTag, kFaultVersion, &holder) &&
           Take(&holder, kInteger, kFaultVersion, &number);
  }

  bool Algorithm(View* rest) {
    View algorithm, oid;
    return Take(rest, kSequence, kFaultAlgorithm, &algorithm) &&
           Take(&algorithm, kOid, kFaultAlgorithm, &oid);
  }

  bool Name(View* rest, uint32_t whose) {
    View name, set, attribute;
    if (!Take(rest, kSequence, kFaultName | whose, &name)) return false;
    while (!name.empty()) {
      if (!Take(&name, kSet, kFaultName | whose, &set)) return false;
      while (!set.empty()) {
        if (!Take(&set, kSequence, kFaultName | whose, &attribute)) return false;
        if (!Attribute(attribute, whose)) return false;
      }
    }
    return true;
  }
  bool Attribute(View attribute, uint32_t whose) {
    View oid, value;
    uint32_t tag;
    if (!Take(&attribute, kOid, kFaultName | whose, &oid)) return false;
    if (!Any(&attribute, &tag, &value)) return false;
    return IsText(tag, value) || Fail(kFaultName | whose | kFaultString);
  }

  bool Validity(View* rest) {
    View validity, time;
    if (!Take(rest, kSequence, kFaultDate | kFaultValidity, &validity)) return false;
    for (int i = 0; i < 2; ++i) {
      const uint32_t tag = Next(validity, kGeneralizedTime) ? kGeneralizedTime : kUtcTime;
      if (!Take(&validity, tag, kFaultDate | kFaultValidity, &time)) return false;
    }
    return true;
  }

  bool Key(View key) {
    View bits;
    return Algorithm(&key) && Take(&key, kBits, kFaultCertificate, &bits);
  }

  // The unique ids and the extensions, all optional.
  bool Rest(View tbs) {
    View unused, holder;
    for (const uint32_t id : {kIssuerId, kSubjectId}) {
      if (Next(tbs, id) && !Take(&tbs, id, 0, &unused)) return false;
    }
    if (Next(tbs, kExtensionsTag)) {
      if (!Take(&tbs, kExtensionsTag, 0, &holder) || !Extensions(holder)) return false;
    }
    return tbs.empty() || Fail(kFaultCertificate | kFaultUnknown);
  }
  bool Extensions(View holder) {
    View list, one, unused;
    if (!Take(&holder, kSequence, kFaultExtensions, &list)) return false;
    while (!list.empty()) {
      if (!Take(&list, kSequence, kFaultExtensions, &one)) return false;
      if (!Take(&one, kOid, kFaultExtensions, &unused)) return false;
      if (Next(one, kBoolean) && !Take(&one, kBoolean, kFaultExtensions, &unused)) return false;
      if (!Take(&one, kOctets, kFaultExtensions, &unused)) return false;
    }
    return true;
  }
};

}  // namespace

uint32_t CertificateFaults(std::string_view der) {
  Walk walk;
  walk.Certificate(der);
  return walk.faults != 0 ? walk.faults : uint32_t{kFaultCertificate};
}

}  // namespace sluice
