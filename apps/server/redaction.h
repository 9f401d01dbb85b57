// Takes keys out of what is written down (http-apis.md 1.6). It sits in the sink of the log, not
// where lines are made, and errors pass through it on their way to a client.
//
//   redactor.set_keys(keys.digests());
//   redactor.remember(presented);           // whatever a request gave as a key
//   sink(redactor.redact(line));            // "… ?key=[redacted] …"
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace fourfold {

class Redactor {
 public:
  // SHA-256 of the configured keys; the keys themselves are nowhere.
  void set_keys(const std::vector<std::string>& digests);
  // The latest 1,000 are known; shorter ones than 8 bytes are not told from ordinary words.
  void remember(std::string_view presented);

  // Without configured keys, remembered ones, what follows "key=" and "bearer ", written plainly or
  // percent-encoded, up to twice.
  std::string redact(std::string_view text) const;

 private:
  struct View;
  struct Span {
    std::size_t begin = 0, end = 0;  // in the text as it was given
  };

  void find_labelled(const View& view, std::vector<Span>& spans) const;
  void find_remembered(const View& view, std::vector<Span>& spans) const;
  void find_configured(const View& view, std::vector<Span>& spans) const;

  mutable std::mutex mutex_;
  std::set<std::string> digests_;
  std::deque<std::string> remembered_;
};

}  // namespace fourfold
