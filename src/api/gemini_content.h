// Contents and parts of Gemini's requests → messages (http-apis.md 2.4).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "api/field.h"
#include "api/messages.h"
#include "api/sealed_text.h"
#include "base/result.h"
#include "base/shared_bytes.h"
#include "chat/conversation.h"

namespace fourfold {

// What the store of files knows: http-apis.md 2.12.
struct StoredFile {
  std::string mime;
  SharedBytes bytes;
};

struct GeminiContentOptions {
  const Sealer* sealer = nullptr;  // null: signatures say nothing
  // By id; null: there is no store.
  std::function<Result<StoredFile>(std::string_view id)> load_file;
};

// What is read, and what there is to say about it.
struct GeminiMessages {
  std::vector<Message> messages;
  std::vector<BrokenCall> broken_calls;
  std::vector<std::string> warnings;
};

// Appends the messages of `contents`. Contents of one role that follow each other are one turn: its
// results first, then what is said. InvalidArgument with the path.
Status read_gemini_contents(const Field& contents, const GeminiContentOptions& options,
                            GeminiMessages& out);

// A stored file as a part of this kind (Unknown: whatever it is), or the error that other addresses
// are not fetched.
Result<Part> part_of_file_uri(const Field& uri, Part::Kind kind,
                              const GeminiContentOptions& options);

// The system text: a content or a string; empty if there is none.
Result<std::vector<Part>> read_system_instruction(const Field& instruction,
                                                  const GeminiContentOptions& options);

// The items of a list; one object stands for a list of one, as in samples of the vendor.
Result<std::vector<Field>> list_or_one(const Field& field);

}  // namespace fourfold
