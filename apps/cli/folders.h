// Where things are kept for this user (XDG base directories; relative values are ignored).
#pragma once

#include <string>
#include <vector>

namespace fourfold {

// An environment variable; empty when unset.
std::string environment(const char* name);

// All of these are empty when there is no place for them ($HOME unset).
std::string config_file();                 // FOURFOLD_CONFIG, else …/fourfold/config.toml
std::string history_file();                // empty also with FOURFOLD_HISTORY=0
std::vector<std::string> model_folders();  // FOURFOLD_MODEL_DIR's first
std::string data_folder();                 // FOURFOLD_DATA_DIR, else …/fourfold

}  // namespace fourfold
