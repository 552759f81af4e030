#include "engine/app/command_line.h"

#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <sstream>

#include "engine/base/suggest.h"

namespace sluice {
namespace {

// Options shared by the commands that load rules and plug-ins.
void AddLoading(CLI::App* app, CommandLine& line) {
  app->add_option("-c,--config", line.config, "configuration: sluice.toml, or a suricata.yaml");
  app->add_option_function<std::vector<std::string>>(
         "-S",
         [&line](const std::vector<std::string>& files) {
           line.rules = files;
           line.rules_exclusive = true;
         },
         "rule files, instead of those of the configuration (.rules or .toml)")
      ->expected(1, -1)
      ->allow_extra_args(false);
  app->add_option("-s", line.rules, "rule files, in addition to those of the configuration")
      ->allow_extra_args(false);
  app->add_option("--set", line.settings, "overrides one setting: --set a.b=value")
      ->allow_extra_args(false);
  app->add_option("--plugin-dir", line.plugin_dirs,
                  "directory of dissector plug-ins, in addition to the shipped ones")
      ->allow_extra_args(false);
  app->add_option("--data-dir", line.data_dir, "directory of state that outlives a run");
  app->add_flag_callback(
      "--init-errors-fatal", [&line] { line.settings.push_back("rules.strict=true"); },
      "a bad rule or setting ends the start: --set rules.strict=true");
  app->add_flag("-v", line.verbose, "says more; -vv more still");
  app->add_flag("-q,--quiet", line.quiet, "says nothing but errors");
}

void AddLogging(CLI::App* app, CommandLine& line) {
  app->add_option("-l", line.log_dir, "directory of eve.json, fast.log and other logs");
  app->add_option("-k", line.checksum_mode, "checksum checks: all or none")
      ->check(CLI::IsMember({"all", "none"}));
  app->add_option("--pidfile", line.pid_file, "writes the process id there");
  app->add_flag("-T", line.test_only, "tests configuration and rules, then ends");
}

void AddRun(CLI::App& root, CommandLine& line) {
  CLI::App* app = root.add_subcommand("run", "inspects live traffic: eBPF at TC, slices, verdicts");
  app->add_option("-i,--interface", line.interfaces, "interface to attach to; repeatable")
      ->allow_extra_args(false);
  app->add_option("--workers", line.workers, "number of worker threads");
  app->add_flag("-D", line.daemon, "goes to the background once traffic is inspected");
  AddLoading(app, line);
  AddLogging(app, line);
  app->footer("Example: sluice run -i eth0 -c /etc/sluice/sluice.toml");
  app->callback([&line] { line.command = Command::kRun; });
}

void AddReplay(CLI::App& root, CommandLine& line) {
  CLI::App* app = root.add_subcommand("replay", "inspects a capture file; needs no privileges");
  app->add_option("-r,--capture", line.capture, "pcap or pcapng file, or a directory of them")
      ->required(false);
  app->add_flag("--simulate-ips", line.simulate_ips, "as if inline: drop rules drop");
  app->add_option_function<std::string>(
      "-F",
      [&line](const std::string& path) {
        std::ifstream in(path);
        if (!in) throw CLI::ValidationError("-F", path + ": cannot be read");
        std::stringstream text;
        text << in.rdbuf();
        line.bpf_filter = text.str();
      },
      "file with a BPF filter expression");
  app->add_option_function<std::vector<std::string>>(
      "filter",
      [&line](const std::vector<std::string>& words) {
        line.bpf_filter = fmt::format("{}", fmt::join(words, " "));
      },
      "BPF filter expression");
  AddLoading(app, line);
  AddLogging(app, line);
  app->footer("Example: sluice replay -r capture.pcap -S my.rules -l out/");
  app->callback([&line] { line.command = Command::kReplay; });
}

void AddCheck(CLI::App& root, CommandLine& line) {
  CLI::App* app = root.add_subcommand("check", "checks configuration and rules; exit code 1 if any is bad");
  AddLoading(app, line);
  app->add_flag("--json", line.json, "machine-readable output");
  app->footer("Example: sluice check -S my.rules");
  app->callback([&line] { line.command = Command::kCheck; });
}

void AddDrops(CLI::App& root, CommandLine& line) {
  CLI::App* drops = root.add_subcommand("drops", "lists and changes what the kernel drops");
  drops->require_subcommand(1);
  drops->footer("Example: sluice drops add source 203.0.113.0/24 --ttl 1h");
  const auto common = [&line](CLI::App* app, Command command) {
    app->add_option("-c,--config", line.config, "configuration: names the pin directory");
    app->add_option("--set", line.settings, "overrides one setting")->allow_extra_args(false);
    app->add_flag("--json", line.json, "machine-readable output");
    app->callback([&line, command] { line.command = command; });
    return app;
  };
  const auto target = [&line](CLI::App* app) {
    app->add_option("scope", line.drop_scope, "source or destination")
        ->required()
        ->check(CLI::IsMember({"source", "destination"}));
    app->add_option("prefix", line.drop_value, "address or network")->required();
  };
  common(drops->add_subcommand("list", "every entry with cause, hits and remaining time"),
         Command::kDropsList)
      ->footer("Example: sluice drops list --json");
  CLI::App* add = common(drops->add_subcommand("add", "drops a source or destination"),
                         Command::kDropsAdd);
  target(add);
  add->add_option("--ttl", line.drop_ttl, "how long: 30s, 10m, 1h, 0 for ever")
      ->default_str("10m");
  add->add_option("--sid", line.drop_sid, "the rule to name as the cause");
  add->footer("Example: sluice drops add source 203.0.113.7 --ttl 1h");
  CLI::App* del = common(drops->add_subcommand("del", "lifts one entry"), Command::kDropsDelete);
  target(del);
  del->footer("Example: sluice drops del source 203.0.113.7");
  common(drops->add_subcommand("flush", "lifts every entry"), Command::kDropsFlush)
      ->footer("Example: sluice drops flush");
}

void AddControl(CLI::App& root, CommandLine& line) {
  for (const auto& [name, help, command] :
       {std::tuple{"status", "what a running engine sees, and what the kernel does",
                   Command::kStatus},
        std::tuple{"reload", "makes a running engine load its rules anew", Command::kReload}}) {
    CLI::App* app = root.add_subcommand(name, help);
    app->add_option("-c,--config", line.config, "configuration: names the control socket");
    app->add_option("--set", line.settings, "overrides one setting")->allow_extra_args(false);
    app->add_flag("--json", line.json, "machine-readable output");
    app->footer(fmt::format("Example: sluice {}", name));
    app->callback([&line, command = command] { line.command = command; });
  }
}

void AddDoctor(CLI::App& root, CommandLine& line) {
  CLI::App* app = root.add_subcommand("doctor", "what this machine has of what live inspection needs");
  app->add_option("-i,--interface", line.interfaces, "interface to look at; repeatable")->allow_extra_args(false);
  AddLoading(app, line);
  app->add_option("-l", line.log_dir, "directory of logs");
  app->add_option("--workers", line.workers, "number of worker threads");
  app->add_flag("--json", line.json, "machine-readable output");
  app->footer("Example: sluice doctor -i eth0 -c /etc/sluice/sluice.toml");
  app->callback([&line] { line.command = Command::kDoctor; });
}

void AddPlugins(CLI::App& root, CommandLine& line) {
  CLI::App* plugin = root.add_subcommand("plugin", "the dissectors");
  plugin->require_subcommand(1);
  CLI::App* list = plugin->add_subcommand("list", "every dissector that loads, and why others do not");
  AddLoading(list, line);
  list->add_flag("--json", line.json, "machine-readable output");
  list->footer("Example: sluice plugin list --plugin-dir ./build");
  list->callback([&line] { line.command = Command::kPluginList; });
  CLI::App* check = plugin->add_subcommand("check", "checks plug-in files against the ABI");
  check->add_option("file", line.paths, "plug-in files (.so)")->required();
  check->footer("Example: sluice plugin check ./mine.so");
  check->callback([&line] { line.command = Command::kPluginCheck; });
  CLI::App* fresh = plugin->add_subcommand("new", "writes a dissector to start from");
  fresh->add_option("name", line.paths, "its name: the protocol's")->required()->expected(1);
  fresh->footer("Example: sluice plugin new acme && cmake -S acme -B acme/build");
  fresh->callback([&line] { line.command = Command::kPluginNew; });
  plugin->footer("Example: sluice plugin list");
}

void AddRules(CLI::App& root, CommandLine& line) {
  CLI::App* rules = root.add_subcommand("rules", "what single rules do");
  rules->require_subcommand(1);
  rules->footer("Example: sluice rules explain --sid 2100498 -r capture.pcap -S my.rules");
  CLI::App* explain = rules->add_subcommand(
      "explain", "why a rule did or did not match a capture, step by step, nearest first");
  explain->add_option("--sid", line.sid, "the rule's number")->required();
  explain->add_option("-r,--capture", line.capture, "pcap or pcapng file, or a directory of them")->required();
  explain->add_option("--most", line.most, "how many flows and transactions are shown")
      ->default_str("10")
      ->check(CLI::Range(size_t{1}, size_t{10'000}));
  explain->add_option("-k", line.checksum_mode, "checksum checks: all or none")
      ->check(CLI::IsMember({"all", "none"}));
  explain->add_flag("--json", line.json, "machine-readable output");
  AddLoading(explain, line);
  explain->footer("Example: sluice rules explain --sid 2100498 -r capture.pcap -S my.rules");
  explain->callback([&line] { line.command = Command::kRulesExplain; });
  CLI::App* cost = rules->add_subcommand(
      "cost", "what rules are likely to cost, dearest first; with a capture also what they did cost");
  cost->add_option("-r,--capture", line.capture, "pcap or pcapng file, or a directory of them");
  cost->add_option("--most", line.most, "how many rules are shown")
      ->default_str("10")
      ->check(CLI::Range(size_t{1}, size_t{1'000'000}));
  cost->add_option("-k", line.checksum_mode, "checksum checks: all or none")->check(CLI::IsMember({"all", "none"}));
  cost->add_flag("--json", line.json, "machine-readable output");
  AddLoading(cost, line);
  cost->footer("Example: sluice rules cost -r capture.pcap -S my.rules");
  cost->callback([&line] { line.command = Command::kRulesCost; });
  CLI::App* convert = rules->add_subcommand("convert", "prints a rule file in the other form: .rules as TOML, .toml as .rules");
  convert->add_option("file", line.paths, "the rule file")->required()->expected(1);
  AddLoading(convert, line);
  convert->footer("Example: sluice rules convert my.rules > my.toml");
  convert->callback([&line] { line.command = Command::kRulesConvert; });
}

// The long and short names known to the innermost command that was reached.
std::vector<std::string> KnownNames(const CLI::App& root, int argc, char** argv) {
  const CLI::App* app = &root;
  for (int i = 1; i < argc; ++i) {
    for (const CLI::App* sub : app->get_subcommands([](const CLI::App*) { return true; })) {
      if (sub->get_name() == argv[i]) app = sub;
    }
  }
  std::vector<std::string> names;
  for (const CLI::Option* option : app->get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  for (const CLI::App* sub : app->get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(sub->get_name());
  }
  return names;
}

std::string Usage(const CLI::App& root, const CLI::ParseError& error, int argc, char** argv) {
  std::string message = error.what();
  std::ranges::replace(message, '\n', ' ');
  for (int i = 1; i < argc; ++i) {
    if (message.find(argv[i]) == std::string::npos) continue;
    if (const auto close = Suggest(argv[i], KnownNames(root, argc, argv)); !close.empty()) {
      return fmt::format("{}; did you mean {}?", message, close);
    }
  }
  return fmt::format("{}; see --help", message);
}

}  // namespace

Result<CommandLine> ParseCommandLine(int argc, char** argv) {
  CommandLine line;
  CLI::App root("sluice: deep packet inspection with typed dissector plug-ins and signature rules",
                "sluice");
  root.require_subcommand(0, 1);
  root.fallthrough(false);
  bool version = false, keywords = false, settings = false;
  root.add_flag("-V,--version", version, "prints the version");
  root.add_flag("--list-keywords", keywords, "prints every rule keyword with its help");
  root.add_flag("--list-settings", settings, "prints every setting with its default, range and help");
  root.add_flag("--json", line.json, "with --list-...: machine-readable output");
  root.add_option("--plugin-dir", line.plugin_dirs, "directory of dissector plug-ins")
      ->allow_extra_args(false);
  root.footer("Exit code: 0 ok, 1 failed, 2 wrong usage.\nExample: sluice run --help");
  AddRun(root, line);
  AddReplay(root, line);
  AddCheck(root, line);
  AddDrops(root, line);
  AddControl(root, line);
  AddDoctor(root, line);
  AddPlugins(root, line);
  AddRules(root, line);
  try {
    root.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    // The help of the innermost command named.
    const CLI::App* app = &root;
    while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
    line.command = Command::kHelp;
    line.text = app->help();
    return line;
  } catch (const CLI::ParseError& error) {
    return Fail(Errc::kInvalidArgument, "{}", Usage(root, error, argc, argv));
  }
  if (version) line.command = Command::kVersion;
  if (keywords) line.command = Command::kListKeywords;
  if (settings) line.command = Command::kListSettings;
  if (!version && !keywords && !settings && root.get_subcommands().empty()) line.text = root.help();
  return line;
}

}  // namespace sluice
