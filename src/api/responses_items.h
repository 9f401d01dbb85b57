// The items of the Responses API → messages of a conversation (http-apis.md 3.7).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/openai_messages.h"
#include "api/openai_tools.h"
#include "base/json_value.h"
#include "base/result.h"

namespace fourfold {

// A conversation as items: those of earlier responses, then those of the request.
struct ItemList {
  std::vector<JsonValue> items;
  std::size_t n_previous = 0;  // of them, not from the request

  // How messages name an item: "input[2]".
  std::string path(std::size_t index) const;
};

// "message" for one that has a role and no type.
std::string item_type(const JsonValue& item);
bool is_compaction(std::string_view type);

// An item that stands for a string as input.
JsonValue user_item(std::string text);
// A compaction item with this sealed summary.
JsonValue compaction_item(std::string sealed);

// A compaction item stands for the answers, thoughts, calls and results before it; the last one
// counts, and one that we did not seal counts for nothing. Items of unknown types are left out and
// reported.
Result<ReadHistory> read_response_items(const ItemList& list, const ToolNames& names,
                                        const HistoryHelp& help);

// Messages of users, developers and the system: what a compaction leaves as it is.
std::vector<JsonValue> kept_items(const ItemList& list);
// The text of all the others that stand since the last compaction: what its summary has to be
// shorter than.
std::string replaced_text(const ItemList& list, const HistoryHelp& help);
// Without the oldest call with its result, else without the oldest answer or thought; false if
// there is neither.
bool drop_oldest(ItemList& list);

}  // namespace fourfold
