#include "server/listed_models.h"

namespace fourfold {

ListedModel listed_model(const ModelFacts& facts) {
  const ChatCapabilities& can = facts.capabilities;
  return {.id = facts.id,
          .display_name = facts.display_name,
          .family = facts.family,
          .modified_s = facts.modified_s,
          .context = facts.context,
          .max_context = facts.max_context,
          .n_parameters = facts.n_parameters,
          .chat = can.chat,
          .thinking = can.thinking,
          .tools = can.tools,
          .vision = can.vision,
          .audio = can.audio,
          .video = can.video};
}

std::vector<ListedModel> listed_models(const Models& models) {
  std::vector<ListedModel> listed;
  for (const auto& facts : models.list()) listed.push_back(listed_model(facts));
  return listed;
}

}  // namespace fourfold
