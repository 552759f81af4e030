#include "engine/match/geo_database.h"

#include <maxminddb.h>
#include <netinet/in.h>

#include <cstring>

namespace sluice {

struct GeoDatabase::File {
  MMDB_s mmdb{};
};

GeoDatabase::GeoDatabase() : file_(std::make_unique<File>()) {}
GeoDatabase::~GeoDatabase() { MMDB_close(&file_->mmdb); }

Result<std::shared_ptr<const GeoDatabase>> GeoDatabase::Open(const std::string& path) {
  std::shared_ptr<GeoDatabase> database(new GeoDatabase);
  const int status = MMDB_open(path.c_str(), MMDB_MODE_MMAP, &database->file_->mmdb);
  if (status != MMDB_SUCCESS) {
    database->file_->mmdb = {};
    return Fail(Errc::kIo, "{}: {}", path, MMDB_strerror(status));
  }
  return std::shared_ptr<const GeoDatabase>(std::move(database));
}

std::string_view GeoDatabase::CountryOf(const Address& address) const noexcept {
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (address.version == 4) {
    v4.sin_family = AF_INET;
    std::memcpy(&v4.sin_addr, address.bytes.data(), 4);
  } else if (address.version == 6) {
    v6.sin6_family = AF_INET6;
    std::memcpy(&v6.sin6_addr, address.bytes.data(), 16);
  } else {
    return {};
  }
  const auto* where = address.version == 4 ? reinterpret_cast<const sockaddr*>(&v4) : reinterpret_cast<const sockaddr*>(&v6);
  int error = MMDB_SUCCESS;
  MMDB_lookup_result_s found = MMDB_lookup_sockaddr(&file_->mmdb, where, &error);
  if (error != MMDB_SUCCESS || !found.found_entry) return {};
  // MMDB_get_value() would allocate for its list of arguments.
  static constexpr const char* kPath[] = {"country", "iso_code", nullptr};
  MMDB_entry_data_s data{};
  if (MMDB_aget_value(&found.entry, &data, kPath) != MMDB_SUCCESS) return {};
  if (!data.has_data || data.type != MMDB_DATA_TYPE_UTF8_STRING) return {};
  return {data.utf8_string, data.data_size};
}

}  // namespace sluice
