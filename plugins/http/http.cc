// SPDX-License-Identifier: Apache-2.0
// plugins/http/http.cc - the plug-in: options, probe, exported struct.
//
// HTTP/0.9 to 1.1 (RFC 9110, RFC 9112).  connection.h has the protocol, fields.h the
// schema.
#include <sluice/plugin.hpp>

#include "connection.h"

namespace http {
namespace {

// plugins.http.<key>; the name that Suricata's configuration has is accepted too.
void ReadOption(const char* key, uint64_t* value) {
  const std::string foreign = std::string("libhtp.default-config.") + key;
  for (const char* name : {key, foreign.c_str()}) {
    const char* text = sluice::host->option(name);
    if (text == nullptr) continue;
    const View view(text);
    const size_t digits = view.find_first_not_of("0123456789");
    uint64_t number = 0;
    if (!ToNumber(view.substr(0, digits), &number)) continue;
    const View unit = digits == View::npos ? View() : Trim(view.substr(digits));
    const unsigned shift = StartsWithNoCase(unit, "k") ? 10 : StartsWithNoCase(unit, "m") ? 20 : StartsWithNoCase(unit, "g") ? 30 : 0;
    *value = number << shift;
    return;
  }
}
bool ReadFlag(const char* key) {
  const std::string foreign = std::string("libhtp.default-config.") + key;
  for (const char* name : {key, foreign.c_str()}) {
    const char* text = sluice::host->option(name);
    if (text != nullptr) return View(text) == "yes" || View(text) == "true" || View(text) == "1";
  }
  return false;
}

}  // namespace

int32_t Connection::Init() {
  Limits limits;
  uint64_t layers = limits.coding.layers;
  ReadOption("meta-field-limit", &limits.line_bytes);
  ReadOption("header-limit", &limits.header_bytes);
  ReadOption("headers-limit", &limits.headers);
  ReadOption("max-tx", &limits.open_exchanges);
  ReadOption("request-body-limit", &limits.file_bytes[SLUICE_TO_SERVER]);
  ReadOption("response-body-limit", &limits.file_bytes[SLUICE_TO_CLIENT]);
  ReadOption("response-body-decompress-layer-limit", &layers);
  ReadOption("compression-bomb-limit", &limits.coding.bomb_bytes);
  ReadOption("lzma-memlimit", &limits.coding.lzma_memory);
  limits.coding.layers = static_cast<uint32_t>(layers);
  if (ReadFlag("lzma-enabled")) limits.coding.lzma_layers = 1;
  limits.normalise.double_decode_path = ReadFlag("double-decode-path");
  limits.normalise.double_decode_query = ReadFlag("double-decode-query");
  limits.line_bytes = std::clamp<uint64_t>(limits.line_bytes, 64, 512 * 1024);
  limits.open_exchanges = std::clamp<uint64_t>(limits.open_exchanges, 1, Exchanges::kMostKept - 2);
  limits_ = limits;
  return 0;
}

int32_t Connection::Probe(const sluice_probe_input& input) {
  View head = sluice::ToView(input.head);
  while (!head.empty() && (head[0] == '\r' || head[0] == '\n')) head.remove_prefix(1);
  if (head.empty()) return SLUICE_PROBE_MAYBE;
  if (input.direction == SLUICE_TO_CLIENT) {
    constexpr View kReply = "HTTP/1.";
    if (head.starts_with(kReply)) return SLUICE_PROBE_YES;
    return kReply.starts_with(head) ? SLUICE_PROBE_MAYBE : SLUICE_PROBE_NO;
  }
  // A word, a blank, and for words we do not know the version at the end of the line.
  size_t word = 0;
  while (word < head.size() && ((head[word] >= 'A' && head[word] <= 'Z') || head[word] == '_' || head[word] == '-')) ++word;
  if (word == 0 || word > 32) return SLUICE_PROBE_NO;
  if (word == head.size()) return SLUICE_PROBE_MAYBE;
  if (!IsBlank(head[word])) return SLUICE_PROBE_NO;
  const View method = head.substr(0, word);
  if (method != "PRI" && MethodOf(method) != Method::kUnknown) return SLUICE_PROBE_YES;
  const size_t end = head.find('\n');
  if (end == View::npos) return head.size() < 2048 ? SLUICE_PROBE_MAYBE : SLUICE_PROBE_NO;
  return head.substr(0, end).find(" HTTP/1.") != View::npos ? SLUICE_PROBE_YES : SLUICE_PROBE_NO;
}

}  // namespace http

extern "C" SLUICE_EXPORT constexpr sluice_plugin sluice_plugin_v1 =
    sluice::MakePlugin<http::Connection>("http", "Hypertext Transfer Protocol 1.0 and 1.1")
        .Version("1.0").Aliases("http1").Ports("tcp/80 tcp/8080").LogSource(SLUICE_LOG_UPPER_EVENTS).Fields(http::kFields)
        .Events(http::kEvents).Stages(http::kRequestStages, http::kResponseStages);
