// How media are to be seen, in the words of every dialect (http-apis.md 1.7, "Media budgets").
#pragma once

#include <optional>
#include <vector>

#include "api/field.h"
#include "base/result.h"
#include "chat/conversation.h"

namespace fourfold {

// Soft tokens of a picture and of a frame of a film; unset: what is usual.
struct MediaBudgets {
  std::optional<int> image, frame;
};

// Gemini: "MEDIA_RESOLUTION_LOW" or "low", in any letter case; absent or unspecified: unset.
Result<MediaBudgets> read_resolution_level(const Field& level);
// Gemini's of one part: a level, or {"level", "numTokens"}, whose number wins.
Result<MediaBudgets> read_part_resolution(const Field& resolution);
// OpenAI: "low", "auto", "high"; "auto" or absent: unset.
Result<MediaBudgets> read_image_detail(const Field& detail);

// Gemini's videoMetadata {"startOffset", "endOffset", "fps"}.
Status read_video_metadata(const Field& metadata, MediaSettings& settings);

// mm_processor_kwargs {"fps", "num_frames", "max_soft_tokens", "video_tokens", "sound"}: of every
// medium of the request.
Result<MediaSettings> read_media_kwargs(const Field& kwargs);

// Gives a medium the budget of its kind.
void set_budget(Part& part, const MediaBudgets& budgets);
// Where the media of a request leave something open. The budget of `settings` is that of pictures
// and frames alike; `budgets` come first.
void add_media_defaults(std::vector<Message>& messages, const MediaBudgets& budgets,
                        const MediaSettings& settings = {});

}  // namespace fourfold
