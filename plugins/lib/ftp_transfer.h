// SPDX-License-Identifier: Apache-2.0
// plugins/lib/ftp_transfer.h - what the control connection tells of a data connection: the
// context that ftp announces a flow with and ftp-data reads.
//
// Layout: the command's letter, the direction of the file in the data connection, the file's name.
#pragma once

#include <optional>
#include <string>

#include <sluice/plugin.hpp>

namespace sluice {

struct FtpTransfer {
  static constexpr size_t kMaxName = 1022;  // bytes: an expectation's context has 1 KiB
  enum Command : char { kRetrieve = 'R', kStore = 'S' };

  Command command = kRetrieve;
  uint32_t direction = SLUICE_TO_SERVER;  // whose packets carry the file
  View name;

  std::string Pack() const {
    std::string out{static_cast<char>(command), static_cast<char>(direction)};
    return out.append(name.substr(0, kMaxName));
  }
  static std::optional<FtpTransfer> Unpack(View context) {
    if (context.size() < 2 || (context[0] != kRetrieve && context[0] != kStore) ||
        static_cast<uint8_t>(context[1]) > 1) {
      return {};
    }
    return FtpTransfer{static_cast<Command>(context[0]), static_cast<uint8_t>(context[1]), context.substr(2)};
  }
};

}  // namespace sluice
