// tests/engine/app/lab.h
// One worker with rules given as text, frames built in a line, and its records as
// JSON in memory.  The protocol is the line dissector's, or those of a directory.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/app/keywords.h"
#include "engine/app/worker.h"
#include "engine/plugin/plugin.h"
#include "engine/rules/parser.h"
#include "tests/support/packets.h"

namespace sluice::testing {

sluice_plugin MakeLinePlugin();  // line.cc

class MemorySink final : public RecordSink {
 public:
  bool Put(RecordType, std::string_view record) override {
    if (keep) records.emplace_back(record);
    ++count;
    return true;
  }
  bool keep = true;
  std::vector<std::string> records;
  uint64_t count = 0;
};

class Lab {
 public:
  explicit Lab(const std::string& rules, WorkerOptions options = Ips(),
               const std::string& plugin_directory = "") {
    std::vector<Error> problems;
    std::vector<std::unique_ptr<Plugin>> plugins;
    if (plugin_directory.empty()) {
      plugins.push_back(*Plugin::FromStruct(MakeLinePlugin(), "test", {}));
    } else {
      plugins = *LoadPluginDirectory(plugin_directory, {false, std::chrono::seconds{1}}, &problems);
    }
    catalog_ = Catalog::Create(std::move(plugins), {}, &problems);
    EXPECT_TRUE(problems.empty());
    RuleSet set;
    ParseRules(rules, "test.rules", {}, CatalogKeywords(*catalog_), &set);
    FinishRules(&set);
    EXPECT_EQ(set.num_failed, 0u);
    CompileOptions compile;
    compile.keywords = catalog_->keywords();
    for (const auto& schema : catalog_->schemas()) compile.schemas.push_back({schema->name});
    program_ = *RuleProgram::Compile(std::move(set), compile);
    std::vector<std::vector<bool>> logged;
    for (const auto& schema : catalog_->schemas()) logged.emplace_back(schema->fields.size(), true);
    catalog_->SetWanted(program_->WantedKeywords(catalog_->keywords().size()), logged);
    options.decode.verify_checksums = false;  // frames are built without
    if (options.eve.empty()) options.eve.emplace_back();
    worker_ = *Worker::Create(options, *catalog_, program_, {.eve = {&eve}, .fast = &fast, .packets = &packets}, nullptr);
  }

  static WorkerOptions Ips() {
    WorkerOptions options;
    options.inline_verdicts = true;
    options.stream.inline_mode = true;
    return options;
  }

  void Send(const Frame& frame) { Send(Build(frame)); }
  void Send(const Bytes& bytes) {
    time_ += std::chrono::milliseconds{1};
    if (recording_ != nullptr) return recording_->emplace_back(bytes, time_), void();
    Process(bytes, time_);
  }
  // Keeps what is sent instead of sending it; null ends that.
  void Record(std::vector<std::pair<Bytes, Nanos>>* frames) { recording_ = frames; }
  void Play(const std::vector<std::pair<Bytes, Nanos>>& frames) {
    for (const auto& [bytes, time] : frames) Process(bytes, time);
  }
  // A complete connection: the handshake, then what each side says in turn.
  void Connect(const Frame& client) {
    Frame syn = client;
    syn.flags = kSyn;
    syn.seq = client.seq - 1;
    Send(syn);
    Frame answer = Reverse(client);
    answer.flags = kSyn | kAck;
    answer.seq -= 1;
    Send(answer);
    Send(client);
  }
  void Shutdown() { worker_->Shutdown(); }
  void Pass(Nanos time) { time_ += time; }

  // Records of a type, in order.
  std::vector<nlohmann::json> Records(std::string_view type) const {
    std::vector<nlohmann::json> all;
    for (const std::string& record : eve.records) {
      auto json = nlohmann::json::parse(record);
      if (json["event_type"] == type) all.push_back(std::move(json));
    }
    return all;
  }
  uint64_t Counter(const std::string& name) const {
    NamedCounters counters;
    worker_->CollectCounters(&counters);
    for (const auto& [key, value] : counters) {
      if (key == name) return value;
    }
    ADD_FAILURE() << "there is no counter " << name;
    return 0;
  }
  Worker& worker() { return *worker_; }

  MemorySink eve, fast, packets;

 private:
  void Process(const Bytes& bytes, Nanos time) {
    worker_->Process(LinkType::kEthernet, bytes, time, ++number_, static_cast<uint32_t>(bytes.size()));
  }

  std::vector<std::pair<Bytes, Nanos>>* recording_ = nullptr;
  std::unique_ptr<Catalog> catalog_;
  std::shared_ptr<const RuleProgram> program_;
  std::unique_ptr<Worker> worker_;
  Nanos time_ = std::chrono::seconds{1700000000};
  uint64_t number_ = 0;
};

}  // namespace sluice::testing
