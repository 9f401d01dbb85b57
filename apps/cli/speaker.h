// Says answers aloud by a command of the user's (`espeak-ng --stdin`), which is run once for each
// sentence and reads it.
//
//   Speaker speaker("espeak-ng --stdin");
//   speaker.say("Good morning. It is ");   // text as it comes
//   speaker.finish();                      // returns when all was spoken, or it was silenced
//   speaker.begin();                       // the next answer
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "cli/sentences.h"

namespace fourfold {

class Speaker {
 public:
  explicit Speaker(std::string shell);
  ~Speaker();  // is silent at once

  void begin();
  void say(std::string_view text);
  void finish();
  // Kills what is speaking; the rest of the answer is not said. From any thread.
  void silence();
  // Why it could not speak, once.
  std::optional<std::string> take_error();

 private:
  void work();
  void speak(const std::string& sentence);

  const std::string shell_;
  SentenceCutter cutter_;  // of the thread that says

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> waiting_;
  bool is_speaking_ = false;
  bool is_silent_ = false;
  bool must_end_ = false;
  bool has_failed_ = false;
  std::optional<std::string> error_;
  std::thread thread_;  // last: it uses the others
};

}  // namespace fourfold
