// SPDX-License-Identifier: Apache-2.0
// plugins/http2/upgrade.h - the HTTP/1 request that became HTTP/2's stream 1 (RFC 7540 §3.2).
//
// Memory: copies of at most one request's head.  Threads: none of its own.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <sluice/plugin.hpp>

namespace http2 {

struct UpgradeRequest {
  struct Field {
    std::string name, value;  // the name as sent, not in lower case
  };
  std::string method, target;
  std::vector<Field> fields;
  // The value of HTTP2-Settings (RFC 7540 §3.2.1); null: there is none.
  const std::string* settings() const;
};

// A request line and its headers as they were sent: what http gives along; nullopt if it is none.
std::optional<UpgradeRequest> ParseUpgradeRequest(sluice::View head);

// RFC 4648 §5, with or without padding; false if it is something else.
bool DecodeBase64Url(sluice::View text, std::string* out);

}  // namespace http2
