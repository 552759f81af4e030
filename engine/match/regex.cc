#include "engine/match/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <re2/re2.h>

#include <algorithm>

namespace sluice {

namespace {

constexpr size_t kJitStackBytes = 256 * 1024;

// What decides whether RE2 means the same as PCRE by an expression.
struct Traits {
  bool dollar = false;        // $ outside a class
  bool dollar_inner = false;  // ... and not at the very end
  bool high_bytes = false;    // bytes >= 0x80, literal or escaped
  std::string unsafe;         // construct RE2 lacks or reads differently
};

// \xHH or \x{HH} at p[*i] == 'x': as two hex digits; PCRE also takes one digit or none.
void RewriteHex(const std::string& p, size_t* i, std::string* out, Traits* traits) {
  static const char kHex[] = "0123456789abcdef";
  size_t j = *i + 1;
  unsigned value = 0, digits = 0;
  const bool braces = j < p.size() && p[j] == '{';
  if (braces) ++j;
  while (j < p.size() && digits < (braces ? 4u : 2u) &&
         std::isxdigit(static_cast<unsigned char>(p[j]))) {
    const char lower = static_cast<char>(p[j] | 0x20);
    value = value * 16 + static_cast<unsigned>(p[j] <= '9' ? p[j] - '0' : lower - 'a' + 10);
    ++j;
    ++digits;
  }
  if (braces) {
    if (j >= p.size() || p[j] != '}') traits->unsafe = "\\x{";
    ++j;
  }
  if (value > 0xff) traits->unsafe = "code point above 255";
  if (value >= 0x80) traits->high_bytes = true;
  *out += "\\x";
  *out += kHex[(value >> 4) & 15];
  *out += kHex[value & 15];
  *i = j - 1;
}

// The escape whose letter stands at p[*i].
void RewriteEscape(const std::string& p, size_t* i, bool in_class, std::string* out,
                   Traits* traits) {
  const char e = p[*i];
  switch (e) {
    case 's':
      *out += in_class ? "\\t\\n\\x0b\\f\\r " : "[\\t\\n\\x0b\\f\\r ]";
      return;
    case 'S':
      if (in_class) traits->unsafe = "\\S in a class";
      *out += "[^\\t\\n\\x0b\\f\\r ]";
      return;
    case 'h':
      *out += in_class ? "\\t \\xa0" : "[\\t \\xa0]";
      traits->high_bytes = true;
      return;
    case 'e':
      *out += "\\x1b";
      return;
    case 'x':
      RewriteHex(p, i, out, traits);
      return;
    case 'b':
      if (in_class) {
        *out += "\\x08";
        return;
      }
      break;
    case 'B':
    case 'A':
      if (in_class) traits->unsafe = std::string("\\") + e + " in a class";
      break;
    case 'd':
    case 'D':
    case 'w':
    case 'W':
    case 'n':
    case 'r':
    case 't':
    case 'f':
    case 'a':
    case 'z':
      break;
    default:
      if (std::isalnum(static_cast<unsigned char>(e)) || static_cast<unsigned char>(e) >= 0x80) {
        traits->unsafe = std::string("\\") + e;
      }
  }
  *out += '\\';
  *out += e;
}

// Whether the '+' at p[i] makes the quantifier before it possessive.
bool IsPossessive(const std::string& p, size_t i) {
  if (i == 0 || (i > 1 && p[i - 2] == '\\')) return false;
  return p[i - 1] == '+' || p[i - 1] == '*' || p[i - 1] == '?' || p[i - 1] == '}';
}

// The character at p[*i] inside a class; false once the class has ended.
bool RewriteInClass(const std::string& p, size_t* i, std::string* out, Traits* traits) {
  if (p[*i] == '[' && p.compare(*i, 2, "[:") != 0) {
    *out += "\\[";
    return true;
  }
  if (p[*i] == '[') {  // [:alpha:]
    const size_t end = p.find(":]", *i);
    if (end == std::string::npos) {
      traits->unsafe = "[";
      return true;
    }
    if (p.compare(*i, 8, "[:space:") == 0) traits->unsafe = "[:space:]";
    out->append(p, *i, end + 2 - *i);
    *i = end + 1;
    return true;
  }
  *out += p[*i];
  return p[*i] != ']';
}

// Rewrites what RE2 spells differently (\s knows no VT there, \h is missing) and
// notes what cannot be rewritten.
std::string ForRe2(const PcreTest& test, Traits* traits) {
  const std::string& p = test.pattern;
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < p.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(p[i]);
    if (c >= 0x80) traits->high_bytes = true;
    if (c == 0) traits->unsafe = "NUL byte";
    if (c == '\\' && i + 1 < p.size()) {
      ++i;
      RewriteEscape(p, &i, in_class, &out, traits);
      continue;
    }
    if (in_class) {
      in_class = RewriteInClass(p, &i, &out, traits);
      continue;
    }
    if (c == '[') {
      in_class = true;
      out += '[';
      if (i + 1 < p.size() && p[i + 1] == '^') out += p[++i];
      if (i + 1 < p.size() && p[i + 1] == ']') {  // a literal ] in first place
        out += "\\]";
        ++i;
      }
      continue;
    }
    if (c == '$') {
      traits->dollar = true;
      if (i + 1 != p.size()) traits->dollar_inner = true;
    } else if (c == '^' && test.multi_line) {
      traits->unsafe = "^ behind a final newline";
    } else if (c == '(' && i + 1 < p.size() && (p[i + 1] == '?' || p[i + 1] == '*')) {
      if (p.compare(i, 3, "(?:") != 0) traits->unsafe = p.substr(i, 4);
    } else if (c == '+' && IsPossessive(p, i)) {
      traits->unsafe = "possessive quantifier";
    }
    out += static_cast<char>(c);
  }
  return out;
}

// Hyperscan takes 0.5 ms for a median expression of a large rule set and up to
// seconds for long or much repeated ones; RE2 takes 40 us.  Their run times
// differ little, as expressions run on candidates alone.
constexpr size_t kCheapForHyperscan = 64;
constexpr size_t kMostForHyperscan = 1500;

// About the positions of the automaton: characters, and repeats written out.
size_t AutomatonSize(const std::string& pattern) {
  size_t size = pattern.size();
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '{' || (i > 0 && pattern[i - 1] == '\\')) continue;
    size_t number = 0;
    for (++i; i < pattern.size() && pattern[i] != '}'; ++i) {
      if (pattern[i] == ',')
        size += number, number = 0;
      else if (pattern[i] >= '0' && pattern[i] <= '9')
        number = std::min<size_t>(number * 10 + static_cast<size_t>(pattern[i] - '0'), 65535);
    }
    size += number;
  }
  return size;
}

