// The vectors of RFC 1321 appendix A.5, and of FIPS 180-4 ("abc").
#include "engine/base/digest.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace sluice {
namespace {

struct DigestCase {
  const char* name;
  DigestKind kind;
  const char* hex;
};
class OfAbc : public ::testing::TestWithParam<DigestCase> {};

TEST_P(OfAbc, IsThePublishedOne) { EXPECT_EQ(HexDigest(Digest::Of(GetParam().kind, AsSlice("abc"))), std::string_view(GetParam().hex)); }

TEST_P(OfAbc, PartsGiveTheSame) {
  const std::string text(1000, 'x');
  const HexDigest whole(Digest::Of(GetParam().kind, AsSlice(text)));
  for (size_t cut = 0; cut <= text.size(); cut += 7) {
    Digest digest(GetParam().kind);
    digest.Add(AsSlice(std::string_view(text).substr(0, cut)));
    digest.Add(AsSlice(std::string_view(text).substr(cut)));
    EXPECT_EQ(HexDigest(digest.End()), std::string_view(whole)) << "cut=" << cut;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Digests, OfAbc,
    ::testing::Values(DigestCase{"Md5", DigestKind::kMd5, "900150983cd24fb0d6963f7d28e17f72"},
                      DigestCase{"Sha1", DigestKind::kSha1, "a9993e364706816aba3e25717850c26c9cd0d89d"},
                      DigestCase{"Sha256", DigestKind::kSha256,
                                 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}),
    [](const auto& c) { return c.param.name; });

}  // namespace
}  // namespace sluice
