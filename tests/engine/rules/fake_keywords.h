// A KeywordSource with the fields that the public rule sets ask for.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/rules/keyword_source.h"

namespace sluice {

class FakeKeywords final : public KeywordSource {
 public:
  FakeKeywords() {
    for (const char* name :
         {"http.uri", "http.uri.raw", "http.method", "http.request_body", "http.host",
          "http.host.raw", "http.user_agent", "http.header", "http.header.raw",
          "http.header_names", "http.content_type", "http.request_line", "http.cookie",
          "http.content_len", "http.accept", "http.start", "http.referer", "http.connection",
          "http.accept_enc", "http.accept_lang", "http.protocol", "tls.sni", "ja3.hash",
          "ja3.string", "ssh.software", "ssh.proto", "rdp.cookie"}) {
      Add(name, 3);
    }
    for (const char* name : {"http.stat_code", "http.response_body", "http.location",
                             "http.server", "http.response_line", "http.stat_msg",
                             "tls.cert_subject", "tls.cert_issuer", "tls.cert_serial",
                             "tls.cert_fingerprint", "ja3s.hash"}) {
      Add(name, 2);
    }
    for (const char* name : {"dns.query", "tls.certs"}) Add(name, 3).repeated = true;
    Add("dns.opcode", 3).number = true;
    fields_["dns.opcode"].enum_names = {{0, "query"}, {4, "notify"}};
    Add("dns.rrtype", 3).number = true;
    fields_["dns.rrtype"].repeated = true;
    fields_["dns.rrtype"].enum_names = {{1, "A"}, {28, "AAAA"}};
    Add("tls.version", 3).number = true;
    fields_["tls.version"].enum_names = {
        {0x301, "1.0"}, {0x302, "1.1"}, {0x303, "1.2"}, {0x304, "1.3"}};
    for (const auto& [old, name] : std::map<std::string, std::string>{
             {"http_uri", "http.uri"}, {"http_raw_uri", "http.uri.raw"},
             {"http_method", "http.method"}, {"http_client_body", "http.request_body"},
             {"http_host", "http.host"}, {"http_user_agent", "http.user_agent"},
             {"http_header", "http.header"}, {"http_raw_header", "http.header.raw"},
             {"http_cookie", "http.cookie"}, {"http_stat_code", "http.stat_code"},
             {"http_stat_msg", "http.stat_msg"}, {"uricontent_field", "http.uri"},
             {"urilen_norm", "http.uri"}, {"urilen_raw", "http.uri.raw"}, {"pcre_U", "http.uri"}, {"pcre_I", "http.uri.raw"},
             {"pcre_P", "http.request_body"}, {"pcre_H", "http.header"},
             {"pcre_D", "http.header.raw"}, {"pcre_M", "http.method"},
             {"pcre_C", "http.cookie"}, {"pcre_S", "http.stat_code"},
             {"pcre_Y", "http.stat_msg"}, {"pcre_Q", "http.response_body"},
             {"pcre_V", "http.user_agent"}, {"pcre_W", "http.host"},
             {"pcre_Z", "http.host.raw"}}) {
      aliases_[old] = {name, true};
    }
    for (const auto& [old, name] : std::map<std::string, std::string>{
             {"http_content_type", "http.content_type"}, {"http_content_len", "http.content_len"},
             {"http_header_names", "http.header_names"}, {"http_start", "http.start"},
             {"http_protocol", "http.protocol"}, {"http_accept", "http.accept"},
             {"http_referer", "http.referer"}, {"http_request_line", "http.request_line"},
             {"dns_query", "dns.query"}, {"tls_sni", "tls.sni"}, {"ja3_hash", "ja3.hash"},
             {"tls_cert_subject", "tls.cert_subject"}, {"tls_cert_issuer", "tls.cert_issuer"},
             {"tls_cert_serial", "tls.cert_serial"}, {"ssh_proto", "ssh.proto"},
             {"ssh_software", "ssh.software"}}) {
      aliases_[old] = {name, false};
    }
  }

  const FieldKeyword* Find(std::string_view name) const override {
    bool modifier = false;
    std::string canonical(name);
    if (const auto it = aliases_.find(name); it != aliases_.end()) {
      std::tie(canonical, modifier) = it->second;
    }
    const auto it = fields_.find(canonical);
    if (it == fields_.end()) return nullptr;
    if (!modifier) return &it->second;
    FieldKeyword& field = modifiers_[canonical] = it->second;
    field.modifier = true;
    return &field;
  }
  std::vector<FieldKeyword> All() const override {
    std::vector<FieldKeyword> all;
    for (const auto& [name, field] : fields_) all.push_back(field);
    return all;
  }
  bool HasProtocol(std::string_view name) const override {
    static const std::set<std::string_view> kNames = {"http", "dns", "tls", "ssh", "rdp"};
    return kNames.contains(name);
  }
  bool HasEvent(std::string_view, std::string_view event) const override {
    return !event.starts_with("no_such");
  }

 private:
  FieldKeyword& Add(const std::string& name, uint8_t directions) {
    FieldKeyword& field = fields_[name];
    field.id = static_cast<uint16_t>(fields_.size());
    field.name = name;
    field.protocol = name.substr(0, name.find('.'));
    field.directions = directions;
    return field;
  }
  std::map<std::string, FieldKeyword, std::less<>> fields_;
  mutable std::map<std::string, FieldKeyword> modifiers_;
  std::map<std::string, std::pair<std::string, bool>, std::less<>> aliases_;
};

}  // namespace sluice
