// For builds without libedit.
#include "cli/line_editor.h"

namespace fourfold {

std::unique_ptr<LineEditor> make_line_editor(Context&) { return make_plain_line_editor(); }

}  // namespace fourfold
