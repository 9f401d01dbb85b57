// The models of the server as its lists show them.
#pragma once

#include <vector>

#include "api/model_list.h"
#include "server/models.h"

namespace fourfold {

ListedModel listed_model(const ModelFacts& facts);
std::vector<ListedModel> listed_models(const Models& models);

}  // namespace fourfold
