// Keywords on files that a transaction carries: buffers, size, hashes, and keeping them.
#include <algorithm>

#include "engine/rules/context.h"

namespace sluice {
namespace {

std::unexpected<Error> Bad(std::string message) {
  return std::unexpected(Error{Errc::kInvalidArgument, std::move(message)});
}

// Named again it may be another file: "file.data; content:a; file.data; content:b".
KeywordResult FileBuffer(RuleContext& c, std::string_view value, std::string_view name) {
  Inspection inspection;
  inspection.name = name;
  inspection.kind = name == "file.name"    ? BufferKind::kFileName
                    : name == "file.magic" ? BufferKind::kFileMagic
                                           : BufferKind::kFileData;
  if (auto ok = ParseSide(c, value, &inspection.side); !ok) return ok;
  c.UseBuffer(std::move(inspection), true);
  return {};
}

// The inspection that the old keywords put their contents in: all mean one file.
Inspection& OldInspection(RuleContext& c, BufferKind kind, const char* name) {
  for (Inspection& known : c.rule.inspections) {
    if (known.kind == kind && known.transforms.empty() && known.absent == Inspection::Absent::kMismatches) {
      return known;
    }
  }
  Inspection& inspection = c.rule.inspections.emplace_back();
  inspection.kind = kind;
  inspection.name = name;
  return inspection;
}

// "filename:!\"x\"": a content in any case; the buffer in force stays.
KeywordResult OldFileContent(RuleContext& c, std::string_view value, std::string_view name) {
  ContentTest test;
  const auto quoted = Unquote(value, &test.negated);
  if (!quoted) return std::unexpected(quoted.error());
  const auto bytes = DecodeContent(*quoted);
  if (!bytes) return std::unexpected(bytes.error());
  if (bytes->empty()) return Bad("the text is empty; write at least one byte");
  test.nocase = true;
  test.ends_with = name == "fileext";
  test.bytes = (test.ends_with ? "." : "") + Lower(*bytes);
  const bool magic = name == "filemagic";
  OldInspection(c, magic ? BufferKind::kFileMagic : BufferKind::kFileName,
                magic ? "file.magic" : "file.name")
      .tests.push_back(std::move(test));
  c.NoContent();
  return {};
}

KeywordResult FileSize(RuleContext& c, std::string_view value, std::string_view) {
  const auto test = ParseUintTest(value);
  if (!test) return std::unexpected(test.error());
  c.rule.file_tests.emplace_back(std::in_place_type<FileSizeTest>, FileSizeTest{*test});
  return {};
}

KeywordResult FileHashList(RuleContext& c, std::string_view value, std::string_view name) {
  FileHashTest test;
  test.hash = name == "filemd5"    ? FileHash::kMd5
              : name == "filesha1" ? FileHash::kSha1
                                   : FileHash::kSha256;
  auto list = Unquote(value, &test.negated, Quotes::kOptional);
  if (!list) return std::unexpected(list.error());
  test.list = Trim(*list);
  if (test.list.empty()) return Bad("name a file with one hash a line");
  if (test.list.find('"') != test.list.npos) return Bad("a file's name has no quotes in it");
  c.rule.file_tests.push_back(std::move(test));
  return {};
}

// "filestore", "filestore:both,flow"
KeywordResult FileStoreKeyword(RuleContext& c, std::string_view value, std::string_view) {
  using Side = FileKeep::Side;
  using Scope = FileKeep::Scope;
  static constexpr std::pair<std::string_view, Side> kSides[] = {
      {"request", Side::kToServer}, {"to_server", Side::kToServer}, {"response", Side::kToClient},
      {"to_client", Side::kToClient}, {"both", Side::kBoth}};
  static constexpr std::pair<std::string_view, Scope> kScopes[] = {
      {"file", Scope::kFile}, {"tx", Scope::kTransaction}, {"ssn", Scope::kFlow}, {"flow", Scope::kFlow}};
  if (c.rule.file_keep) return Bad("filestore is given twice");
  FileKeep keep;
  const auto parts = Trim(value).empty() ? std::vector<std::string_view>{} : Split(value, ',');
  if (parts.size() > 2) return Bad("write filestore, filestore:both or filestore:both,tx");
  if (!parts.empty()) {
    const auto side = std::ranges::find(kSides, Lower(parts[0]), [](auto& s) { return s.first; });
    if (side == std::end(kSides)) {
      return Bad(fmt::format("\"{}\" is not request, response, to_server, to_client or both", parts[0]));
    }
    keep.side = side->second;
  }
  if (parts.size() == 2) {
    const auto scope = std::ranges::find(kScopes, Lower(parts[1]), [](auto& s) { return s.first; });
    if (scope == std::end(kScopes)) {
      return Bad(fmt::format("\"{}\" is not file, tx, ssn or flow", parts[1]));
    }
    keep.scope = scope->second;
  }
  c.rule.file_keep = keep;
  return {};
}

}  // namespace

const KeywordEntry kFileKeywords[] = {
    {"file.data", FileBuffer, "sticky buffer: the file's content"},
    {"file_data", FileBuffer, "old name of file.data"},
    {"file.name", FileBuffer, "sticky buffer: the file's name"},
    {"file.magic", FileBuffer, "sticky buffer: the kind of file, as libmagic describes it"},
    {"filename", OldFileContent, "a text in the file's name, in any case"},
    {"fileext", OldFileContent, "the end of the file's name, behind a dot, in any case"},
    {"filemagic", OldFileContent, "a text in the kind of file, in any case"},
    {"filesize", FileSize, "size of the whole file: 100, >100, 1<>10, >1MiB"},
    {"filemd5", FileHashList, "MD5 of the whole file, in a list: a file, one hash a line; !list: not in it"},
    {"filesha1", FileHashList, "SHA-1 of the whole file, in a list"},
    {"filesha256", FileHashList, "SHA-256 of the whole file, in a list"},
    {"filestore", FileStoreKeyword, "keeps the file: [request|response|both[,file|tx|flow]]"},
    {nullptr, nullptr, nullptr},
};

}  // namespace sluice
