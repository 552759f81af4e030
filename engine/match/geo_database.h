// engine/match/geo_database.h
// Which country an address belongs to, from a MaxMind database (GeoLite2, DB-IP): geoip.
//
// Threads: opened on the main thread, then read by any number of workers.
// Memory: the file is mapped; a lookup allocates nothing.
// Errors: Open() names the file and what the library says of it; a look never fails.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/decode/address.h"

namespace sluice {

class GeoDatabase {
 public:
  static Result<std::shared_ptr<const GeoDatabase>> Open(const std::string& path);
  ~GeoDatabase();
  GeoDatabase(const GeoDatabase&) = delete;
  GeoDatabase& operator=(const GeoDatabase&) = delete;

  // Its ISO 3166 code, within the mapped file; empty if the database does not say.
  std::string_view CountryOf(const Address& address) const noexcept;

 private:
  GeoDatabase();
  struct File;
  std::unique_ptr<File> file_;
};

}  // namespace sluice
