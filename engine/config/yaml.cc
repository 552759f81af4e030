// Import of a suricata.yaml, as far as its keys mean something here.
#include <yaml.h>

#include <algorithm>
#include <cctype>

#include "engine/config/settings.h"

namespace sluice {

namespace {

constexpr int kMaxDepth = 32;
constexpr uint32_t kMaxNodes = 100'000;  // aliases can make a short file a long walk
constexpr std::string_view kEveTypes = "outputs.eve-log.types.";
constexpr std::string_view kEveAlert = "outputs.eve-log.types.alert.";

class Importer {
 public:
  Importer(std::string path, yaml_document_t* document, Options* options)
      : path_(std::move(path)), document_(document), options_(options) {}

  Result<void> Run() {
    const yaml_node_t* root = yaml_document_get_root_node(document_);
    if (root == nullptr) return {};
    return Walk(*root, "", 0);
  }

 private:
  Result<void> Walk(const yaml_node_t& node, const std::string& name, int depth) {
    if (depth > kMaxDepth) {
      return Fail(Errc::kInvalidArgument, "{}:{}: nested deeper than {}", path_, Line(node), kMaxDepth);
    }
    if (++num_nodes_ > kMaxNodes) {
      return Fail(Errc::kInvalidArgument, "{}:{}: more than {} values; do its aliases multiply?", path_,
                  Line(node), kMaxNodes);
    }
    if (node.type == YAML_SCALAR_NODE) return Scalar(node, name);
    if (node.type == YAML_MAPPING_NODE) {
      for (auto* pair = node.data.mapping.pairs.start; pair < node.data.mapping.pairs.top; ++pair) {
        const yaml_node_t* key = yaml_document_get_node(document_, pair->key);
        const yaml_node_t* value = yaml_document_get_node(document_, pair->value);
        if (key == nullptr || value == nullptr || key->type != YAML_SCALAR_NODE) continue;
        const std::string path = (name.empty() ? "" : name + ".") + Text(*key);
        NoteEveLog(path);
        NoteEveType(path);
        if (auto ok = Walk(*value, path, depth + 1); !ok) return ok;
      }
    } else if (node.type == YAML_SEQUENCE_NODE) {
      for (auto* item = node.data.sequence.items.start; item < node.data.sequence.items.top; ++item) {
        const yaml_node_t* value = yaml_document_get_node(document_, *item);
        if (value == nullptr) continue;
        // "- http2" in a list of types is one that has no options.
        if (value->type == YAML_SCALAR_NODE) NoteEveType(name + "." + Text(*value));
        if (auto ok = Walk(*value, name, depth + 1); !ok) return ok;
      }
    }
    return {};
  }

  EveLogOption& Eve() { return options_->eve_logs.back(); }

  // Each "eve-log" is a log of its own; the first takes the place of the default.
  void NoteEveLog(const std::string& path) {
    if (path != "outputs.eve-log") return;
    if (seen_eve_log_) options_->eve_logs.emplace_back();
    seen_eve_log_ = true;
    Eve().drop_alerts = Eve().tagged_packets = false;  // unless the file says so
  }

  // Listing types turns those not listed off.
  void NoteEveType(const std::string& path) {
    if (!path.starts_with(kEveTypes)) return;
    std::string type = path.substr(kEveTypes.size());
    if (type.empty() || type.find('.') != type.npos) return;
    if (Eve().all_types) {
      Eve().all_types = false;
      Eve().types.clear();
    }
    Eve().types.insert(type == "files" ? "fileinfo" : type);
    Eve().records[type]["extended"] = {"no"};  // unless the file says so
  }

  Result<void> Scalar(const yaml_node_t& node, const std::string& name) {
    const std::string value = Text(node);
    if (name == "suricata-version") {
      options_->compat = value.starts_with("7") ? 7 : 8;
      return {};
    }
    const bool of_type = std::ranges::count(name.substr(std::min(name.size(), kEveTypes.size())), '.') == 1;
    if (name.starts_with(kEveTypes) && name.ends_with(".enabled") && of_type) {
      const std::string type = name.substr(kEveTypes.size(), name.size() - kEveTypes.size() - 8);
      if (value == "no") Eve().types.erase(type == "files" ? "fileinfo" : type);
      return {};
    }
    if (name.starts_with(kEveTypes) && name.ends_with(".custom")) {
      const std::string type = name.substr(kEveTypes.size(), name.size() - kEveTypes.size() - 7);
      std::string field = type + "." + value;
      for (char& c : field) c = c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      Eve().optional_fields.push_back(field);
    }
    if (name.starts_with(kEveAlert) && name.ends_with("-body")) {  // of whichever protocol
      Eve().bodies = value == "yes" || value == "true";
      return {};
    }
    if (name.starts_with(kEveAlert) && name.ends_with("-body-printable")) {
      Eve().bodies_printable = value == "yes" || value == "true";
      return {};
    }
    if (name.starts_with(kEveTypes) && name.ends_with(".dump-all-headers")) {
      const std::string type = name.substr(kEveTypes.size(), name.find('.', kEveTypes.size()) - kEveTypes.size());
      for (const char* side : {"request", "response"}) {
        if (value == "both" || value == side) Eve().optional_fields.push_back(type + "." + side + "_headers");
      }
      return {};
    }
    if (name.starts_with(kEveTypes) && name.ends_with(".version") && of_type) {
      const std::string type = name.substr(kEveTypes.size(), name.size() - kEveTypes.size() - 8);
      Eve().records[type]["compat"] = {value == "2" ? "7" : "8"};  // of that record alone
      return {};
    }
    const auto done = ApplyScalar(options_, name, value, true);
    if (!done) {
      if (!options_->failure_fatal) {
        options_->ignored.push_back(name);
        return {};
      }
      return Fail(Errc::kInvalidArgument, "{}:{}: {}: {}", path_, Line(node), name, done.error().message);
    }
    if (!*done) options_->ignored.push_back(name);
    return {};
  }

  static std::string Text(const yaml_node_t& node) {
    return std::string(reinterpret_cast<const char*>(node.data.scalar.value), node.data.scalar.length);
  }
  static size_t Line(const yaml_node_t& node) { return node.start_mark.line + 1; }

  const std::string path_;
  yaml_document_t* document_;
  Options* options_;
  bool seen_eve_log_ = false;
  uint32_t num_nodes_ = 0;
};

}  // namespace

Result<void> ReadYaml(std::string_view text, const std::string& path, Options* options) {
  // What that file does not list has Suricata's own policy, not that of its stock file.
  options->host_os.clear();
  yaml_parser_t parser;
  yaml_document_t document;
  if (!yaml_parser_initialize(&parser)) return Fail(Errc::kOutOfMemory, "{}: no memory", path);
  yaml_parser_set_input_string(&parser, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  Result<void> result;
  if (!yaml_parser_load(&parser, &document)) {
    result = Fail(Errc::kInvalidArgument, "{}:{}: {}", path, parser.problem_mark.line + 1,
                  parser.problem ? parser.problem : "not YAML");
  } else {
    result = Importer(path, &document, options).Run();
    yaml_document_delete(&document);
  }
  yaml_parser_delete(&parser);
  return result;
}

}  // namespace sluice
