#include "cli/folders.h"

#include <cstdlib>
#include <sstream>

namespace fourfold {
namespace {

// `below_home`: the standard's default.
std::string xdg_folder(const char* variable, const char* below_home) {
  const std::string set = environment(variable);
  if (set.starts_with('/')) return set + "/fourfold";
  const std::string home = environment("HOME");
  return home.starts_with('/') ? home + below_home + "/fourfold" : "";
}

}  // namespace

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string config_file() {
  const std::string set = environment("FOURFOLD_CONFIG");
  if (!set.empty()) return set;
  const std::string folder = xdg_folder("XDG_CONFIG_HOME", "/.config");
  return folder.empty() ? "" : folder + "/config.toml";
}

std::string history_file() {
  if (environment("FOURFOLD_HISTORY") == "0") return "";
  const std::string folder = xdg_folder("XDG_STATE_HOME", "/.local/state");
  return folder.empty() ? "" : folder + "/history";
}

std::vector<std::string> model_folders() {
  std::vector<std::string> folders;
  std::istringstream list(environment("FOURFOLD_MODEL_DIR"));
  for (std::string folder; std::getline(list, folder, ':');) {
    if (!folder.empty()) folders.push_back(folder);
  }
  const std::string data = xdg_folder("XDG_DATA_HOME", "/.local/share");
  if (!data.empty()) folders.push_back(data + "/models");
  return folders;
}

std::string data_folder() {
  const std::string set = environment("FOURFOLD_DATA_DIR");
  return set.empty() ? xdg_folder("XDG_DATA_HOME", "/.local/share") : set;
}

}  // namespace fourfold
