// Lists of models. /v1/models is claimed by three dialects: one body satisfies them all
// (http-apis.md 3.2).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_value.h"
#include "base/result.h"

namespace fourfold {

struct ListedModel {
  std::string id;            // "gemma-4-e4b-it"
  std::string display_name;  // "Gemma 4 E4B"
  std::string family;        // "gemma4"
  std::int64_t modified_s = 0;
  std::int64_t context = 0;      // usable
  std::int64_t max_context = 0;  // trained
  std::uint64_t n_parameters = 0;
  bool chat = true, thinking = false, tools = false;
  bool vision = false, audio = false, video = false;
};

// A model as Gemini's own list has it.
JsonValue gemini_model(const ListedModel& model);
// The union of what the three dialects call a model.
JsonValue merged_model(const ListedModel& model);

struct PageRequest {
  std::size_t size = 0;  // 0: as many as the list's default
  std::string token;     // of the reply before; empty: from the beginning
};
// Of the query's pageSize and pageToken. InvalidArgument.
Result<PageRequest> parse_page(std::string_view size, std::string_view token);

// {"models": […], "nextPageToken": "…"}
Result<JsonValue> gemini_model_list(const std::vector<ListedModel>& models,
                                    const PageRequest& page);
// The list of all, of which Gemini's part, "models", is paged.
Result<JsonValue> merged_model_list(const std::vector<ListedModel>& models,
                                    const PageRequest& page = {});

// Which items [begin, end) a page holds, and the token of the next one (empty: none).
struct Page {
  std::size_t begin = 0, end = 0;
  std::string next_token;
};
Result<Page> page_of(std::size_t n_items, const PageRequest& request, std::size_t default_size);

}  // namespace fourfold
