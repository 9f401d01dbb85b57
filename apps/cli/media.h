// Pictures, sounds and films of the command line and of the prompt at a terminal.
//
//   auto turn = TRY(read_user_turn(arguments_in_order(command), true, settings, context));
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/shared_bytes.h"
#include "chat/conversation.h"
#include "cli/command.h"
#include "cli/flags.h"

namespace fourfold {

// --image, --audio, --video, and --budget, --fps, --frames, --video-tokens, --sound, --no-sound,
// each for the media after it. Values are checked at once; what they mean depends on their order.
// `settings` takes what a settings file says.
void add_media_flags(CLI::App& command, MediaSettings& settings);

// What a person says: words and media as they follow each other; last, on a line of its own, what
// is piped in, if that is to be read. `settings` are those of the flags above; in the end, of media
// that may still come. A file that is no medium, or contradictory flags: an error that names them.
Result<Message> read_user_turn(const std::vector<GivenArgument>& arguments, bool reads_pipe,
                               MediaSettings& settings, Context& context);

bool has_media(const Message& message);

// A file as a part; "-" is standard input, and a pipe will do. `where` names it in messages.
Result<Part> open_medium(const std::string& path, std::string where, Part::Kind expected,
                         Context& context);

// A line in which files were dropped: paths with a slash, or file:// addresses, quoted or with
// escaped spaces. Those that name media are parts at their places, the rest is text.
struct DroppedLine {
  Message message;
  std::vector<std::string> files;
};
// nullopt if no file of media is named.
Result<std::optional<DroppedLine>> find_dropped_media(std::string_view line,
                                                      const MediaSettings& settings,
                                                      Context& context);

// Where the media of a request in JSON lie: a data: URL, a path or a file:// address of this
// machine.
Result<SharedBytes> read_media_source(const std::string& source, Context& context);

}  // namespace fourfold