int OnFound(unsigned, unsigned long long, unsigned long long, unsigned, void* context) {
  *static_cast<bool*>(context) = true;
  return 1;
}

}  // namespace

const char* RegexEngineName(RegexEngine engine) {
  switch (engine) {
    case RegexEngine::kNone:
      return "none";
    case RegexEngine::kHyperscan:
      return "hyperscan";
    case RegexEngine::kRe2:
      return "re2";
    case RegexEngine::kPcre2:
      return "pcre2";
  }
  return "none";
}

struct RegexScratch::Pcre {
  pcre2_match_data* data = pcre2_match_data_create(kMaxCaptures + 1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(32 * 1024, kJitStackBytes, nullptr);
  Pcre() { pcre2_jit_stack_assign(context, nullptr, stack); }
  ~Pcre() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
};

RegexScratch::RegexScratch() : pcre(std::make_unique<Pcre>()) {}
RegexScratch::~RegexScratch() {
  if (hs) hs_free_scratch(hs);
}

struct Regex::Compiled {
  std::unique_ptr<RE2> re2;
  pcre2_code* pcre = nullptr;
  ~Compiled() {
    if (pcre) pcre2_code_free(pcre);
  }
};

Regex::~Regex() {
  if (hs_) hs_free_database(hs_);
}

Result<std::unique_ptr<Regex>> Regex::Compile(const PcreTest& test, bool needs_position,
                                              uint32_t match_limit, uint32_t depth_limit,
                                              DatabaseCache* cache) {
  std::unique_ptr<Regex> regex(new Regex);
  regex->match_limit_ = match_limit;
  regex->depth_limit_ = depth_limit;
  regex->anchored_ = test.anchored;
  regex->compiled_ = std::make_unique<Compiled>();
  const bool captures = !CapturesOf(test).empty();
  needs_position = needs_position || captures;
  const size_t size = AutomatonSize(test.pattern);
  if (!needs_position && size <= kCheapForHyperscan && regex->TryHyperscan(test, cache)) return regex;
  if (size > kCheapForHyperscan) regex->reason_ = "too large to compile at each start";
  if (!captures && regex->TryRe2(test, needs_position)) return regex;
  if (!needs_position && size > kCheapForHyperscan && size <= kMostForHyperscan &&
      regex->TryHyperscan(test, cache)) {
    return regex;
  }
  if (auto used = regex->UsePcre2(test); !used) return std::unexpected(used.error());
  return regex;
}

bool Regex::TryHyperscan(const PcreTest& test, DatabaseCache* cache) {
  if (test.anchored || test.dollar_end_only || test.extended || test.ungreedy) {
    reason_ = "flag A, E, x or G";
    return false;
  }
  if (test.pattern.find('\0') != std::string::npos) return false;
  unsigned flags = HS_FLAG_SINGLEMATCH | HS_FLAG_ALLOWEMPTY;
  if (test.caseless) flags |= HS_FLAG_CASELESS;
  if (test.dot_all) flags |= HS_FLAG_DOTALL;
  if (test.multi_line) flags |= HS_FLAG_MULTILINE;
  const auto compile = [&] {
    hs_database_t* database = nullptr;
    hs_compile_error_t* error = nullptr;
    if (hs_compile(test.pattern.c_str(), flags, HS_MODE_BLOCK, nullptr, &database, &error) !=
        HS_SUCCESS) {
      reason_ = error ? error->message : "unknown";
      hs_free_compile_error(error);
    }
    return database;
  };
  if (cache) {
    const auto key = DatabaseCache::KeyBuilder().Add("expression").Add(test.pattern).Add(flags);
    hs_ = cache->LoadOr(key.Finish(), compile);
  } else {
    hs_ = compile();
  }
  if (!hs_) return false;
  engine_ = RegexEngine::kHyperscan;
  reason_ = "only existence is asked";
  return true;
}

bool Regex::TryRe2(const PcreTest& test, bool needs_position) {
  Traits traits;
  std::string pattern = ForRe2(test, &traits);
  if (!traits.unsafe.empty()) {
    reason_ = "re2 differs on " + traits.unsafe;
    return false;
  }
  if (test.extended || test.dollar_end_only || test.ungreedy) {
    reason_ = "re2 has no flag x, E or G";
    return false;
  }
  if (test.caseless && traits.high_bytes) {
    reason_ = "re2 folds the case of bytes above 127";
    return false;
  }
  if (traits.dollar && !test.multi_line) {
    if (traits.dollar_inner || needs_position) {
      reason_ = "$ before a final newline";
      return false;
    }
    // Existence only: eating the newline changes nothing that is asked.  An
    // alternation binds looser than $, so only its last branch is rewritten.
    pattern.replace(pattern.size() - 1, 1, "(?:\\n?\\z)");
  }
  RE2::Options options;
  options.set_encoding(RE2::Options::EncodingLatin1);
  options.set_log_errors(false);
  options.set_case_sensitive(!test.caseless);
  options.set_dot_nl(test.dot_all);
  options.set_perl_classes(true);
  options.set_word_boundary(true);
  options.set_never_capture(true);
  options.set_max_mem(1 << 20);
  if (test.multi_line) pattern = "(?m)" + pattern;
  if (!test.dot_all) pattern = "(?-s)" + pattern;
  auto re2 = std::make_unique<RE2>(re2::StringPiece(pattern.data(), pattern.size()), options);
  if (!re2->ok()) {
    reason_ = re2->error();
    return false;
  }
  compiled_->re2 = std::move(re2);
  engine_ = RegexEngine::kRe2;
  reason_ = needs_position ? "a later test is relative to the match" : "hyperscan: " + reason_;
  return true;
}

Result<void> Regex::UsePcre2(const PcreTest& test) {
  uint32_t options = PCRE2_NEVER_UTF;
  if (test.caseless) options |= PCRE2_CASELESS;
  if (test.dot_all) options |= PCRE2_DOTALL;
  if (test.multi_line) options |= PCRE2_MULTILINE;
  if (test.extended) options |= PCRE2_EXTENDED;
  if (test.anchored) options |= PCRE2_ANCHORED;
  if (test.dollar_end_only) options |= PCRE2_DOLLAR_ENDONLY;
  if (test.ungreedy) options |= PCRE2_UNGREEDY;
  int code = 0;
  PCRE2_SIZE at = 0;
  compiled_->pcre = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(test.pattern.data()),
                                  test.pattern.size(), options, &code, &at, nullptr);
  if (!compiled_->pcre) {
    PCRE2_UCHAR text[128] = {0};
    pcre2_get_error_message(code, text, sizeof(text));
    return Fail(Errc::kInvalidArgument, "pcre: {} at offset {}; correct the expression",
                reinterpret_cast<const char*>(text), at);
  }
  pcre2_jit_compile(compiled_->pcre, PCRE2_JIT_COMPLETE);
  engine_ = RegexEngine::kPcre2;
  return {};
}

