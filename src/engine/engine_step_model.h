// The engine's decoder as the scheduler runs it.
#pragma once

#include <memory>

#include "engine/engine.h"
#include "runtime/step_model.h"

namespace fourfold {

// `engine` outlives it. Models of one process take turns, a step each: they share the cores.
std::unique_ptr<StepModel> make_engine_step_model(Engine& engine);

}  // namespace fourfold
