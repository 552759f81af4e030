// SPDX-License-Identifier: Apache-2.0
// plugins/tls/fingerprint.h - JA3, JA3S and JA4 of a hello.
//
// Threads: pure functions.  Memory: text is put into the caller's strings.
#pragma once

#include <string>

#include "plugins/tls/hello.h"

namespace sluice::tls {

// "771,4865-4866,0-23-65281,29-23,0": version, ciphers, extensions, groups, point formats.
void Ja3Text(const Hello& client, std::string* out);
// "771,4865,51-43": version, cipher, extensions.
void Ja3sText(const Hello& server, std::string* out);
// "t13d1516h2_8daaf6152771_b186095e22b6" (FoxIO's JA4, TCP).
void Ja4Text(const Hello& client, std::string* out);

// Lower-case hex.
void Md5Hex(View text, std::string* out);

}  // namespace sluice::tls
