// SPDX-License-Identifier: Apache-2.0
// plugins/dns/emit.h - hands a message that holds together to the engine: names and types to
// rules, everything to the log.
//
// Memory: the texts of names go through the caller's scratch strings, which keep their
//   capacity.  Limits: kMaxShown questions or records of a message are handed on.
#pragma once

#include <string>

#include <sluice/plugin.hpp>

#include "fields.h"
#include "message.h"

namespace sluice::dns {

inline constexpr unsigned kMaxShown = 4096;

struct Scratch {
  std::string name, value, other;
};

class Emitter {
 public:
  // All borrowed.  `response`: by its direction, whatever its header says.
  Emitter(Flow flow, uint64_t tx, View message, const Header& header, const Shape& shape,
          bool response, Scratch* scratch)
      : flow_(flow), tx_(tx), message_(message), header_(header), shape_(shape),
        response_(response), scratch_(*scratch) {}

  void Rules();
  void Log();

 private:
  // Where the typed data of a record goes.
  struct Places {
    uint32_t text, soa, srv, sshfp;
  };

  bool Wanted(uint32_t field) const { return flow_.Wanted(field); }
  template <typename Visit>  // visit(NameReader&, name, type)
  void EachQuestion(bool with_name, Visit visit);
  template <typename Visit>  // visit(NameReader&, name, Record)
  void EachRecord(Section section, bool with_name, Visit visit);
  void RecordNames(Section section, uint32_t keyword);
  void DataName(NameReader* names, const Record& record);

  void Head();
  void Name(uint32_t field, uint32_t cut, bool is_cut, View name);
  void Queries();
  void Sections();
  void Records(Section section, uint32_t group);
  void OneRecord(NameReader* names, const Record& record, uint32_t group, View string);
  void Grouped();
  void Data(NameReader* names, const Record& record, const Places& places);
  void Text(uint32_t field, View value) { flow_.Set(tx_, field, value); }
  void Soa(NameReader* names, const Record& record, uint32_t group);
  void Srv(NameReader* names, const Record& record, uint32_t group);
  void Sshfp(const Record& record, uint32_t group);
  void Options(const Record& record);
  void OldQueries();
  void OldAnswer();

  const Flow flow_;
  const uint64_t tx_;
  const View message_;
  const Header& header_;
  const Shape& shape_;
  const bool response_;
  Scratch& scratch_;
};

}  // namespace sluice::dns
