// Text that comes in pieces → whole sentences, each as soon as it is certain to have ended.
//
//   SentenceCutter cutter;
//   for (const auto& sentence : cutter.push(text)) say(sentence);
//   if (const auto rest = cutter.finish(); !rest.empty()) say(rest);
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fourfold {

class SentenceCutter {
 public:
  std::vector<std::string> push(std::string_view text);
  // What is left, perhaps nothing. Begins anew.
  std::string finish();

 private:
  std::string pending_;
};

}  // namespace fourfold
