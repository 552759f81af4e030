// Rules to tables: ranks, confirm programs, engines; see placement.h for where they go.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <tuple>

#include <xxhash.h>

#include "engine/match/evaluation_order.h"
#include "engine/match/placement.h"
#include "engine/match/program.h"

namespace sluice {
namespace {

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <typename... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

bool ReadsVariable(const BufferTest& test) {
  const auto is = [](const Number& n) { return n.variable >= 0; };
  const auto opt = [&](const std::optional<Number>& n) { return n && is(*n); };
  return std::visit(
      Overloaded{[&](const ContentTest& t) {
                   return opt(t.offset) || opt(t.depth) || opt(t.distance) || opt(t.within);
                 },
                 [&](const IsDataAtTest& t) { return is(t.offset); },
                 [&](const ByteTest& t) { return is(t.num_bytes) || is(t.value) || is(t.offset); },
                 [&](const ByteJump& t) { return is(t.num_bytes) || is(t.offset); },
                 [&](const ByteExtract& t) { return is(t.offset); },
                 [&](const ByteMath& t) { return is(t.offset) || is(t.rvalue); },
                 [](const auto&) { return false; }},
      test);
}

bool IsRelative(const BufferTest& test) {
  return std::visit(
      Overloaded{[](const ContentTest& t) { return t.distance || t.within; },
                 [](const SizeTest&) { return false; }, [](const DatasetTest&) { return false; },
                 [](const EntropyTest&) { return false; },
                 [](const auto& t) { return t.relative; }},
      test);
}

bool MovesAnchor(const BufferTest& test) {
  if (const auto* c = std::get_if<ContentTest>(&test)) return !c->negated;
  if (const auto* p = std::get_if<PcreTest>(&test)) return !p->negated;
  return std::holds_alternative<ByteJump>(test) || std::holds_alternative<ByteExtract>(test) ||
         std::holds_alternative<ByteMath>(test);
}

// Whether what the test at `index` found matters to a later one.
bool AnchorIsUsed(const std::vector<BufferTest>& tests, size_t index) {
  for (size_t j = index + 1; j < tests.size(); ++j) {
    if (IsRelative(tests[j])) return true;
    if (MovesAnchor(tests[j])) return false;
  }
  return false;
}

class Compiler {
 public:
  Compiler(RuleProgram::Impl& out, const CompileOptions& options) : out_(out), options_(options), placement_(out, options) {}

