// Rules to tables: ranks, confirm programs, engines, fast patterns, groups.
#include <algorithm>
#include <atomic>
#include <bit>
#include <bitset>
#include <filesystem>
#include <set>
#include <tuple>

#include <xxhash.h>

#include "engine/match/program.h"

namespace sluice {

bool ContainsAddress(const AddressSet& set, const Address& address) {
  if (set.any) return true;
  auto it = std::upper_bound(
      set.ranges.begin(), set.ranges.end(), address, [](const Address& a, const AddressRange& r) {
        return std::tie(a.version, a.bytes) < std::tie(r.first.version, r.first.bytes);
      });
  // Ranges may be sorted with either version first: look at the neighbour, then at all.
  if (it != set.ranges.begin()) {
    const AddressRange& r = *std::prev(it);
    if (r.first.version == address.version && r.first.bytes <= address.bytes &&
        address.bytes <= r.last.bytes) {
      return true;
    }
  }
  return false;
}

bool ContainsPort(const PortSet& set, uint16_t port) {
  if (set.any) return true;
  for (const auto& [first, last] : set.ranges) {
    if (port >= first && port <= last) return true;
  }
  return false;
}

void PortIndex::Add(uint32_t rule, const RuleHeader& header) {
  constexpr uint32_t kMost = 64;
  const auto narrow = [](const PortSet& set) {
    uint32_t count = 0;
    for (const auto& [first, last] : set.ranges) count += last - first + 1u;
    return !set.any && count <= kMost;
  };
  const auto add = [rule](Entries& entries, const PortSet& set) {
    for (const auto& [first, last] : set.ranges) {
      for (uint32_t p = first; p <= last; ++p) entries.emplace_back(static_cast<uint16_t>(p), rule);
    }
  };
  if (!header.bidirectional && narrow(header.destination_ports))
    return add(by_destination_, header.destination_ports);
  if (!header.bidirectional && narrow(header.source_ports))
    return add(by_source_, header.source_ports);
  any_.push_back(rule);
}

void PortIndex::Finish() {
  std::sort(by_source_.begin(), by_source_.end());
  std::sort(by_destination_.begin(), by_destination_.end());
}

namespace {

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <typename... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

// Writers of a variable come before those that read and write, those before
// readers, and rules without it last.
int VariableRank(bool reads, bool writes) { return writes ? (reads ? 1 : 0) : (reads ? 2 : 3); }

struct Order {
  int action, bits, ints, xbits, priority;
  uint32_t gid, sid, index;
  auto operator<=>(const Order&) const = default;
};

int ActionRank(Action action, const std::array<Action, 4>& order) {
  if (action == Action::kRejectSource || action == Action::kRejectDestination ||
      action == Action::kRejectBoth) {
    action = Action::kReject;
  }
  return static_cast<int>(std::find(order.begin(), order.end(), action) - order.begin());
}

Order OrderOf(const Rule& rule, const CompileOptions& options) {
  bool bit_reads = false, bit_writes = false, int_reads = false, int_writes = false,
       x_reads = false, x_writes = false;
  const auto bit = [](FlowbitTest::Op op, bool* reads, bool* writes) {
    if (op == FlowbitTest::Op::kUnset) return;  // behind all who ask
    const bool is_read = op == FlowbitTest::Op::kIsSet || op == FlowbitTest::Op::kIsNotSet;
    (is_read ? *reads : *writes) = true;
  };
  for (const FlowCondition& c : rule.flow_conditions) {
    if (const auto* t = std::get_if<FlowbitTest>(&c)) bit(t->op, &bit_reads, &bit_writes);
    if (const auto* t = std::get_if<XbitTest>(&c)) bit(t->op, &x_reads, &x_writes);
    if (const auto* t = std::get_if<FlowintTest>(&c)) {
      const bool is_write = t->op == FlowintTest::Op::kSet || t->op == FlowintTest::Op::kAdd ||
                            t->op == FlowintTest::Op::kSubtract;
      (is_write ? int_writes : int_reads) = true;
    }
  }
  return {ActionRank(rule.action, options.action_order),
          VariableRank(bit_reads, bit_writes),
          VariableRank(int_reads, int_writes),
          VariableRank(x_reads, x_writes),
          rule.priority,
          rule.gid,
          rule.sid,
          rule.index};
}

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

struct FastPattern {
  std::string literal;
  bool nocase = false;
  bool in_payload = true;
  size_t inspection = 0;  // in payload or fields
  uint32_t head = 0;      // > 0: lies within the first `head` bytes
};

class Compiler {
 public:
  Compiler(RuleProgram::Impl& out, const CompileOptions& options) : out_(out), options_(options) {}

