// SPDX-License-Identifier: Apache-2.0
// plugins/smtp/fields.h - what a mail transaction consists of: the plug-in's one table.
//
// Names of keywords, log keys and events are those of Suricata 8.
#pragma once

#include <iterator>

#include <sluice/plugin.h>

namespace smtp {

enum Field : uint32_t {
  kHelo, kMailFrom, kRcptTo, kEmail, kStatus, kFrom, kFromLog, kTo, kToLog, kCc, kCcLog, kSubject, kDate, kMessageId,
  kXMailer, kReceived, kAttachment, kUrl, kNumFields
};
enum Stage : uint32_t { kStarted, kEnvelope, kComplete };

inline constexpr uint32_t kReq = SLUICE_DIR_TO_SERVER;
#define ROW(keyword, log, help, type, flags, stage) \
  {keyword, nullptr, nullptr, log, help, type, flags, kReq, stage, nullptr, nullptr}
inline constexpr sluice_field kFields[] = {
    ROW("smtp.helo", "helo", "how the client names itself", SLUICE_BYTES, SLUICE_DIMENSION, kEnvelope),
    ROW("smtp.mail_from", "mail_from", "sender in the envelope", SLUICE_BYTES, 0, kEnvelope),
    ROW("smtp.rcpt_to", "rcpt_to", "a recipient in the envelope", SLUICE_BYTES, SLUICE_REPEATED, kEnvelope),
    ROW(nullptr, "email", "what the mail says", SLUICE_GROUP, SLUICE_BESIDE, kComplete),
    ROW(nullptr, "status", "how far the mail was read", SLUICE_BYTES, SLUICE_LOG_LAST, kComplete),
    ROW("email.from", nullptr, "From header", SLUICE_BYTES, 0, kComplete),
    ROW(nullptr, "from", "From header", SLUICE_BYTES, 0, kComplete),
    ROW("email.to", nullptr, "To header", SLUICE_BYTES, 0, kComplete),
    ROW(nullptr, "to", "an address of the To header", SLUICE_BYTES, SLUICE_REPEATED, kComplete),
    ROW("email.cc", nullptr, "Cc header", SLUICE_BYTES, 0, kComplete),
    ROW(nullptr, "cc", "an address of the Cc header", SLUICE_BYTES, SLUICE_REPEATED, kComplete),
    ROW("email.subject", "subject", "Subject header", SLUICE_BYTES, SLUICE_OPTIONAL, kComplete),
    ROW("email.date", "date", "Date header", SLUICE_BYTES, SLUICE_OPTIONAL, kComplete),
    ROW("email.message_id", "message_id", "Message-ID header", SLUICE_BYTES, SLUICE_OPTIONAL, kComplete),
    ROW("email.x_mailer", "x_mailer", "X-Mailer header", SLUICE_BYTES, SLUICE_OPTIONAL, kComplete),
    ROW("email.received", "received", "a Received header", SLUICE_BYTES, SLUICE_OPTIONAL | SLUICE_REPEATED, kComplete),
    ROW(nullptr, "attachment", "name of an attached file", SLUICE_BYTES, SLUICE_REPEATED, kComplete),
    ROW("email.url", "url", "a web address in a text of the mail, without its scheme", SLUICE_BYTES, SLUICE_REPEATED, kComplete),
};
#undef ROW
static_assert(std::size(kFields) == kNumFields);

enum Event : uint32_t {
  kInvalidReply, kUnmatchedReply, kLongCommand, kLongReply, kInvalidPipelining, kBdatLength, kNoWelcome, kTlsRejected,
  kDataRejected, kMimeParseFailed, kMimeMalformed, kMimeInvalidBase64, kMimeInvalidQp, kMimeLongLine, kMimeLongEncLine,
  kMimeLongHeaderName, kMimeLongHeaderValue, kMimeLongBoundary, kMimeLongFilename, kDuplicateFields, kUnparsableContent,
  kTruncatedLine, kMimeTooDeep, kMimeTooManyHeaders, kMimeTooManyUrls, kTooManyCommands, kNumEvents
};
inline constexpr sluice_event kEvents[] = {
    {"invalid_reply", "a reply without a code, or a greeting other than 220"},
    {"unable_to_match_reply_with_request", "a reply to nothing"},
    {"max_command_line_len_exceeded", "a command line longer than 64 KiB"},
    {"max_reply_line_len_exceeded", "a reply line longer than is read"},
    {"invalid_pipelined_sequence", "a command sent before STARTTLS was answered"},
    {"bdat_chunk_len_exceeded", "BDAT without a size that could be"},
    {"no_server_welcome_message", "the client speaks before the server has"},
    {"tls_rejected", "STARTTLS was refused"},
    {"data_command_rejected", "DATA was refused"},
    {"mime_parse_failed", "a mail that ended within a part's headers"},
    {"mime_malformed_msg", "a header line without a colon"},
    {"mime_invalid_base64", "characters that are not base64's"},
    {"mime_invalid_qp", "quoted-printable with an equals sign before no hexadecimal digits"},
    {"mime_long_line", "a line of a mail longer than 998 bytes"},
    {"mime_long_enc_line", "an encoded line longer than 76 bytes"},
    {"mime_long_header_name", "a header's name longer than 75 bytes"},
    {"mime_long_header_value", "a header's value longer than is read"},
    {"mime_long_boundary", "a boundary longer than 254 bytes"},
    {"mime_long_filename", "a file's name longer than is kept"},
    {"duplicate_fields", "a second HELO, or MAIL FROM of one mail"},
    {"unparsable_content", "DATA again before the mail has ended"},
    {"truncated_line", "a command line longer than is read"},
    {"mime_too_deep", "parts within parts, deeper than is read"},
    {"mime_too_many_headers", "a mail with more headers than are read"},
    {"mime_too_many_urls", "a mail with more web addresses than are kept"},
    {"too_many_commands", "more commands without a reply than are remembered"},
};
static_assert(std::size(kEvents) == kNumEvents);
inline constexpr const char* kRequestStages[] = {"started", "envelope", "complete"};
inline constexpr const char* kReplyStages[] = {"started", "complete"};
inline constexpr uint32_t kReplyComplete = 1;

}  // namespace smtp
