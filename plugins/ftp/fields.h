// SPDX-License-Identifier: Apache-2.0
// plugins/ftp/fields.h - what an FTP exchange consists of: the plug-in's one table.
//
// Names of keywords, log keys and events are those of Suricata 8.
#pragma once

#include <iterator>

#include <sluice/plugin.h>

namespace ftp {

enum Field : uint32_t {
  kCommand, kCommandData, kPassword, kCommandTruncated, kReply, kCompletionCode, kDynamicPort, kMode,
  kReplyReceived, kReplyTruncated, kBounce, kNumFields
};
enum Stage : uint32_t { kStarted, kComplete };

inline constexpr uint32_t kReq = SLUICE_DIR_TO_SERVER, kRes = SLUICE_DIR_TO_CLIENT, kAny = SLUICE_DIR_BOTH;
inline constexpr sluice_enum_name kModes[] = {{0, "passive"}, {1, "active"}, {0, nullptr}};
inline constexpr sluice_enum_name kYesNo[] = {{0, "no"},  {0, "off"}, {0, "false"}, {1, "yes"},
                                              {1, "on"},  {1, "true"}, {0, nullptr}};
inline constexpr sluice_field kFields[] = {
    {"ftp.command", nullptr, nullptr, "command", "command, in upper case", SLUICE_BYTES,
     SLUICE_DIMENSION, kReq, kComplete, nullptr, nullptr},
    {"ftp.command_data", nullptr, nullptr, "command_data", "what stands behind the command", SLUICE_BYTES, 0, kReq,
     kComplete, nullptr, nullptr},
    {"ftp.command_data", nullptr, nullptr, nullptr, "a password, where it is to be kept secret", SLUICE_BYTES,
     SLUICE_SECRET, kReq, kComplete, nullptr, nullptr},
    {nullptr, nullptr, nullptr, "command_truncated", "the line was longer than is read", SLUICE_BOOL, SLUICE_LOG_FALSE,
     kReq, kComplete, nullptr, nullptr},
    {"ftp.reply", nullptr, nullptr, "reply", "a line of the reply, without its code", SLUICE_BYTES, SLUICE_REPEATED,
     kRes, kComplete, nullptr, nullptr},
    {"ftp.completion_code", nullptr, nullptr, "completion_code", "the three digits of a line of the reply", SLUICE_BYTES,
     SLUICE_REPEATED, kRes, kComplete, nullptr, nullptr},
    {"ftp.dynamic_port", nullptr, nullptr, "dynamic_port", "port that the data connection will go to", SLUICE_UINT, 0,
     kAny, kComplete, nullptr, nullptr},
    {"ftp.mode", nullptr, nullptr, "mode", "who will begin the data connection: the server (active), the client (passive)",
     SLUICE_ENUM, 0, kAny, kComplete, kModes, nullptr},
    {"ftp.reply_received", nullptr, nullptr, "reply_received", "whether the command was answered", SLUICE_ENUM, 0, kRes,
     kComplete, kYesNo, nullptr},
    {nullptr, nullptr, nullptr, "reply_truncated", "a line or lines of the reply were not read", SLUICE_BOOL,
     SLUICE_LOG_FALSE, kRes, kComplete, nullptr, nullptr},
    {"ftpbounce", nullptr, nullptr, nullptr, "a data connection is to go to another host than the client", SLUICE_BOOL,
     0, kReq, kComplete, nullptr, nullptr},
};
static_assert(std::size(kFields) == kNumFields);

enum Event : uint32_t { kRequestTooLong, kResponseTooLong, kTooManyWaiting };
inline constexpr sluice_event kEvents[] = {
    {"request_command_too_long", "a command line longer than is read"},
    {"response_command_too_long", "a reply line longer than is read"},
    {"too_many_transactions", "more commands without a reply than are kept"},
};
inline constexpr const char* kStages[] = {"started", "complete"};

}  // namespace ftp