bool Regex::Find(Slice subject, size_t start, RegexScratch& scratch, Found* found) const {
  if (start > subject.size() || (anchored_ && start > 0)) return false;
  const char* data = subject.empty() ? "" : reinterpret_cast<const char*>(subject.data());
  if (engine_ == RegexEngine::kHyperscan) {
    bool hit = false;
    hs_scan(hs_, data, static_cast<unsigned>(subject.size()), 0, scratch.hs, OnFound, &hit);
    *found = {0, subject.size()};
    return hit;
  }
  if (engine_ == RegexEngine::kRe2) {
    const re2::StringPiece text(data, subject.size());
    re2::StringPiece match;
    // From `start`, but ^ still means the beginning of the subject.
    if (!compiled_->re2->Match(text, start, subject.size(),
                               anchored_ ? RE2::ANCHOR_START : RE2::UNANCHORED, &match, 1)) {
      return false;
    }
    found->begin = static_cast<size_t>(match.data() - data);
    found->end = found->begin + match.size();
    return true;
  }
  pcre2_set_match_limit(scratch.pcre->context, match_limit_);
  pcre2_set_depth_limit(scratch.pcre->context, depth_limit_);
  const int rc = pcre2_match(compiled_->pcre, reinterpret_cast<PCRE2_SPTR>(data), subject.size(),
                             start, 0, scratch.pcre->data, scratch.pcre->context);
  if (rc >= 0) {
    const PCRE2_SIZE* v = pcre2_get_ovector_pointer(scratch.pcre->data);
    *found = {v[0], std::max<size_t>(v[0], v[1])};
    return true;
  }
  if (rc != PCRE2_ERROR_NOMATCH) ++scratch.limit_hits;
  return false;
}

Slice Regex::Group(Slice subject, uint32_t n, const RegexScratch& scratch) const {
  if (engine_ != RegexEngine::kPcre2 || n >= pcre2_get_ovector_count(scratch.pcre->data)) return {};
  const PCRE2_SIZE* v = pcre2_get_ovector_pointer(scratch.pcre->data) + 2 * size_t{n};
  return v[0] == PCRE2_UNSET || v[1] < v[0] || v[1] > subject.size() ? Slice() : subject.subspan(v[0], v[1] - v[0]);
}

}  // namespace sluice
