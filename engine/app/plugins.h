// engine/app/plugins.h
// Finds and loads the dissectors; prints what they offer.
// Threads: main thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/dissect/catalog.h"

namespace sluice {

// Where the shipped plug-ins are: plugins/ beside the executable (a build tree
// run in place), else the installed library directory.
std::string DefaultPluginDirectory();

// Loads every plug-in of `directories` and the default one.  A directory of the
// user's that cannot be read is an error; a plug-in that does not load is one
// entry in `problems`.  With none at all loaded it is an error.
Result<std::unique_ptr<Catalog>> LoadCatalog(const std::vector<std::string>& directories,
                                             const PluginOptions& options,
                                             std::vector<Error>* problems);

// `sluice plugin list`, `plugin check` and `--list-keywords`; text or JSON on
// stdout.  They return the exit code.
int PrintPlugins(const Catalog& catalog, const std::vector<Error>& problems, bool json);
int CheckPluginFiles(const std::vector<std::string>& paths);
// Writes a dissector to start from into the directory `name`, which must not exist.
Result<void> WriteNewPlugin(const std::string& name);
int PrintKeywords(const Catalog& catalog, bool json);

}  // namespace sluice