  Result<void> Run() {
    out_.chains.emplace_back();
    out_.reputation = options_.reputation;
    for (const std::string& name : out_.rules.xbit_names) {
      uint64_t h = 0xcbf29ce484222325u;  // FNV-1a
      for (const char c : name) h = (h ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
      out_.xbit_keys.push_back(h);
    }
    for (const KeywordInfo& keyword : options_.keywords)
      out_.keyword_directions.push_back(keyword.directions);
    for (int d = 0; d < 2; ++d) {
      out_.always_fields[d].resize(options_.schemas.size() + 1);
      out_.keyword_stage[d].resize(options_.keywords.size());
      for (size_t k = 0; k < options_.keywords.size(); ++k)
        out_.keyword_stage[d][k] = options_.keywords[k].stage[d];
    }
    std::vector<std::pair<EvaluationOrder, uint32_t>> order;
    for (uint32_t i = 0; i < out_.rules.rules.size(); ++i) {
      order.emplace_back(OrderOf(out_.rules.rules[i], options_.action_order), i);
    }
    std::sort(order.begin(), order.end());
    out_.rank_of.assign(out_.rules.rules.size(), UINT32_MAX);
    for (const auto& [key, i] : order) {
      if (auto added = AddRule(out_.rules.rules[i]); !added) {
        const Rule& rule = out_.rules.rules[i];
        out_.problems.push_back(
            {RuleProblem::Severity::kError, rule.place, 0, rule.sid, added.error().message});
      } else {
        out_.rank_of[i] = static_cast<uint32_t>(out_.compiled.size() - 1);
      }
    }
    return Finish();
  }

 private:
  Result<void> AddRule(const Rule& rule) {
    CompiledRule c;
    c.rule = &rule;
    c.transactional = rule.header.transactional;
    c.any_app = rule.header.app_protocol.empty();
    out_.has_tags |= !rule.tags.empty();
    out_.counts_ports |= rule.detection_filter && rule.detection_filter->unique != Threshold::Unique::kNone;
    c.apps = SchemaIds(rule.header.app_protocol);
    c.sources = AddressSetId(rule.header.source);
    c.destinations = AddressSetId(rule.header.destination);
    c.source_ports = PortSetId(rule.header.source_ports);
    c.destination_ports = PortSetId(rule.header.destination_ports);
    if (rule.num_variables > kMaxVariables) {
      return Fail(Errc::kInvalidArgument, "{} byte variables; at most {} in a rule",
                  rule.num_variables, kMaxVariables);
    }
    for (const FlowCondition& condition : rule.flow_conditions) {
      if (const auto* flow = std::get_if<FlowTest>(&condition)) {
        if (flow->to_server != flow->to_client) c.directions &= flow->to_server ? 1 : 2;
        if (flow->to_server || flow->to_client) c.flow_direction = true;
      }
      if (std::holds_alternative<AppEventTest>(condition)) c.has_event = true;
      if (std::holds_alternative<AppStateTest>(condition)) c.has_state = true;
      if (const auto* bit = std::get_if<XbitTest>(&condition)) {
        c.needs_transaction |= bit->track == XbitTest::Track::kTransaction;
      }
    }
    for (const PacketTest& test : rule.packet_tests) {
      if (const auto* e = std::get_if<DecodeEventTest>(&test)) c.events.push_back(EventId(e->name));
      if (const auto* e = std::get_if<StreamEventTest>(&test)) c.events.push_back(EventId(e->name));
      if (std::holds_alternative<CountryTest>(test)) {
        if (auto ready = OpenCountries(); !ready) return ready;
      }
    }
    if (rule.header.hook) {
      c.has_state = true;
      c.directions &= static_cast<uint8_t>(1u << rule.header.hook->direction);
    }
    if (auto done = AddInspections(rule, &c); !done) return done;
    if (auto done = AddFileTests(rule, &c); !done) return done;
    for (const NumberInspection& n : rule.numbers) {
      if (!c.transactional) c.directions &= KeywordDirections(n.keyword);
      Want(n.keyword);
    }
    for (const StoredField& field : rule.stored) Want(field.keyword);
    Classify(rule, &c);
    if (c.directions == 0) {
      return Fail(Errc::kInvalidArgument,
                  "its fields and flow directions exclude each other; it can never match");
    }
    placement_.Place(c, static_cast<uint32_t>(out_.compiled.size()));
    out_.compiled.push_back(std::move(c));
    return {};
  }

  Result<void> OpenCountries() {
    if (out_.countries) return {};
    if (options_.geo_database.empty()) {
      return Fail(Errc::kInvalidArgument, "geoip: no database is named; set rules.geoip-database to a MaxMind file");
    }
    auto opened = GeoDatabase::Open(options_.geo_database);
    if (!opened) return std::unexpected(opened.error());
    out_.countries = std::move(*opened);
    return {};
  }

  uint8_t KeywordDirections(uint16_t keyword) const {
    return keyword < options_.keywords.size() ? options_.keywords[keyword].directions : 3;
  }
  void Want(uint16_t keyword) {
    if (keyword >= out_.wanted.size()) out_.wanted.resize(keyword + 1u);
    out_.wanted[keyword] = true;
  }

  Result<void> AddInspections(const Rule& rule, CompiledRule* c) {
    ConfirmProgram* decoder = nullptr;  // of the last base64_decode seen
    for (const Inspection& inspection : rule.inspections) {
      if (inspection.kind == BufferKind::kBase64) {
        if (!decoder)
          return Fail(Errc::kInvalidArgument, "base64_data without base64_decode before it");
        if (auto done = AddOps(inspection, decoder, nullptr, c); !done) return done;
        continue;
      }
      CompiledInspection ci;
      ci.inspection = &inspection;
      ci.kind = inspection.kind;
      ci.absent = inspection.absent;
      ci.header = inspection.header;
      if (inspection.kind == BufferKind::kField) {
        ci.keyword = inspection.keyword;
        ci.directions = KeywordDirections(inspection.keyword);
        Want(inspection.keyword);
      }
      ci.directions &= inspection.side;
      if (!c->transactional) c->directions &= ci.directions;
      auto chain = ChainId(inspection.transforms);
      if (!chain) return std::unexpected(chain.error());
      ci.chain = *chain;
      if (auto done = AddOps(inspection, &ci.confirm, &decoder, c); !done) return done;
      for (const BufferTest& test : inspection.tests) {
        if (const auto* t = std::get_if<ContentTest>(&test))
          ci.anchored |= t->offset || t->depth || t->starts_with;
        ci.of_packet |= std::holds_alternative<Asn1Test>(test);
      }
      const bool payload = ci.kind == BufferKind::kPayload || ci.kind == BufferKind::kHeader;
      if (ci.kind == BufferKind::kPayload) c->has_payload = true;
      (payload ? c->payload : c->fields).push_back(std::move(ci));
    }
    // The dearest last, unless a buffer behind it wants a number that was taken out of it.
    if (rule.num_variables == 0) {
      std::ranges::stable_partition(c->fields, [](const CompiledInspection& f) { return f.kind != BufferKind::kFileMagic; });
    }
    return {};
  }

  Result<void> AddFileTests(const Rule& rule, CompiledRule* c) {
    c->on_files = rule.OnFiles();
    out_.wants_of_files.keep |= rule.file_keep.has_value();
    for (const FileTest& test : rule.file_tests) {
      CompiledFileTest& compiled = c->file_tests.emplace_back();
      compiled.test = &test;
      const auto* hash = std::get_if<FileHashTest>(&test);
      if (!hash) continue;
      auto list = HashListOf(*hash, std::filesystem::path(rule.place.file).parent_path());
      if (!list) return std::unexpected(list.error());
      compiled.list = *list;
      FileWants& wants = out_.wants_of_files;
      (hash->hash == FileHash::kMd5    ? wants.md5
       : hash->hash == FileHash::kSha1 ? wants.sha1
                                       : wants.sha256) = true;
    }
    return {};
  }

  // Beside the rule file, else below data_dir.
  Result<const HashList*> HashListOf(const FileHashTest& test, const std::filesystem::path& directory) {
    std::error_code failure;
    std::filesystem::path path = directory / test.list;
    if (!std::filesystem::exists(path, failure)) path = std::filesystem::path(options_.data_dir) / test.list;
    const auto key = std::pair(path.string(), test.hash);
    const auto known = out_.hash_lists.find(key);
    if (known != out_.hash_lists.end()) return &known->second;
    auto list = HashList::Load(key.first, test.hash);
    if (!list) return std::unexpected(list.error());
    return &out_.hash_lists.emplace(key, std::move(*list)).first->second;
  }

  Result<void> AddOps(const Inspection& inspection, ConfirmProgram* program,
                      ConfirmProgram** decoder, CompiledRule* c) {
    for (size_t i = 0; i < inspection.tests.size(); ++i) {
      const BufferTest& test = inspection.tests[i];
      Op op;
      op.test = &test;
      op.kind = static_cast<Op::Kind>(KindOf(test));
      op.relative = IsRelative(test);
      op.independent = !op.relative && !ReadsVariable(test);
      op.retry = MovesAnchor(test) && AnchorIsUsed(inspection.tests, i);
      if (const auto* t = std::get_if<ContentTest>(&test)) {
        op.negated = t->negated;
        program->needs_end |= t->ends_with;
      }
      if (const auto* t = std::get_if<IsDataAtTest>(&test)) program->needs_end |= t->negated;
      if (std::holds_alternative<SizeTest>(test)) program->needs_end = true;
      if (const auto* t = std::get_if<EntropyTest>(&test)) program->needs_end |= t->bytes == 0;
      if (const auto* t = std::get_if<PcreTest>(&test)) {
        op.negated = t->negated;
        auto regex = RegexFor(*t, op.retry, c);
        if (!regex) return std::unexpected(regex.error());
        op.regex = *regex;
        if (std::vector<Capture> captures = CapturesOf(*t); !captures.empty()) {
          c->captures = true;
          op.captures = out_.captures.emplace_back(std::make_unique<const std::vector<Capture>>(std::move(captures))).get();
        }
      }
      if (const auto* t = std::get_if<DatasetTest>(&test)) {
        if (!options_.datasets) return Fail(Errc::kUnsupported, "no place for datasets is given");
        auto set = options_.datasets->Open(t->set, std::filesystem::path(c->rule->place.file).parent_path());
        if (!set) return std::unexpected(set.error());
        op.dataset = set->get();
        out_.datasets.push_back(std::move(*set));
        program->needs_end = true;  // the whole buffer is looked up
      }
      if (std::holds_alternative<Base64Decode>(test)) {
        if (!decoder) return Fail(Errc::kUnsupported, "base64_decode inside base64_data");
        out_.decoded.push_back(std::make_unique<ConfirmProgram>());
        *decoder = out_.decoded.back().get();
        op.decoded = *decoder;
      }
      program->ops.push_back(op);
    }
    return {};
  }

  static Op::Kind KindOf(const BufferTest& test) {
    return std::visit(Overloaded{[](const ContentTest&) { return Op::Kind::kContent; },
                                 [](const PcreTest&) { return Op::Kind::kRegex; },
                                 [](const IsDataAtTest&) { return Op::Kind::kIsDataAt; },
                                 [](const ByteTest&) { return Op::Kind::kByteTest; },
                                 [](const ByteJump&) { return Op::Kind::kByteJump; },
                                 [](const ByteExtract&) { return Op::Kind::kExtract; },
                                 [](const ByteMath&) { return Op::Kind::kMath; },
                                 [](const SizeTest&) { return Op::Kind::kSize; },
                                 [](const Base64Decode&) { return Op::Kind::kBase64; },
                                 [](const DatasetTest&) { return Op::Kind::kDataset; },
                                 [](const EntropyTest&) { return Op::Kind::kEntropy; },
                                 [](const Asn1Test&) { return Op::Kind::kAsn1; }},
                      test);
  }

  Result<const Regex*> RegexFor(const PcreTest& test, bool needs_position, CompiledRule* c) {
    std::string key = test.pattern;
    for (bool flag :
         {test.caseless, test.dot_all, test.multi_line, test.extended, test.anchored,
          test.dollar_end_only, test.ungreedy, needs_position, !test.captures.empty()}) {
      key += flag ? '1' : '0';
    }
    auto [it, added] = regex_by_key_.try_emplace(std::move(key), nullptr);
    if (added) {
      auto compiled = Regex::Compile(test, needs_position, options_.pcre_match_limit,
                                     options_.pcre_depth_limit, options_.cache);
      if (!compiled) {
        regex_by_key_.erase(it);
        return std::unexpected(compiled.error());
      }
      it->second = compiled->get();
      out_.regexes.push_back(std::move(*compiled));
      auto& s = out_.summary;
      ++(it->second->engine() == RegexEngine::kHyperscan ? s.regex_hyperscan
         : it->second->engine() == RegexEngine::kRe2     ? s.regex_re2
                                                         : s.regex_pcre2);
    }
    if (it->second->engine() > c->engine) {
      c->engine = it->second->engine();
      c->engine_reason = it->second->reason();
    }
    return it->second;
  }

  // ------------------------------------------------------------- tables

  std::vector<uint16_t> SchemaIds(std::string_view name) const {
    std::vector<uint16_t> ids;
    for (size_t i = 0; i < options_.schemas.size(); ++i) {
      const auto& names = options_.schemas[i];
      if (std::find(names.begin(), names.end(), name) != names.end())
        ids.push_back(static_cast<uint16_t>(i));
    }
    return ids;
  }
  uint16_t EventId(const std::string& name) {
    return static_cast<uint16_t>(
        out_.event_ids.try_emplace(name, static_cast<int>(out_.event_ids.size())).first->second);
  }
  Result<uint16_t> ChainId(const std::vector<Transform>& transforms) {
    if (transforms.empty()) return uint16_t{0};
    std::string key;
    for (const Transform& t : transforms) key += t.name + "\1" + t.argument + "\2";
    if (auto it = chain_by_key_.find(key); it != chain_by_key_.end()) return it->second;
    auto chain = TransformChain::Compile(transforms);
    if (!chain) return std::unexpected(chain.error());
    out_.chains.push_back(std::move(*chain));
    const auto id = static_cast<uint16_t>(out_.chains.size() - 1);
    chain_by_key_.emplace(std::move(key), id);
    return id;
  }
  uint32_t AddressSetId(const AddressSet& set) {
    std::string key = set.any ? "any" : "";
    if (!set.any) {
      for (const AddressRange& r : set.ranges) {
        key += static_cast<char>(r.first.version);
        key.append(reinterpret_cast<const char*>(r.first.bytes.data()), 16);
        key.append(reinterpret_cast<const char*>(r.last.bytes.data()), 16);
      }
    }
    const auto [it, added] =
        address_by_key_.try_emplace(key, static_cast<uint32_t>(out_.address_sets.size()));
    if (added) {
      AddressSet sorted = set;
      std::sort(sorted.ranges.begin(), sorted.ranges.end(),
                [](const AddressRange& a, const AddressRange& b) {
                  return std::tie(a.first.version, a.first.bytes) <
                         std::tie(b.first.version, b.first.bytes);
                });
      out_.address_sets.push_back(std::move(sorted));
    }
    return it->second;
  }
  uint32_t PortSetId(const PortSet& set) {
    std::string key = set.any ? "any" : "";
    if (!set.any) {
      for (const auto& [first, last] : set.ranges)
        key += std::to_string(first) + "-" + std::to_string(last) + ",";
    }
    const auto [it, added] =
        ports_by_key_.try_emplace(key, static_cast<uint32_t>(out_.port_sets.size()));
    if (added) out_.port_sets.push_back(set);
    return it->second;
  }

  Result<void> Finish() {
    out_.address_rules.Finish();
    const auto finish = [this](LiteralDatabase& db) -> Result<void> {
      if (auto done = db.Compile(options_.cache); !done) return done;
      if (db.empty()) return {};
      ++out_.summary.databases;
      out_.summary.literals += db.num_literals();
      size_t bytes = 0;
      if (hs_database_size(db.database(), &bytes) == HS_SUCCESS)
        out_.summary.database_bytes += bytes;
      return {};
    };
    const auto group = [&](PayloadGroup& g) -> Result<void> {
      g.always.Finish();
      if (auto done = finish(g.literals); !done) return done;
      return finish(g.head);
    };
    for (int d = 0; d < 2; ++d) {
      if (auto done = group(out_.stream[d]); !done) return done;
      for (auto& transport : out_.packet) {
        if (auto done = group(transport[d]); !done) return done;
      }
    }
    for (FieldGroup& g : out_.field_groups) {
      if (auto done = finish(g.literals); !done) return done;
    }
    out_.summary.rules = static_cast<uint32_t>(out_.compiled.size());
    return {};
  }

  RuleProgram::Impl& out_;
  const CompileOptions& options_;
  Placement placement_;
  std::unordered_map<std::string, const Regex*> regex_by_key_;
  std::unordered_map<std::string, uint16_t> chain_by_key_;
  std::unordered_map<std::string, uint32_t> address_by_key_, ports_by_key_;
};

uint64_t HashOf(const RuleProgram::Impl& impl) {
  uint64_t hash = impl.compiled.size();
  for (const CompiledRule& r : impl.compiled) {
    hash = XXH3_64bits_withSeed(r.rule->text.data(), r.rule->text.size(), hash);
  }
  return hash;
}

}  // namespace

Result<std::shared_ptr<const RuleProgram>> RuleProgram::Compile(RuleSet rules,
                                                                const CompileOptions& options) {
  static std::atomic<uint32_t> next_generation{1};
  std::shared_ptr<RuleProgram> program(new RuleProgram);
  program->impl_->rules = std::move(rules);
  for (uint32_t i = 0; i < program->impl_->rules.rules.size(); ++i)
    program->impl_->rules.rules[i].index = i;
  program->impl_->generation = next_generation.fetch_add(1);
  if (auto done = Compiler(*program->impl_, options).Run(); !done)
    return std::unexpected(done.error());
  program->impl_->hash = HashOf(*program->impl_);
  return std::shared_ptr<const RuleProgram>(std::move(program));
}

}  // namespace sluice