  Result<void> Run() {
    out_.chains.emplace_back();
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
    std::vector<std::pair<Order, uint32_t>> order;
    for (uint32_t i = 0; i < out_.rules.rules.size(); ++i) {
      order.emplace_back(OrderOf(out_.rules.rules[i], options_), i);
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
    }
    for (const PacketTest& test : rule.packet_tests) {
      if (const auto* e = std::get_if<DecodeEventTest>(&test)) c.events.push_back(EventId(e->name));
      if (const auto* e = std::get_if<StreamEventTest>(&test)) c.events.push_back(EventId(e->name));
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
    Place(c, static_cast<uint32_t>(out_.compiled.size()));
    out_.compiled.push_back(std::move(c));
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
      }
      const bool payload = ci.kind == BufferKind::kPayload || ci.kind == BufferKind::kHeader;
      if (ci.kind == BufferKind::kPayload) c->has_payload = true;
      (payload ? c->payload : c->fields).push_back(std::move(ci));
    }
    return {};
  }

  Result<void> AddFileTests(const Rule& rule, CompiledRule* c) {
    c->on_files = rule.OnFiles();
    out_.wants_of_files.keep |= rule.file_keep.has_value();
    for (const CompiledInspection& f : c->fields) {
      out_.wants_of_files.magic |= f.kind == BufferKind::kFileMagic;
    }
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
      if (const auto* t = std::get_if<PcreTest>(&test)) {
        op.negated = t->negated;
        auto regex = RegexFor(*t, op.retry, c);
        if (!regex) return std::unexpected(regex.error());
        op.regex = *regex;
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
                                 [](const DatasetTest&) { return Op::Kind::kDataset; }},
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

  static uint8_t NeedsOf(AppProtocolTest::Side side) {
    using Side = AppProtocolTest::Side;
    return side == Side::kToServer ? 2 : side == Side::kToClient ? 4 : side == Side::kBoth ? 6 : 1;
  }

  void Classify(const Rule& rule, CompiledRule* c) {
    if (!c->fields.empty() || !rule.numbers.empty() || c->has_event || c->has_state || c->on_files) {
      c->kind = RuleClass::kFields;
      return;
    }
    bool conditions = false, app_test = false, needs_packet = rule.header.packet_only;
    bool wants_stream_only = rule.header.stream_only, both = false;
    for (const FlowCondition& condition : rule.flow_conditions) {
      if (const auto* app = std::get_if<AppProtocolTest>(&condition)) {
        app_test = true;
        c->protocol_needs |= NeedsOf(app->side);
        continue;
      }
      const auto* flow = std::get_if<FlowTest>(&condition);
      if (flow) {
        needs_packet |= flow->no_stream;
        wants_stream_only |= flow->only_stream;
        conditions |=
            flow->established || flow->not_established || flow->only_frag || flow->no_frag;
      } else {
        const auto* bit = std::get_if<FlowbitTest>(&condition);
        conditions |= bit ? bit->op != FlowbitTest::Op::kSet
                          : !std::holds_alternative<XbitTest>(condition) &&
                                !std::holds_alternative<FlowintTest>(condition);
      }
      // What a packet makes the streams' sizes is asked with that packet.
      needs_packet |= std::holds_alternative<StreamSizeTest>(condition);
    }
    const bool bare = c->payload.empty() && rule.packet_tests.empty();
    // A rule on one port is still one on the ends of a flow, as in Suricata.
    const bool ports = !rule.header.any_ip_protocol && !rule.header.source_ports.any &&
                       !rule.header.destination_ports.any;
    c->kind = RuleClass::kPacket;
    if (bare && app_test && c->any_app)
      c->kind = RuleClass::kProtocol;
    else if (bare && !app_test && c->any_app && !conditions && !c->flow_direction && !ports)
      c->kind = RuleClass::kAddress;
    needs_packet |= !rule.packet_tests.empty();
    if (!c->has_payload) return;
    // What a depth counts from may be a packet's start.
    if (!wants_stream_only) both |= std::ranges::any_of(c->payload, &CompiledInspection::anchored);
    c->on_stream = !needs_packet || wants_stream_only;
    c->on_packets = needs_packet || (both && !wants_stream_only) || !c->on_stream;
  }

  // ------------------------------------------------------- fast patterns

  static int Score(const std::string& bytes) {
    std::bitset<256> seen;
    int common = 0;
    for (char ch : bytes) {
      seen.set(static_cast<uint8_t>(ch));
      common +=
          ch == 0 || ch == ' ' || ch == '\r' || ch == '\n' || static_cast<uint8_t>(ch) == 0xff;
    }
    return 4 * static_cast<int>(std::min<size_t>(bytes.size(), 24)) +
           2 * static_cast<int>(seen.count()) - 3 * common;
  }

  static void Consider(const std::vector<CompiledInspection>& inspections, bool payload,
                       FastPattern* best, int* score) {
    for (size_t i = 0; i < inspections.size(); ++i) {
      if (inspections[i].kind == BufferKind::kHeader) continue;
      if (inspections[i].absent != Inspection::Absent::kMismatches) continue;
      for (const Op& op : inspections[i].confirm.ops) {
        if (op.kind != Op::Kind::kContent) continue;
        const ContentTest& t = std::get<ContentTest>(*op.test);
        if (t.negated || t.bytes.empty()) continue;
        const int s = t.fast_pattern || t.fast_pattern_only ? 1'000'000 : Score(t.bytes);
        if (s <= *score) continue;
        *score = s;
        best->literal = t.fast_pattern_length
                            ? t.bytes.substr(t.fast_pattern_offset, t.fast_pattern_length)
                            : t.bytes;
        if (best->literal.size() > kMaxLiteral) best->literal.resize(kMaxLiteral);
        best->nocase = t.nocase;
        best->in_payload = payload;
        best->inspection = i;
        best->head = 0;
        const bool fixed = op.independent && (t.depth || t.starts_with);
        if (fixed) {
          const int64_t offset = t.offset ? t.offset->value : 0;
          const int64_t span = t.depth ? t.depth->value : static_cast<int64_t>(t.bytes.size());
          if (offset >= 0 && offset + span <= static_cast<int64_t>(kHeadBytes))
            best->head = static_cast<uint32_t>(offset + span);
        }
      }
    }
  }

  void Place(CompiledRule& c, uint32_t rank) {
    FastPattern best;
    int score = -1'000'000;
    if (c.kind == RuleClass::kFields) Consider(c.fields, false, &best, &score);
    if (c.kind == RuleClass::kPacket) Consider(c.payload, true, &best, &score);
    c.fast_pattern = best.literal;
    c.fast_nocase = best.nocase;
    c.fast_head = best.head;
    if (!best.literal.empty()) {
      c.fast_in = (c.kind == RuleClass::kFields ? c.fields : c.payload)[best.inspection].inspection;
    }
    switch (c.kind) {
      case RuleClass::kAddress:
        out_.address_rules.push_back(rank);
        return;
      case RuleClass::kProtocol:
        out_.protocol_rules.push_back(rank);
        return;
      case RuleClass::kFields:
        PlaceFields(c, rank, best);
        return;
      case RuleClass::kPacket:
        PlacePacket(c, rank, best);
        return;
    }
  }

  void PlaceFields(const CompiledRule& c, uint32_t rank, const FastPattern& best) {
    if (c.has_event) {
      out_.event_rules.push_back(rank);
      return;
    }
    if (best.literal.empty()) ++out_.summary.without_fast_pattern;
    for (int d = 0; d < 2; ++d) {
      if (!(c.directions & 1 << d)) continue;
      if (c.transactional && !best.literal.empty() &&
          !(c.fields[best.inspection].directions & 1 << d)) {
        continue;
      }
      if (best.literal.empty() && c.on_files) {
        out_.new_file_rules[d].push_back(rank);
        continue;
      }
      if (best.literal.empty()) {
        const std::vector<uint16_t> schemas = SchemasOf(c);
        if (schemas.empty()) out_.always_files[d].push_back(rank);
        for (const uint16_t schema : schemas) out_.always_fields[d][schema].push_back(rank);
        continue;
      }
      Group(c.fields[best.inspection], d).literals.Add(best.literal, best.nocase, rank);
    }
  }

  std::vector<uint16_t> SchemasOf(const CompiledRule& c) const {
    if (!c.any_app) return c.apps;
    uint16_t keyword = kNoKeyword;
    if (!c.rule->numbers.empty()) keyword = c.rule->numbers.front().keyword;
    for (const CompiledInspection& f : c.fields) {
      if (f.kind == BufferKind::kField) keyword = f.keyword;
    }
    if (keyword >= options_.keywords.size()) return {};
    std::vector<uint16_t> schemas = options_.keywords[keyword].schemas;
    std::erase_if(schemas, [this](uint16_t schema) { return schema >= options_.schemas.size(); });
    return schemas;
  }

  FieldGroup& Group(const CompiledInspection& inspection, int d) {
    std::vector<uint16_t>* ids;
    if (IsFileBuffer(inspection.kind)) {
      ids = &out_.file_groups[FileBufferIndex(inspection.kind)][d];
    } else {
      if (inspection.keyword >= out_.groups_of[d].size())
        out_.groups_of[d].resize(inspection.keyword + 1u);
      ids = &out_.groups_of[d][inspection.keyword];
    }
    for (uint16_t id : *ids) {
      if (out_.field_groups[id].chain == inspection.chain) return out_.field_groups[id];
    }
    ids->push_back(static_cast<uint16_t>(out_.field_groups.size()));
    FieldGroup& group = out_.field_groups.emplace_back();
    group.chain = inspection.chain;
    return group;
  }

  void PlacePacket(const CompiledRule& c, uint32_t rank, const FastPattern& best) {
    if (!c.events.empty()) {
      out_.packet_event_rules.push_back(rank);
      return;
    }
    if (best.literal.empty()) ++out_.summary.without_fast_pattern;
    const RuleHeader& h = c.rule->header;
    bool member[kNumTransports] = {};
    const bool any = h.any_ip_protocol || h.ip_protocols.empty();
    for (uint8_t p : h.ip_protocols) {
      member[p == 6    ? kTransportTcp
             : p == 17 ? kTransportUdp
             : p == 1  ? kTransportIcmp
             : p == 58 ? kTransportIcmp6
                       : kTransportOther] = true;
    }
    for (int d = 0; d < 2; ++d) {
      if (!(c.directions & 1 << d)) continue;
      for (int t = 0; t < kNumTransports; ++t) {
        if (!any && !member[t]) continue;
        if (!c.any_app && t != kTransportTcp && t != kTransportUdp)
          continue;  // only these are dissected
        // Only TCP has a stream; elsewhere the payload of the packet is all.
        if (t != kTransportTcp || !c.has_payload || c.on_packets)
          AddTo(&out_.packet[t][d], c, rank, best);
      }
      if ((any || member[kTransportTcp]) && c.has_payload && c.on_stream) {
        AddTo(&out_.stream[d], c, rank, best);
        out_.wants_stream = true;
      }
    }
  }

  void AddTo(PayloadGroup* group, const CompiledRule& c, uint32_t rank, const FastPattern& best) {
    const RuleHeader& h = c.rule->header;
    const bool ports = !h.source_ports.any || !h.destination_ports.any;
    const bool plain = !best.literal.empty() && c.payload[best.inspection].chain == 0;
    if (!plain || (best.literal.size() < kShortLiteral && ports && !best.head)) {
      group->always.Add(rank, h);
    } else if (best.literal.size() < kShortLiteral && best.head) {
      group->head.Add(best.literal, best.nocase, rank);
    } else {
      group->literals.Add(best.literal, best.nocase, rank);
    }
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
  std::unordered_map<std::string, const Regex*> regex_by_key_;
  std::unordered_map<std::string, uint16_t> chain_by_key_;
  std::unordered_map<std::string, uint32_t> address_by_key_, ports_by_key_;
};

}  // namespace

namespace {

uint64_t HashOf(const RuleProgram::Impl& impl) {
  uint64_t hash = impl.compiled.size();
  for (const CompiledRule& r : impl.compiled) {
    hash = XXH3_64bits_withSeed(r.rule->text.data(), r.rule->text.size(), hash);
  }
  return hash;
}

}  // namespace

RuleProgram::RuleProgram() : impl_(std::make_unique<Impl>()) {}
RuleProgram::~RuleProgram() = default;

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

const RuleSet& RuleProgram::rules() const { return impl_->rules; }
const std::vector<RuleProblem>& RuleProgram::problems() const { return impl_->problems; }
const RuleProgram::Summary& RuleProgram::summary() const { return impl_->summary; }
uint32_t RuleProgram::generation() const { return impl_->generation; }
uint64_t RuleProgram::hash() const { return impl_->hash; }
bool RuleProgram::wants_stream() const { return impl_->wants_stream; }
const FileWants& RuleProgram::wants_of_files() const { return impl_->wants_of_files; }

RuleProgram::EngineChoice RuleProgram::EngineOf(const Rule& rule) const {
  const uint32_t rank = impl_->rank_of[rule.index];
  if (rank == UINT32_MAX) return {};
  return {impl_->compiled[rank].engine, impl_->compiled[rank].engine_reason};
}

std::string_view RuleProgram::FastPatternOf(const Rule& rule) const {
  const uint32_t rank = impl_->rank_of[rule.index];
  return rank == UINT32_MAX ? std::string_view() : impl_->compiled[rank].fast_pattern;
}

const Rule& RuleProgram::RuleAt(size_t rank) const { return *impl_->compiled[rank].rule; }
size_t RuleProgram::num_ranks() const { return impl_->compiled.size(); }

int RuleProgram::EventId(std::string_view name) const {
  const auto it = impl_->event_ids.find(name);
  return it == impl_->event_ids.end() ? -1 : it->second;
}

std::vector<bool> RuleProgram::WantedKeywords(size_t num_keywords) const {
  std::vector<bool> wanted = impl_->wanted;
  wanted.resize(num_keywords);
  return wanted;
}

}  // namespace sluice
