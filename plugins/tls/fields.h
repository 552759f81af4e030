// SPDX-License-Identifier: Apache-2.0
// plugins/tls/fields.h - what a TLS session is to rules and logs: its fields, events, stages.
#pragma once

#include <iterator>

#include <sluice/plugin.hpp>

#include "plugins/tls/hello.h"

namespace sluice::tls {

// The fields of a certificate come twice, in this order: the server's, then the client's.
enum Field : uint32_t {
  kSubject, kIssuer, kSerial, kFingerprint, kNames, kNotBefore, kNotAfter, kExpired, kValid,
  kCertificate, kChain, kChainLength, kPem,
  kClientSubject, kClientIssuer, kClientSerial, kClientFingerprint, kClientNames, kClientNotBefore,
  kClientNotAfter, kClientExpired, kClientValid, kClientCertificate, kClientChain,
  kClientChainLength, kClientPem,
  kSessionResumed, kSni, kVersionText7, kVersionText, kFromProtocol, kClientAlpn, kServerAlpn, kEncryptedHello,
  kJa3Hash, kJa3String, kJa3sHash, kJa3sString, kJa4,
  kHelloVersion, kHelloCiphers, kHelloExtensions, kHelloSignatures,
  kChoiceVersion, kChoiceCipher, kChoiceExtensions,
  kClientSslVersion, kServerSslVersion, kClientTlsVersion, kServerTlsVersion,
  kClientState, kServerState, kRandom, kRandomTime, kRandomBytes, kAlert,
  kRecordFrame, kHeaderFrame, kDataFrame, kAlertFrame, kHeartbeatFrame,
  kNumFields
};
constexpr uint32_t kToClientCertificate = kClientSubject - kSubject;  // from server's to client's

enum Event : uint32_t {
  kInvalidSsl2Header, kInvalidTlsHeader, kInvalidRecordVersion, kInvalidRecordType,
  kInvalidRecordLength, kInvalidHandshakeMessage,
  // In the order of CertificateFault.
  kInvalidCertificate, kCertificateInvalidLength, kCertificateInvalidVersion,
  kCertificateInvalidSerial, kCertificateInvalidAlgorithm, kCertificateInvalidName,
  kCertificateInvalidDate, kCertificateInvalidExtensions, kCertificateInvalidDer,
  kCertificateInvalidSubject, kCertificateInvalidIssuer, kCertificateInvalidValidity,
  kCertificateMissingElement, kCertificateUnknownElement, kCertificateInvalidString,
  kErrorMessage, kInvalidSslRecord,
  kHeartbeat, kOverflowHeartbeat, kInvalidHeartbeat, kDataleakHeartbeat, kManySniExtensions,
  kInvalidSniType, kInvalidSniLength, kHandshakeInvalidLength, kTooManyRecords, kInvalidAlert,
  kManyNames, kNumEvents
};

enum ClientStage : uint32_t {
  kClientInProgress, kClientHelloDone, kClientCertDone, kClientHandshakeDone, kClientFinished
};
enum ServerStage : uint32_t {
  kServerInProgress, kServerHelloSeen, kServerCertDone, kServerHelloDone, kServerHandshakeDone,
  kServerFinished
};
constexpr const char* kClientStages[] = {"client_in_progress", "client_hello_done",
                                         "client_cert_done", "client_handshake_done",
                                         "client_finished"};
constexpr const char* kServerStages[] = {"server_in_progress", "server_hello", "server_cert_done",
                                         "server_hello_done", "server_handshake_done",
                                         "server_finished"};

enum SslVersionBit : uint64_t {
  kBitSsl2 = 1, kBitSsl3 = 2, kBitTls10 = 4, kBitTls11 = 8, kBitTls12 = 16, kBitTls13 = 32
};
constexpr sluice_enum_name kSslVersions[] = {
    {kBitSsl2, "sslv2"}, {kBitSsl3, "sslv3"}, {kBitTls10, "tls1.0"}, {kBitTls11, "tls1.1"},
    {kBitTls12, "tls1.2"}, {kBitTls13, "tls1.3"}, {0, nullptr}};
constexpr sluice_enum_name kTlsVersions[] = {{kTls10, "1.0"}, {kTls11, "1.1"}, {kTls12, "1.2"},
                                             {kTls13, "1.3"}, {0, nullptr}};
enum StateBit : uint64_t {
  kClientHelloBit = 1, kServerHelloBit = 2, kClientKeyBit = 4, kServerKeyBit = 8, kUnknownBit = 16
};
constexpr sluice_enum_name kStates[] = {
    {kClientHelloBit, "client_hello"}, {kServerHelloBit, "server_hello"},
    {kClientKeyBit, "client_keyx"}, {kServerKeyBit, "server_keyx"}, {kUnknownBit, "unknown"},
    {0, nullptr}};

constexpr uint32_t kC = SLUICE_DIR_TO_SERVER, kS = SLUICE_DIR_TO_CLIENT, kB = SLUICE_DIR_BOTH;

struct Names {
  const char *keyword, *aliases, *log;
};
constexpr sluice_field Row(Names names, const char* help, uint32_t type, uint32_t directions,
                           uint32_t stage, uint32_t flags = 0,
                           const sluice_enum_name* values = nullptr) {
  return {names.keyword, names.aliases, nullptr,  names.log, help,
          type,          flags,         directions, stage,   values, nullptr};
}

constexpr uint32_t kExt = SLUICE_EXTENDED, kMany = SLUICE_REPEATED;
constexpr uint32_t kUpper = SLUICE_CONTENT_UPPER, kLower = SLUICE_CONTENT_LOWER;
constexpr uint32_t kFrame = SLUICE_FRAME | SLUICE_REPEATED;
constexpr uint32_t kDer = SLUICE_OPTIONAL | SLUICE_BASE64;

constexpr sluice_field kFields[] = {
    Row({"tls.cert_subject", "tls_cert_subject", "subject"}, "subject of the certificate",
        SLUICE_BYTES, kS, kServerCertDone),
    Row({"tls.cert_issuer", "tls_cert_issuer", "issuerdn"}, "issuer of the certificate",
        SLUICE_BYTES, kS, kServerCertDone),
    Row({"tls.cert_serial", "tls_cert_serial", "serial"}, "serial number, hex with colons",
        SLUICE_BYTES, kS, kServerCertDone, kExt | kUpper),
    Row({"tls.cert_fingerprint", "tls_cert_fingerprint", "fingerprint"},
        "SHA-1 of the certificate, hex with colons", SLUICE_BYTES, kS, kServerCertDone,
        kExt | kLower),
    Row({"tls.subjectaltname", nullptr, "subjectaltname"}, "alternative names of the certificate",
        SLUICE_BYTES, kS, kServerCertDone, kMany | SLUICE_LOG_V8),
    Row({"tls_cert_notbefore", nullptr, "notbefore"}, "begin of the certificate's validity",
        SLUICE_INT, kS, kServerCertDone, kExt | SLUICE_DATE),
    Row({"tls_cert_notafter", nullptr, "notafter"}, "end of the certificate's validity",
        SLUICE_INT, kS, kServerCertDone, kExt | SLUICE_DATE),
    Row({"tls_cert_expired", nullptr, nullptr}, "the certificate's validity has ended",
        SLUICE_BOOL, kS, kServerCertDone),
    Row({"tls_cert_valid", nullptr, nullptr}, "the certificate's validity has begun and not ended",
        SLUICE_BOOL, kS, kServerCertDone),
    Row({nullptr, nullptr, "certificate"}, "the certificate", SLUICE_BYTES, kS, kServerCertDone,
        kDer),
    Row({"tls.certs", nullptr, "chain"}, "DER bytes of each certificate", SLUICE_BYTES, kS,
        kServerCertDone, kDer | kMany),
    Row({"tls.cert_chain_len", nullptr, nullptr}, "certificates in the chain", SLUICE_UINT, kS,
        kServerCertDone),
    Row({"tls.store", nullptr, nullptr}, "keeps the certificates in files", SLUICE_BYTES, kS,
        kServerCertDone, kMany | SLUICE_STORE),

    Row({"tls.cert_subject", nullptr, "client.subject"}, "subject of the client's certificate",
        SLUICE_BYTES, kC, kClientCertDone, kExt),
    Row({"tls.cert_issuer", nullptr, "client.issuerdn"}, "issuer of the client's certificate",
        SLUICE_BYTES, kC, kClientCertDone, kExt),
    Row({"tls.cert_serial", nullptr, "client.serial"}, "serial number of the client's certificate",
        SLUICE_BYTES, kC, kClientCertDone, kExt | kUpper),
    Row({"tls.cert_fingerprint", nullptr, "client.fingerprint"}, "SHA-1 of the client's certificate",
        SLUICE_BYTES, kC, kClientCertDone, kExt | kLower),
    Row({"tls.subjectaltname", nullptr, "client.subjectaltname"},
        "alternative names of the client's certificate", SLUICE_BYTES, kC, kClientCertDone,
        kExt | kMany | SLUICE_LOG_V8),
    Row({"tls_cert_notbefore", nullptr, "client.notbefore"}, "begin of validity", SLUICE_INT, kC,
        kClientCertDone, kExt | SLUICE_DATE),
    Row({"tls_cert_notafter", nullptr, "client.notafter"}, "end of validity", SLUICE_INT, kC,
        kClientCertDone, kExt | SLUICE_DATE),
    Row({"tls_cert_expired", nullptr, nullptr}, "the validity has ended", SLUICE_BOOL, kC,
        kClientCertDone),
    Row({"tls_cert_valid", nullptr, nullptr}, "the validity has begun and not ended", SLUICE_BOOL,
        kC, kClientCertDone),
    Row({nullptr, nullptr, "client.certificate"}, "the client's certificate", SLUICE_BYTES, kC,
        kClientCertDone, kDer),
    Row({"tls.certs", nullptr, "client.chain"}, "DER bytes of each certificate", SLUICE_BYTES, kC,
        kClientCertDone, kDer | kMany),
    Row({"tls.cert_chain_len", nullptr, nullptr}, "certificates in the chain", SLUICE_UINT, kC,
        kClientCertDone),
    Row({"tls.store", nullptr, nullptr}, "keeps the certificates in files", SLUICE_BYTES, kC,
        kClientCertDone, kMany | SLUICE_STORE),

    Row({"tls.session_resumed", nullptr, "session_resumed"}, "resumed without a full handshake",
        SLUICE_BOOL, kS, kServerHandshakeDone),
    Row({"tls.sni", "tls_sni", "sni"}, "server name asked for", SLUICE_BYTES, kC,
        kClientHelloDone, kExt | SLUICE_DIMENSION),
    Row({nullptr, nullptr, "version"}, "version the server spoke", SLUICE_BYTES, kS,
        kServerHelloSeen, kExt | SLUICE_LOG_LAST | SLUICE_LOG_V7),
    Row({nullptr, nullptr, "version"}, "version spoken, the client's while the server is silent",
        SLUICE_BYTES, kS, kServerHelloSeen,
        kExt | SLUICE_LOG_LAST | SLUICE_LOG_V8 | SLUICE_DIMENSION),
    Row({nullptr, nullptr, "from_proto"}, "protocol that changed to TLS", SLUICE_BYTES, kC,
        kClientInProgress),
    Row({"tls.alpn", nullptr, "client_alpns"}, "protocols the client offers", SLUICE_BYTES, kC,
        kClientHelloDone, kExt | kMany | SLUICE_LOG_V8),
    Row({"tls.alpn", nullptr, "server_alpns"}, "protocol the server chose", SLUICE_BYTES, kS,
        kServerHelloSeen, kExt | kMany | SLUICE_LOG_V8),
    Row({"tls.ech", nullptr, "ech"}, "the client's hello is, or claims to be, encrypted",
        SLUICE_BOOL, kC, kClientHelloDone, kExt | SLUICE_LOG_V8),

    Row({"ja3.hash", "ja3_hash", "ja3.hash"}, "MD5 of the client's JA3 string", SLUICE_BYTES, kC,
        kClientHelloDone, kExt | SLUICE_ON_DEMAND | kLower),
    Row({"ja3.string", "ja3_string", "ja3.string"}, "JA3 string of the client", SLUICE_BYTES, kC,
        kClientHelloDone, kExt | SLUICE_ON_DEMAND),
    Row({"ja3s.hash", nullptr, "ja3s.hash"}, "MD5 of the server's JA3S string", SLUICE_BYTES, kS,
        kServerHelloSeen, kExt | SLUICE_ON_DEMAND | kLower),
    Row({"ja3s.string", nullptr, "ja3s.string"}, "JA3S string of the server", SLUICE_BYTES, kS,
        kServerHelloSeen, kExt | SLUICE_ON_DEMAND),
    Row({"ja4.hash", "ja4_hash", "ja4"}, "JA4 of the client", SLUICE_BYTES, kC, kClientHelloDone,
        SLUICE_OPTIONAL | SLUICE_ON_DEMAND | kLower),

    Row({nullptr, nullptr, "client_handshake.version"}, "highest version the client offers",
        SLUICE_BYTES, kC, kClientHelloDone, SLUICE_OPTIONAL),
    Row({nullptr, nullptr, "client_handshake.ciphers"}, "cipher suites the client offers",
        SLUICE_UINT, kC, kClientHelloDone, SLUICE_OPTIONAL | kMany),
    Row({nullptr, nullptr, "client_handshake.exts"}, "extensions of the client", SLUICE_UINT, kC,
        kClientHelloDone, SLUICE_OPTIONAL | kMany),
    Row({nullptr, nullptr, "client_handshake.sig_algs"}, "signature algorithms of the client",
        SLUICE_UINT, kC, kClientHelloDone, SLUICE_OPTIONAL | kMany),
    Row({nullptr, nullptr, "server_handshake.version"}, "version the server chose", SLUICE_BYTES,
        kS, kServerHelloSeen, SLUICE_OPTIONAL),
    Row({nullptr, nullptr, "server_handshake.cipher"}, "cipher suite the server chose",
        SLUICE_UINT, kS, kServerHelloSeen, SLUICE_OPTIONAL),
    Row({nullptr, nullptr, "server_handshake.exts"}, "extensions of the server", SLUICE_UINT, kS,
        kServerHelloSeen, SLUICE_OPTIONAL | kMany),

    Row({"ssl_version", nullptr, nullptr}, "version: sslv2, sslv3, tls1.0 ... tls1.3", SLUICE_ENUM,
        kC, kClientHelloDone, SLUICE_BITS, kSslVersions),
    Row({"ssl_version", nullptr, nullptr}, "version: sslv2, sslv3, tls1.0 ... tls1.3", SLUICE_ENUM,
        kS, kServerHelloSeen, SLUICE_BITS, kSslVersions),
    Row({"tls.version", nullptr, nullptr}, "version: 1.0, 1.1, 1.2, 1.3 or its number",
        SLUICE_ENUM, kC, kClientHelloDone, 0, kTlsVersions),
    Row({"tls.version", nullptr, nullptr}, "version: 1.0, 1.1, 1.2, 1.3 or its number",
        SLUICE_ENUM, kS, kServerHelloSeen, 0, kTlsVersions),
    Row({"ssl_state", nullptr, nullptr}, "messages seen: client_hello, server_hello ...",
        SLUICE_ENUM, kC, kClientFinished, SLUICE_BITS, kStates),
    Row({"ssl_state", nullptr, nullptr}, "messages seen: client_hello, server_hello ...",
        SLUICE_ENUM, kS, kServerFinished, SLUICE_BITS, kStates),
    Row({"tls.random", nullptr, nullptr}, "the 32 random bytes of a hello", SLUICE_BYTES, kB, 1),
    Row({"tls.random_time", nullptr, nullptr}, "first 4 of the random bytes", SLUICE_BYTES, kB, 1),
    Row({"tls.random_bytes", nullptr, nullptr}, "last 28 of the random bytes", SLUICE_BYTES, kB,
        1),
    Row({"tls.alert", nullptr, "alert"}, "description of an alert sent in the clear", SLUICE_UINT,
        kB, 1, SLUICE_OPTIONAL | kMany),

    Row({"tls.pdu", nullptr, nullptr}, "a record, but of application data", SLUICE_BYTES, kB, 0, kFrame),
    Row({"tls.hdr", nullptr, nullptr}, "the header of a record", SLUICE_BYTES, kB, 0, kFrame),
    Row({"tls.data", nullptr, nullptr}, "what a record holds, but application data", SLUICE_BYTES, kB,
        0, kFrame),
    Row({"tls.alert", nullptr, nullptr}, "what a record of an alert holds", SLUICE_BYTES, kB, 0, kFrame),
    Row({"tls.heartbeat", nullptr, nullptr}, "what a record of a heartbeat holds", SLUICE_BYTES, kB,
        0, kFrame),
};
static_assert(std::size(kFields) == kNumFields);

constexpr sluice_field_form Form(uint32_t field, const char* log_name,
                                 const char* content_keywords = nullptr,
                                 const char* pattern = nullptr, const char* suffix = nullptr) {
  return {field, 0, log_name, content_keywords, pattern, suffix, nullptr};
}
constexpr const char *kMd5Pattern = "[0-9a-f]{32}", *kColonPattern = "(?s).{1,2}|.*:.*",
                     *kSha1Pattern = "(?s).{2}:.{56}",
                     *kJa4Pattern = "(?s).{10}_.{12}_.{12}";

constexpr sluice_field_form kForms[] = {
    Form(kSubject, nullptr, "tls.subject"),
    Form(kIssuer, "issuer", "tls.issuerdn"),
    Form(kSerial, nullptr, nullptr, kColonPattern),
    Form(kFingerprint, nullptr, "tls.fingerprint", kSha1Pattern),
    Form(kNotBefore, "not_before"),
    Form(kNotAfter, "not_after"),
    Form(kPem, nullptr, nullptr, nullptr, "pem"),
    Form(kClientSubject, "client"),
    Form(kClientIssuer, "client"),
    Form(kClientSerial, "client"),
    Form(kClientFingerprint, "client"),
    Form(kClientNames, "client"),
    Form(kClientNotBefore, "client"),
    Form(kClientNotAfter, "client"),
    Form(kClientCertificate, "client_certificate"),
    Form(kClientChain, "client_chain"),
    Form(kFromProtocol, ""),
    Form(kJa3Hash, "ja3", nullptr, kMd5Pattern),
    Form(kJa3String, "ja3"),
    Form(kJa3sHash, "ja3s", nullptr, kMd5Pattern),
    Form(kJa3sString, "ja3s"),
    Form(kJa4, "ja4", nullptr, kJa4Pattern),
    Form(kHelloVersion, "client_handshake"),
    Form(kHelloCiphers, "client_handshake"),
    Form(kHelloExtensions, "client_handshake"),
    Form(kHelloSignatures, "client_handshake"),
    Form(kChoiceVersion, "server_handshake"),
    Form(kChoiceCipher, "server_handshake"),
    Form(kChoiceExtensions, "server_handshake"),
};

constexpr sluice_event kEvents[] = {
    {"invalid_sslv2_header", "an SSLv2 record header that cannot be"},
    {"invalid_tls_header", "behind the hello, a record of another protocol's version"},
    {"invalid_record_version", "a record of a version that does not exist"},
    {"invalid_record_type", "a record of a type that does not exist"},
    {"invalid_record_length", "a record of no bytes, or of more than 17 KiB"},
    {"invalid_handshake_message", "a handshake message of an unknown type or false length"},
    {"invalid_certificate", "a certificate list, or a certificate, longer than what holds it"},
    {"certificate_invalid_length", "a certificate with a part whose length is cut"},
    {"certificate_invalid_version", "a certificate whose version is no number"},
    {"certificate_invalid_serial", "a certificate without a usable serial number"},
    {"certificate_invalid_algorithmidentifier", "a certificate without a usable algorithm"},
    {"certificate_invalid_x509name", "a certificate with a name that does not hold"},
    {"certificate_invalid_date", "a certificate with a date that does not hold"},
    {"certificate_invalid_extensions", "a certificate whose extensions do not hold"},
    {"certificate_invalid_der", "a certificate that is not DER"},
    {"certificate_invalid_subject", "a certificate without a usable subject"},
    {"certificate_invalid_issuer", "a certificate without a usable issuer"},
    {"certificate_invalid_validity", "a certificate whose dates do not hold"},
    {"certificate_missing_element", "a certificate without a part it must have"},
    {"certificate_unknown_element", "a certificate with a part that may not stand there"},
    {"certificate_invalid_string", "a certificate with text that is not of its type"},
    {"error_message_encountered", "an SSLv2 error message"},
    {"invalid_ssl_record", "a record that contradicts itself"},
    {"heartbeat_message", "a heartbeat"},
    {"overflow_heartbeat_message", "a heartbeat that asks for more than it carries"},
    {"invalid_heartbeat_message", "a heartbeat of false type or padding, or out of turn"},
    {"dataleak_heartbeat_mismatch", "an encrypted heartbeat answered by a longer one"},
    {"multiple_sni_extensions", "more than one server name extension"},
    {"invalid_sni_type", "a server name of an unknown type"},
    {"invalid_sni_length", "an empty server name, or one longer than 255 bytes"},
    {"handshake_invalid_length", "a hello whose lengths contradict each other, or a message "
                                 "longer than 128 KiB"},
    {"too_many_records_in_packet", "records of less than 6 bytes on the average"},
    {"invalid_alert_message", "an alert of less than 2 bytes"},
    {"too_many_subject_alternative_names", "a certificate with more than 1024 names"},
};
static_assert(std::size(kEvents) == kNumEvents);

}  // namespace sluice::tls
